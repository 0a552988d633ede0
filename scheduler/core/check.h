// SPDX-License-Identifier: GPL-2.0-only
// Checks for programmer errors. They stay on in release: a scheduler that goes on after one corrupts a machine.
//
// State that came out of a file may contradict itself in ways that only those notice who use it (a queue whose links
// lead nowhere). While an engine works on such state a failed check is the file's fault and not ours: it throws
// StateContradiction, which Engine::step turns into an error. Everywhere else, and always in a live run, it aborts.
#pragma once

namespace reprise {

struct StateContradiction {
  const char* condition;
};

/// While it lives, failed checks on this thread throw.
class ForeignState {
 public:
  explicit ForeignState(bool foreign);
  ~ForeignState();
  ForeignState(const ForeignState&) = delete;
  ForeignState& operator=(const ForeignState&) = delete;

 private:
  bool before_;
};

/// Not inline: a policy in a shared object has no state of its own, not even that of ForeignState.
[[noreturn]] void check_failed(const char* condition, const char* file, int line);

}  // namespace reprise

#define REPRISE_CHECK(condition)                               \
  (__builtin_expect(static_cast<bool>(condition), 1) ? (void)0 \
                                                     : ::reprise::check_failed(#condition, __FILE__, __LINE__))
