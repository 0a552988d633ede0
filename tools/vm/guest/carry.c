// SPDX-License-Identifier: GPL-2.0-only
// Carries a folder of the guest out to the host through a shared-memory PCI device, as a tar stream.
//
//   carry FOLDER STATUS
//
// A serial port would take half a minute for 8 MiB, and virtio devices complete on the host's time, which would make
// two deterministic runs differ. This device is plain memory: writing to it is over when the instruction is.
//
// The device starts with a header of 64-bit little-endian words, read by tools/vm/run; the stream starts at
// kDataOffset. The magic number is written last, so a header with it is complete.

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { kDataOffset = 4096 };

static const uint64_t kMagic = 0x3154554f45535052;  // "RPSEOUT1"
static const char kDevices[] = "/sys/bus/pci/devices";

struct header {
  uint64_t magic;
  uint64_t status;      // exit status of the command
  uint64_t tar_status;  // 0 if all files could be read
  uint64_t needed;      // bytes of the stream
  uint64_t stored;      // bytes of it on the device; fewer than needed if it was too small
};

static _Noreturn void fail(const char* what) {
  fprintf(stderr, "carry: %s: %s\n", what, strerror(errno));
  exit(1);
}

// Vendor 0x1af4, device 0x1110: QEMU's ivshmem-plain. Fills path with the folder of the device.
static void find_device(char* path, size_t size) {
  DIR* devices = opendir(kDevices);
  struct dirent* entry;

  if (!devices) fail(kDevices);
  while ((entry = readdir(devices))) {
    char id[16] = "";
    FILE* file;

    snprintf(path, size, "%s/%s/device", kDevices, entry->d_name);
    file = fopen(path, "r");
    if (!file) continue;
    if (!fgets(id, sizeof(id), file)) id[0] = '\0';
    fclose(file);
    if (strcmp(id, "0x1110\n") == 0) {
      snprintf(path, size, "%s/%s", kDevices, entry->d_name);
      closedir(devices);
      return;
    }
  }
  errno = ENODEV;
  fail("shared-memory device");
}

static unsigned char* map_device(size_t* size) {
  char device[512], path[600];
  struct stat info;
  void* memory;
  int fd;

  find_device(device, sizeof(device));
  snprintf(path, sizeof(path), "%s/enable", device);
  fd = open(path, O_WRONLY);
  if (fd < 0 || write(fd, "1", 1) != 1) fail(path);
  close(fd);
  snprintf(path, sizeof(path), "%s/resource2", device);
  fd = open(path, O_RDWR);
  if (fd < 0 || fstat(fd, &info) != 0) fail(path);
  memory = mmap(NULL, (size_t)info.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) fail(path);
  *size = (size_t)info.st_size;
  return memory;
}

// Reads until the buffer is full or the stream ends, so that only the last piece is short.
static ssize_t fill(int fd, void* buffer, size_t size) {
  size_t done = 0;

  while (done < size) {
    ssize_t got = read(fd, (char*)buffer + done, size - done);

    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return -1;
    if (got == 0) break;
    done += (size_t)got;
  }
  return (ssize_t)done;
}

// Whole words: the string instructions that memcpy and the kernel's read() use go byte by byte under emulation.
static void store(volatile uint64_t* to, const uint64_t* from, size_t words) {
  for (size_t i = 0; i < words; i++) to[i] = from[i];
}

int main(int argc, char** argv) {
  static _Alignas(64) uint64_t buffer[8192];
  struct header header = {0};
  unsigned char* memory;
  size_t size;
  ssize_t got;
  FILE* tar;

  if (argc != 3) {
    fputs("usage: carry FOLDER STATUS\n", stderr);
    return 2;
  }
  memory = map_device(&size);
  if (chdir(argv[1]) != 0) fail(argv[1]);
  tar = popen("exec tar -cf - .", "r");
  if (!tar) fail("tar");
  while ((got = fill(fileno(tar), buffer, sizeof(buffer))) > 0) {
    // What does not fit is still counted, so that the host can say how much there was.
    header.needed += (uint64_t)got;
    if (header.stored + kDataOffset + sizeof(buffer) > size) continue;
    store((uint64_t*)(memory + kDataOffset + header.stored), buffer, sizeof(buffer) / sizeof(*buffer));
    header.stored += (uint64_t)got;
  }
  if (got < 0) fail("tar");
  header.tar_status = (uint64_t)pclose(tar);
  header.status = strtoull(argv[2], NULL, 10);
  memcpy(memory, &header, sizeof(header));
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  *(volatile uint64_t*)memory = kMagic;
  return 0;
}
