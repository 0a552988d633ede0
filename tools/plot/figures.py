# SPDX-License-Identifier: GPL-2.0-only
"""The figures. Colours are those that most people can tell apart (Okabe and Ito), beside them dashes."""

import math
import statistics

import matplotlib
import matplotlib.pyplot as pyplot
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

from results import Refusal

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#6B4C9A", "#333333")
DASHES = ("-", (0, (6, 2)), (0, (2, 1.5)), (0, (8, 2, 2, 2)))
TITLES = {
    "wakeup_latency_ns": "Wakeup latency",
    "run_delay_ns": "Run delay",
    "slice_ns": "Slice",
    "p50_wakeup_latency_ns": "Wakeup latency, p50",
    "p99_wakeup_latency_ns": "Wakeup latency, p99",
    "p99_run_delay_ns": "Run delay, p99",
    "max_wait_ns": "Longest wait",
    "makespan_ns": "Makespan",
    "mean_slice_ns": "Slice, mean",
    "context_switches": "Context switches",
    "migrations": "Migrations",
    "cpu_utilisation": "CPUs busy, part",
    "fairness_jain": "Fairness (Jain)",
}
WAITS, OTHER, MANY = "#B3261E", "#D5DADF", "#AEB6BE"
LETTER_INCHES = 0.075  # width of one in the lanes' font, about

matplotlib.rcParams.update({
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E3E6E9",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "pdf.fonttype": 42,
    "svg.hashsalt": "reprise",  # the same picture is the same bytes
    "svg.fonttype": "none",
})


def duration(ns, _position=None):
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if abs(ns) >= size * 0.9995:
            return f"{ns / size:.3g} {unit}"
    return f"{ns:.0f} ns"


def styles(runs):
    """A style per name: all seeds of a policy look the same."""
    made = {}
    for run in runs:
        if run.name in made:
            continue
        number = sum(not style.get("recorded", False) for style in made.values())
        made[run.name] = ({"color": "#8A939B", "linewidth": 3, "alpha": 0.6, "recorded": True} if run.recorded else
                          {"color": COLOURS[number % len(COLOURS)], "linestyle": DASHES[number % len(DASHES)],
                           "linewidth": 1.5})
    return made


def details_of(run):
    if run.details is None:
        raise Refusal(f"the run of {run.name} has no details", "its key 'details' is null",
                      "the first seed of each policy has them; write the result anew with this reprise")
    return run.details


def percentile_name(depth):
    return "all" if depth == 0 else "p" + f"{100 * (1 - 10 ** -depth):.{max(depth - 2, 0)}f}"


def cdf(runs, quantity, size):
    figure, axes = pyplot.subplots(figsize=size or (4.6, 3.1), layout="constrained")
    style_of = styles(runs)
    drawn, most, left = set(), 0, math.inf
    for run in runs:
        if run.details is None or run.name in drawn:
            continue
        histogram = run.details["histograms"][quantity]
        upper, counts = histogram["upper_ns"], histogram["count"]
        total = sum(counts)
        if total == 0:
            continue
        drawn.add(run.name)
        most = max(most, total)
        shares, above = [1.0], total
        for count in counts[:-1]:
            above -= count
            shares.append(above / total)
        xs = [max(value, 1) for value in upper]
        # A few very short ones would leave no room for the others.
        left = min(left, next((x for x, share in zip(xs, shares[1:] + [0.0]) if share <= 0.99), xs[-1]))
        style = {key: value for key, value in style_of[run.name].items() if key != "recorded"}
        axes.step(xs, shares, where="pre", label=run.name, **style)
    if not drawn:
        details_of(runs[0])
        raise Refusal(f"has no values of {quantity}", runs[0].name)
    depth = min(max(math.ceil(math.log10(most)), 2), 6)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_ylim(10.0 ** -depth, 1.1)
    # What is shorter than that lies beyond the left edge.
    axes.set_xlim(left=max(left * 0.8, axes.get_xlim()[1] / 1e6))
    levels = [1.0, 0.5] + [10.0 ** -i for i in range(1, depth + 1)]
    names = ["all", "p50"] + [percentile_name(i) for i in range(1, depth + 1)]
    axes.yaxis.set_major_locator(FixedLocator(levels))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda _value, index: names[index] if index is not None else ""))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(duration))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(TITLES[quantity])
    axes.set_ylabel("share that is longer")
    axes.legend(loc="lower left", fontsize=8)
    return figure


