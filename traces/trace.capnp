# SPDX-License-Identifier: GPL-2.0-only
# What lies in the frames of a trace (docs/trace_format.md tells how frames lie in the file). One message per frame.
#
# Constraints that hold everywhere
#   - Times are CLOCK_MONOTONIC in nanoseconds.
#   - A message is at most 16 MiB and holds one segment. Counts above the limits named here make a frame invalid.
#   - Fields are only ever added. A reader takes a missing one for its default, and a missing column for an empty one.
#
# Columns. A field of many records is stored as one column: a residual (value minus or xor what is expected there)
# per record, as LEB128, signed ones in zigzag. A column whose residuals are all zero is empty. What is expected is
# said in columns_steps.cc and columns_events.cc, where one description serves both directions.
@0xd5a3c1f0947be862;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("reprise::trace::schema");

# Kind 1. Opens a session. Texts hold at most 4096 bytes.
struct Session {
  kind @0 :UInt8;                # SessionKind: 1 live, 2 passive, 3 simulated, 4 imported
  startNs @1 :UInt64;

  policy @2 :Text;               # name in the table of policies; empty: none
  options @3 :Text;              # key=value,key=value
  seed @4 :UInt64;
  cpus @5 :UInt32;               # 0..1024; CPUs are numbered 0..cpus-1
  maxTasks @6 :UInt32;           # 0..1048576
  interests @7 :UInt32;          # PolicyInterest

  version @8 :Text;
  compiler @9 :Text;
  buildType @10 :Text;
  engineHash @11 :Text;          # SHA-256, hex
  policiesHash @12 :Text;
  dispatcherHash @13 :Text;

  kernelRelease @14 :Text;
  kernelVersion @15 :Text;
  preemption @16 :Text;
  hz @17 :UInt32;                # 0: not known
  features @18 :List(Text);      # at most 256
  machine @19 :Text;
  cpuModel @20 :Text;
  topology @21 :List(CpuPlace);  # at most 4096
  dispatcher @22 :List(Setting); # at most 256

  tasks @23 :List(Task);         # at most 131072
  tasksOmitted @24 :UInt64;

  # The only fields of time and place.
  realtimeOffsetNs @25 :Int64;
  boottimeOffsetNs @26 :Int64;
}

struct CpuPlace {
  cpu @0 :UInt32;
  core @1 :UInt32;               # lowest CPU among its SMT siblings
  llc @2 :UInt32;                # lowest CPU that shares the last-level cache
  node @3 :UInt32;
}

struct Setting {
  name @0 :Text;
  value @1 :UInt64;
}

struct Task {
  tid @0 :Int32;                 # in the initial PID namespace; with startTimeNs the task's identity
  tgid @1 :Int32;
  parentTid @2 :Int32;
  weight @3 :UInt32;
  flags @4 :UInt32;              # TaskFlag
  cpu @5 :Int32;                 # -1: not known
  startTimeNs @6 :UInt64;
  execTotalNs @7 :UInt64;
  comm0 @8 :UInt64;              # comm, bytes 0..7, little endian
  comm1 @9 :UInt64;              # bytes 8..15
}

# Kind 2. Steps of the engine, both sides. Step numbers grow; a jump is a gap in what was recorded.
struct Steps {
  firstNumber @0 :UInt64;        # > 0
  firstNs @1 :UInt64;
  steps @2 :UInt32;              # 1..32768
  events @3 :UInt32;             # 0..32768; sum over the steps, as are the next three
  decisions @4 :UInt32;          # 0..32768
  preempts @5 :UInt32;           # 0..32768
  idleWords @6 :UInt32;          # 0..524288
  columns @7 :List(Data);        # numbered by StepColumn
}

