// SPDX-License-Identifier: GPL-2.0-only
// Who makes a trace, and on what: fills in a session (traces/session.h) from this machine.
#pragma once

#include "scheduler/live/dispatcher.h"
#include "scheduler/live/kernel_features.h"
#include "scheduler/policies/table.h"
#include "traces/session.h"

namespace reprise::live {

/// Kernel, machine, topology, clocks, code. The engine's part is left at its defaults.
trace::SessionInfo describe_machine(u32 cpus);

/// The above and what an equal engine needs.
trace::SessionInfo describe_session(const PolicySpec&, u64 seed, u32 cpus, const DispatcherSettings&,
                                    const KernelFeatures&);

}  // namespace reprise::live
