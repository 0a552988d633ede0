// SPDX-License-Identifier: GPL-2.0-only
// The dispatcher's native side. It is C first: anonymous structs, functions that not every host calls. Internal.
#pragma once

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wunused-function"
#include "bpf/state.h"
#pragma GCC diagnostic pop
