// SPDX-License-Identifier: GPL-2.0-only
#include "scheduler/live/recording.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <initializer_list>
#include <string_view>

#include "bpf/syscalls.h"
#include "recorder_bpf.skel.h"
#include "scheduler/live/kernel_features.h"
#include "scheduler/live/ring.h"
#include "scheduler/wire/wire.h"

namespace reprise::live {

static_assert(int{trace::kCallGive} == CALL_GIVE && int{trace::kCallReady} == CALL_READY &&
              int{trace::kCallFork} == CALL_FORK);
static_assert(int{trace::kObjectSocket} == OBJECT_SOCKET && int{trace::kObjectAnonymous} == OBJECT_ANONYMOUS &&
              int{trace::kObjectPoll} == OBJECT_POLL && trace::object_kind(1ull << OBJECT_SHIFT) == trace::kObjectPipe);
static_assert(static_cast<int>(trace::KernelEventType::kMember) == WIRE_K_MEMBER);

namespace {

struct BtfFree {
  void operator()(btf* p) const { btf__free(p); }
};
using Btf = std::unique_ptr<btf, BtfFree>;

class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() {
    if (fd_ >= 0) close(fd_);
  }
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

// libbpf talks through a callback without context: the last lines that it said on this thread.
thread_local std::string libbpf_said;
constexpr std::size_t kLogKept = 4096;

int hear(libbpf_print_level level, const char* format, va_list arguments) {
  if (level > LIBBPF_INFO) return 0;
  va_list again;
  va_copy(again, arguments);
  const int length = std::max(std::vsnprintf(nullptr, 0, format, arguments), 0);
  std::string text(static_cast<std::size_t>(length) + 1, '\0');
  std::vsnprintf(text.data(), text.size(), format, again);
  va_end(again);
  text.pop_back();
  libbpf_said += text;  // a verifier's log says what is wrong in its last lines
  if (libbpf_said.size() > kLogKept) libbpf_said.erase(0, libbpf_said.size() - kLogKept);
  return length;
}

// While it lives we hear libbpf; then whoever did before does again.
class Listening {
 public:
  Listening() : before_(libbpf_set_print(hear)) { libbpf_said.clear(); }
  Listening(const Listening&) = delete;
  Listening& operator=(const Listening&) = delete;
  ~Listening() { libbpf_set_print(before_); }

