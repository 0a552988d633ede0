// SPDX-License-Identifier: GPL-2.0-only
#include "sim/kernel/costs.h"

namespace reprise::sim {
namespace {

constexpr CostField kFields[] = {
    {"schedule", &Costs::schedule, "choosing the next task"},
    {"block", &Costs::block, "a call that has to wait, beyond one that need not"},
    {"context_switch", &Costs::context_switch, "switching to another task"},
    {"preempt", &Costs::preempt, "taking a task off its CPU, up to the switch"},
    {"migration_llc", &Costs::migration_llc, "first run on another CPU of the same last-level cache"},
    {"migration_far", &Costs::migration_far, "first run on a CPU of another last-level cache"},
    {"wakeup", &Costs::wakeup, "waking a task, paid by the waker"},
    {"wakeup_ipi", &Costs::wakeup_ipi, "until an interrupt sent to another CPU is acted on"},
    {"idle_ipi", &Costs::idle_ipi, "what that takes longer where the other CPU is idle"},
    {"idle_exit", &Costs::idle_exit, "until an idle CPU has left its idle loop"},
    {"tick", &Costs::tick, "the periodic timer interrupt"},
    {"timer", &Costs::timer, "a timer's interrupt"},
    {"soft_timer", &Costs::soft_timer, "until a timer of the dispatcher's has its callback called"},
    {"yield", &Costs::yield, "sched_yield"},
    {"fork", &Costs::fork, "creating a task, paid by the parent"},
    {"exit", &Costs::exit, "a task's way out"},
    {"balance", &Costs::balance, "the fair class's search for work before a CPU goes idle, per domain"},
    {"bpf_select_cpu", &Costs::bpf_select_cpu, "ops.select_cpu"},
    {"bpf_enqueue", &Costs::bpf_enqueue, "ops.enqueue"},
    {"bpf_dispatch", &Costs::bpf_dispatch, "ops.dispatch"},
    {"bpf_decision", &Costs::bpf_decision, "carrying out one decision"},
    {"bpf_running", &Costs::bpf_running, "ops.running, ops.stopping"},
    {"enter", &Costs::enter, "from the scheduler's switch-in until it looks for events, instead of context_switch"},
    {"step", &Costs::step, "a step of the scheduler"},
    {"step_event", &Costs::step_event, "per event in a step"},
    {"step_decision", &Costs::step_decision, "per decision of a step"},
    {"leave", &Costs::leave, "from the scheduler's last step until another task runs"},
    {"leave_decision", &Costs::leave_decision, "per decision that waits then"},
    {"turn", &Costs::turn, "a turn of the scheduler's loop that finds nothing to do"},
    {"restart", &Costs::restart, "between two sessions"},
};
static_assert(sizeof(Costs) == std::size(kFields) * sizeof(u64));

}  // namespace

std::span<const CostField> cost_fields() { return kFields; }

}  // namespace reprise::sim
