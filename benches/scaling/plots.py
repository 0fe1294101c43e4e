"""Fits the laws and draws the plots of what `measure.py` wrote: laws.json and SVG files beside it.

    python benches/scaling/plots.py docs/benchmarks/scaling
"""

import io
import json
import pathlib
import re
import sys

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
import numpy as np

import laws

# Light and dark form of each color; contrasts with the ground are at least 4.5.
COLORS = {
    "#ffffff": "#0d1117",  # ground
    "#1f2328": "#e6edf3",  # ink
    "#c9d1d9": "#30363d",  # grid
    "#0060a8": "#58a6ff",
    "#a84300": "#ff9d4d",
    "#00704a": "#4ec9a0",
}
GROUND, INK, GRID, BLUE, ORANGE, GREEN = COLORS
plt.rcParams |= {
    "svg.fonttype": "none", "svg.hashsalt": "scaling", "font.family": "sans-serif",
    "font.sans-serif": ["Arial", "Liberation Sans", "DejaVu Sans"], "font.size": 10,
    "axes.edgecolor": INK, "axes.labelcolor": INK, "axes.titlecolor": INK, "axes.titlesize": 10.5, "axes.facecolor": GROUND,
    "figure.facecolor": GROUND, "text.color": INK, "xtick.color": INK, "ytick.color": INK,
    "grid.color": GRID, "axes.grid": True, "legend.frameon": False, "lines.markersize": 6,
}


def save(figure, path: pathlib.Path) -> None:
    """SVG whose colors follow the reader's setting."""
    figure.tight_layout()
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    rules = "".join(
        f'[style*="{kind}: {light}"]{{{kind}:{dark} !important}}'
        for light, dark in COLORS.items()
        for kind in ("fill", "stroke")
    )
    style = f"<style>@media screen and (prefers-color-scheme:dark){{{rules}}}</style>"
    # Before the first group, and without the identifiers' noise of a metadata block.
    svg = re.sub(r" <metadata>.*?</metadata>\n", "", text.getvalue(), flags=re.S)
    path.write_text(re.sub(r"(<svg[^>]*>\n)", lambda found: found[1] + f" {style}\n", svg, count=1))
    plt.close(figure)


def median(point: dict, key: str) -> float:
    return float(np.median([run[key] for run in point["runs"]]))


def panel(axes, title, x_name, y_name, series, logs=(True, True)):
    """`series` are (x, y, law or none, label, color, marker)."""
    for x, y, law, label, color, marker in series:
        axes.plot(x, y, marker, color=color, label=label, linestyle="none")
        if law:
            fine = np.geomspace(law.get("from", min(x)), max(x), 100)
            axes.plot(fine, laws.value(law, fine), color=color, linewidth=1.2)
    axes.set_title(title)
    axes.set_xlabel(x_name)
    axes.set_ylabel(y_name)
    plain = matplotlib.ticker.FuncFormatter(lambda value, _: f"{value:g}")
    largest = max(max(x) for x, *_ in series)
    if logs[0]:
        axes.set_xscale("log", base=10 if largest > 1000 else 2)
        if largest <= 1000:
            axes.xaxis.set_major_formatter(plain)
    else:
        axes.set_xlim(left=0)
    if logs[1]:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(plain)
        low, high = axes.get_ylim()
        few = matplotlib.ticker.FuncFormatter(lambda value, _: f"{value:g}" if f"{value:e}"[0] in "25" else "")
        axes.yaxis.set_minor_formatter(few if high / low < 30 else matplotlib.ticker.NullFormatter())
        # Room for the legend.
        axes.set_ylim(top=high * (high / low) ** (0.08 * len(series)))
    else:
        axes.set_ylim(bottom=0, top=(1.15 + 0.08 * len(series)) * max(max(y) for _, y, *_ in series))
    axes.set_axisbelow(True)
    axes.legend(loc="upper left", fontsize=8.5, handletextpad=0.3)


def from_size(x: list, size: int) -> int:
    """Where sizes from `size` on begin; at the start if fewer than two are so large."""
    first = sum(value < size for value in x)
    return first if len(x) - first > 1 else 0


