// SPDX-License-Identifier: GPL-2.0-only
#include "tools/cli/suite_policies.h"

#include "scheduler/load/load.h"
#include "sim/run/save.h"
#include "sim/suite/sample.h"
#include "tools/cli/sim_options.h"
#include "traces/export.h"
#include "traces/reader.h"
#include "version.h"

namespace reprise::cli {

Expected<sim::SuitePolicy> find_suite_policy(std::string_view text) {
  sim::SuitePolicy found;
  found.text = text;
  if (text == kKernelDefault) return found;
  auto spec = loader::load_policy(text);
  if (!spec) return std::unexpected(spec.error());
  found.info = spec->info;
  found.options = spec->options;
  found.text = spec->text();
  found.code = spec->code.empty() ? kPoliciesHash : spec->code;
  return found;
}

namespace {

trace::SessionInfo session_of(const sim::SetupRun& loaded) {
  trace::SessionInfo info;
  if (loaded.session()) info = *loaded.session();
  info.version = kVersion;
  info.compiler = kCompiler;
  info.build_type = kBuildType;
  info.engine_hash = kEngineHash;
  info.policies_hash = kPoliciesHash;
  info.dispatcher_hash = kDispatcherHash;
  return info;
}

}  // namespace

Expected<void> save_timeline(const sim::Setup& setup, u64 seed, const std::string& base) {
  auto loaded = sim::SetupRun::load(setup, find_suite_policy);
  if (!loaded) return std::unexpected(loaded.error());
  auto program = loaded->program(seed);
  if (!program) return std::unexpected(program.error());
  const std::string path = base + ".rtrace";
  if (auto saved = save_run(setup, *program, loaded->options(seed), path); !saved) return saved;
  auto reader = trace::Reader::open(path);
  if (!reader) return std::unexpected(reader.error());
  auto exported = trace::export_trace(*reader, base + ".pftrace", {});
  if (!exported) return std::unexpected(exported.error());
  return {};
}

Expected<void> save_run(const sim::Setup& setup, const sim::Program& program, const sim::RunOptions& options,
                        const std::string& path) {
  auto loaded = sim::SetupRun::load(setup, find_suite_policy);
  if (!loaded) return std::unexpected(loaded.error());
  auto saved = sim::SavedRun::create(path, session_of(*loaded), options.machine);
  if (!saved) return std::unexpected(saved.error());
  const sim::Sample sample =
      sim::run_sample(setup, program, options, options.machine.seed, false, saved->get(), saved->get());
  return (*saved)->finish(sample.simulated_ns);
}

}  // namespace reprise::cli
