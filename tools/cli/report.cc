// SPDX-License-Identifier: GPL-2.0-only
// reprise report: results as one page for a browser.
#include "tools/report/report.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tools/cli/arguments.h"
#include "tools/cli/command.h"
#include "version.h"

namespace reprise::cli {
namespace {

constexpr char kReportDescription[] =
    "Makes one HTML file of results: a table that compares the runs, distributions with their tails, how each task "
    "fared,\n"
    "who had the CPUs at the worst moment, where all of it comes from and how to repeat it; of a suite its verdicts, "
    "what\n"
    "moved and the command for each failure. A result is what sim, test, fidelity, compare, replay or info --metrics "
    "wrote\n"
    "with --json. The file needs no network and is smaller than 2 MiB.";
constexpr char kReportFooter[] =
    "examples\n"
    "  reprise sim run.rtrace --policy fifo,vruntime,eevdf --json > sim.json\n"
    "  reprise fidelity run.rtrace --json > fidelity.json\n"
    "  reprise report sim.json fidelity.json -o report.html\n"
    "  reprise test tests/suite.toml --json | reprise report - -o suite.html\n\n"
    "exit status\n"
    "  0 done   2 usage   65 a RESULT is none   74 it cannot be read, or the page not be written";
constexpr std::size_t kMaxReportInput = 256u << 20;

class Report final : public Command {
 public:
  void declare(CLI::App& app) override {
    app.description(kReportDescription);
    app.footer(kReportFooter);
    app.add_option("RESULT", files_, "what --json wrote; - is standard input")->required();
    app.add_option("-o,--output", out_, "the page")->type_name("OUT.html")->required();
  }
  Expected<ExitCode> run(Console&) override;

 private:
  std::vector<std::string> files_;
  std::string out_;
};

Expected<std::string> read_input(const std::string& file) {
  std::ifstream in(file == "-" ? "/dev/stdin" : file, std::ios::binary);
  if (!in) return fail(ExitCode::kIo, fmt::format("cannot be opened: {}", std::strerror(errno)), file);
  std::string bytes;
  for (std::istreambuf_iterator<char> at(in), end; at != end && bytes.size() <= kMaxReportInput; ++at) bytes += *at;
  if (in.bad()) return fail(ExitCode::kIo, fmt::format("cannot be read: {}", std::strerror(errno)), file);
  if (bytes.size() > kMaxReportInput)
    return fail(ExitCode::kBadInput, fmt::format("is larger than {}", bytes_text(kMaxReportInput)), file);
  return bytes;
}

Expected<ExitCode> Report::run(Console& console) {
  std::error_code unknown;
  for (const std::string& file : files_)
    if (file == out_ || std::filesystem::equivalent(file, out_, unknown))
      return fail(ExitCode::kUsage, fmt::format("-o names the result {} itself", file));
  std::vector<report::Document> documents;
  for (const std::string& file : files_) {
    auto bytes = read_input(file);
    if (!bytes) return std::unexpected(bytes.error());
    auto document = report::read_document(file == "-" ? "standard input" : file, *bytes);
    if (!document) return std::unexpected(document.error());
    documents.push_back(std::move(*document));
  }
  const auto page = report::page(documents, kVersion);
  if (!page) return std::unexpected(page.error());
  std::ofstream file(out_, std::ios::binary | std::ios::trunc);
  file << *page;
  file.close();
  if (!file)
    return fail(ExitCode::kIo, fmt::format("cannot be written: {}", std::strerror(errno)), out_,
                "is the folder there, and the disk not full?");
  if (console.json())
    console.document(
        {{"schema", console.schema()}, {"file", out_}, {"bytes", page->size()}, {"results", documents.size()}});
  else
    console.print("{}: {}, {}\n", out_, counted(documents.size(), "result"), bytes_text(page->size()));
  return ExitCode::kDone;
}

}  // namespace

std::unique_ptr<Command> make_report() { return std::make_unique<Report>(); }

}  // namespace reprise::cli
