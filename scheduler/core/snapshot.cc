// SPDX-License-Identifier: GPL-2.0-only
// The engine's state as a whole: its hash, and copies of it.
//
// A snapshot is a header and, for each region of the block in turn, its used part. The number of used slots says how
// long each part is.
#include <cstring>

#include "scheduler/core/engine.h"
#include "scheduler/core/hash.h"

namespace reprise {
namespace {

constexpr u64 kMagic = 0x31'70'61'6e'73'70'72'72;  // "rrpsnap1"

struct SnapshotHeader {
  u64 magic;
  u64 configuration;
  u64 used_slots;
  u64 payload_bytes;
  u64 checksum;  // of the payload, seeded with the fields above
};
static_assert(std::has_unique_object_representations_v<SnapshotHeader>);

u64 checksum(const SnapshotHeader& header, std::span<const std::byte> payload) {
  return hash_bytes(payload,
                    hash_bytes(std::as_bytes(std::span(&header, 1)).first(offsetof(SnapshotHeader, checksum))));
}

// What Task promises (task.h), and what follows from a slot that is not in use.
bool is_sound(const Task& task, const Limits& limits) {
  if (!task.known()) return task.state == 0;
  return task.weight >= kWeightMin && task.weight <= kWeightMax && task.prev_cpu >= kAnyCpu &&
         task.prev_cpu < static_cast<i32>(limits.cpus) && (task.waker == kNoTask || task.waker < limits.max_tasks);
}

std::unexpected<Error> bad_snapshot(std::string what) {
  return fail(ExitCode::kBadInput, "snapshot " + what, {}, "replay from an earlier snapshot, or from the start");
}

}  // namespace

std::span<std::byte> Engine::used_part(const Arena::Region& region, u32 used_slots) const {
  return {block_.get() + region.offset, region.used_bytes(used_slots)};
}

u64 Engine::configuration_hash() const {
  const u64 limits[] = {limits_.cpus, limits_.max_tasks, block_bytes_};
  return hash_text(options_.text(), hash_text(info_.name, hash_bytes(std::as_bytes(std::span(limits)))));
}

u64 Engine::state_hash() const {
  u64 hash = 0;
  for (const Arena::Region& region : arena_.regions()) hash = hash_bytes(used_part(region, state_->used_slots), hash);
  return hash;
}

void Engine::snapshot(std::vector<std::byte>& out) const {
  SnapshotHeader header{kMagic, configuration_hash_, state_->used_slots, 0, 0};
  for (const Arena::Region& region : arena_.regions()) header.payload_bytes += region.used_bytes(state_->used_slots);
  out.resize(sizeof header + header.payload_bytes);
  std::byte* to = out.data() + sizeof header;
  for (const Arena::Region& region : arena_.regions()) {
    const std::span<const std::byte> part = used_part(region, state_->used_slots);
    if (!part.empty()) std::memcpy(to, part.data(), part.size());
    to += part.size();
  }
  header.checksum = checksum(header, std::span<const std::byte>(out).subspan(sizeof header));
  std::memcpy(out.data(), &header, sizeof header);
}

Expected<void> Engine::restore(std::span<const std::byte> from) {
  SnapshotHeader header;
  if (from.size() < sizeof header) return bad_snapshot("is cut short");
  std::memcpy(&header, from.data(), sizeof header);
  from = from.subspan(sizeof header);
  if (header.magic != kMagic) return bad_snapshot("is none of this version");
  if (header.configuration != configuration_hash_)
    return bad_snapshot("is of another policy, other options or other limits than '" + std::string(info_.name) +
                        "', '" + options_.text() + "', " + std::to_string(limits_.cpus) + " CPUs, " +
                        std::to_string(limits_.max_tasks) + " tasks");
  if (header.used_slots > limits_.max_tasks) return bad_snapshot("has more tasks than the table");
  const u32 used_slots = static_cast<u32>(header.used_slots);
  std::size_t expected_bytes = 0;
  for (const Arena::Region& region : arena_.regions()) expected_bytes += region.used_bytes(used_slots);
  if (from.size() != expected_bytes || header.payload_bytes != expected_bytes)
    return bad_snapshot("has " + std::to_string(from.size()) + " bytes of state instead of " +
                        std::to_string(expected_bytes));
  if (header.checksum != checksum(header, from)) return bad_snapshot("fails its checksum");
  // The engine's own part comes first, then the tasks; both must agree with the header and with each other.
  State state;
  std::memcpy(&state, from.data(), sizeof state);
  const std::span<const std::byte> tasks = from.subspan(arena_.regions()[0].used_bytes(used_slots));
  u32 held = 0;
  for (u32 slot = 0; slot < used_slots; ++slot) {
    Task task;
    std::memcpy(&task, tasks.data() + slot * sizeof task, sizeof task);
    if (!is_sound(task, limits_)) return bad_snapshot("contradicts itself in slot " + std::to_string(slot));
    held += task.held() ? 1 : 0;
  }
  if (state.used_slots != used_slots || state.held != held) return bad_snapshot("contradicts itself");

  std::memset(block_.get(), 0, block_bytes_);
  for (const Arena::Region& region : arena_.regions()) {
    const std::span<std::byte> part = used_part(region, used_slots);
    if (!part.empty()) std::memcpy(part.data(), from.data(), part.size());
    from = from.subspan(part.size());
  }
  foreign_ = true;
  return {};
}

}  // namespace reprise