def lanes(axes, moment, colours):
    start, span = moment["runnable_ns"], max(moment["to_ns"] - moment["from_ns"], 1)
    width_inches = axes.figure.get_figwidth() * 0.82
    for row, cpu in enumerate(moment["cpus"], 1):
        for stay in cpu["stays"]:
            begin, length = stay["begin_ns"] - start, stay["end_ns"] - stay["begin_ns"]
            task = None if stay["tid"] is None else (stay["comm"], stay["tid"])
            axes.barh(row, length, left=begin, height=0.72, color=MANY if task is None else colours.get(task, OTHER),
                      edgecolor="white", linewidth=0.3)
            name = "" if task is None else stay["comm"].replace("$", r"\$")
            if name and len(name) * LETTER_INCHES < length / span * width_inches:
                axes.text(begin + length / 2, row, name, ha="center", va="center", fontsize=7, clip_on=True,
                          color="white" if task in colours else "black")


def timeline(runs, size):
    run = runs[0]
    moment = details_of(run)["worst_moment"]
    if moment is None:
        raise Refusal("nobody waited in this run", run.name, "choose another one with --policy")
    times = {}
    for cpu in moment["cpus"]:
        for stay in cpu["stays"]:
            if stay["tid"] is not None:
                task = (stay["comm"], stay["tid"])
                times[task] = times.get(task, 0) + stay["end_ns"] - stay["begin_ns"]
    waiter = (moment["comm"], moment["tid"])
    order = sorted((task for task in times if task != waiter), key=lambda task: (-times[task], task))
    colours = dict(zip(order, COLOURS[:7]))
    colours[waiter] = WAITS
    count = len(moment["cpus"])
    figure, axes = pyplot.subplots(figsize=size or (7, 1.3 + 0.26 * (count + 1)), layout="constrained")
    axes.grid(axis="y", visible=False)
    axes.barh(0, moment["wait_ns"], height=0.72, facecolor="#F7D4D1", edgecolor=WAITS, linewidth=0.8)
    name = f"{moment['comm']}[{moment['tid']}]".replace("$", r"\$")
    axes.text(moment["wait_ns"] / 2, 0, f"{name} waits {duration(moment['wait_ns'])}", ha="center",
              va="center", fontsize=7.5)
    lanes(axes, moment, colours)
    for at in (0, moment["wait_ns"]):
        axes.axvline(at, color=WAITS, linewidth=0.8, linestyle=(0, (3, 2)))
    axes.set_yticks(range(count + 1), ["waits"] + [f"CPU {cpu['cpu']}" for cpu in moment["cpus"]])
    axes.set_ylim(count + 0.6, -0.6)
    axes.set_xlim(moment["from_ns"] - moment["runnable_ns"], moment["to_ns"] - moment["runnable_ns"])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda ns, _: "0" if ns == 0 else duration(ns)))
    axes.set_xlabel(f"time since it could have run, under {run.name}")
    return figure


def policies(runs, metrics, size):
    names = list(dict.fromkeys(run.name for run in runs))
    style_of = styles(runs)
    columns = min(len(metrics), 2)
    rows = math.ceil(len(metrics) / columns)
    figure, grid = pyplot.subplots(rows, columns, squeeze=False, layout="constrained",
                                   figsize=size or (3.4 * columns, rows * (0.75 + 0.24 * len(names))))
    for number, axes in enumerate(grid.flat):
        if number >= len(metrics):
            axes.set_visible(False)
            continue
        metric = metrics[number]
        axes.grid(axis="y", visible=False)
        for row, name in enumerate(names):
            values = [run.metric(metric) for run in runs if run.name == name]
            middle = statistics.median(values)
            spread = [[middle - min(values)], [max(values) - middle]] if len(values) > 1 else None
            axes.barh(row, middle, height=0.7, color=style_of[name]["color"], xerr=spread,
                      error_kw={"linewidth": 1, "capsize": 2})
            text = duration(middle) if metric.endswith("_ns") else f"{middle:,.4g}"
            axes.annotate(text, (max(values), row), xytext=(4, 0), textcoords="offset points", va="center", fontsize=7.5)
        axes.set_yticks(range(len(names)), names)
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.set_title(TITLES[metric], fontsize=9, loc="left")
        axes.margins(x=0.22)
        axes.set_xlim(left=0)
        if metric.endswith("_ns"):
            axes.xaxis.set_major_formatter(FuncFormatter(lambda ns, _: "0" if ns == 0 else duration(ns)))
        axes.locator_params(axis="x", nbins=4)
    return figure


def save(figure, path):
    # No date in the file.
    suffix = path.rsplit(".", 1)[-1].lower()
    metadata = {"pdf": {"CreationDate": None}, "svg": {"Date": None}, "png": {"Software": None}}[suffix]
    figure.savefig(path, dpi=200, metadata=metadata)
    pyplot.close(figure)
