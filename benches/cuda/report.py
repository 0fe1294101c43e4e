"""What the pieces' lines come to: a table in which every number stands beside its target."""

import statistics

from flops import step_flops
from pieces import CONFIGURATIONS, JUDGED, train_label

N_ANSWER = 16
SIDES = ("ours", "fusion", "peer")
# What ours may differ by from the peer's, of its largest number; bf16 keeps 8 bits.
F32_TOLERANCE = 1e-3
BF16_TOLERANCES = {"loss": 1e-2, "grad_norm": 5e-2, "values": 5e-2, "logits": 5e-2}
# CUDA's losses of `curve` beside the CPU's: each, and the mean of the last 20.
CURVE_BOUNDS = 0.04, 0.015


class Report:
    """Rows of values by side. `results`: a piece's name to what it left."""

    def __init__(self, results, config, rehearsal):
        self.results, self.config, self.rehearsal = results, config, rehearsal
        self.rows = []
        ran = {name.split()[0] for name, result in results.items() if result["status"] != "not run"}
        self.absent = set(SIDES) - ran
        self.tops = {side: self.top(side) for side in SIDES}
        self.matmul()
        self.load()
        for configuration in CONFIGURATIONS:
            self.train(*configuration)
        self.inference()
        self.curves()
        self.agreement()

    def lines(self, name, key):
        """The lines of a piece that ended well which have this key."""
        result = self.results.get(name, {})
        lines = result.get("lines", []) if result.get("status") == "ok" else []
        # A number that is none is null in JSON.
        return [line for line in lines if line.get(key) is not None]

    def value(self, name, key):
        found = self.lines(name, key)
        return found[-1][key] if found else None

    def times(self, name):
        return [line["ms"] for line in self.lines(name, "ms") if not line["warm"]]

    def top(self, side):
        found = [line["tflops"] for line in self.lines(f"{side} matmul", "tflops")]
        return max(found) if found else None

    def row(self, label, unit, values, target=None, judge=None, full_only=True):
        """A row. `judge` says whether a value meets the target; of all sides only `ours` counts. A side
        without an entry has no such value, one with None was not run or failed."""
        self.rows.append({
            "label": label, "unit": unit, "values": values, "target": target,
            "met": {side: judge(v) for side, v in values.items() if judge and v is not None},
            "counts": judge is not None and not (full_only and self.rehearsal),
        })

    def matmul(self):
        self.row("matmul top", "TFLOP/s", self.tops)

    def load(self):
        values = {side: self.value(f"{side} load", "load_s") for side in ("ours", "peer")}
        self.row("load to first logits", "s", values, "< 60", lambda v: v < 60)

    def train(self, checkpointing, features):
        label = train_label(checkpointing, features)
        names = {side: f"{side} train {label}" for side in SIDES}
        medians, tokens, shares, of_highest, peaks = (dict.fromkeys(SIDES) for _ in range(5))
        highest = max((top for top in self.tops.values() if top), default=None)
        for side, name in names.items():
            times = self.times(name)
            medians[side] = statistics.median(times) if times else None
            peaks[side] = self.results.get(name, {}).get("peak_gb") if times else None
            if not times:
                continue
            batch, positions = self.value(name, "batch"), self.value(name, "positions")
            seconds = medians[side] / 1e3
            tokens[side] = batch * positions / seconds
            rate = step_flops(self.config, batch, positions, N_ANSWER, features == "on") / seconds / 1e12
            # Fusion changes no matrix product, so the plain build's top will do.
            top = self.tops[side] or (self.tops["ours"] if side == "fusion" else None)
            shares[side] = 100 * rate / top if top else None
            of_highest[side] = 100 * rate / highest if highest else None
        judged = (checkpointing, features) == JUDGED
        ratio = {side: medians[side] / medians["peer"] if medians[side] and medians["peer"] else None
                 for side in ("ours", "fusion")}
        self.row(f"step, {label}", "ms", medians)
        self.row("  of the peer's", "x", ratio, "<= 1.0", lambda v: v <= 1)
        self.rows[-1]["counts"] &= judged
        self.row("  tokens", "1/s", tokens)
        self.row("  of its matmul top", "%", shares, ">= 30", lambda v: v >= 30)
        self.rows[-1]["counts"] &= judged
        self.row("  of the highest top", "%", of_highest)
        kind = "host memory" if self.rehearsal else "device memory"
        self.row(f"  peak {kind}", "GB", peaks, "<= 40", lambda v: v <= 40)
        self.rows[-1]["counts"] &= judged
        allocated = self.value(names["peer"], "allocated_mib")
        if allocated:
            self.row("  allocated by tensors", "GB", {"peer": allocated * 2**20 / 1e9})

    def inference(self):
        median = lambda times: statistics.median(times) if times else None
        self.row("prefill, 1 row", "ms", {side: median(self.times(f"{side} prefill")) for side in SIDES})
        rates = dict.fromkeys(SIDES)
        for side in SIDES:
            counted = [line for line in self.lines(f"{side} decode", "n") if not line["warm"]]
            rates[side] = median([1e3 * line["n"] / line["ms"] for line in counted])
        self.row("decode, 1 row", "tokens/s", rates, ">= 150", lambda v: v >= 150)

    def curves(self):
        losses = lambda name: [line["loss"] for line in self.lines(name, "loss")]
        cpu = losses("ours curve on the CPU, f32")
        each, end = dict.fromkeys(SIDES[:2]), dict.fromkeys(SIDES[:2])
        for side in ("ours", "fusion"):
            other = losses(f"{side} curve")
            if not cpu or len(cpu) != len(other):
                continue
            each[side] = 100 * max(abs(a - b) / b for a, b in zip(other, cpu))
            mean = lambda values: statistics.fmean(values[-20:])
            end[side] = 100 * abs(mean(other) - mean(cpu)) / mean(cpu)
        bounds = [100 * bound for bound in CURVE_BOUNDS]
        where = "bf16 on the CPU" if self.rehearsal else "bf16 on CUDA"
        self.row(f"nano's losses, {where}", "% off f32", each, f"<= {bounds[0]:g}", lambda v: v <= bounds[0], False)
        self.row("  the mean of the last 20", "% off f32", end, f"<= {bounds[1]:g}", lambda v: v <= bounds[1], False)

    def agreement(self):
        """Whether both sides computed the same; differences in % of the peer's largest number."""
        for label in [*(train_label(*configuration) for configuration in CONFIGURATIONS), "bf16"]:
            for key in ("loss", "grad_norm"):
                self.agree(f"train {label}", key, lambda lines, key=key: [line[key] for line in lines[:3]])
        self.agree("load", "values", lambda lines: lines[-1]["values"])
        for label in ("prefill", "prefill bf16"):
            self.agree(label, "logits", lambda lines: lines[-1]["logits"])
        tokens = {side: self.value(f"{side} decode", "tokens") for side in SIDES}
        if tokens["ours"] and tokens["peer"]:
            equal = lambda side: sum(a == b for a, b in zip(tokens[side], tokens["peer"]))
            same = {side: equal(side) if tokens[side] else None for side in ("ours", "fusion")}
            wanted = len(tokens["peer"]) if self.rehearsal else None
            # An untrained model's best tokens are close calls, which bf16 decides either way.
            judge = (lambda v: v == wanted) if wanted else None
            self.row("decode: equal tokens", f"of {len(tokens['peer'])}", same, wanted and str(wanted), judge, False)
        counted = self.value("peer flops", "flops")
        if counted:
            formula = step_flops(self.config, 2, self.value("peer flops", "positions"), N_ANSWER, False)
            self.row("FLOPs of a step, formula", "% off its count", {"ours": 100 * abs(formula / counted - 1)},
                     "<= 1", lambda v: v <= 1, False)

    def agree(self, work, key, values):
        peer = self.lines(f"peer {work}", key)
        is_bf16 = not self.rehearsal or work.endswith("bf16")
        bound = 100 * (BF16_TOLERANCES[key] if is_bf16 else F32_TOLERANCE)
        worst = dict.fromkeys(SIDES[:2])
        for side in ("ours", "fusion"):
            lines = self.lines(f"{side} {work}", key)
            if not lines or not peer:
                continue
            pairs = list(zip(values(lines), values(peer)))
            worst[side] = 100 * max(abs(a - b) for a, b in pairs) / max(abs(b) for _, b in pairs)
        if self.results.get(f"ours {work}"):
            self.row(f"{work}: {key}", "% off", worst, f"<= {bound:g}", lambda v: v <= bound, False)

    def misses(self):
        """Labels of the targets that count and were not met, or could not be judged."""
        return [row["label"].strip() for row in self.rows if row["counts"] and not row["met"].get("ours", False)]

    def text(self):
        yield f"{'':62} {'ours':>10} {'fusion':>10} {'peer':>10}   target"
        for row in self.rows:
            cells = " ".join(f"{self.cell(row['values'], side):>10}" for side in SIDES)
            verdict = ""
            if row["target"]:
                met = row["met"].get("ours")
                word = {True: "met", False: "missed", None: "not judged"}[met]
                if not row["counts"]:
                    word = "at full size only" if self.rehearsal else f"({word})"
                verdict = f"{row['target']} {word}"
            yield f"{row['label'] + ', ' + row['unit']:62} {cells}   {verdict}".rstrip()

    def cell(self, values, side):
        if side not in values:
            return ""
        value = values[side]
        if value is None:
            return "not run" if side in self.absent else "none"
        return f"{value:.0f}" if isinstance(value, int) or abs(value) >= 1000 else f"{value:.4g}"
