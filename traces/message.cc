// SPDX-License-Identifier: GPL-2.0-only
// Compiled as C++17; see message.h.
#include "traces/message.h"

#include <capnp/message.h>
#include <capnp/serialize.h>
#include <kj/exception.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "scheduler/core/check.h"
#include "traces/trace.capnp.h"

namespace reprise::trace {
namespace {

#define REPRISE_SAME_COLUMN(ours, theirs) \
  static_assert(ours == static_cast<std::uint32_t>(schema::StepColumn::theirs), "column numbers differ")
REPRISE_SAME_COLUMN(kColNumber, NUMBER);
REPRISE_SAME_COLUMN(kColNow, NOW);
REPRISE_SAME_COLUMN(kColEventCount, EVENT_COUNT);
REPRISE_SAME_COLUMN(kColDecisionCount, DECISION_COUNT);
REPRISE_SAME_COLUMN(kColPreemptCount, PREEMPT_COUNT);
REPRISE_SAME_COLUMN(kColIdleWordCount, IDLE_WORD_COUNT);
REPRISE_SAME_COLUMN(kColIdle, IDLE);
REPRISE_SAME_COLUMN(kColRoom, ROOM);
REPRISE_SAME_COLUMN(kColFlags, FLAGS);
REPRISE_SAME_COLUMN(kColLostEvents, LOST_EVENTS);
REPRISE_SAME_COLUMN(kColBits, BITS);
REPRISE_SAME_COLUMN(kColWakeAt, WAKE_AT);
REPRISE_SAME_COLUMN(kColStateHash, STATE_HASH);
REPRISE_SAME_COLUMN(kColEnd, END);
REPRISE_SAME_COLUMN(kColType, TYPE);
REPRISE_SAME_COLUMN(kColCpu, CPU);
REPRISE_SAME_COLUMN(kColTime, TIME);
REPRISE_SAME_COLUMN(kColSeq, SEQ);
REPRISE_SAME_COLUMN(kColTask, TASK);
REPRISE_SAME_COLUMN(kColTid, TID);
REPRISE_SAME_COLUMN(kColGeneration, GENERATION);
REPRISE_SAME_COLUMN(kColEventFlags, EVENT_FLAGS);
REPRISE_SAME_COLUMN(kColRaw, RAW);
REPRISE_SAME_COLUMN(kColEnqueueExec, ENQUEUE_EXEC);
REPRISE_SAME_COLUMN(kColEnqueueStarted, ENQUEUE_STARTED);
REPRISE_SAME_COLUMN(kColEnqueueStopped, ENQUEUE_STOPPED);
REPRISE_SAME_COLUMN(kColEnqueuePrevCpu, ENQUEUE_PREV_CPU);
REPRISE_SAME_COLUMN(kColEnqueueWeight, ENQUEUE_WEIGHT);
REPRISE_SAME_COLUMN(kColEnqueueWaker, ENQUEUE_WAKER);
REPRISE_SAME_COLUMN(kColEnqueueAllowed, ENQUEUE_ALLOWED);
REPRISE_SAME_COLUMN(kColNewStart, NEW_START);
REPRISE_SAME_COLUMN(kColNewTgid, NEW_TGID);
REPRISE_SAME_COLUMN(kColNewParent, NEW_PARENT);
REPRISE_SAME_COLUMN(kColNewWeight, NEW_WEIGHT);
REPRISE_SAME_COLUMN(kColNewFlags, NEW_FLAGS);
REPRISE_SAME_COLUMN(kColNewComm, NEW_COMM);
REPRISE_SAME_COLUMN(kColStopExec, STOP_EXEC);
REPRISE_SAME_COLUMN(kColStopRunnable, STOP_RUNNABLE);
REPRISE_SAME_COLUMN(kColAffinityFirst, AFFINITY_FIRST);
REPRISE_SAME_COLUMN(kColAffinityAllowed, AFFINITY_ALLOWED);
REPRISE_SAME_COLUMN(kColAffinityWords, AFFINITY_WORDS);
REPRISE_SAME_COLUMN(kColWeight, WEIGHT);
REPRISE_SAME_COLUMN(kColDecisionTask, DECISION_TASK);
REPRISE_SAME_COLUMN(kColDecisionGeneration, DECISION_GENERATION);
REPRISE_SAME_COLUMN(kColDecisionCpu, DECISION_CPU);
REPRISE_SAME_COLUMN(kColDecisionFlags, DECISION_FLAGS);
REPRISE_SAME_COLUMN(kColDecisionSlice, DECISION_SLICE);
REPRISE_SAME_COLUMN(kColDecisionVtime, DECISION_VTIME);
REPRISE_SAME_COLUMN(kColPreemptCpu, PREEMPT_CPU);
#undef REPRISE_SAME_COLUMN

/// Builds one message and writes it as one segment, in the framing of Cap'n Proto's streams.
template <typename Root, typename Fill>
void build(std::size_t expected_bytes, std::vector<std::uint8_t>& out, Fill fill) {
  capnp::MallocMessageBuilder message(static_cast<unsigned>(expected_bytes / sizeof(capnp::word) + 64));
  fill(message.initRoot<Root>());
  const auto segments = message.getSegmentsForOutput();
  REPRISE_CHECK(segments.size() == 1);  // or expected_bytes is wrong; readers are promised one
  const auto bytes = segments[0].asBytes();
  const std::uint32_t prefix[2] = {0, static_cast<std::uint32_t>(segments[0].size())};
  out.resize(sizeof prefix + bytes.size());
  for (std::size_t i = 0; i < sizeof prefix; ++i) {
    out[i] = static_cast<std::uint8_t>(prefix[i / 4] >> (8 * (i % 4)));
  }
  std::memcpy(out.data() + sizeof prefix, bytes.begin(), bytes.size());
}

std::size_t list_bytes(const Column* columns, std::size_t count) {
  std::size_t total = 0;
  for (std::size_t i = 0; i < count; ++i) total += 8 + (columns[i].size + 7) / 8 * 8;
  return total;
}

template <typename Message>
std::size_t list_bytes(const Message& message) {
  return list_bytes(message.columns.data(), message.columns.size());
}

/// Columns after the last one that is not empty are left out.
template <typename Message, typename Builder>
void put_columns(const Message& message, Builder builder) {
  std::size_t used = message.columns.size();
  while (used > 0 && message.columns[used - 1].size == 0) --used;
  auto list = builder.initColumns(static_cast<unsigned>(used));
  for (unsigned i = 0; i < used; ++i) {
    const Column& column = message.columns[i];
    if (column.size != 0) list.set(i, capnp::Data::Reader(column.data, column.size));
  }
}

/// More columns than we know come from a newer writer: it was not to change what the older ones mean.
template <typename Message, typename Reader>
void get_columns(const Reader& reader, Message& message) {
  const auto list = reader.getColumns();
  message.columns.fill(Column{});
  const std::size_t count = std::min<std::size_t>(list.size(), message.columns.size());
  for (unsigned i = 0; i < count; ++i) {
    const auto data = list[i];
    message.columns[i] = Column{data.begin(), data.size()};
  }
}

/// Runs `take` on the root; turns Cap'n Proto's exceptions into `why`.
template <typename Root, typename Take>
bool parse(const std::vector<std::uint64_t>& words, std::string& why, Take take) {
  static_assert(sizeof(capnp::word) == sizeof(std::uint64_t));
  bool good = false;
  const auto failure = kj::runCatchingExceptions([&] {
    capnp::ReaderOptions limits;
    // Each word may be visited a few times, no more: two pointers to one list must not multiply it.
    limits.traversalLimitInWords = 4 * words.size() + 1024;
    limits.nestingLimit = 8;
    capnp::FlatArrayMessageReader reader(kj::arrayPtr(reinterpret_cast<const capnp::word*>(words.data()), words.size()),
                                         limits);
    good = take(reader.getRoot<Root>());
    if (!good) why = "holds more than the format allows";
  });
  KJ_IF_MAYBE (exception, failure) {
    why = std::string("is no valid message: ") + exception->getDescription().cStr();
    return false;
  }
  return good;
}

template <typename Text>
bool get_text(const Text& text, std::string& out) {
  if (text.size() > kMaxStringBytes) return false;
  out.assign(text.begin(), text.size());
  return true;
}

capnp::Text::Reader text_of(const std::string& text) {
  // A Text must end in a zero byte; it has none inside by convention, which we do not rely on.
  return capnp::Text::Reader(text.c_str(), text.size());
}

std::uint64_t comm_word(const char* comm, int half) {
  std::uint64_t word = 0;
  for (int i = 0; i < 8; ++i) {
    word |= std::uint64_t{static_cast<std::uint8_t>(comm[8 * half + i])} << (8 * i);
  }
  return word;
}

void set_comm(char* comm, int half, std::uint64_t word) {
  for (int i = 0; i < 8; ++i) comm[8 * half + i] = static_cast<char>(word >> (8 * i));
}

void put_texts(const SessionInfo& info, schema::Session::Builder session) {
  session.setPolicy(text_of(info.policy));
  session.setOptions(text_of(info.options));
  session.setVersion(text_of(info.version));
  session.setCompiler(text_of(info.compiler));
  session.setBuildType(text_of(info.build_type));
  session.setEngineHash(text_of(info.engine_hash));
  session.setPoliciesHash(text_of(info.policies_hash));
  session.setDispatcherHash(text_of(info.dispatcher_hash));
  session.setKernelRelease(text_of(info.kernel_release));
  session.setKernelVersion(text_of(info.kernel_version));
  session.setPreemption(text_of(info.preemption));
  session.setMachine(text_of(info.machine));
  session.setCpuModel(text_of(info.cpu_model));
  auto features = session.initFeatures(static_cast<unsigned>(info.sched_ext_features.size()));
  for (unsigned i = 0; i < features.size(); ++i) features.set(i, text_of(info.sched_ext_features[i]));
}

bool get_texts(const schema::Session::Reader& session, SessionInfo& info) {
  const auto features = session.getFeatures();
  if (features.size() > kMaxFeatures) return false;
  info.sched_ext_features.resize(features.size());
  bool good = true;
  for (unsigned i = 0; i < features.size(); ++i) good &= get_text(features[i], info.sched_ext_features[i]);
  good &= get_text(session.getPolicy(), info.policy);
  good &= get_text(session.getOptions(), info.options);
  good &= get_text(session.getVersion(), info.version);
  good &= get_text(session.getCompiler(), info.compiler);
  good &= get_text(session.getBuildType(), info.build_type);
  good &= get_text(session.getEngineHash(), info.engine_hash);
  good &= get_text(session.getPoliciesHash(), info.policies_hash);
  good &= get_text(session.getDispatcherHash(), info.dispatcher_hash);
  good &= get_text(session.getKernelRelease(), info.kernel_release);
  good &= get_text(session.getKernelVersion(), info.kernel_version);
  good &= get_text(session.getPreemption(), info.preemption);
  good &= get_text(session.getMachine(), info.machine);
  good &= get_text(session.getCpuModel(), info.cpu_model);
  return good;
}

void put_tasks(const SessionInfo& info, schema::Session::Builder session) {
  auto tasks = session.initTasks(static_cast<unsigned>(info.tasks.size()));
  for (unsigned i = 0; i < tasks.size(); ++i) {
    const SessionTask& from = info.tasks[i];
    auto to = tasks[i];
    to.setTid(from.tid);
    to.setTgid(from.tgid);
    to.setParentTid(from.parent_tid);
    to.setWeight(from.weight);
    to.setFlags(from.flags);
    to.setCpu(from.cpu);
    to.setStartTimeNs(from.start_time_ns);
    to.setExecTotalNs(from.exec_total_ns);
    to.setComm0(comm_word(from.comm, 0));
    to.setComm1(comm_word(from.comm, 1));
  }
}

bool get_tasks(const schema::Session::Reader& session, SessionInfo& info) {
  const auto tasks = session.getTasks();
  if (tasks.size() > kMaxSessionTasks) return false;
  info.tasks.resize(tasks.size());
  for (unsigned i = 0; i < tasks.size(); ++i) {
    const auto from = tasks[i];
    SessionTask& to = info.tasks[i];
    to.tid = from.getTid();
    to.tgid = from.getTgid();
    to.parent_tid = from.getParentTid();
    to.weight = from.getWeight();
    to.flags = from.getFlags();
    to.cpu = from.getCpu();
    to.start_time_ns = from.getStartTimeNs();
    to.exec_total_ns = from.getExecTotalNs();
    set_comm(to.comm, 0, from.getComm0());
    set_comm(to.comm, 1, from.getComm1());
  }
  return true;
}

void put_machine(const SessionInfo& info, schema::Session::Builder session) {
  auto topology = session.initTopology(static_cast<unsigned>(info.topology.size()));
  for (unsigned i = 0; i < topology.size(); ++i) {
    topology[i].setCpu(info.topology[i].cpu);
    topology[i].setCore(info.topology[i].core);
    topology[i].setLlc(info.topology[i].llc);
    topology[i].setNode(info.topology[i].node);
  }
  auto settings = session.initDispatcher(static_cast<unsigned>(info.dispatcher.size()));
  for (unsigned i = 0; i < settings.size(); ++i) {
    settings[i].setName(text_of(info.dispatcher[i].name));
    settings[i].setValue(info.dispatcher[i].value);
  }
}

bool get_machine(const schema::Session::Reader& session, SessionInfo& info) {
  const auto topology = session.getTopology();
  const auto settings = session.getDispatcher();
  if (topology.size() > kMaxTopologyCpus || settings.size() > kMaxSettings) return false;
  info.topology.resize(topology.size());
  for (unsigned i = 0; i < topology.size(); ++i) {
    const auto from = topology[i];
    info.topology[i] = CpuPlace{from.getCpu(), from.getCore(), from.getLlc(), from.getNode()};
  }
  info.dispatcher.resize(settings.size());
  bool good = true;
  for (unsigned i = 0; i < settings.size(); ++i) {
    good &= get_text(settings[i].getName(), info.dispatcher[i].name);
    info.dispatcher[i].value = settings[i].getValue();
  }
  return good;
}

std::size_t expected_bytes(const SessionInfo& info) {
  // Thirteen texts and each element of a list, with room for pointers and padding.
  std::size_t total = 1024 + 13 * 16 + info.tasks.size() * 64 + info.topology.size() * 16;
  for (const std::string* text : {&info.policy, &info.options, &info.version, &info.compiler, &info.build_type,
                                  &info.engine_hash, &info.policies_hash, &info.dispatcher_hash, &info.kernel_release,
                                  &info.kernel_version, &info.preemption, &info.machine, &info.cpu_model}) {
    total += text->size();
  }
  for (const std::string& feature : info.sched_ext_features) total += feature.size() + 24;
  for (const Setting& setting : info.dispatcher) total += setting.name.size() + 48;
  return total;
}

}  // namespace

void encode(const SessionInfo& info, std::vector<std::uint8_t>& out) {
  build<schema::Session>(expected_bytes(info), out, [&](schema::Session::Builder session) {
    session.setKind(static_cast<std::uint8_t>(info.kind));
    session.setStartNs(info.start_ns);
    session.setSeed(info.seed);
    session.setCpus(info.cpus);
    session.setMaxTasks(info.max_tasks);
    session.setInterests(info.interests);
    session.setHz(info.hz);
    session.setTasksOmitted(info.tasks_omitted);
    session.setRealtimeOffsetNs(info.realtime_offset_ns);
    session.setBoottimeOffsetNs(info.boottime_offset_ns);
    put_texts(info, session);
    put_machine(info, session);
    put_tasks(info, session);
  });
}

bool decode(const std::vector<std::uint64_t>& words, SessionInfo& info, std::string& why) {
  return parse<schema::Session>(words, why, [&](schema::Session::Reader session) {
    info.kind = static_cast<SessionKind>(session.getKind());
    info.start_ns = session.getStartNs();
    info.seed = session.getSeed();
    info.cpus = session.getCpus();
    info.max_tasks = session.getMaxTasks();
    info.interests = session.getInterests();
    info.hz = session.getHz();
    info.tasks_omitted = session.getTasksOmitted();
    info.realtime_offset_ns = session.getRealtimeOffsetNs();
    info.boottime_offset_ns = session.getBoottimeOffsetNs();
    return get_texts(session, info) && get_machine(session, info) && get_tasks(session, info);
  });
}

void encode(const StepsMessage& message, std::vector<std::uint8_t>& out) {
  build<schema::Steps>(list_bytes(message), out, [&](schema::Steps::Builder steps) {
    steps.setFirstNumber(message.first_number);
    steps.setFirstNs(message.first_ns);
    steps.setSteps(message.steps);
    steps.setEvents(message.events);
    steps.setDecisions(message.decisions);
    steps.setPreempts(message.preempts);
    steps.setIdleWords(message.idle_words);
    put_columns(message, steps);
  });
}

bool decode(const std::vector<std::uint64_t>& words, StepsMessage& message, std::string& why) {
  return parse<schema::Steps>(words, why, [&](schema::Steps::Reader steps) {
    message.first_number = steps.getFirstNumber();
    message.first_ns = steps.getFirstNs();
    message.steps = steps.getSteps();
    message.events = steps.getEvents();
    message.decisions = steps.getDecisions();
    message.preempts = steps.getPreempts();
    message.idle_words = steps.getIdleWords();
    get_columns(steps, message);
    return true;
  });
}

void encode(const EventsMessage& message, std::vector<std::uint8_t>& out) {
  build<schema::Events>(list_bytes(message), out, [&](schema::Events::Builder events) {
    events.setFirstNs(message.first_ns);
    events.setEvents(message.events);
    put_columns(message, events);
  });
}

bool decode(const std::vector<std::uint64_t>& words, EventsMessage& message, std::string& why) {
  return parse<schema::Events>(words, why, [&](schema::Events::Reader events) {
    message.first_ns = events.getFirstNs();
    message.events = events.getEvents();
    get_columns(events, message);
    return true;
  });
}

void encode(const IndexMessage& message, std::vector<std::uint8_t>& out) {
  build<schema::Index>(list_bytes(message), out, [&](schema::Index::Builder index) {
    index.setPrevious(message.previous);
    index.setEntries(message.entries);
    put_columns(message, index);
  });
}

bool decode(const std::vector<std::uint64_t>& words, IndexMessage& message, std::string& why) {
  return parse<schema::Index>(words, why, [&](schema::Index::Reader index) {
    message.previous = index.getPrevious();
    message.entries = index.getEntries();
    get_columns(index, message);
    return true;
  });
}

void encode(const SnapshotMessage& message, std::vector<std::uint8_t>& out) {
  build<schema::Snapshot>(message.state.size + 64, out, [&](schema::Snapshot::Builder snapshot) {
    snapshot.setStep(message.step);
    snapshot.setTimeNs(message.time_ns);
    snapshot.setPart(message.part);
    snapshot.setParts(message.parts);
    snapshot.setTotalBytes(message.total_bytes);
    snapshot.setState(capnp::Data::Reader(message.state.data, message.state.size));
  });
}

bool decode(const std::vector<std::uint64_t>& words, SnapshotMessage& message, std::string& why) {
  return parse<schema::Snapshot>(words, why, [&](schema::Snapshot::Reader snapshot) {
    message.step = snapshot.getStep();
    message.time_ns = snapshot.getTimeNs();
    message.part = snapshot.getPart();
    message.parts = snapshot.getParts();
    message.total_bytes = snapshot.getTotalBytes();
    const auto state = snapshot.getState();
    message.state = Column{state.begin(), state.size()};
    return true;
  });
}

void encode(const LossesMessage& message, std::vector<std::uint8_t>& out) {
  build<schema::Losses>(message.losses.size() * 24 + 64, out, [&](schema::Losses::Builder losses) {
    losses.setTimeNs(message.time_ns);
    auto list = losses.initLosses(static_cast<unsigned>(message.losses.size()));
    for (unsigned i = 0; i < list.size(); ++i) {
      list[i].setRing(static_cast<std::uint8_t>(message.losses[i].ring));
      list[i].setCpu(message.losses[i].cpu);
      list[i].setCount(message.losses[i].count);
    }
  });
}

bool decode(const std::vector<std::uint64_t>& words, LossesMessage& message, std::string& why) {
  return parse<schema::Losses>(words, why, [&](schema::Losses::Reader losses) {
    message.time_ns = losses.getTimeNs();
    const auto list = losses.getLosses();
    message.losses.clear();
    if (list.size() > kMaxLossesPerFrame) return false;
    for (const auto loss : list) {
      message.losses.push_back(Loss{static_cast<LossRing>(loss.getRing()), loss.getCpu(), loss.getCount()});
    }
    return true;
  });
}

void encode(const SessionEnd& end, std::vector<std::uint8_t>& out) {
  build<schema::End>(end.reason.size() + 256, out, [&](schema::End::Builder to) {
    to.setEndNs(end.end_ns);
    to.setReason(text_of(end.reason));
    to.setExitCode(end.exit_code);
    to.setSteps(end.totals.steps);
    to.setLastStep(end.totals.last_step);
    to.setEvents(end.totals.events);
    to.setDecisions(end.totals.decisions);
    to.setKernelEvents(end.totals.kernel_events);
    to.setSnapshots(end.totals.snapshots);
    to.setStepsLost(end.totals.steps_lost);
    to.setSnapshotsLost(end.totals.snapshots_lost);
  });
}

bool decode(const std::vector<std::uint64_t>& words, SessionEnd& end, std::string& why) {
  return parse<schema::End>(words, why, [&](schema::End::Reader from) {
    end.end_ns = from.getEndNs();
    end.exit_code = from.getExitCode();
    end.totals =
        SessionTotals{from.getSteps(),        from.getLastStep(),  from.getEvents(),    from.getDecisions(),
                      from.getKernelEvents(), from.getSnapshots(), from.getStepsLost(), from.getSnapshotsLost()};
    return get_text(from.getReason(), end.reason);
  });
}

}  // namespace reprise::trace
