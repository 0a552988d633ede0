// SPDX-License-Identifier: GPL-2.0-only
// Who we are, as the kernel side sees it, and what we may do.
#pragma once

#include "scheduler/core/error.h"
#include "scheduler/core/types.h"

namespace reprise::live {

/// Ids of the calling thread in the initial PID namespace, which are those of its task_struct. gettid() and /proc tell
/// those of our own namespace, and in a container that is another one.
struct Identity {
  i32 tid = 0;
  i32 tgid = 0;
};

/// Asks the kernel by a BPF program of three instructions. Error: kNotPermitted, kInternal.
Expected<Identity> own_identity();

/// Capabilities for loading BPF programs that trace and schedule that this process lacks: "CAP_BPF CAP_PERFMON"; empty:
/// it has them. Being root is neither enough (containers) nor needed.
std::string missing_capabilities();

}  // namespace reprise::live