 private:
  libbpf_print_fn_t before_;
};

std::unexpected<Error> refused(const std::string& what, int error) {
  if ((error == -EPERM || error == -EACCES) && geteuid() != 0)
    return fail(ExitCode::kNotPermitted, what + ": not permitted", {}, "run as root, or with CAP_BPF and CAP_PERFMON");
  return fail(ExitCode::kInternal, what + ": " + std::strerror(-error) + "\n" + libbpf_said, {},
              "run reprise doctor; if it finds nothing, this kernel is not known to the recorder yet");
}

// The tracepoint that a program hangs on, from its section "tp_btf/NAME" or "tp/GROUP/NAME"; empty: none.
std::string_view tracepoint_of(const bpf_program* program) {
  const std::string_view section = bpf_program__section_name(program);
  if (!section.starts_with("tp")) return {};
  return section.substr(section.rfind('/') + 1);
}

bool is_classic(const bpf_program* program) {
  return std::string_view(bpf_program__section_name(program)).starts_with("tp/");
}

bool of_system_calls(const bpf_program* program) {
  return std::string_view(bpf_program__section_name(program)).starts_with("tp/raw_syscalls/");
}

// Where a per-CPU variable lies in its section; -1: there is none.
i64 per_cpu_offset(const btf* kernel, const char* name) {
  const int variable = btf__find_by_name_kind(kernel, name, BTF_KIND_VAR);
  const int section = btf__find_by_name_kind(kernel, ".data..percpu", BTF_KIND_DATASEC);
  if (variable < 0 || section < 0) return -1;
  const btf_type* type = btf__type_by_id(kernel, static_cast<u32>(section));
  const btf_var_secinfo* each = btf_var_secinfos(type);
  for (u32 i = 0; i < btf_vlen(type); ++i)
    if (each[i].type == static_cast<u32>(variable)) return each[i].offset;
  return -1;
}

// Of a structure's member, in bytes, also inside of nameless members; -1: there is none.
i64 member_offset(const btf* kernel, const btf_type* structure, std::string_view member) {
  for (u32 i = 0; i < btf_vlen(structure); ++i) {
    const btf_member& each = btf_members(structure)[i];
    const i64 offset = btf_member_bit_offset(structure, i) / 8;
    const std::string_view name = btf__name_by_offset(kernel, each.name_off);
    if (name == member) return offset;
    const btf_type* type = btf__type_by_id(kernel, each.type);
    if (!name.empty() || !btf_is_composite(type)) continue;
    if (const i64 inner = member_offset(kernel, type, member); inner >= 0) return offset + inner;
  }
  return -1;
}

i64 member_offset(const btf* kernel, const char* structure, std::string_view member) {
  const int id = btf__find_by_name_kind(kernel, structure, BTF_KIND_STRUCT);
  return id < 0 ? -1 : member_offset(kernel, btf__type_by_id(kernel, static_cast<u32>(id)), member);
}

// How preempt_count is found and read. Its layout cannot be seen in BTF, but the series of patches that changed it.
void set_context(const btf* kernel, recorder_config& config) {
  const i64 runqueue = per_cpu_offset(kernel, "runqueues");
  const i64 count = per_cpu_offset(kernel, "__preempt_count");
  const i64 hot = per_cpu_offset(kernel, "pcpu_hot");  // x86 before 6.15
  if (count >= 0)
    config.count_from_runqueue = count - runqueue;
  else if (hot >= 0)
    config.count_from_runqueue = hot + member_offset(kernel, "pcpu_hot", "preempt_count") - runqueue;
  config.count_known = member_offset(kernel, "thread_info", "preempt") >= 0 ||
                       (runqueue >= 0 && (count >= 0 || hot >= 0) && member_offset(kernel, "cfs_rq", "rq") >= 0);
  config.hardirq_mask = 0x000f0000;
  config.nmi_mask = 0x00f00000;
  if (per_cpu_offset(kernel, "local_interrupt_disable_state") < 0 && per_cpu_offset(kernel, "nmi_nesting") < 0) return;
  // From 7.3 on: a field for the counted disabling of interrupts, those above it have moved. Where the word also has
  // "reschedule needed" as its highest bit, NMI is one bit.
  config.hardirq_mask = 0x0f000000;
  const int type = btf__find_by_name_kind(kernel, "__preempt_count", BTF_KIND_VAR);
  config.nmi_mask = type > 0 && btf__resolve_size(kernel, static_cast<u32>(type)) == 4 ? 0x10000000 : 0xf0000000;
}

void set_calls(recorder_config& config, call_object object, call_role role, std::initializer_list<int> numbers) {
  for (const int number : numbers)
    config.calls[number] = {.object = static_cast<wire_u8>(object), .role = static_cast<wire_u8>(role)};
}

// The calls by which tasks wait, wake and come to be.
void set_calls(recorder_config& config) {
  set_calls(config, CALL_FILE, CALL_TAKE,
            {SYS_read, SYS_readv, SYS_pread64, SYS_preadv, SYS_preadv2, SYS_splice, SYS_recvfrom, SYS_recvmsg,
             SYS_recvmmsg, SYS_accept, SYS_accept4, SYS_mq_timedreceive});
  set_calls(config, CALL_FILE, CALL_GIVE,
            {SYS_write, SYS_writev, SYS_pwrite64, SYS_pwritev, SYS_pwritev2, SYS_sendfile, SYS_sendto, SYS_sendmsg,
             SYS_sendmmsg, SYS_mq_timedsend});
  set_calls(config, CALL_FILE, CALL_OTHER, {SYS_connect, SYS_shutdown, SYS_io_uring_enter});
  set_calls(config, CALL_FILE, CALL_READY, {SYS_epoll_pwait, SYS_epoll_pwait2});
  set_calls(config, CALL_WATCH, CALL_MEMBER, {SYS_epoll_ctl});
  set_calls(config, CALL_POLL, CALL_READY, {SYS_ppoll});
  set_calls(config, CALL_NO_OBJECT, CALL_READY, {SYS_pselect6});
  set_calls(config, CALL_FUTEX, CALL_OTHER, {SYS_futex});  // the operation has the role
  set_calls(config, CALL_LOCK, CALL_TAKE, {SYS_flock});
  set_calls(config, CALL_FCNTL, CALL_TAKE, {SYS_fcntl});
  set_calls(config, CALL_CHILD, CALL_TAKE, {SYS_wait4});
  set_calls(config, CALL_WAITID, CALL_TAKE, {SYS_waitid});
  set_calls(config, CALL_KILL, CALL_GIVE, {SYS_kill, SYS_tkill, SYS_tgkill, SYS_rt_sigqueueinfo});
  set_calls(config, CALL_SIGNAL, CALL_TAKE, {SYS_rt_sigtimedwait, SYS_rt_sigsuspend});
  set_calls(config, CALL_IPC, CALL_TAKE, {SYS_msgrcv});
  set_calls(config, CALL_IPC, CALL_GIVE, {SYS_msgsnd});
  set_calls(config, CALL_IPC, CALL_OTHER, {SYS_semop, SYS_semtimedop});
  set_calls(config, CALL_NO_OBJECT, CALL_TAKE, {SYS_io_getevents});
  set_calls(config, CALL_NO_OBJECT, CALL_SLEEP, {SYS_nanosleep, SYS_clock_nanosleep});
  set_calls(config, CALL_NO_OBJECT, CALL_YIELD, {SYS_sched_yield});
  set_calls(config, CALL_NO_OBJECT, CALL_FORK, {SYS_clone, SYS_clone3});
  set_calls(config, CALL_NO_OBJECT, CALL_OTHER, {SYS_restart_syscall});
#ifdef SYS_poll  // only on architectures as old as x86
  set_calls(config, CALL_FILE, CALL_READY, {SYS_epoll_wait});
  set_calls(config, CALL_POLL, CALL_READY, {SYS_poll});
  set_calls(config, CALL_NO_OBJECT, CALL_READY, {SYS_select});
  set_calls(config, CALL_SIGNAL, CALL_TAKE, {SYS_pause});
  set_calls(config, CALL_NO_OBJECT, CALL_FORK, {SYS_fork, SYS_vfork});
#endif
}

}  // namespace

struct Recording::State {
  recorder_bpf* skeleton = nullptr;
  std::vector<bpf_link*> links;
  RingReader ring;
  std::vector<std::string> absent;
  u32 cpus = 0;
  // What came out of the ring, per CPU.
  struct Seen {
    u32 next = 0;  // one more than the highest number
    u64 rounds = 0;
    u64 received = 0;
  };
  std::vector<Seen> seen;
  u64 malformed = 0;

