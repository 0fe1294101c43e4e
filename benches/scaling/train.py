"""A training step against the positions of a row and the rows of a batch, a fresh process for each point."""

import json
import pathlib
import sys

import child

CONFIG = pathlib.Path(__file__).parent.parent / "peers" / "model" / "nano.json"
POSITIONS = (32, 48, 64, 96, 128, 192, 256, 384, 512)
BATCHES = (1, 2, 4, 8, 16, 32)


def point(bins, batch, positions, steps, threads, rounds):
    runs = []
    for _ in range(rounds):
        words = ["step", CONFIG, batch, positions, steps]
        found = child.run([bins / "examples" / "scaling_work", *words], threads)
        runs.append(json.loads(found["out"]) | {"processor_s": found["processor_s"]})
    milliseconds = [round(min(run["ms"])) for run in runs]
    print(f"  batch {batch}, {positions} positions: {milliseconds} ms, {runs[0]['peak_mb']:.0f} MB", file=sys.stderr)
    return {"batch": batch, "positions": positions, "runs": runs}


def measure(bins, data, scratch, threads, quick):
    steps, rounds = (2, 1) if quick else (5, 2)
    settings = {
        "config": "benches/peers/model/nano.json", "learns": "everything", "positions_batch": 4,
        "batches_positions": 60, "steps": steps,
    }
    against_positions = [point(bins, 4, n, steps, threads, rounds) for n in (POSITIONS[::4] if quick else POSITIONS)]
    against_batch = [point(bins, n, 60, steps, threads, rounds) for n in (BATCHES[::2] if quick else BATCHES)]
    return {"settings": settings, "against_positions": against_positions, "against_batch": against_batch}
