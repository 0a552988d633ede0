// SPDX-License-Identifier: GPL-2.0-only
#include "sim/suite/workload_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

namespace reprise::sim {
namespace {

using nlohmann::ordered_json;
constexpr std::string_view kSchema = "reprise.workload/1";
constexpr u8 kOpCodes = static_cast<u8>(OpCode::kLeave) + 1;

// Without what says nothing: a field that has its default value is left out.
template <typename T>
void put(ordered_json& json, const char* key, T value, T otherwise) {
  if (value != otherwise) json[key] = value;
}

ordered_json op_json(const Op& op, u32 first) {
  ordered_json json = {std::string(name(op.code))};
  Op local = op;
  if (jumps(op)) set_jump(local, jump_of(op) - first);
  json.push_back(local.target);
  json.push_back(local.value);
  if (op.depth != 0 || op.extra != 0) json.push_back(op.depth), json.push_back(op.extra);
  return json;
}

std::string lines(const std::vector<ordered_json>& items, std::string_view indent) {
  std::string text;
  for (std::size_t i = 0; i < items.size(); ++i)
    text += fmt::format("{}{}{}\n", indent, items[i].dump(), i + 1 < items.size() ? "," : "");
  return text;
}

std::string task_text(const Program& program, const TaskProgram& task) {
  const TaskProgram none;
  ordered_json head = {{"comm", std::string(task.comm, strnlen(task.comm, sizeof task.comm))}};
  put(head, "tid", task.tid, none.tid);
  put(head, "tgid", task.tgid, none.tgid);
  put(head, "parent", task.parent, none.parent);
  put(head, "weight", task.weight, none.weight);
  put(head, "cpu_set", task.cpu_set, none.cpu_set);
  put(head, "ended", task.ended, none.ended);
  put(head, "start_ns", task.start_ns, none.start_ns);
  put(head, "start", static_cast<u32>(task.start), static_cast<u32>(none.start));
  put(head, "sched_class", task.sched_class, none.sched_class);
  put(head, "kernel_thread", task.kernel_thread, none.kernel_thread);
  put(head, "own", task.own, none.own);
  put(head, "background", task.background, none.background);
  put(head, "at_attach", task.at_attach, none.at_attach);
  std::vector<ordered_json> ops;
  for (u32 i = task.first_op; i < task.first_op + task.ops; ++i) ops.push_back(op_json(program.ops[i], task.first_op));
  std::string text = head.dump();
  text.pop_back();
  return fmt::format("  {}, \"ops\": [\n{}  ]}}", text, lines(ops, "    "));
}

template <typename T>
T get(const ordered_json& json, const char* key, T otherwise) {
  const auto at = json.find(key);
  return at == json.end() ? otherwise : at->get<T>();
}

Op read_op(const ordered_json& json, u32 first) {
  const std::string code = json.at(0);
  Op op;
  u8 number = 0;
  while (number < kOpCodes && name(static_cast<OpCode>(number)) != code) ++number;
  if (number == kOpCodes) throw std::invalid_argument(fmt::format("unknown operation '{}'", code));
  op.code = static_cast<OpCode>(number);
  op.target = json.at(1);
  op.value = json.at(2);
  if (json.size() > 3) op.depth = json.at(3), op.extra = json.at(4);
  if (jumps(op)) set_jump(op, jump_of(op) + first);
  return op;
}

TaskProgram read_task(const ordered_json& json, Program& program) {
  TaskProgram task;
  const std::string comm = json.at("comm");
  std::memcpy(task.comm, comm.data(), std::min(comm.size(), sizeof task.comm - 1));
  task.tid = get(json, "tid", task.tid);
  task.tgid = get(json, "tgid", task.tgid);
  task.parent = get(json, "parent", task.parent);
  task.weight = get(json, "weight", task.weight);
  task.cpu_set = get(json, "cpu_set", task.cpu_set);
  task.ended = get(json, "ended", task.ended);
  task.start_ns = get(json, "start_ns", task.start_ns);
  task.start = static_cast<TaskStart>(std::min<u32>(get(json, "start", u32{0}), static_cast<u32>(TaskStart::kByFork)));
  task.sched_class = get(json, "sched_class", task.sched_class);
  task.kernel_thread = get(json, "kernel_thread", task.kernel_thread);
  task.own = get(json, "own", task.own);
  task.background = get(json, "background", task.background);
  task.at_attach = get(json, "at_attach", task.at_attach);
  task.first_op = static_cast<u32>(program.ops.size());
  for (const ordered_json& op : json.at("ops")) program.ops.push_back(read_op(op, task.first_op));
  task.ops = static_cast<u32>(program.ops.size()) - task.first_op;
  return task;
}

Program read_program(const ordered_json& json) {
  Program program;
  program.endless = get(json, "endless", false);
  program.weak = get(json, "weak", false);
  program.max_instances = get(json, "max_instances", u32{0});
  for (const ordered_json& set : json.at("cpu_sets")) {
    CpuMask mask{};
    for (std::size_t i = 0; i < std::min(mask.words.size(), set.size()); ++i) mask.words[i] = set[i];
    program.cpu_sets.push_back(mask);
  }
  for (const ordered_json& o : json.at("objects")) {
    Object object;
    object.type = static_cast<ObjectType>(std::min(o.at(0).get<u32>(), static_cast<u32>(ObjectType::kTimer)));
    object.kind = o.at(1);
    object.tokens = o.at(2), object.capacity = o.at(3), object.low_water = o.at(4), object.identity = o.at(5);
    if (o.size() > 7) object.page = o.at(7);
    if (object.type == ObjectType::kSet) {
      object.first_member = static_cast<u32>(program.members.size());
      for (const ordered_json& member : o.at(6)) program.members.push_back(member);
      object.members = static_cast<u32>(program.members.size()) - object.first_member;
    }
    program.objects.push_back(object);
  }
  for (const u32 member : program.members)
    if (member >= program.objects.size()) throw std::invalid_argument("a set's member is no object");
  for (const ordered_json& e : json.at("outside")) {
    OutsideEvent event;
    event.at_ns = e.at(0), event.value = e.at(1), event.target = e.at(2), event.cpu = e.at(3), event.softirq = e.at(4);
    program.outside.push_back(event);
  }
  for (const ordered_json& t : json.at("thefts")) program.thefts.push_back({t.at(0), t.at(1), t.at(2), t.at(3)});
  for (const ordered_json& task : json.at("tasks")) program.tasks.push_back(read_task(task, program));
  return seal(std::move(program));
}

}  // namespace

std::string write_workload(const WorkloadFile& file) {
  const Program& program = file.program;
  std::vector<ordered_json> objects, outside, thefts, sets;
  for (const Object& object : program.objects) {
    ordered_json members = ordered_json::array();
    if (object.type == ObjectType::kSet)
      for (u32 i = 0; i < object.members; ++i) members.push_back(program.members[object.first_member + i]);
    objects.push_back({static_cast<u32>(object.type), object.kind, object.tokens, object.capacity, object.low_water,
                       object.identity, members, object.page});
  }
  for (const OutsideEvent& e : program.outside) outside.push_back({e.at_ns, e.value, e.target, e.cpu, e.softirq});
  for (const Theft& t : program.thefts) thefts.push_back({t.at_ns, t.duration_ns, t.cpu, t.kind});
  for (const CpuMask& mask : program.cpu_sets) {
    std::size_t used = mask.words.size();
    while (used > 0 && mask.words[used - 1] == 0) --used;
    sets.emplace_back(std::vector<u64>(mask.words.begin(), mask.words.begin() + static_cast<std::ptrdiff_t>(used)));
  }
  std::string tasks;
  for (std::size_t i = 0; i < program.tasks.size(); ++i)
    tasks += task_text(program, program.tasks[i]) + (i + 1 < program.tasks.size() ? ",\n" : "\n");
  return fmt::format(
      "{{\"schema\": \"{}\",\n\"note\": {},\n\"endless\": {}, \"weak\": {}, \"max_instances\": {},\n"
      "\"cpu_sets\": [\n{}],\n\"objects\": [\n{}],\n\"outside\": [\n{}],\n\"thefts\": [\n{}],\n\"tasks\": [\n{}]}}\n",
      kSchema, ordered_json(file.note).dump(-1, ' ', false, ordered_json::error_handler_t::replace), program.endless,
      program.weak, program.max_instances, lines(sets, "  "), lines(objects, "  "), lines(outside, "  "),
      lines(thefts, "  "), tasks);
}

Expected<WorkloadFile> read_workload(const std::string& text, const std::string& file_name) {
  WorkloadFile file;
  try {
    const ordered_json json = ordered_json::parse(text);
    if (!json.is_object() || get(json, "schema", std::string()) != kSchema)
      return fail(ExitCode::kBadInput, fmt::format("this is no workload of schema {}", kSchema), file_name,
                  "reprise shrink writes them");
    file.note = get(json, "note", std::string());
    file.program = read_program(json);
  } catch (const std::exception& error) {
    return fail(ExitCode::kBadInput, fmt::format("not a workload: {}", error.what()), file_name);
  }
  if (auto fine = check(file.program); !fine)
    return fail(ExitCode::kBadInput, fine.error().what, fmt::format("{}, {}", file_name, fine.error().where));
  return file;
}

}  // namespace reprise::sim
