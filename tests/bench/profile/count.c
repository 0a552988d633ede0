/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A plugin for QEMU (-plugin count.so,out=FILE) that counts how often each block of the guest's instructions runs
 * between the marks of guest/measure.h, on a machine with one CPU. With -icount a block costs what it has
 * instructions, so this is a profile without sampling error. profile/report turns the addresses into names.
 *
 * Lines of FILE: "block ADDRESS INSTRUCTIONS TIMES", and at the end "marked STRETCHES".
 *
 * The few declarations of qemu-plugin.h that are needed are written out here, as of version 4 of the interface (QEMU
 * 9.2 to 10.0; later ones still load it), since Debian packages the header with the sources only.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_plugin_scoreboard;
typedef struct {
  struct qemu_plugin_scoreboard* score;
  size_t offset;
} qemu_plugin_u64;
enum qemu_plugin_op { QEMU_PLUGIN_INLINE_ADD_U64 };
enum qemu_plugin_cb_flags { QEMU_PLUGIN_CB_NO_REGS };
extern void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, struct qemu_plugin_tb*));
extern void qemu_plugin_register_atexit_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, void*), void*);
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb*);
extern uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb*);
extern struct qemu_plugin_insn* qemu_plugin_tb_get_insn(const struct qemu_plugin_tb*, size_t);
extern size_t qemu_plugin_insn_data(const struct qemu_plugin_insn*, void*, size_t);
extern void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn*, void (*)(unsigned, void*),
                                                   enum qemu_plugin_cb_flags, void*);
extern void qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(struct qemu_plugin_tb*, enum qemu_plugin_op,
                                                              qemu_plugin_u64, uint64_t);
extern struct qemu_plugin_scoreboard* qemu_plugin_scoreboard_new(size_t);
extern void* qemu_plugin_scoreboard_find(struct qemu_plugin_scoreboard*, unsigned);

#define EXPORT __attribute__((visibility("default")))
EXPORT int qemu_plugin_version = 4;

/* A block is known by its address and length: other code at the same address in another process may be mixed in. */
#define MAX_BLOCKS (1u << 20)
struct block {
  uint64_t address;
  uint64_t instructions;
};
static struct block blocks[MAX_BLOCKS]; /* open addressing; instructions 0: free */
static uint64_t marked_counts[MAX_BLOCKS];
static uint64_t counts_at_begin[MAX_BLOCKS];
static struct qemu_plugin_scoreboard* counts; /* MAX_BLOCKS numbers */
static const char* out_path;
static uint64_t stretches;
static bool marked;

static const unsigned char mark_begin[8] = {0x0f, 0x1f, 0x84, 0x00, 0x42, 0x50, 0x52, 0x31};
static const unsigned char mark_end[8] = {0x0f, 0x1f, 0x84, 0x00, 0x45, 0x50, 0x52, 0x31};

static uint32_t slot_of(uint64_t address, uint64_t instructions) {
  uint64_t hash = (address ^ instructions << 48) * 0x9e3779b97f4a7c15ull;

  for (uint32_t i = (uint32_t)(hash >> 44), tries = 0; tries < MAX_BLOCKS; tries++, i = (i + 1) % MAX_BLOCKS) {
    if (blocks[i].instructions == 0) blocks[i] = (struct block){address, instructions};
    if (blocks[i].address == address && blocks[i].instructions == instructions) return i;
  }
  fprintf(stderr, "count: more than %u blocks\n", MAX_BLOCKS);
  exit(1);
}

static void on_begin(unsigned cpu, void* unused) {
  (void)unused;
  memcpy(counts_at_begin, qemu_plugin_scoreboard_find(counts, cpu), sizeof(counts_at_begin));
  marked = true;
}

static void on_end(unsigned cpu, void* unused) {
  const uint64_t* now = qemu_plugin_scoreboard_find(counts, cpu);

  (void)unused;
  if (!marked) return;
  for (uint32_t i = 0; i < MAX_BLOCKS; i++) marked_counts[i] += now[i] - counts_at_begin[i];
  stretches++;
  marked = false;
}

static void on_block(qemu_plugin_id_t id, struct qemu_plugin_tb* block) {
  size_t n = qemu_plugin_tb_n_insns(block);
  uint32_t slot = slot_of(qemu_plugin_tb_vaddr(block), n);
  qemu_plugin_u64 entry = {counts, slot * sizeof(uint64_t)};

  (void)id;
  qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(block, QEMU_PLUGIN_INLINE_ADD_U64, entry, 1);
  for (size_t i = 0; i < n; i++) {
    struct qemu_plugin_insn* instruction = qemu_plugin_tb_get_insn(block, i);
    unsigned char data[8];

    if (qemu_plugin_insn_data(instruction, data, sizeof(data)) != sizeof(data)) continue;
    if (!memcmp(data, mark_begin, sizeof(data)))
      qemu_plugin_register_vcpu_insn_exec_cb(instruction, on_begin, QEMU_PLUGIN_CB_NO_REGS, 0);
    else if (!memcmp(data, mark_end, sizeof(data)))
      qemu_plugin_register_vcpu_insn_exec_cb(instruction, on_end, QEMU_PLUGIN_CB_NO_REGS, 0);
  }
}

static void on_guest_exit(qemu_plugin_id_t id, void* unused) {
  FILE* out = fopen(out_path, "w");

  (void)id;
  (void)unused;
  if (!out) {
    perror(out_path);
    return;
  }
  for (uint32_t i = 0; i < MAX_BLOCKS; i++)
    if (marked_counts[i])
      fprintf(out, "block %" PRIx64 " %" PRIu64 " %" PRIu64 "\n", blocks[i].address, blocks[i].instructions,
              marked_counts[i]);
  fprintf(out, "marked %" PRIu64 "\n", stretches);
  fclose(out);
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const void* info, int argc, char** argv) {
  (void)info;
  if (argc != 1 || strncmp(argv[0], "out=", 4) != 0) {
    fprintf(stderr, "count: usage: -plugin count.so,out=FILE\n");
    return 1;
  }
  out_path = strdup(argv[0] + 4);
  counts = qemu_plugin_scoreboard_new(MAX_BLOCKS * sizeof(uint64_t));
  qemu_plugin_register_vcpu_tb_trans_cb(id, on_block);
  qemu_plugin_register_atexit_cb(id, on_guest_exit, 0);
  return 0;
}