  void detach() {
    for (bpf_link* link : links) bpf_link__destroy(link);
    links.clear();
  }
  ~State() {
    detach();
    recorder_bpf__destroy(skeleton);
  }

  Expected<void> configure(const RecordingSettings&);
  Expected<void> attach(bpf_program*);
  u64 recursions(std::vector<std::string>* at = nullptr) const;
};

namespace {

// Written by BPF programs meanwhile.
u64 read_once(const wire_u64& counter) { return *const_cast<const volatile wire_u64*>(&counter); }

}  // namespace

// What the kernel dropped because the program was already running on that CPU, over all programs but the two that
// stand in for each other (bpf/recorder.bpf.c, timer_expires).
u64 Recording::State::recursions(std::vector<std::string>* at) const {
  u64 sum = 0;
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, skeleton->obj) {
    if (std::string_view(bpf_program__name(program)).starts_with("timer_expires")) continue;
    bpf_prog_info info{};
    u32 size = sizeof(info);
    const int fd = bpf_program__fd(program);
    if (fd < 0 || bpf_prog_get_info_by_fd(fd, &info, &size) != 0 || info.recursion_misses == 0) continue;
    sum += info.recursion_misses;
    if (at) at->emplace_back(tracepoint_of(program));
  }
  return sum;
}

Recording::Recording() : state_(std::make_unique<State>()) {}
Recording::~Recording() = default;

Expected<void> Recording::State::configure(const RecordingSettings& settings) {
  Btf kernel(btf__load_vmlinux_btf());
  if (!kernel)
    return fail(ExitCode::kNoSchedExt, "this kernel has no BTF", "/sys/kernel/btf/vmlinux",
                "use a kernel that was built with CONFIG_DEBUG_INFO_BTF");
  auto& config =
      *const_cast<recorder_config*>(reinterpret_cast<const volatile recorder_config*>(&skeleton->rodata->recorder));
  config.own_tgid = settings.own_tgid;
  config.cpus = cpus;
  set_context(kernel.get(), config);
  set_calls(config);
  if (getrandom(&config.salt, sizeof(config.salt), 0) != sizeof(config.salt)) config.salt = 1;
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, skeleton->obj) {
    const std::string name(tracepoint_of(program));
    if (name.empty()) continue;
    if (!settings.syscalls && of_system_calls(program)) {
      bpf_program__set_autoload(program, false);
    } else if (btf__find_by_name_kind(kernel.get(), ("btf_trace_" + name).c_str(), BTF_KIND_TYPEDEF) < 0) {
      bpf_program__set_autoload(program, false);
      absent.push_back(name);
    }
  }
  int error = 0;
  if (settings.recording_fd >= 0) {
    error = bpf_map__reuse_fd(skeleton->maps.recording, settings.recording_fd);
    if (!error) error = bpf_map__reuse_fd(skeleton->maps.sequences, settings.sequences_fd);
  } else {
    error = bpf_map__set_max_entries(skeleton->maps.recording, static_cast<u32>(settings.ring_bytes));
  }
  if (error) return refused("cannot share the dispatcher's ring with the recorder", error);
  return {};
}

