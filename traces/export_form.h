// SPDX-License-Identifier: GPL-2.0-only
// What export.cc and the forms share: a form is told what a trace holds, in order, and writes it. Internal to traces/.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "traces/export.h"
#include "traces/file.h"
#include "traces/task_names.h"

namespace reprise::trace {

/// A file behind a buffer. The first error sticks; nothing is written after it.
class TextOut {
 public:
  explicit TextOut(std::unique_ptr<WritableFile> file) : file_(std::move(file)) {}
  void write(std::string_view text) {
    buffer_ += text;
    if (buffer_.size() >= kBufferBytes) flush();
  }
  void flush();
  [[nodiscard]] const std::optional<Error>& error() const { return error_; }
  [[nodiscard]] u64 bytes() const { return bytes_; }

 private:
  static constexpr std::size_t kBufferBytes = 1u << 18;
  std::unique_ptr<WritableFile> file_;
  std::string buffer_;
  std::optional<Error> error_;
  u64 bytes_ = 0;
};

class Form {
 public:
  virtual ~Form() = default;
  virtual void session(const SessionInfo&, u32 number) = 0;
  /// In order of time within a session. `names` knows the task's name already.
  virtual void event(const KernelEvent&, const TaskNames& names) = 0;
  virtual void step(const StepRecord&) {}
  virtual void loss(const LossRecord&) {}
  virtual void gap(const GapRecord&) {}
  virtual void session_end(const SessionEnd&) {}
  /// Of a session, whether it had an end or not: what is still gathered.
  virtual void session_over() {}
};

std::unique_ptr<Form> make_csv_form(TextOut&);
std::unique_ptr<Form> make_json_lines_form(TextOut&);
std::unique_ptr<Form> make_perfetto_form(TextOut&);

}  // namespace reprise::trace
