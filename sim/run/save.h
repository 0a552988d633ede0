// SPDX-License-Identifier: GPL-2.0-only
// Writes a simulation as a trace, so that all that reads traces reads simulations: replay, info, export, dump.
#pragma once

#include <memory>
#include <string>

#include "sim/kernel/kernel_model.h"
#include "traces/session.h"
#include "traces/writer.h"

namespace reprise::sim {

class SavedRun final : public EventSink, public StepSink {
 public:
  /// `info`: of the machine and the code; what `options` says is filled in. Errors: of trace::Writer::create.
  static Expected<std::unique_ptr<SavedRun>> create(const std::string& path, trace::SessionInfo info,
                                                    const SimOptions& options);
  void event(const trace::KernelEvent&) override;
  void step(const StepInput&, const StepOutput&, u64 end_ns) override;
  /// Error: the first one since `create`; the file holds what came before it.
  Expected<void> finish(u64 end_ns);

 private:
  SavedRun(std::unique_ptr<trace::Writer>, trace::SessionInfo);

  std::unique_ptr<trace::Writer> writer_;
  trace::SessionInfo info_;
  u64 last_step_ = 0;
  Expected<void> state_;
};

}  // namespace reprise::sim
