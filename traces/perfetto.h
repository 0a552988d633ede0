// SPDX-License-Identifier: GPL-2.0-only
// The numbers of Perfetto's protobuf fields that we write. Source: github.com/google/perfetto, protos/perfetto/trace/;
// the file stands beside each message. Field numbers never change there once they are released.
#pragma once

#include <protozero/types.hpp>

namespace reprise::trace::perfetto {

using Tag = protozero::pbf_tag_type;

enum Trace : Tag { kTracePacket = 1 };  // trace.proto
enum Packet : Tag {                     // trace_packet.proto
  kPacketFtraceEvents = 1,
  kPacketProcessTree = 2,
  kPacketClockSnapshot = 6,
  kPacketTimestamp = 8,  // ns of CLOCK_BOOTTIME, unless another clock is named
  kPacketSequenceId = 10,
  kPacketTrackEvent = 11,
  kPacketSequenceFlags = 13,
  kPacketSystemInfo = 45,
  kPacketTrackDescriptor = 60,
};
inline constexpr unsigned kIncrementalStateCleared = 1;  // TracePacket.SequenceFlags

enum Snapshot : Tag { kSnapshotClocks = 1 };  // clock_snapshot.proto
enum Clock : Tag { kClockId = 1, kClockTimestamp = 2 };
enum BuiltinClock : unsigned { kClockRealtime = 1, kClockMonotonic = 3, kClockBoottime = 6 };  // common/builtin_clock

enum System : Tag { kSystemUtsname = 1, kSystemCpus = 8 };  // common/system_info.proto
enum Utsname : Tag { kUtsSysname = 1, kUtsVersion = 2, kUtsRelease = 3, kUtsMachine = 4 };

enum Tree : Tag { kTreeProcesses = 1, kTreeThreads = 2 };  // ps/process_tree.proto
enum Process : Tag { kProcessPid = 1, kProcessPpid = 2, kProcessCmdline = 3 };
enum Thread : Tag { kThreadTid = 1, kThreadName = 2, kThreadTgid = 3 };

enum Descriptor : Tag { kDescriptorUuid = 1, kDescriptorName = 2, kDescriptorCounter = 8 };  // track_event/
enum Counter : Tag { kCounterUnit = 3 };
enum Unit : int { kUnitTimeNs = 1, kUnitCount = 2 };
enum TrackEvent : Tag { kTrackType = 9, kTrackUuid = 11, kTrackCounterValue = 30 };
inline constexpr int kTrackTypeCounter = 4;

enum Bundle : Tag { kBundleCpu = 1, kBundleEvent = 2 };  // ftrace/ftrace_event_bundle.proto
enum Event : Tag {                                       // ftrace/ftrace_event.proto
  kEventTimestamp = 1,
  kEventPid = 2,
  kEventSwitch = 4,
  kEventWaking = 20,
  kEventWakeupNew = 114,
  kEventNewTask = 235,
  kEventRename = 236,
  kEventExit = 238,
};
enum Switch : Tag {  // ftrace/sched.proto
  kPrevComm = 1,
  kPrevPid = 2,
  kPrevPrio = 3,
  kPrevState = 4,
  kNextComm = 5,
  kNextPid = 6,
  kNextPrio = 7,
};
enum Wake : Tag { kWakeComm = 1, kWakePid = 2, kWakePrio = 3, kWakeSuccess = 4 };
enum Exit : Tag { kExitComm = 1, kExitPid = 2, kExitTgid = 3 };
enum NewTask : Tag { kNewPid = 1, kNewComm = 2, kNewCloneFlags = 3 };  // ftrace/task.proto
enum Rename : Tag { kRenamePid = 1, kRenameOld = 2, kRenameNew = 3 };

inline constexpr unsigned kCloneThread = 0x10000;  // CLONE_THREAD, include/uapi/linux/sched.h

}  // namespace reprise::trace::perfetto
