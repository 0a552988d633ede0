// SPDX-License-Identifier: GPL-2.0-only
#include "traces/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace reprise::trace {
namespace {

std::unexpected<Error> io_error(const char* what, const std::string& path) {
  const int number = errno;
  const ExitCode code = number == EACCES || number == EPERM ? ExitCode::kNotPermitted : ExitCode::kIo;
  std::string hint;
  if (number == ENOSPC || number == EDQUOT) hint = "free some space, or record to another disk";
  if (number == EFBIG) hint = "raise the limit on file sizes (ulimit -f)";
  if (number == ENOENT) hint = "check the path";
  return fail(code, std::string(what) + ": " + std::strerror(number), path, std::move(hint));
}

class PosixWritableFile : public WritableFile {
 public:
  PosixWritableFile(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  ~PosixWritableFile() override { ::close(fd_); }

  Expected<void> append(ByteView bytes) override {
    while (!bytes.empty()) {
      const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return io_error("cannot write", path_);
      bytes = bytes.subspan(static_cast<std::size_t>(n));
    }
    return {};
  }

  Expected<void> truncate(u64 bytes) override {
    if (::ftruncate(fd_, static_cast<off_t>(bytes)) != 0 || ::lseek(fd_, static_cast<off_t>(bytes), SEEK_SET) < 0) {
      return io_error("cannot cut", path_);
    }
    return {};
  }

 private:
  int fd_;
  std::string path_;
};

class PosixReadableFile : public ReadableFile {
 public:
  PosixReadableFile(int fd, u64 size, std::string path) : fd_(fd), size_(size), path_(std::move(path)) {}
  ~PosixReadableFile() override { ::close(fd_); }
  u64 size() const override { return size_; }

  Expected<void> read(u64 offset, std::span<u8> out) override {
    while (!out.empty()) {
      const ssize_t n = ::pread(fd_, out.data(), out.size(), static_cast<off_t>(offset));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return io_error("cannot read", path_);
      if (n == 0) return fail(ExitCode::kIo, "became shorter while it was read", path_);
      out = out.subspan(static_cast<std::size_t>(n));
      offset += static_cast<u64>(n);
    }
    return {};
  }

 private:
  int fd_;
  u64 size_;
  std::string path_;
};

class MemoryFile : public ReadableFile {
 public:
  explicit MemoryFile(ByteView bytes) : bytes_(bytes) {}
  u64 size() const override { return bytes_.size(); }
  Expected<void> read(u64 offset, std::span<u8> out) override {
    if (!out.empty()) std::memcpy(out.data(), bytes_.data() + offset, out.size());
    return {};
  }

 private:
  ByteView bytes_;
};

}  // namespace

Expected<std::unique_ptr<WritableFile>> create_file(const std::string& path) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) return io_error("cannot create", path);
  return std::make_unique<PosixWritableFile>(fd, path);
}

Expected<std::unique_ptr<ReadableFile>> open_file(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return io_error("cannot open", path);
  struct stat status{};
  if (::fstat(fd, &status) != 0) {
    auto error = io_error("cannot open", path);
    ::close(fd);
    return error;
  }
  if (!S_ISREG(status.st_mode)) {
    ::close(fd);
    return fail(ExitCode::kUsage, "is no regular file", path, "copy the trace to a file first");
  }
  return std::make_unique<PosixReadableFile>(fd, static_cast<u64>(status.st_size), path);
}

std::unique_ptr<ReadableFile> memory_file(ByteView bytes) { return std::make_unique<MemoryFile>(bytes); }

}  // namespace reprise::trace