Expected<std::unique_ptr<Recording>> Recording::load(const RecordingSettings& settings) {
  const Listening listening;
  const int possible = libbpf_num_possible_cpus();
  if (possible <= 0 || static_cast<u32>(possible) > kMaxCpus)
    return fail(ExitCode::kUsage, "this machine has " + std::to_string(possible) + " CPUs", {},
                "the recorder is built for at most " + std::to_string(kMaxCpus));
  std::unique_ptr<Recording> result(new Recording);
  State& state = *result->state_;
  state.cpus = static_cast<u32>(possible);
  state.seen.resize(state.cpus);
  state.skeleton = recorder_bpf__open();
  if (!state.skeleton) return refused("cannot open the recorder", -errno);
  if (auto configured = state.configure(settings); !configured) return std::unexpected(configured.error());
  if (const int error = recorder_bpf__load(state.skeleton)) return refused("cannot load the recorder", error);
  auto ring = RingReader::open(bpf_map__fd(state.skeleton->maps.recording), settings.ring_bytes);
  if (!ring) return std::unexpected(ring.error());
  state.ring = std::move(*ring);
  return result;
}

namespace {

// The number by which perf knows a tracepoint, from tracefs; a private mount of it where it is not mounted.
int tracepoint_id(const std::string& path) {
  std::string text;
  for (const char* root : {"/sys/kernel/tracing/events/", "/sys/kernel/debug/tracing/events/"}) {
    text = read_small_file(root + path + "/id");
    if (!text.empty()) break;
  }
  if (text.empty()) {
    const Fd context(fsopen("tracefs", FSOPEN_CLOEXEC));
    if (context.get() < 0 || fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) < 0) return -errno;
    const Fd mount(fsmount(context.get(), FSMOUNT_CLOEXEC, 0));
    if (mount.get() < 0) return -errno;
    const Fd file(openat(mount.get(), ("events/" + path + "/id").c_str(), O_RDONLY | O_CLOEXEC));
    char buffer[16] = {};
    if (file.get() < 0 || read(file.get(), buffer, sizeof(buffer) - 1) <= 0) return -errno;
    text = buffer;
  }
  return std::atoi(text.c_str());
}

// As libbpf does it, except that libbpf wants tracefs to be mounted.
bpf_link* attach_classic(bpf_program* program) {
  const std::string section = bpf_program__section_name(program);
  const int id = tracepoint_id(section.substr(section.find('/') + 1));
  if (id <= 0) {
    errno = id ? -id : ENOENT;
    return nullptr;
  }
  perf_event_attr attributes{};
  attributes.type = PERF_TYPE_TRACEPOINT;
  attributes.size = sizeof(attributes);
  attributes.config = static_cast<u64>(id);
  // Any CPU will do: the program runs on all.
  const long fd = syscall(SYS_perf_event_open, &attributes, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
  if (fd < 0) return nullptr;
  bpf_link* link = bpf_program__attach_perf_event(program, static_cast<int>(fd));
  if (!link) close(static_cast<int>(fd));
  return link;
}

}  // namespace

Expected<void> Recording::State::attach(bpf_program* program) {
  bpf_link* link = is_classic(program) ? attach_classic(program) : bpf_program__attach(program);
  if (!link) return refused("cannot attach the recorder to " + std::string(tracepoint_of(program)), -errno);
  links.push_back(link);
  return {};
}

Expected<void> Recording::attach() {
  const Listening listening;
  // What ends something first, so that no interrupt begins for us whose end is not seen.
  for (const bool ends : {true, false}) {
    bpf_program* program = nullptr;
    bpf_object__for_each_program(program, state_->skeleton->obj) {
      if (tracepoint_of(program).empty() || !bpf_program__autoload(program)) continue;
      if (std::string_view(bpf_program__name(program)).ends_with("_ends") != ends) continue;
      if (auto attached = state_->attach(program); !attached) {
        state_->detach();
        return attached;
      }
    }
  }
  return {};
}

