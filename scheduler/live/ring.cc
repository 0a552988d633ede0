// SPDX-License-Identifier: GPL-2.0-only
#include "scheduler/live/ring.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

namespace reprise::live {

Mapping::~Mapping() {
  if (address_) munmap(address_, size_);
}

namespace {

Expected<Mapping> map(int fd, std::size_t size, int protection, std::size_t offset) {
  void* address = mmap(nullptr, size, protection, MAP_SHARED, fd, static_cast<off_t>(offset));
  if (address == MAP_FAILED)
    return fail(ExitCode::kInternal, std::string("cannot map a ring buffer: ") + std::strerror(errno), {},
                "raise the limit on locked memory (ulimit -l)");
  return Mapping(address, size);
}

std::size_t page() { return static_cast<std::size_t>(sysconf(_SC_PAGESIZE)); }

}  // namespace

Expected<RingReader> RingReader::open(int map_fd, std::size_t bytes) {
  auto consumer = map(map_fd, page(), PROT_READ | PROT_WRITE, 0);
  if (!consumer) return std::unexpected(consumer.error());
  auto producer = map(map_fd, page() + 2 * bytes, PROT_READ, page());
  if (!producer) return std::unexpected(producer.error());
  RingReader ring;
  ring.consumer_map_ = std::move(*consumer);
  ring.producer_map_ = std::move(*producer);
  ring.data_ = ring.producer_map_.data() + page();
  ring.mask_ = bytes - 1;
  return ring;
}

Expected<RingWriter> RingWriter::open(int map_fd, std::size_t bytes, u32 message_size) {
  auto consumer = map(map_fd, page(), PROT_READ, 0);
  if (!consumer) return std::unexpected(consumer.error());
  auto producer = map(map_fd, page() + 2 * bytes, PROT_READ | PROT_WRITE, page());
  if (!producer) return std::unexpected(producer.error());
  RingWriter ring;
  ring.consumer_map_ = std::move(*consumer);
  ring.producer_map_ = std::move(*producer);
  ring.data_ = ring.producer_map_.data() + page();
  ring.mask_ = bytes - 1;
  ring.message_size_ = message_size;
  ring.stride_ = (message_size + kRingHeader + 7) / 8 * 8;
  return ring;
}

}  // namespace reprise::live
