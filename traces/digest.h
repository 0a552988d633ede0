// SPDX-License-Identifier: GPL-2.0-only
// SHA-256 over what an engine gave out, step by step, in a form that does not depend on machine or compiler:
//
//   step      = number:u64 wake_at_ns:u64 decisions:u32 preempts:u32 more:u32 decision* cpu:i32*
//   decision  = task:u32 generation:u32 cpu:i32 flags:u32 slice_ns:u64 vtime:u64
//
// little endian, without padding. Thread safety: none.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "scheduler/core/step.h"

namespace reprise::trace {

/// Of `bytes`, in hex.
[[nodiscard]] std::string sha256_hex(std::string_view bytes);

class DecisionDigest {
 public:
  DecisionDigest();
  ~DecisionDigest();
  DecisionDigest(const DecisionDigest&) = delete;
  DecisionDigest& operator=(const DecisionDigest&) = delete;

  void add(u64 number, const StepOutput&);
  /// In hex. Nothing may be added after it.
  [[nodiscard]] std::string finish();

 private:
  template <typename T>
  void put(T value);
  void flush();

  void* context_;
  std::vector<u8> buffer_;
  std::size_t used_ = 0;
};

}  // namespace reprise::trace
