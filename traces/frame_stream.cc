// SPDX-License-Identifier: GPL-2.0-only
#include "traces/frame_stream.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <deque>

#include "traces/columns.h"

namespace reprise::trace {
namespace {

constexpr std::size_t kScanBytes = 64 * 1024;
constexpr std::size_t kMaxEntries = 262'144;  // remembered when there is no index; the newest count

std::string describe(const FrameHeader& header) {
  const std::string times = fmt::format("{}..{}", seconds_text(header.first_ns), seconds_text(header.last_ns));
  switch (header.kind) {
    case FrameKind::kSession:
      return fmt::format("frame {} (session {})", header.number, header.session);
    case FrameKind::kSteps:
      return fmt::format("frame {} ({} steps from {} on, {})", header.number, header.items, header.first_step, times);
    case FrameKind::kEvents:
      return fmt::format("frame {} ({} kernel events, {})", header.number, header.items, times);
    case FrameKind::kSnapshot:
      return fmt::format("frame {} (snapshot after step {})", header.number, header.first_step);
    case FrameKind::kLosses:
      return fmt::format("frame {} (losses)", header.number);
    case FrameKind::kEnd:
      return fmt::format("frame {} (end of session {})", header.number, header.session);
    case FrameKind::kIndex:
      return fmt::format("frame {} (index)", header.number);
  }
  return fmt::format("frame {}", header.number);
}

bool is_entry(const FrameHeader& header) {
  return header.kind == FrameKind::kSession || (header.kind == FrameKind::kSnapshot && header.items == 0);
}

}  // namespace

std::string seconds_text(u64 ns) { return fmt::format("{}.{:09} s", ns / kNsPerSec, ns % kNsPerSec); }

void ProblemList::add(Severity severity, u64 byte, std::string what) {
  if (severity == Severity::kDamage) ++damages_;
  if (problems_.size() < kMaxProblems) {
    problems_.push_back({severity, byte, std::move(what)});
    return;
  }
  ++left_out_;
  problems_.resize(kMaxProblems);
  problems_.push_back({Severity::kDamage, byte, fmt::format("and {} more", left_out_)});
}

Expected<std::unique_ptr<FrameStream>> FrameStream::open(std::unique_ptr<ReadableFile> file, const std::string& name,
                                                         ProblemList& problems) {
  std::unique_ptr<FrameStream> stream(new FrameStream(std::move(file)));
  const u64 size = stream->size();
  if (size == 0) {
    return fail(ExitCode::kBadInput, "is empty (0 bytes)", name, "the recording was never written: was the disk full?");
  }
  std::array<u8, kFileHeaderBytes> bytes{};
  const std::size_t have = static_cast<std::size_t>(std::min<u64>(size, kFileHeaderBytes));
  if (auto done = stream->file_->read(0, std::span(bytes).first(have)); !done) return std::unexpected(done.error());
  const std::size_t magic = std::min(have, kFileMagic.size());
  if (std::memcmp(bytes.data(), kFileMagic.data(), magic) != 0) {
    return fail(ExitCode::kBadInput, "is not a Reprise trace", name,
                "traces of other tools go through `reprise import` first");
  }
  if (have < kFileHeaderBytes) {
    return fail(ExitCode::kBadInput, fmt::format("is cut within its header, at byte {}", size), name,
                "record it again");
  }
  const auto header = decode_file_header(bytes);
  if (!header) {
    problems.add(Severity::kDamage, 0, "the file's header fails its checksum; its frames may still be good");
    return stream;
  }
  if (header->format != kFormatVersion || header->schema > kSchemaVersion || header->schema == 0) {
    const bool newer = header->format > kFormatVersion || header->schema > kSchemaVersion;
    return fail(ExitCode::kBadInput,
                fmt::format("is written in trace format {}.{}; this program reads {}.{}", header->format,
                            header->schema, kFormatVersion, kSchemaVersion),
                name, newer ? "use a newer reprise" : "the file is damaged, or from before the first release");
  }
  return stream;
}

bool FrameStream::read_bytes(u64 offset, std::span<u8> out) {
  if (io_error_) return false;
  if (auto done = file_->read(offset, out); !done) {
    io_error_ = done.error();
    return false;
  }
  return true;
}

FrameStream::Look FrameStream::look_at(u64 offset, FrameHeader& header, Trailer& trailer) {
  std::array<u8, kFrameHeaderBytes> bytes{};
  const u64 left = size() - offset;
  if (!read_bytes(offset, std::span(bytes).first(static_cast<std::size_t>(std::min<u64>(left, bytes.size()))))) {
    return Look::kBad;
  }
  if (left >= kFrameHeaderBytes) {
    if (const auto found = decode_frame_header(bytes)) {
      header = *found;
      return Look::kFrame;
    }
  }
  if (left >= kTrailerBytes) {
    if (const auto found = decode_trailer(std::span(bytes).first<kTrailerBytes>())) {
      trailer = *found;
      return Look::kTrailer;
    }
  }
  return Look::kBad;
}

std::optional<FrameHeader> FrameStream::next(const std::function<bool(const FrameHeader&)>& wanted,
                                             ProblemList& problems) {
  while (!ended_) {
    FrameHeader header;
    Trailer trailer;
    if (at_ >= size()) {
      at_end(std::nullopt, problems);
      break;
    }
    const Look look = look_at(at_, header, trailer);
    if (look == Look::kTrailer) {
      at_end(trailer, problems);
      break;
    }
    const u64 end = at_ + kFrameHeaderBytes + header.payload_bytes;
    if (look == Look::kBad || end > size()) {
      at_bad(problems);
      continue;
    }
    frame_offset_ = at_;
    at_ = end;
    if (!take_number(header, problems)) continue;
    if (header.kind != FrameKind::kIndex) last_ns_ = std::max(last_ns_, header.last_ns);
    if (header.kind != FrameKind::kIndex && !wanted(header)) continue;
    if (!read_payload(header, problems)) continue;
    ++frames_;
    if (header.kind != FrameKind::kIndex) return header;
  }
  return std::nullopt;
}

bool FrameStream::take_number(const FrameHeader& header, ProblemList& problems) {
  const bool first = !last_number_.has_value();
  const u32 expected = first ? 0 : *last_number_ + 1;
  if (first && seeked_) {
    last_number_ = header.number;
    return true;
  }
  if (header.number < expected) {
    problems.add(Severity::kDamage, frame_offset_,
                 fmt::format("{} stands where frame {} should; it is left out", describe(header), expected));
    return false;
  }
  if (header.number > expected) {
    problems.add(Severity::kDamage, frame_offset_,
                 fmt::format("frames {}..{} are missing, before {}", expected, header.number - 1, describe(header)));
  }
  last_number_ = header.number;
  return true;
}

bool FrameStream::read_payload(const FrameHeader& header, ProblemList& problems) {
  payload_.resize(header.payload_bytes);
  const char* wrong = nullptr;
  if (read_bytes(frame_offset_ + kFrameHeaderBytes, payload_)) {
    wrong = decompressor_.unpack(header, payload_, message_);
  } else {
    wrong = "cannot be read";
  }
  if (wrong == nullptr) return true;
  problems.add(Severity::kDamage, frame_offset_, fmt::format("{} {}", describe(header), wrong));
  return false;
}

void FrameStream::at_end(const std::optional<Trailer>& trailer, ProblemList& problems) {
  ended_ = true;
  if (!trailer) {
    problems.add(Severity::kDamage, at_,
                 last_number_ ? fmt::format("cut after frame {} at byte {}, last time {}: the recording did not end in "
                                            "an orderly way, or the end of the file is missing",
                                            *last_number_, at_, seconds_text(last_ns_))
                              : fmt::format("cut after the header at byte {}: no frame was written", at_));
    return;
  }
  const u32 frames = last_number_ ? *last_number_ + 1 : 0;
  if (!seeked_ && trailer->frames != frames) {
    problems.add(
        Severity::kDamage, at_,
        fmt::format("the trailer counts {} frames, the last one here is number {} of them", trailer->frames, frames));
  }
  const u64 rest = size() - at_ - kTrailerBytes;
  if (rest > 0) {
    problems.add(Severity::kDamage, at_ + kTrailerBytes, fmt::format("{} bytes behind the end are left out", rest));
  }
  complete_ = rest == 0;
}

void FrameStream::at_bad(ProblemList& problems) {
  if (io_error_) {
    problems.add(Severity::kDamage, at_, fmt::format("{}; reading ends here", io_error_->what));
    ended_ = true;
    return;
  }
  const u64 bad = at_;
  at_ = find_good(bad + 1);
  if (at_ < size()) {
    problems.add(Severity::kDamage, bad, fmt::format("bytes {}..{} are damaged and left out", bad, at_ - 1));
    return;
  }
  ended_ = true;
  const std::string after =
      last_number_ ? fmt::format("frame {} at byte {}, last time {}", *last_number_, bad, seconds_text(last_ns_))
                   : fmt::format("the header at byte {}", bad);
  problems.add(Severity::kDamage, bad,
               fmt::format("cut after {}: the {} bytes that follow are no whole frame", after, size() - bad));
}

/// The next place from `from` on where a good header or trailer stands; size() when there is none.
u64 FrameStream::find_good(u64 from) {
  Bytes chunk;
  while (from < size()) {
    chunk.resize(static_cast<std::size_t>(std::min<u64>(kScanBytes, size() - from)));
    if (!read_bytes(from, chunk)) return size();
    const u8* const end = chunk.data() + chunk.size();
    for (const u8* at = chunk.data(); at < end; ++at) {
      at = static_cast<const u8*>(std::memchr(at, kFrameMagic[0], static_cast<std::size_t>(end - at)));
      if (at == nullptr) break;
      const ByteView rest{at, end};
      // Near the chunk's end only the first byte can be compared; look_at decides.
      const bool maybe =
          rest.size() < kTrailerMagic.size() || starts_with(rest, kFrameMagic) || starts_with(rest, kTrailerMagic);
      FrameHeader header;
      Trailer trailer;
      const u64 offset = from + static_cast<u64>(at - chunk.data());
      if (maybe && look_at(offset, header, trailer) != Look::kBad) return offset;
    }
    from += chunk.size();
  }
  return size();
}

void FrameStream::seek(u64 offset) {
  at_ = offset;
  last_number_.reset();
  seeked_ = true;
  ended_ = complete_ = false;
}

Expected<void> FrameStream::visit_entries(const std::function<bool(const FrameEntry&)>& visit) {
  std::array<u8, kTrailerBytes> bytes{};
  if (size() >= kFileHeaderBytes + kTrailerBytes && read_bytes(size() - kTrailerBytes, bytes)) {
    if (const auto trailer = decode_trailer(bytes)) {
      bool stop = false;
      if (visit_index(trailer->index_offset, visit, stop)) return {};
    }
  }
  std::deque<FrameEntry> entries;
  visit_headers(entries);
  if (io_error_) return std::unexpected(*io_error_);
  for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry) {
    if (visit(*entry)) break;
  }
  return {};
}

