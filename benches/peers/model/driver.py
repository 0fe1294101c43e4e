"""Runs ours and a peer's work in turn, on the same weights, inputs and threads, and compares.

Values (losses, logits, tokens) must agree before anything is timed. A ratio is ours over the peer's
time within one round; what is printed is the median of the rounds and their range.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
QUESTION = "[refer] give me the location of the pancreas"
TOLERANCE = 1e-3
NANO = "crates/cascade/assets/nano/pancreas_box"

# name: work, checkpoint, target, rounds unless told
WORKS = {
    "train-nano": ("train", "nano", 0.9, 15),
    "train-mid": ("train", "mid", 0.9, 5),
    "encode": ("encode", "mid", 0.9, 15),
    "encode-16": ("encode-16", "mid", 0.9, 5),
    "prefill": ("prefill", "mid", 0.9, 15),
    "decode": ("decode", "mid", 0.6, 9),
    "decode-16": ("decode-16", "mid", 0.6, 5),
    "answer-nano": ("answer", "embedded", 0.7, 15),
    "answer-mid": ("answer", "mid", 0.7, 9),
    "load": ("load", "large", 0.8, 3),
    "help": (None, None, 0.1, 9),
    "predict": (None, None, 0.1, 9),
}


class Side:
    """A process that does its work once a line."""

    def __init__(self, command):
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=sys.stderr, text=True)
        self.read()

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.process.args[:3]} ended with {self.process.wait()}")
        return json.loads(line)

    def run(self, line):
        before = self.cpu_ms()
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.read() | {"cpu_ms": self.cpu_ms() - before}

    def cpu_ms(self):
        """Processor time of all threads, in ticks of 10 ms: steadier where others use the machine."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Bench:
    def __init__(self, args, scratch):
        self.args, self.scratch, self.made = args, scratch, {"embedded": ROOT / NANO}

    def checkpoint(self, name):
        if name not in self.made:
            self.made[name] = self.scratch / name
            subprocess.run([self.args.binary, "write", str(HERE / f"{name}.json"), str(self.made[name])], check=True)
            # Answers need a tokenizer; one with fewer tokens than the model will do.
            shutil.copy(ROOT / "crates/vlm-prompt/assets/nano-tokenizer.json", self.made[name] / "tokenizer.json")
        return str(self.made[name])

    def rounds(self, default):
        return self.args.rounds or default

    def warm(self, work, checkpoint, rounds):
        """Two warm processes in turn."""
        folder = self.checkpoint(checkpoint)
        extra = [], []
        if work == "answer":
            prompt = subprocess.run([self.args.binary, "prompt", folder, QUESTION], check=True, capture_output=True)
            extra = [QUESTION], [prompt.stdout.decode()]
        ours = Side([self.args.binary, work, folder, *extra[0]])
        peer = Side([sys.executable, str(HERE / "peer.py"), work, folder, *extra[1]])
        pairs, cpu = [], []
        # Two rounds of warming; values are compared in every round.
        for index in range(rounds + 2):
            line = str(self.picture(index)) if work == "answer" else "run"
            sides = [("ours", ours), ("peer", peer)]
            got = {name: side.run(line) for name, side in (sides if index % 2 else sides[::-1])}
            self.agree(work, checkpoint, got["ours"]["values"], got["peer"]["values"])
            if index >= 2:
                pairs.append((got["peer"]["ms"], got["ours"]["ms"]))
                cpu.append((got["peer"]["cpu_ms"], got["ours"]["cpu_ms"]))
        ours.close(), peer.close()
        return {"pairs": pairs, "cpu_pairs": cpu}

    def agree(self, work, checkpoint, ours, peer):
        if work == "answer" and checkpoint != "embedded":
            return  # An untrained model writes no box by itself, the peer's answer is as long and no more.
        if work == "answer" and len(ours) + 1 == len(peer):
            peer = peer[:-1]  # The end token, which a grounded answer has not.
        scale = max(map(abs, peer))
        worst = max((abs(a - b) for a, b in zip(ours, peer)), default=0) / scale
        if len(ours) != len(peer) or worst > TOLERANCE:
            raise SystemExit(f"{work}: not the same work: {ours[:8]} and {peer[:8]} ({len(ours)}, {len(peer)})")

    def picture(self, index):
        """A gray image with a moving bright square; each its own, for the responder remembers images."""
        import numpy as np
        from PIL import Image

        path = self.scratch / f"image-{index}.png"
        values = (np.add.outer(np.arange(512), 3 * np.arange(512)) // 16 % 120).astype(np.uint8)
        values[100 + 3 * index:260 + 3 * index, 150:330] = 200
        Image.fromarray(values).save(path)
        return path

    def fresh(self, checkpoint, rounds):
        """A process a run: loading."""
        folder = self.checkpoint(checkpoint)
        pairs, peaks = [], []
        run = lambda command: json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        for index in range(rounds + 1):
            ours = run([self.args.binary, "load", folder])
            peer = run([sys.executable, str(HERE / "peer.py"), "load", folder])
            self.agree("load", checkpoint, ours["values"], peer["values"])
            if index >= 1:
                pairs.append((peer["ms"], ours["ms"]))
                peaks.append((peer["peak_mb"], ours["peak_mb"], peer["imports_mb"]))
        peer, ours, imports = (statistics.median(column) for column in zip(*peaks))
        return {"pairs": pairs, "peak_mb": {"peer": peer, "ours": ours, "imports": imports}}

    def start(self, name, rounds):
        """Whole commands, from their start to their end."""
        detect = str(Path(self.args.bins) / "detect-pancreas")
        if name == "help":
            ours, peer = [detect, "--help"], [sys.executable, "-c", "import torch"]
        else:
            picture = str(self.picture(0))
            ours = [detect, "predict", picture]
            prompt = subprocess.run([self.args.binary, "prompt", str(ROOT / NANO), QUESTION],
                                    check=True, capture_output=True).stdout.decode()
            program = ("import sys; sys.path.insert(0, sys.argv[1]); import torch, peer\n"
                       "with torch.inference_mode(): print(peer.answer(sys.argv[2], sys.argv[3])(sys.argv[4]))")
            peer = [sys.executable, "-c", program, str(HERE), str(ROOT / NANO), prompt, picture]
        pairs = []
        for index in range(rounds + 1):
            times = [self.command(command) for command in (peer, ours)]
            if index >= 1:
                pairs.append(tuple(times))
        return {"pairs": pairs}

    def command(self, command):
        with tempfile.TemporaryDirectory(dir=self.scratch) as folder:
            start = time.perf_counter()
            subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL)
            return 1e3 * (time.perf_counter() - start)

    def measure(self, name):
        work, checkpoint, target, rounds = WORKS[name]
        rounds = self.rounds(rounds)
        if work is None:
            result = self.start(name, rounds)
        elif work == "load":
            result = self.fresh(checkpoint, rounds)
        else:
            result = self.warm(work, checkpoint, rounds)
        return result | {"target": target}


