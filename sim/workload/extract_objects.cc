// SPDX-License-Identifier: GPL-2.0-only
#include "sim/workload/extract_objects.h"

#include <algorithm>

namespace reprise::sim {
namespace {

using namespace trace;

// x86-64 (arch/x86/entry/syscalls/syscall_64.tbl).
constexpr u32 kAccept = 43, kAccept4 = 288, kRecvmmsg = 299, kSendmmsg = 307;

/// What a socket buffer of `bytes` is charged with (SKB_TRUESIZE, alloc_skb): data and skb_shared_info in a slab of a
/// power of two, and the sk_buff.
u64 charge_of(u64 bytes) {
  constexpr u64 kShared = 320, kHead = 256, kPage = 4096;
  const u64 data = bytes + kShared;
  if (data > 8 * kPage) return (bytes + kPage - 1) / kPage * kPage + 1024 + kHead;
  u64 slab = 512;
  while (slab < data) slab *= 2;
  return slab + kHead;
}

constexpr u64 kSeldom = 64;  // one in so many waits may be wrong about what fits
constexpr u64 kOften = 8;    // so many waits say what fits into a pipe
constexpr u64 kPage = 4096, kPipePages = 16, kMostPipePages = 4096;
constexpr u64 kSocketBuffer = 212'992;  // net.core.wmem_default

}  // namespace

Amount amount_of(u32 number, u8 role, u64 object, i64 result) {
  const bool take = role == kCallTake;
  if (!take && role != kCallGive) return {};
  if (number == kRecvmmsg || number == kSendmmsg) return {.mixed = result > 0};
  const u64 count = result > 0 ? static_cast<u64>(result) : 0;
  switch (object_kind(object)) {
    case kObjectPipe:
    case kObjectUnix:
    case kObjectInet:
    case kObjectDevice:
      return {.tokens = count, .some = take};
    case kObjectSocket:
      if (!(object << 8)) return {};  // who receives is not known
      if (number == kAccept || number == kAccept4) return {.tokens = result >= 0 ? 1u : 0u};
      return {.tokens = count, .some = take};
    case kObjectAnonymous:
      return {.tokens = count, .some = take, .all = take};
    case kObjectFutex:
      if (take) return {.tokens = result == 0 ? 1u : 0u};
      return {.tokens = count};
    case kObjectIpc:
      return {.tokens = result >= 0 ? 1u : 0u};
    case kObjectChild:
      return {.tokens = take && result > 0 ? 1u : 0u};
    case kObjectNone:
    case kObjectSignal:
    case kObjectLock:
    case kObjectPoll:
      break;
  }
  return {};
}

u32 ObjectTable::make(ObjectType type, u64 identity) {
  Object o;
  o.type = type;
  o.identity = identity;
  o.kind = static_cast<u8>(identity >> 56);
  objects_.push_back(o);
  states_.emplace_back();
  members_.emplace_back();
  return static_cast<u32>(objects_.size() - 1);
}

u32 ObjectTable::find(u64 identity) {
  const auto [at, fresh] = by_identity_.try_emplace(identity, 0);
  if (fresh) at->second = make(ObjectType::kTokens, identity);
  return at->second;
}

u32 ObjectTable::pair(u32 to, u32 from) {
  const auto [at, fresh] = pairs_.try_emplace(u64{to} << 32 | from, 0);
  if (fresh) at->second = make(ObjectType::kTokens, 0);
  return at->second;
}

u32 ObjectTable::child(u64 key) {
  const auto [at, fresh] = children_.try_emplace(key, 0);
  if (fresh) at->second = make(ObjectType::kTokens, u64{kObjectChild} << 56 | (key & ((1ull << 56) - 1)));
  return at->second;
}

u32 ObjectTable::timer(u64 first_ns, u64 when_late) {
  const u32 index = make(ObjectType::kTimer, 0);
  objects_[index].capacity = when_late;
  objects_[index].tokens = first_ns;
  return index;
}

u32 ObjectTable::flag() {
  const u32 index = make(ObjectType::kTokens, 0);
  states_[index].taken_from = true;
  return index;
}

void ObjectTable::add_member(u64 set, u64 member) {
  const u32 s = find(set), m = find(member);
  if (s == m || objects_[m].type == ObjectType::kSet) return;  // an epoll in an epoll is not followed
  objects_[s].type = ObjectType::kSet;
  auto& list = members_[s];
  if (std::find(list.begin(), list.end(), m) == list.end()) list.push_back(m);
}

u32 ObjectTable::poll_set(const std::vector<u32>& members) {
  std::vector<u32> sorted;
  for (const u32 m : members)
    if (objects_[m].type == ObjectType::kTokens) sorted.push_back(m);
  std::sort(sorted.begin(), sorted.end());
  sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
  if (sorted.size() == 1) return sorted[0];
  const auto [at, fresh] = by_members_.try_emplace(sorted, 0);
  if (fresh) {
    at->second = make(ObjectType::kSet, u64{kObjectPoll} << 56);
    members_[at->second] = sorted;
  }
  return at->second;
}

bool ObjectTable::is_ready(u32 object) const {
  const auto has = [&](u32 i) { return states_[i].balance + states_[i].in_flight > 0; };
  if (objects_[object].type != ObjectType::kSet) return has(object);
  return std::any_of(members_[object].begin(), members_[object].end(), has);
}

void ObjectTable::mark_members(u32 set) {
  if (objects_[set].type != ObjectType::kSet || !states_[set].taken_from) return;
  for (const u32 m : members_[set]) states_[m].taken_from = true;
}

/// What fits into a pipe: a power of two of pages (F_SETPIPE_SZ), each with as many whole messages as there is room
/// for, or with one (O_DIRECT). A writer of a full one is woken when a page of it has become free (pipe_read), so what
/// most writers found when they were shows its size; what is far from that were waits for the pipe's mutex.
void ObjectTable::limit_pipe(u32 index) {
  const State& s = states_[index];
  Object& o = objects_[index];
  const u64 mean = s.gives ? std::max<u64>(1, s.given / s.gives) : 1;
  const u64 page = mean < kPage ? kPage / mean * mean : kPage, high = static_cast<u64>(std::max<i64>(s.high, 1));
  u64 pages = kPipePages;
  while (pages < kMostPipePages && pages * page + page < high) pages *= 2;
  o.page = static_cast<u16>(page);
  o.capacity = pages * page;
  u64 waits = 0, most = 0, usual = 0;
  for (const auto& [level, times] : s.full) {
    waits += times;
    if (times >= most) most = times, usual = static_cast<u64>(std::max<i64>(level, 0));
  }
  for (u64 count = 1; most >= kOften && 2 * most > waits && count <= kMostPipePages; count *= 2) {
    for (const u64 each : {std::min(mean, kPage), page}) {
      if (usual != (count - 1) * each || high > count * each + each) continue;
      o.page = static_cast<u16>(each);
      o.capacity = count * each;
      count = kMostPipePages;
      break;
    }
  }
  o.low_water = o.capacity - o.page;
}

/// How much fits. A writer that had to wait has shown it; else the kernel's defaults, for messages of the mean size.
/// Never less than was in the object at once, or the recording could not be repeated.
void ObjectTable::limit(u32 index) {
  const State& s = states_[index];
  Object& o = objects_[index];
  if (o.kind == kObjectPipe) return limit_pipe(index);
  const u64 mean = s.gives ? std::max<u64>(1, s.given / s.gives) : 1;
  u64 capacity = 0, low = 0;
  if (o.kind == kObjectUnix) {
    capacity = (kSocketBuffer + charge_of(mean) - 1) / charge_of(mean) * mean;
    low = capacity / 4;  // unix_writable
  } else if (s.full.empty()) {
    return;
  }
  // Now and then a level is off by what others were in the middle of: the highest counts that was there often enough.
  u64 waits = 0, above = 0;
  for (const auto& [level, times] : s.full) waits += times;
  for (auto at = s.full.rbegin(); at != s.full.rend(); ++at) {
    above += at->second;
    capacity = static_cast<u64>(std::max<i64>(at->first, 1));
    if (above * kSeldom >= waits) break;
  }
  if (waits > 0) low = o.kind == kObjectUnix ? capacity / 4 : capacity - 1;
  const u64 high = static_cast<u64>(std::max<i64>(s.high, 1));
  if (waits < kSeldom && capacity < high) capacity = high;
  o.capacity = capacity;
  o.low_water = std::min(low, capacity - 1);
}

void ObjectTable::finish(Program& program) {
  for (u32 i = 0; i < objects_.size(); ++i) {
    Object& o = objects_[i];
    if (o.type == ObjectType::kTokens) {
      limit(i);
      continue;
    }
    if (o.type == ObjectType::kTimer) continue;
    o.tokens = 0;
    o.first_member = static_cast<u32>(program.members.size());
    o.members = 0;
    for (const u32 m : members_[i]) {
      if (objects_[m].type != ObjectType::kTokens) continue;  // became a set itself later on
      program.members.push_back(m);
      o.members += 1;
    }
  }
  program.objects = std::move(objects_);
}

}  // namespace reprise::sim
