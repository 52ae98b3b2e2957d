"""What a run has found, as tables and as a picture."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from contenders import CONTENDERS, EAGER, TITLES
from workloads import growth_of_work

BEGIN, END = "<!-- tables of make bench -->", "<!-- end of the tables of make bench -->"
PICTURE = "![PyTorch eager's time divided by minikeras's, by workload and for random shapes](images/performance.png)"
OWN = {contender.name: TITLES[contender.name] for contender in CONTENDERS if contender.own}
KERAS = [contender.name for contender in CONTENDERS if contender.name.startswith("keras")]
MEASURES = {
    "step": "One training step (`train_on_batch`)",
    "fit": "`fit`, per call of 4 steps",
    "predict": "`predict`, per call of 4 batches; PyTorch: one batch",
    "one": "`predict` of one sample",
}
BATCHES = {"fit": 4, "predict": 4}  # in a call of a library with Keras's API


def markdown(results: dict[str, Any]) -> str:
    """All tables of a run."""
    parts: list[Callable[[dict[str, Any]], str]] = [
        _machine,
        _figures,
        _workloads,
        _limits,
        _operations,
        _shapes,
        _growth,
        _memory,
        _imports,
        _profiles,
    ]
    return "\n\n".join(text for text in (part(results) for part in parts) if text)


def write_page(path: Path, tables: str) -> None:
    """Put the tables between their markers; what stands around them stays.

    Raises:
        ValueError: If the page has no markers.
    """
    text = path.read_text(encoding="utf-8")
    if BEGIN not in text or END not in text:
        raise ValueError(f"{path} must have the lines {BEGIN!r} and {END!r}")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    path.write_text(f"{before}{BEGIN}\n\n{PICTURE}\n\n{tables}\n\n{END}{after}", encoding="utf-8")


# ---------------------------------------------------------------------- numbers


def time_of(times: dict[str, Any], names: str | Sequence[str], statistic: str = "min", batches: bool = False) -> Any:
    """The shortest time of some contenders, or None."""
    names = [names] if isinstance(names, str) else names
    found = [times[name][statistic] for name in names if statistic in times.get(name, {})]
    return min(found) if found else None


def per_batch(measure: str, name: str, milliseconds: float | None) -> float | None:
    """What a batch takes: libraries with Keras's API are given several at once."""
    if milliseconds is None:
        return None
    return milliseconds / (1 if name.startswith("torch") else BATCHES.get(measure, 1))


def ratios(results: dict[str, Any], measure: str, own: str, peers: Sequence[str], statistic: str = "min") -> dict:
    """By workload how many times as long the fastest of some peers takes as one of ours."""
    found = {}
    for workload, measures in results.get("workloads", {}).items():
        times = measures[measure]
        ours = per_batch(measure, own, time_of(times, own, statistic))
        theirs = [per_batch(measure, name, time_of(times, name, statistic)) for name in peers]
        known = [value for value in theirs if value is not None]
        if ours and known:
            found[workload] = min(known) / ours
    return found


def geometric_mean(values: Iterable[float]) -> float | None:
    """The geometric mean, or None of nothing."""
    logs = [math.log(value) for value in values]
    return math.exp(statistics.fmean(logs)) if logs else None


def shape_ratios(results: dict[str, Any], part: str, own: str) -> dict[str, float]:
    """By single layer how many times as long PyTorch eager takes as one of ours."""
    found = {}
    for item in results.get(part, []):
        ours, theirs = time_of(item["times"], own), time_of(item["times"], EAGER)
        if ours and theirs:
            found[f"{item['layer']}: {item['part']}"] = theirs / ours
    return found


def _measured(results: dict[str, Any]) -> list[dict[str, Any]]:
    """What was timed, each by contender."""
    found = [times for measures in results.get("workloads", {}).values() for times in measures.values()]
    found += [item["times"] for part in ("operations", "shapes") for item in results.get(part, [])]
    return found + [item["times"] for factors in results.get("growth", {}).values() for item in factors.values()]


def _present(results: dict[str, Any]) -> list[str]:
    measured = [*_measured(results), *results.get("memory", {}).values()]
    return [c.name for c in CONTENDERS if any(c.name in times for times in measured)]


def _own(results: dict[str, Any]) -> list[str]:
    return [name for name in _present(results) if name in OWN]


