// SPDX-License-Identifier: GPL-2.0-only
// Snapshots whose bytes were changed, with a checksum that is right again: what somebody makes who wants to do harm.
#pragma once

#include <cstring>
#include <span>

#include "scheduler/core/hash.h"

namespace reprise::test {

/// Of scheduler/core/snapshot.cc: magic, configuration, used slots, bytes of payload, checksum; each 8 bytes.
inline constexpr std::size_t kSnapshotHeaderBytes = 40;
inline constexpr u64 kSnapshotMagic = 0x31'70'61'6e'73'70'72'72;

/// Puts the right checksum into a snapshot at the beginning of `bytes`, if there is one.
inline void seal_snapshot(std::span<std::byte> bytes) {
  u64 header[5];
  if (bytes.size() < kSnapshotHeaderBytes) return;
  std::memcpy(header, bytes.data(), sizeof header);
  const std::span<const std::byte> payload = bytes.subspan(kSnapshotHeaderBytes);
  if (header[0] != kSnapshotMagic || header[3] > payload.size()) return;
  header[4] = hash_bytes(payload.first(header[3]), hash_bytes(bytes.first(32)));
  std::memcpy(bytes.data(), header, sizeof header);
}

}  // namespace reprise::test