enum StepColumn {
  number @0;          # minus (previous + 1)
  now @1;             # minus previous
  eventCount @2;
  decisionCount @3;
  preemptCount @4;
  idleWordCount @5;   # minus previous
  idle @6;            # words, xor the same word of the previous step
  room @7;            # minus previous
  flags @8;           # StepFlag
  lostEvents @9;      # minus previous
  bits @10;           # 1 more, 2 wakeAt is there, 4 stateHash is there, 8 end is there
  wakeAt @11;         # minus now
  stateHash @12;      # 8 bytes each
  end @13;            # minus now

  # Events. "Of the task", "of the CPU": minus what its previous record in this frame had.
  type @14;           # EventType; plus 256: the payload stands in `raw` and not in the columns of its type
  cpu @15;            # minus previous
  time @16;           # minus previous
  seq @17;            # of the CPU, plus 1
  task @18;           # slot; minus previous
  tid @19;            # of the task
  generation @20;     # of the task; of an enqueue, plus 1
  eventFlags @21;
  raw @22;            # seven words of 8 bytes: the record's reserved byte, then its payload
  enqueueExec @23;    # of the task, minus the time between started and stopped
  enqueueStarted @24; # minus stopped
  enqueueStopped @25; # minus the event's time
  enqueuePrevCpu @26; # of the task
  enqueueWeight @27;  # of the task
  enqueueWaker @28;   # slot; of the CPU
  enqueueAllowed @29; # of the task
  newStart @30;       # minus the event's time
  newTgid @31;        # minus tid
  newParent @32;      # minus tid
  newWeight @33;      # minus 100
  newFlags @34;
  newComm @35;        # 16 bytes each
  stopExec @36;       # of the task
  stopRunnable @37;
  affinityFirst @38;
  affinityAllowed @39;
  affinityWords @40;  # four words of 8 bytes
  weight @41;         # of the task

  # Decisions.
  decisionTask @42;       # slot; minus that of the step's event at the same place
  decisionGeneration @43; # of the task
  decisionCpu @44;        # minus previous
  decisionFlags @45;      # xor previous
  decisionSlice @46;      # minus previous
  decisionVtime @47;      # minus previous
  preemptCpu @48;         # minus previous
}

# Kind 3. What the kernel did (KernelEvent), by time within the frame.
struct Events {
  firstNs @0 :UInt64;
  events @1 :UInt32;             # 1..32768
  columns @2 :List(Data);        # 0 type, 1 cpu, 2 time, 3 seq; then six for each type t from 4 + 6 t on:
                                 # flags, tid, a, b low, b high, c. Types above 31 share those of type 0.
}

# Kind 4. The engine's state after a step, in parts of at most 4 MiB that follow each other.
struct Snapshot {
  step @0 :UInt64;
  timeNs @1 :UInt64;
  part @2 :UInt32;               # from 0
  parts @3 :UInt32;              # 1..64
  totalBytes @4 :UInt64;         # of all parts, at most 256 MiB
  state @5 :Data;
}

# Kind 5. What found no room, in total since the session began.
struct Losses {
  timeNs @0 :UInt64;
  losses @1 :List(Loss);         # at most 8192
}

struct Loss {
  ring @0 :UInt8;                # LossRing
  cpu @1 :UInt32;                # 4294967295: all
  count @2 :UInt64;
}

# Kind 6. The session's orderly end.
struct End {
  endNs @0 :UInt64;
  reason @1 :Text;
  exitCode @2 :Int64;
  steps @3 :UInt64;
  lastStep @4 :UInt64;
  events @5 :UInt64;
  decisions @6 :UInt64;
  kernelEvents @7 :UInt64;
  snapshots @8 :UInt64;
  stepsLost @9 :UInt64;
  snapshotsLost @10 :UInt64;
}

# Kind 7. Where the frames since the previous index frame lie. The trailer names the last one.
struct Index {
  previous @0 :UInt64;           # offset of the index frame before this one; 0: none
  entries @1 :UInt32;            # 1..4096
  columns @2 :List(Data);        # 0 kind; 1 number, 2 offset, 3 first time, 4 last time, 5 first step (each minus
                                 # previous); 6 items; 7 session (minus previous); 8 bytes in the file
}