def prepare_series(found: dict) -> tuple[dict, list]:
    threads = found["threads"]
    points = [point for point in found["points"] if point["threads"] == threads]
    x = [point["slices"] for point in points]
    seconds, memory = ([median(point, key) for point in points] for key in ("seconds", "peak_mb"))
    # 100 slices are of two patients, who have fewer slices with a pancreas than the mean of all twenty.
    first = from_size(x, 1000)
    late = laws.power(x[first:], seconds[first:])["k"]
    fits = {
        "time": laws.power(x, seconds) | {"exponent_from_1000": late, "expected": "n^1"},
        "memory": laws.polynomial(x, memory, (0, 1)) | {"expected": "constant", "exponent": laws.power(x, memory)["k"]},
    }
    one, kilobytes = fits["time"], 1e3 * fits["memory"]["b"]
    time = (x, seconds, one, f"n^{one['k']:.2f}, from 1000 on n^{late:.2f} (expected n^1)", BLUE, "o")
    space = (x, memory, fits["memory"], f"{fits['memory']['a']:.0f} MB + {kilobytes:.2f} KB a slice", BLUE, "o")
    return fits, [time, space]


def audit_series(found: dict) -> tuple[dict, list]:
    points = found["points"]
    x = [point["slices"] for point in points]
    fits, series = {}, []
    kinds = (("audit_alone", "whole", ORANGE, "s"), ("audit_without_probe", "without probe", GREEN, "D"))
    for name, words, color, marker in kinds:
        of = lambda key: [float(np.median([run[name][key] for run in point["runs"]])) for point in points]
        seconds, memory = of("seconds"), of("peak_mb")
        # The first sizes are over in hundredths of a second.
        first = from_size(x, 1000)
        exponent = laws.power(x[first:], seconds[first:])["k"]
        time = laws.polynomial(x[first:], seconds[first:], (1, 2)) | {"from": x[first], "exponent": exponent}
        fits[name] = {
            "time": time | {"expected": "linear in images + quadratic (pairs of images)"},
            "memory": laws.polynomial(x, memory, (0, 1)) | {"expected": "linear"},
        }
        series.append((x, seconds, fits[name]["time"], f"{words}, b n + c n², exponent {exponent:.2f}", color, marker))
    return fits, series


def train_series(found: dict) -> tuple[dict, dict]:
    fits, series = {}, {}
    for name, points, key, degree in (
        ("batch", found["against_batch"], "batch", 1),
        ("positions", found["against_positions"], "positions", 2),
    ):
        x = [point[key] for point in points]
        # The quickest step: what the machine does beside only ever adds.
        milliseconds = [min(min(run["ms"]) for run in point["runs"]) for point in points]
        memory = [min(run["peak_mb"] for run in point["runs"]) for point in points]
        degrees = tuple(range(degree + 1))
        law = laws.polynomial(x, milliseconds, degrees)
        k = laws.offset_power(x, milliseconds)["k"]
        # Below, what weights and update hold is the peak, whatever the batch.
        floor = 1.1 * min(memory)
        large = [(n, value) for n, value in zip(x, memory) if value > floor]
        small = [(n, value) for n, value in zip(x, memory) if value <= floor]
        space = laws.polynomial(*zip(*large), degrees) if len(large) > degree else None
        expected = {1: "n^1", 2: "a + b n + c n^2"}[degree]
        fits[name] = {"time": law | {"exponent": k, "expected": expected}, "memory": (space or {}) | {"floor": min(memory)}}
        if degree == 2:
            parts = {"constant": law["a"], "linear": law["b"] * max(x), "quadratic": law["c"] * max(x) ** 2}
            whole = sum(parts.values())
            fits[name]["time"] |= {"at_largest": {part: value / whole for part, value in parts.items()}}
        form = {1: "a + b n", 2: "a + b n + c n²"}[degree]
        words = f"{form}, exponent {k:.2f} ({'expected 1' if degree == 1 else '1 to 2'})"
        series[name] = [(x, milliseconds, law, words, BLUE, "o")]
        for points_of, fit, label, color, marker in (
            (large, space, form, GREEN, "o"),
            (small, None, "held by weights and update", ORANGE, "^"),
        ):
            if points_of:
                series[name].append((*zip(*points_of), fit, label, color, marker))
    return fits, series


