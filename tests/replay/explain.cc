// SPDX-License-Identifier: GPL-2.0-only
// Prints a small trace in hex, field by field: the worked example of docs/trace_format.md. Usage: PROGRAM [FILE]
#include <fmt/format.h>

#include <fstream>
#include <iterator>

#include "tests/replay/trace_maker.h"

using namespace reprise;
using trace::Bytes;

namespace {

struct Field {
  std::size_t bytes;
  const char* name;
};

constexpr Field kFile[] = {{8, "magic"}, {2, "format"}, {2, "schema"}, {4, "reserved"}, {8, "checksum"}};
constexpr Field kFrame[] = {{4, "magic"},
                            {2, "kind"},
                            {2, "codec"},
                            {4, "payload bytes"},
                            {4, "message bytes"},
                            {4, "number"},
                            {4, "session"},
                            {8, "first time"},
                            {8, "last time"},
                            {8, "first step"},
                            {8, "checksum of the payload"},
                            {4, "items"},
                            {4, "checksum of the header"}};
constexpr Field kTrailer[] = {
    {8, "magic"}, {8, "offset of the last index frame"}, {4, "frames"}, {4, "reserved"}, {8, "checksum"}};

void print(const Bytes& bytes, std::size_t at, std::size_t count, const std::string& what) {
  std::string hex;
  for (std::size_t i = 0; i < count; ++i) hex += fmt::format("{:02x} ", bytes[at + i]);
  fmt::print("{:04x}  {:<48}{}\n", at, hex, what);
}

std::size_t print_fields(const Bytes& bytes, std::size_t at, std::span<const Field> fields) {
  for (const Field& field : fields) {
    u64 value = 0;
    for (std::size_t i = field.bytes; i > 0; --i) value = value << 8 | bytes[at + i - 1];
    const std::string_view name = field.name;
    const bool number = !name.starts_with("magic") && !name.starts_with("checksum");
    print(bytes, at, field.bytes, number ? fmt::format("{}: {}", name, value) : std::string(name));
    at += field.bytes;
  }
  return at;
}

}  // namespace

int main(int argc, char** argv) {
  Bytes bytes = test::tiny_trace();
  if (argc > 1) {
    std::ifstream in(argv[1], std::ios::binary);
    bytes.assign(std::istreambuf_iterator<char>(in), {});
  }
  static constexpr const char* kKinds[] = {"?",        "session", "steps", "kernel events",
                                           "snapshot", "losses",  "end",   "index"};
  std::size_t at = print_fields(bytes, 0, kFile);
  while (at + trace::kFrameHeaderBytes <= bytes.size()) {
    const auto header =
        trace::decode_frame_header(std::span<const u8, trace::kFrameHeaderBytes>(&bytes[at], trace::kFrameHeaderBytes));
    if (!header) break;
    const auto kind = static_cast<std::size_t>(header->kind);
    fmt::print("\nframe {}: {}\n", header->number, kind < std::size(kKinds) ? kKinds[kind] : "?");
    at = print_fields(bytes, at, kFrame);
    for (const std::size_t end = at + header->payload_bytes; at < end;) {
      const std::size_t count = std::min<std::size_t>(16, end - at);
      std::string text;
      for (std::size_t i = 0; i < count; ++i) {
        const u8 c = bytes[at + i];
        text += c >= 0x21 && c < 0x7f ? static_cast<char>(c) : '.';
      }
      print(bytes, at, count, text);
      at += count;
    }
  }
  fmt::print("\ntrailer\n");
  print_fields(bytes, at, kTrailer);
  return 0;
}
