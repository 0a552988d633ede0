// SPDX-License-Identifier: GPL-2.0-only
#include "traces/digest.h"

#include <openssl/evp.h>

#include <bit>
#include <cstring>

#include "scheduler/core/check.h"

namespace reprise::trace {
namespace {

constexpr std::size_t kBufferBytes = 64 * 1024;
constexpr std::size_t kStepBytesMax = 64 + kMaxDecisionsPerStep * sizeof(Decision) + kMaxPreemptsPerStep * sizeof(i32);

EVP_MD_CTX* context_of(void* context) { return static_cast<EVP_MD_CTX*>(context); }

std::string hex_of(const u8* bytes, unsigned size) {
  std::string hex;
  for (unsigned i = 0; i < size; ++i) {
    hex += "0123456789abcdef"[bytes[i] >> 4];
    hex += "0123456789abcdef"[bytes[i] & 15];
  }
  return hex;
}

}  // namespace

std::string sha256_hex(std::string_view bytes) {
  std::array<u8, EVP_MAX_MD_SIZE> sum{};
  unsigned size = 0;
  REPRISE_CHECK(EVP_Digest(bytes.data(), bytes.size(), sum.data(), &size, EVP_sha256(), nullptr) == 1);
  return hex_of(sum.data(), size);
}

static_assert(std::endian::native == std::endian::little);  // values are copied as they lie in memory
static_assert(sizeof(Decision) == 32 && std::has_unique_object_representations_v<Decision>);

DecisionDigest::DecisionDigest() : context_(EVP_MD_CTX_new()), buffer_(kBufferBytes) {
  REPRISE_CHECK(context_ != nullptr);
  REPRISE_CHECK(EVP_DigestInit_ex(context_of(context_), EVP_sha256(), nullptr) == 1);
}

DecisionDigest::~DecisionDigest() { EVP_MD_CTX_free(context_of(context_)); }

template <typename T>
void DecisionDigest::put(T value) {
  std::memcpy(buffer_.data() + used_, &value, sizeof value);
  used_ += sizeof value;
}

void DecisionDigest::flush() {
  REPRISE_CHECK(EVP_DigestUpdate(context_of(context_), buffer_.data(), used_) == 1);
  used_ = 0;
}

void DecisionDigest::add(u64 number, const StepOutput& output) {
  if (buffer_.size() - used_ < kStepBytesMax) flush();
  put(number);
  put(output.wake_at_ns);
  put(output.decision_count);
  put(output.preempt_count);
  put(u32{output.more ? 1u : 0u});
  const std::span<const std::byte> decisions = std::as_bytes(output.decisions());
  std::memcpy(buffer_.data() + used_, decisions.data(), decisions.size());
  used_ += decisions.size();
  for (const i32 cpu : output.preempts()) put(cpu);
}

std::string DecisionDigest::finish() {
  flush();
  std::array<u8, EVP_MAX_MD_SIZE> sum{};
  unsigned size = 0;
  REPRISE_CHECK(EVP_DigestFinal_ex(context_of(context_), sum.data(), &size) == 1);
  return hex_of(sum.data(), size);
}

}  // namespace reprise::trace