def serve_series(found: dict) -> tuple[dict, dict]:
    fits, series = {}, {"latency": [], "throughput": [], "memory": []}
    for kind, color, marker in (("new_pictures", BLUE, "o"), ("own_pictures", GREEN, "D")):
        points = found[kind]
        x = [point["chats"] for point in points]
        of = lambda key: [median(point, key) for point in points]
        p50, p99, rate, memory = of("p50_ms"), of("p99_ms"), of("answers_per_s"), of("peak_mb")
        # One chat alone leaves the model idle while its picture is read; from two on it always has work.
        many = from_size(x, 2)
        words = kind.replace("_", " ")
        flat = laws.power(x[many:], rate[many:]) | {"from": 2, "expected": "n^0"}
        shown = flat if kind == "new_pictures" else None
        label = f"{words}, n^{flat['k']:.2f} (expected n^0)"
        series["throughput"].append((x, rate, shown, label, color, marker))
        fits[kind] = {"throughput": flat}
        if kind == "own_pictures":
            continue
        for name, values, tint, sign in (("p50", p50, BLUE, "o"), ("p99", p99, ORANGE, "s")):
            k = laws.offset_power(x, values)["k"]
            fits[kind][name] = laws.polynomial(x, values, (0, 1)) | {"exponent": k, "expected": "n^1"}
            series["latency"].append((x, values, fits[kind][name], f"{name}, exponent {k:.2f} (expected 1)", tint, sign))
        fits[kind]["memory"] = line = laws.polynomial(x, memory, (0, 1))
        series["memory"].append((x, memory, line, f"{line['a']:.0f} MB + {line['b']:.2f} MB a chat", BLUE, "o"))
    return fits, series


def main() -> None:
    folder = pathlib.Path(sys.argv[1])
    files = [folder / f"{name}.json" for name in ("prepare", "audit", "train", "serve")]
    found = {file.stem: json.loads(file.read_text()) for file in files if file.is_file()}
    fits, first = {}, {}
    if "prepare" in found:
        fits["prepare"], (time, space) = prepare_series(found["prepare"])
        first["prepare"] = time
        panels = [
            ("Preparation, time", "slices", "s", [time], (True, True)),
            ("Preparation, peak memory", "slices", "MB", [space], (False, False)),
        ]
        if "audit" in found:
            fits["audit"], series = audit_series(found["audit"])
            panels.append(("Audit, time", "slices prepared before", "s", series, (True, True)))
        figure, axes = plt.subplots(1, len(panels), figsize=(4.2 * len(panels), 3.6))
        for at, one in zip(axes, panels):
            panel(at, *one)
        save(figure, folder / "prepare.svg")
    if "train" in found:
        fits["train"], series = train_series(found["train"])
        first["train"] = series["positions"][0]
        figure, axes = plt.subplots(2, 2, figsize=(8.6, 7))
        for row, (name, x_name) in zip(axes, (("batch", "rows of 60 positions"), ("positions", "positions, batch 4"))):
            panel(row[0], "Training step, time", x_name, "ms", [series[name][0]])
            panel(row[1], "Training step, peak memory", x_name, "MB", series[name][1:], (False, False))
        save(figure, folder / "train.svg")
    if "serve" in found:
        fits["serve"], series = serve_series(found["serve"])
        first["serve"] = series["latency"]
        figure, axes = plt.subplots(1, 3, figsize=(12.6, 3.6))
        panel(axes[0], "Chat server, time of an answer", "parallel chats", "ms", series["latency"])
        panel(axes[1], "Chat server, throughput", "parallel chats", "answers/s", series["throughput"], (True, False))
        panel(axes[2], "Chat server, peak memory", "parallel chats", "MB", series["memory"], (False, False))
        save(figure, folder / "serve.svg")
    if len(first) == 3:
        figure, axes = plt.subplots(1, 3, figsize=(12.6, 3.6))
        panel(axes[0], "Preparation", "slices", "s", [first["prepare"]])
        panel(axes[1], "Training step, batch 4", "positions", "ms", [first["train"]])
        panel(axes[2], "Chat server, time of an answer", "parallel chats", "ms", first["serve"])
        save(figure, folder / "scaling.svg")
    (folder / "laws.json").write_text(json.dumps(fits, indent=1) + "\n")
    print(json.dumps(fits, indent=1))


if __name__ == "__main__":
    main()