/// Follows the chain of index frames. False: it is damaged, and nothing that was visited may be trusted to be all.
bool FrameStream::visit_index(u64 offset, const std::function<bool(const FrameEntry&)>& visit, bool& stop) {
  ProblemList unused;
  std::vector<FrameEntry> entries;
  while (offset != 0 && !stop) {
    FrameHeader header;
    Trailer trailer;
    IndexMessage index;
    std::string why;
    if (offset >= size() || look_at(offset, header, trailer) != Look::kFrame || header.kind != FrameKind::kIndex ||
        offset + kFrameHeaderBytes + header.payload_bytes > size()) {
      return false;
    }
    frame_offset_ = offset;
    if (!read_payload(header, unused) || !decode(message_, index, why) || index.entries > kMaxIndexEntries ||
        index.previous >= offset) {
      return false;
    }
    ColumnsDecoder<kIndexColumns> columns;
    columns.open(index.columns);
    entries.clear();
    FrameEntry e;
    for (u32 i = 0; i < index.entries; ++i) {
      columns.plain(kColIndexKind, e.kind);
      columns.delta(kColIndexNumber, e.number, e.number);
      columns.delta(kColIndexOffset, e.offset, e.offset);
      columns.delta(kColIndexFirstNs, e.first_ns, e.first_ns);
      columns.delta(kColIndexLastNs, e.last_ns, e.last_ns);
      columns.delta(kColIndexFirstStep, e.first_step, e.first_step);
      columns.plain(kColIndexItems, e.items);
      columns.delta(kColIndexSession, e.session, e.session);
      columns.plain(kColIndexBytes, e.bytes);
      FrameHeader shape;
      shape.kind = static_cast<FrameKind>(e.kind);
      shape.items = e.items;
      if (is_entry(shape)) entries.push_back(e);
    }
    if (!columns.good() || !columns.used_up()) return false;
    for (auto entry = entries.rbegin(); entry != entries.rend() && !stop; ++entry) stop = visit(*entry);
    offset = index.previous;
  }
  return true;
}

void FrameStream::visit_headers(std::deque<FrameEntry>& entries) {
  u64 at = kFileHeaderBytes;
  while (at < size()) {
    FrameHeader header;
    Trailer trailer;
    const Look look = look_at(at, header, trailer);
    if (look == Look::kTrailer) return;
    const u64 end = at + kFrameHeaderBytes + header.payload_bytes;
    if (look == Look::kBad || end > size()) {
      at = find_good(at + 1);
      continue;
    }
    if (is_entry(header)) {
      if (entries.size() == kMaxEntries) entries.pop_front();
      entries.push_back({at, header.first_ns, header.last_ns, header.first_step, static_cast<u32>(header.kind),
                         header.number, header.session, header.items,
                         static_cast<u32>(kFrameHeaderBytes + header.payload_bytes)});
    }
    at = end;
  }
}

}  // namespace reprise::trace
