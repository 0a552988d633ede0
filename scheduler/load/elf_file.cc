// SPDX-License-Identifier: GPL-2.0-only
#include "scheduler/load/elf_file.h"

#include <elf.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <string>

namespace reprise::loader {
namespace {

#if defined(__x86_64__)
constexpr u16 kMachine = EM_X86_64;
#elif defined(__aarch64__)
constexpr u16 kMachine = EM_AARCH64;
#else
#error "which machine's shared objects fit here?"
#endif

// What the compiler itself puts into .data and .bss: __dso_handle, a reference to the C++ runtime's personality, and
// whether destructors have run.
constexpr u64 kOwnVariableBytes = 24;

std::string machine_name(u16 machine) {
  switch (machine) {
    case EM_X86_64:
      return "x86-64";
    case EM_AARCH64:
      return "aarch64";
    case EM_386:
      return "i386";
    case EM_RISCV:
      return "riscv";
    default:
      return "machine " + std::to_string(machine);
  }
}

std::unexpected<Error> bad(std::string what) {
  return fail(ExitCode::kBadInput, std::move(what), {}, "build it with reprise_add_policy (docs/adding_a_policy.md)");
}

template <typename T>
std::optional<T> read(std::span<const std::byte> bytes, u64 offset) {
  if (offset > bytes.size() || bytes.size() - offset < sizeof(T)) return std::nullopt;
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

std::string_view text_at(std::span<const std::byte> table, u64 offset) {
  if (offset >= table.size()) return {};
  const char* first = reinterpret_cast<const char*>(table.data()) + offset;
  return {first, ::strnlen(first, table.size() - offset)};
}

std::span<const std::byte> part(std::span<const std::byte> bytes, u64 offset, u64 size) {
  if (offset > bytes.size() || size > bytes.size() - offset) return {};
  return bytes.subspan(offset, size);
}

}  // namespace

Expected<ElfFile> ElfFile::parse(std::span<const std::byte> bytes) {
  const auto header = read<Elf64_Ehdr>(bytes, 0);
  if (!header || std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0) return bad("is not a shared object");
  if (header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_ident[EI_DATA] != ELFDATA2LSB)
    return bad("is not a 64-bit little-endian object");
  if (header->e_machine != kMachine)
    return bad("is made for " + machine_name(header->e_machine) + ", and this program for " + machine_name(kMachine));
  if (header->e_type != ET_DYN) return bad("is an ELF file, but not a shared object");

  ElfFile file;
  file.bytes_ = bytes;
  for (u32 i = 0; i < header->e_phnum; ++i) {
    const auto segment = read<Elf64_Phdr>(bytes, header->e_phoff + u64{i} * sizeof(Elf64_Phdr));
    if (!segment) return bad("is cut short");
    if (segment->p_type == PT_LOAD) file.segments_.push_back({segment->p_offset, segment->p_vaddr, segment->p_filesz});
  }
  const auto section = [&](u32 index) {
    return read<Elf64_Shdr>(bytes, header->e_shoff + u64{index} * sizeof(Elf64_Shdr));
  };
  const auto names = section(header->e_shstrndx);
  std::optional<Elf64_Shdr> symbols;
  u64 variables = 0;
  for (u32 i = 0; i < header->e_shnum; ++i) {
    const auto it = section(i);
    if (!it || !names) return bad("is cut short");
    if (it->sh_type == SHT_DYNSYM) symbols = it;
    const std::string_view name = text_at(part(bytes, names->sh_offset, names->sh_size), it->sh_name);
    if (name == ".data" || name == ".bss" || name == ".tdata" || name == ".tbss") variables += it->sh_size;
  }
  file.variable_bytes_ = variables > kOwnVariableBytes ? variables : 0;
  const auto strings = symbols ? section(symbols->sh_link) : std::nullopt;
  if (!strings) return bad("has no table of dynamic symbols");
  const auto table = part(bytes, strings->sh_offset, strings->sh_size);
  for (u64 at = 0; at + sizeof(Elf64_Sym) <= symbols->sh_size; at += sizeof(Elf64_Sym)) {
    const auto symbol = read<Elf64_Sym>(bytes, symbols->sh_offset + at);
    if (!symbol) return bad("is cut short");
    const std::string_view name = text_at(table, symbol->st_name);
    if (name.empty()) continue;
    if (symbol->st_shndx == SHN_UNDEF)
      file.needed_.push_back(name);
    else
      file.defined_.push_back({name, symbol->st_value, symbol->st_size});
  }
  return file;
}

bool ElfFile::defines(std::string_view name) const {
  return std::ranges::find(defined_, name, &Defined::name) != defined_.end();
}

std::span<const std::byte> ElfFile::data_of(std::string_view name, std::size_t size) const {
  const auto symbol = std::ranges::find(defined_, name, &Defined::name);
  if (symbol == defined_.end()) return {};
  for (const Segment& segment : segments_) {
    if (symbol->address < segment.address || symbol->address - segment.address >= segment.size) continue;
    const u64 inside = symbol->address - segment.address;
    return part(bytes_, segment.offset + inside, std::min<u64>({size, symbol->size, segment.size - inside}));
  }
  return {};
}

}  // namespace reprise::loader
