// SPDX-License-Identifier: GPL-2.0-only
// Runs a fuzz target without a fuzzer: over the files of a folder, and over some changed copies of each, the same in
// every run. Usage: PROGRAM FOLDER [COPIES]
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include "scheduler/core/prng.h"
#include "tests/fuzz/mutate_trace.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

/// A few bytes changed, or some cut off.
std::size_t mutate(reprise::Prng& random, std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  for (reprise::u64 n = 1 + random.below(4); n > 0; --n) {
    data[random.below(size)] = static_cast<std::uint8_t>(random.chance(1, 2) ? random.next() : random.below(2) * 255);
  }
  return random.chance(1, 16) ? random.below(size) : size;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  const unsigned copies = argc > 2 ? static_cast<unsigned>(std::atoi(argv[2])) : 0;
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(argv[1])) files.push_back(entry.path());
  std::ranges::sort(files);
  for (const auto& path : files) {
    std::ifstream in(path, std::ios::binary);
    const std::vector<std::uint8_t> bytes{std::istreambuf_iterator<char>(in), {}};
    LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
    for (unsigned seed = 0; seed < copies; ++seed) {
      reprise::Prng random = reprise::Prng::seeded(seed);
      std::vector<std::uint8_t> copy = bytes;
      copy.resize(bytes.size() + 4096);
      const auto change = [&](std::uint8_t* data, std::size_t size, std::size_t) { return mutate(random, data, size); };
      const std::size_t size = reprise::test::mutate_trace(copy.data(), bytes.size(), copy.size(), seed, change);
      copy.resize(size);
      LLVMFuzzerTestOneInput(copy.data(), copy.size());
    }
  }
  std::printf("%zu files, %u changed copies of each\n", files.size(), copies);
  return files.empty() ? 1 : 0;
}