# ---------------------------------------------------------------------- tables


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [list(head), ["---", *["---:"] * (len(head) - 1)], *[list(row) for row in rows]]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _ms(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.3g}"


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _machine(results: dict[str, Any]) -> str:
    of = results["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    rounds = [times["rounds"] for group in _measured(results) for times in group.values() if "rounds" in times]
    done = "" if not rounds else f"{min(rounds)} " if min(rounds) == max(rounds) else f"{min(rounds)} to {max(rounds)} "
    threads = results.get("options", {}).get("threads")
    held = f" Every contender was held to {threads} thread{'s' * (threads > 1)}." if threads else ""
    peak = f"{held} float32 products reach {results['peak']:.0f} GFLOP/s." if results.get("peak") else held
    used = of.get("used", [])
    busy = "**The machine was busy: these numbers say little.** " if used and max(used) > 0.25 * of["cores"] else ""
    others = f"; others used {min(used):.1f} to {max(used):.1f} cores" if used else ""
    return (
        f"{busy}{of['processor']}, {of['cores']} cores, {of['system']}, Python {of['python']}; {versions}.{peak} "
        f"{done}rounds{others}. Times are milliseconds, the minimum and in parentheses the median."
    )


def _figures(results: dict[str, Any]) -> str:
    """The ratios that sum everything up."""
    lines: list[tuple[str, Callable[[str], str]]] = []
    for title, measure, peers in (
        ("training step, PyTorch eager", "step", EAGER),
        ("training step, Keras 3 TensorFlow", "step", ["keras-tensorflow"]),
        ("`fit`, Keras 3 TensorFlow, all but `digits`", "fit", ["keras-tensorflow"]),
        ("`predict`, PyTorch eager", "predict", EAGER),
        ("`predict` of one sample, PyTorch eager", "one", EAGER),
        ("`predict` of one sample, the fastest Keras 3", "one", KERAS),
    ):

        def mean_and_worst(own: str, measure: str = measure, peers: Sequence[str] = peers) -> str:
            found = ratios(results, measure, own, peers)
            if measure == "fit":
                found.pop("digits", None)
            return f"{_ratio(geometric_mean(found.values()))} ({_ratio(min(found.values()))})" if found else ""

        lines.append((title, mean_and_worst))
    lines.insert(
        3,
        (
            "`fit`, Keras 3 TensorFlow, `digits`",
            lambda own: _ratio(ratios(results, "fit", own, ["keras-tensorflow"]).get("digits")),
        ),
    )

    def of_shapes(own: str) -> str:
        found = shape_ratios(results, "shapes", own).values()
        return f"{_ratio(geometric_mean(found))} ({_ratio(min(found))})" if found else ""

    lines.append((f"{len(results.get('shapes', []))} random shapes, PyTorch eager", of_shapes))
    lines.append(("memory that training adds, PyTorch eager, `mnist`", lambda own: _ratio(_memory_ratio(results, own))))
    rows = [[title, *[value(own) for own in _own(results)]] for title, value in lines]
    rows = [row for row in rows if any(row[1:])]
    if not rows:
        return ""
    head = ["the peer's time divided by ours: geometric mean (worst)", *[OWN[name] for name in _own(results)]]
    return f"### In short\n\nAbove 1 minikeras is faster.\n\n{_table(head, rows)}"


def _memory_ratio(results: dict[str, Any], own: str, workload: str = "mnist") -> float | None:
    added = {name: item.get("added") for name, item in results.get("memory", {}).get(workload, {}).items()}
    theirs = [added[name] for name in EAGER if added.get(name)]
    return min(theirs) / added[own] if theirs and added.get(own) else None


def _workloads(results: dict[str, Any]) -> str:
    found = results.get("workloads")
    return "\n\n".join(_measure(results, measure, title) for measure, title in MEASURES.items()) if found else ""


def _measure(results: dict[str, Any], measure: str, title: str) -> str:
    """The times of one measurement, and the ratios of the others to ours."""
    workloads = results["workloads"]
    names = [name for name in _present(results) if any(name in workloads[w][measure] for w in workloads)]
    rows = []
    for name in names:
        cells = []
        for workload in workloads:
            times = workloads[workload][measure]
            pair = [per_batch(measure, name, time_of(times, name, s)) for s in ("min", "median")]
            failed = "failed" if "error" in times.get(name, {}) else ""
            cells.append(failed if pair[0] is None else f"{_ms(pair[0])} ({_ms(pair[1])})")
        rows.append([TITLES[name], *cells, ""])
    own = [name for name in names if name in OWN]
    peers = {"PyTorch eager": EAGER, **{TITLES[name]: [name] for name in names if name not in (*own, *EAGER)}}
    if measure == "one":
        peers["the fastest Keras 3"] = KERAS
    for ours in own:
        for peer, theirs in peers.items():
            found = ratios(results, measure, ours, theirs)
            if found:
                mean = _ratio(geometric_mean(found.values()))
                rows.append([f"{peer} / {OWN[ours]}", *[_ratio(found.get(w)) for w in workloads], mean])
    head = [TITLE_OF_UNIT[measure], *[f"`{name}`" for name in workloads], "mean"]
    return f"### {title.partition(',')[0]}\n\n{_table(head, rows)}"


TITLE_OF_UNIT = {"step": "ms", "fit": "ms per step", "predict": "ms per batch", "one": "ms"}


def _limits(results: dict[str, Any]) -> str:
    """How much of a step the products alone would take at the machine's speed."""
    peak, profiles, workloads = results.get("peak"), results.get("profile", {}), results.get("workloads", {})
    own = [name for name in _own(results) if name in profiles]
    known = [w for w in workloads if own and "products" in profiles[own[0]].get(w, {})]
    if not peak or not known:
        return ""
    products = {w: profiles[own[0]][w]["products"] / 1e9 for w in known}
    rows = [["GFLOP of a step's products", *[f"{products[w]:.3g}" for w in known]]]
    rows.append(["limit, ms", *[_ms(1e3 * products[w] / peak) for w in known]])
    for name in (*own, *[name for name in EAGER if name in _present(results)]):
        times = [time_of(workloads[w]["step"], name) for w in known]
        shares = ["" if t is None else f"{1e3 * products[w] / peak / t:.0%}" for w, t in zip(known, times, strict=True)]
        rows.append([f"{TITLES[name]}, % of limit", *shares])
    return (
        "### What the products allow\n\nThe limit is a step that does nothing but its products (convolutions and dense "
        "layers, forward and backward) at the speed of the fastest large product; a method that multiplies less, such "
        f"as Winograd's, may pass it.\n\n{_table(['', *[f'`{w}`' for w in known]], rows)}"
    )


def _operations(results: dict[str, Any]) -> str:
    return _cases(results, "operations", "Single operations", results.get("operations", []))


def _cases(results: dict[str, Any], part: str, title: str, items: list[dict[str, Any]]) -> str:
    if not items:
        return ""
    own = [name for name in _own(results) if any(name in item["times"] for item in items)]
    rows = []
    for item in items:
        ours = [time_of(item["times"], name) for name in own]
        theirs = time_of(item["times"], (*EAGER, "torch-fused"))
        shares = [theirs / value if value and theirs else None for value in ours]
        rows.append([f"{item['layer']}: {item['part']}", *map(_ms, ours), _ms(theirs), *map(_ratio, shares)])
    head = ["ms", *[OWN[name] for name in own], "PyTorch, the best", *[f"ratio, {OWN[name]}" for name in own]]
    return f"### {title}\n\n{_table(head, rows)}"


def _shapes(results: dict[str, Any]) -> str:
    """Ratios by kind of layer; then the worst ones."""
    items = results.get("shapes", [])
    own = [name for name in _own(results) if shape_ratios(results, "shapes", name)]
    if not items or not own:
        return ""
    kinds = dict.fromkeys(f"{item['case']['kind']} {len(item['case']['size'])}-D" for item in items)
    rows = []
    for kind in [*kinds, "all"]:
        chosen = {
            **results,
            "shapes": [i for i in items if kind in ("all", f"{i['case']['kind']} {len(i['case']['size'])}-D")],
        }
        cells = []
        for name in own:
            found = shape_ratios(chosen, "shapes", name).values()
            cells.append(f"{_ratio(geometric_mean(found))} ({_ratio(min(found))})" if found else "")
        rows.append([kind, str(len(chosen["shapes"])), *cells])
    seed = results.get("options", {}).get("seed", "?")
    worst = sorted(items, key=lambda item: min([r for n in own if (r := _case_ratio(item, n))], default=math.inf))[:8]
    head = ["layers, forward and backward", "shapes", *[OWN[name] for name in own]]
    return (
        f"### Random shapes\n\nDrawn with seed {seed}; PyTorch eager's time divided by ours, geometric mean (worst)."
        f"\n\n{_table(head, rows)}\n\n{_cases(results, 'shapes', 'The worst of them', worst)}"
    )


def _case_ratio(item: dict[str, Any], own: str) -> float | None:
    ours, theirs = time_of(item["times"], own), time_of(item["times"], EAGER)
    return theirs / ours if ours and theirs else None


def _growth(results: dict[str, Any]) -> str:
    """Time per operation and memory, against those of the smallest network."""
    found = results.get("growth", {})
    rows, memory = [], []
    for axis, factors in found.items():
        first = next(iter(factors.values()))
        for name in [n for n in _present(results) if n in first["times"] and "min" in first["times"][n]]:
            base = first["times"][name]["min"]
            cells = [
                _ratio(time_of(item["times"], name) / base / growth_of_work(axis, int(factor)))
                if time_of(item["times"], name)
                else ""
                for factor, item in factors.items()
            ]
            rows.append([f"{axis}: {TITLES[name]}", *cells])
        ends = [item for item in factors.values() if item.get("added") and item.get("activations")]
        if len(ends) == 2:
            a, b = ends
            outputs, added = (b[key] / a[key] for key in ("activations", "added"))
            memory.append(f"{axis} {outputs:.1f}× the layers' outputs, {added:.1f}× the memory")
    if not rows:
        return ""
    head = ["time per operation", *[f"{factor}×" for factor in next(iter(found.values()))]]
    text = (
        "### Growth\n\nA step of a network of 3×3 convolutions whose batch, pixels or layers double, per operation "
        f"and relative to the smallest.\n\n{_table(head, rows)}"
    )
    return text + (f"\n\nMemory that training adds, from end to end: {'; '.join(memory)}." if memory else "")


def _memory(results: dict[str, Any]) -> str:
    found = results.get("memory", {})
    if not found:
        return ""
    names = [name for name in _present(results) if any("added" in found[w].get(name, {}) for w in found)]
    rows = [
        [
            TITLES[name],
            *[f"{a / 1e6:.0f}" if (a := found[w].get(name, {}).get("added")) is not None else "" for w in found],
        ]
        for name in names
    ]
    return f"### Memory that training adds\n\n{_table(['MB', *[f'`{w}`' for w in found]], rows)}"


def _imports(results: dict[str, Any]) -> str:
    found = results.get("import", {})
    rows = [[name, f"{min(times):.2f} ({statistics.median(times):.2f})"] for name, times in found.items() if times]
    return f"### Import\n\n{_table(['', 's'], rows)}" if rows else ""


def _profiles(results: dict[str, Any]) -> str:
    """The operations that a step spends most time on."""
    blocks = []
    for name, profiles in results.get("profile", {}).items():
        rows = []
        for workload, found in profiles.items():
            if "rows" in found:
                largest = sorted(found["rows"], key=lambda row: -row["ms"])[:5]
                cells = [
                    f"{row['layer']} {row['operation']} {row['ms'] / found['ms']:.0%}".replace("  ", " ")
                    for row in largest
                ]
                rows.append([f"`{workload}`", "; ".join(cells)])
        if rows:
            blocks.append(f"### Where a step's time goes: {OWN[name]}\n\n{_table(['', 'share of the step'], rows)}")
    return "\n\n".join(blocks)


# ---------------------------------------------------------------------- picture

COLORS = {"numpy": "tab:blue", "numba": "tab:orange"}


def draw(results: dict[str, Any], path: Path) -> None:
    """Draw the ratios to PyTorch eager: workloads by measurement, and random shapes in order."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12.0, 6.4), layout="constrained")
    figure.suptitle("PyTorch eager's time divided by ours: above 1 minikeras is faster")
    *panels, last = figure.subplots(2, 2).ravel()
    own = _own(results)
    for axes, measure in zip(panels, ("step", "predict", "one"), strict=True):
        for i, name in enumerate(own):
            found = ratios(results, measure, name, EAGER)
            places = [place + (i - (len(own) - 1) / 2) * 0.8 / len(own) for place in range(len(found))]
            heights = [ratio - 1.0 for ratio in found.values()]
            axes.bar(places, heights, 0.8 / len(own), bottom=1.0, label=OWN[name], color=COLORS[name])
            axes.set_xticks(range(len(found)), list(found), rotation=20)
        _finish(axes, {"step": "training step", "predict": "predict", "one": "predict of one sample"}[measure])
    for name in own:
        found = sorted(shape_ratios(results, "shapes", name).values())
        last.plot(range(1, len(found) + 1), found, ".", label=OWN[name], color=COLORS[name])
    _finish(last, "random shapes, forward and backward, in order")
    figure.legend(*last.get_legend_handles_labels(), loc="outside lower center", ncols=len(own) or 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def _finish(axes: Any, title: str) -> None:
    """A logarithmic axis, on which twice as fast is as far from 1 as half as fast."""
    axes.set(title=title, yscale="log")
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, 0.5), max(high, 2.0))
    marks = [digit * 10.0**power for power in range(-3, 4) for digit in (1, 2, 5)]
    axes.set_yticks([mark for mark in marks if min(low, 0.5) <= mark <= max(high, 2.0)])
    axes.yaxis.set_major_formatter("{x:g}")
    axes.minorticks_off()
    axes.axhline(1.0, color="black", linewidth=0.8)
    axes.grid(axis="y", alpha=0.3)