def show(name, result):
    pairs = result["pairs"]
    ratios = [ours / peer for peer, ours in pairs]
    peer, ours = (statistics.median(column) for column in zip(*pairs))
    ratio = statistics.median(ratios)
    result |= {"peer_ms": peer, "ours_ms": ours, "ratio": ratio}
    cpu = ""
    if "cpu_pairs" in result:
        peer_cpu, ours_cpu = (sum(column) for column in zip(*result["cpu_pairs"]))
        result["cpu_ratio"] = ours_cpu / max(peer_cpu, 1)
        cpu = f"   cpu {result['cpu_ratio']:.3f}"
    print(f"{name:12} {peer:10.1f} {ours:10.1f}   {ratio:6.3f} ({min(ratios):.3f} to {max(ratios):.3f})"
          f"   {result['target']:4} {'met' if ratio <= result['target'] else 'missed'}{cpu}", flush=True)
    if "peak_mb" in result:
        peaks = result["peak_mb"]
        print(f"{'':12} peak memory MB: peer {peaks['peer']:.0f} (its imports {peaks['imports']:.0f}), "
              f"ours {peaks['ours']:.0f}", flush=True)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--binary", required=True)
    p.add_argument("--bins", required=True, help="the folder of detect-pancreas")
    p.add_argument("--rounds", type=int)
    p.add_argument("--only", action="append", choices=WORKS)
    p.add_argument("--json", type=Path)
    args = p.parse_args()
    print(f"{'work':12} {'peer ms':>10} {'ours ms':>10}   ratio (min to max)        target   processor time",
          flush=True)
    results = {}
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(args, Path(scratch))
        for name in args.only or WORKS:
            results[name] = bench.measure(name)
            show(name, results[name])
            if args.json:
                args.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
