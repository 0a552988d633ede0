// SPDX-License-Identifier: GPL-2.0-only
// The recorder's programs (bpf/recorder.bpf.c), loaded and attached, as a source of kernel events. Beside a dispatcher
// they write into its ring; alone they record any kernel with BTF.
//
// Thread safety: drain and losses belong to one thread, the recorder's; the rest to the thread that loaded. detach may
// be called while the other thread drains: what is in the ring stays there. Detached by the destructor.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "scheduler/core/error.h"
#include "traces/recorder.h"

namespace reprise::live {

struct RecordingSettings {
  int recording_fd = -1;  // ring and sequence numbers of a dispatcher, which must outlive us; -1: our own
  int sequences_fd = -1;
  std::size_t ring_bytes = 16 << 20;  // power of two; that of the dispatcher's ring, if it is used
  bool syscalls = true;               // waiting and waking system calls: most of the volume where there are many
  i32 own_tgid = 0;                   // in the initial PID namespace: marked, and its system calls left out
};

/// Why events are missing; over all CPUs, since attach.
struct LossCauses {
  u64 no_room = 0;    // the ring was full: a larger one helps
  u64 refused = 0;    // the ring's lock was not to be had (from 6.15 on it gives up rather than wait for ever)
  u64 recursion = 0;  // the program was already running on that CPU, at the tracepoints `recursion_at`
  u64 unseen = 0;     // switches that the kernel told nobody of: another task left a CPU than the one that had come
  u64 malformed = 0;  // came out of the ring as nothing that is known
  std::vector<std::string> recursion_at;

  /// What the recorder dropped. The unseen did not get that far: there, the kernel called no tracepoint at all.
  [[nodiscard]] u64 dropped() const { return no_room + refused + recursion + malformed; }
};

class Recording : public trace::KernelEventSource {
 public:
  /// Errors: kNotPermitted; kNoSchedExt without BTF; kInternal with the verifier's last lines.
  static Expected<std::unique_ptr<Recording>> load(const RecordingSettings&);
  ~Recording() override;

  Expected<void> attach();
  /// From its beginning on nothing is written any more; what is in the ring can still be drained. Takes up to a second:
  /// the kernel waits for readers at each tracepoint. Harmless when not attached; there is no way back.
  void detach();

  /// The tasks that exist now, in ascending order of their tids, and the same as events (kTask, kName, kAffinity) into
  /// the ring. Called after attach, so that no task falls between: one born meanwhile appears here, as kFork, or both.
  Expected<std::vector<trace::SessionTask>> tasks_present();

  std::size_t drain(std::span<trace::KernelEvent> out) override;
  /// Per CPU: what found no room, what is missing in the ring although a later event was there, and switches that went
  /// by unseen. For all CPUs together: what the kernel dropped because a program was already running on that CPU.
  void losses(std::vector<trace::Loss>& out) override;

  [[nodiscard]] LossCauses loss_causes() const;

  /// Tracepoints that this kernel lacks, so that their events are missing.
  [[nodiscard]] const std::vector<std::string>& absent() const;

 private:
  Recording();
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace reprise::live