void Recording::detach() {
  *const_cast<volatile wire_u32*>(&state_->skeleton->bss->recording_over) = 1;
  state_->detach();
}

Expected<std::vector<trace::SessionTask>> Recording::tasks_present() {
  const Listening listening;
  bpf_link* link = bpf_program__attach_iter(state_->skeleton->progs.each_task, nullptr);
  if (!link) return refused("cannot list the tasks", -errno);
  const Fd file(bpf_iter_create(bpf_link__fd(link)));
  bpf_link__destroy(link);
  if (file.get() < 0) return refused("cannot list the tasks", -errno);
  std::vector<trace::SessionTask> tasks;
  recorder_task buffer[64];
  std::size_t have = 0;  // bytes; a read may end inside a record
  for (;;) {
    const ssize_t got = read(file.get(), reinterpret_cast<char*>(buffer) + have, sizeof(buffer) - have);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return refused("cannot list the tasks", -errno);
    if (got == 0) break;
    have += static_cast<std::size_t>(got);
    const std::size_t whole = have / sizeof(buffer[0]);
    for (std::size_t i = 0; i < whole; ++i) {
      const recorder_task& from = buffer[i];
      trace::SessionTask task{.tid = from.tid,
                              .tgid = from.tgid,
                              .parent_tid = from.parent_tid,
                              .weight = from.weight,
                              .flags = from.flags,
                              .cpu = from.cpu,
                              .start_time_ns = from.start_time_ns,
                              .exec_total_ns = from.exec_total_ns,
                              .comm = {}};
      std::memcpy(task.comm, from.comm, sizeof(task.comm));
      tasks.push_back(task);
    }
    have -= whole * sizeof(buffer[0]);
    std::memmove(buffer, buffer + whole, have);
  }
  std::sort(tasks.begin(), tasks.end(), [](const auto& a, const auto& b) { return a.tid < b.tid; });
  return tasks;
}

std::size_t Recording::drain(std::span<trace::KernelEvent> out) {
  std::size_t count = 0;
  state_->ring.drain([&](const std::byte* record, u32 size) {
    if (count == out.size()) return false;
    trace::KernelEvent& event = out[count];
    if (!wire::decode(record, size, event) || event.cpu >= state_->cpus) {
      ++state_->malformed;
      return true;
    }
    State::Seen& seen = state_->seen[event.cpu];
    ++seen.received;
    if (static_cast<i32>(event.seq + 1 - seen.next) > 0) {
      if (event.seq + 1 < seen.next) ++seen.rounds;
      seen.next = event.seq + 1;
    }
    ++count;
    return true;
  });
  return count;
}

void Recording::losses(std::vector<trace::Loss>& out) {
  const auto* counts = state_->skeleton->bss;
  for (u32 cpu = 0; cpu < state_->cpus; ++cpu) {
    const State::Seen& seen = state_->seen[cpu];
    const u64 numbered = seen.rounds << 32 | seen.next;
    const u64 gaps = numbered > seen.received ? numbered - seen.received : 0;
    // The newest losses show as gaps only when something follows. An unseen switch has no number.
    const u64 dropped = read_once(counts->lost_full[cpu]) + read_once(counts->lost_refused[cpu]);
    if (const u64 lost = std::max<u64>(gaps, dropped) + read_once(counts->lost_unseen[cpu]))
      out.push_back({.ring = trace::LossRing::kKernelEvents, .cpu = cpu, .count = lost});
  }
  if (const u64 dropped = state_->malformed + state_->recursions())
    out.push_back({.ring = trace::LossRing::kKernelEvents, .cpu = trace::kLossAllCpus, .count = dropped});
}

LossCauses Recording::loss_causes() const {
  LossCauses causes;
  causes.recursion = state_->recursions(&causes.recursion_at);
  causes.malformed = state_->malformed;
  const auto* counts = state_->skeleton->bss;
  for (u32 cpu = 0; cpu < state_->cpus; ++cpu) {
    causes.no_room += read_once(counts->lost_full[cpu]);
    causes.refused += read_once(counts->lost_refused[cpu]);
    causes.unseen += read_once(counts->lost_unseen[cpu]);
  }
  return causes;
}

const std::vector<std::string>& Recording::absent() const { return state_->absent; }

}  // namespace reprise::live
