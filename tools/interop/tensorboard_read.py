"""Opens a run folder's event file with TensorBoard's own loader and prints its scalars.

    python tools/interop/tensorboard_read.py RUN_FOLDER [--expect metrics.jsonl]

With --expect, every step's loss, rate and norm in that file must be in the events, rounded to f32.
Checked with tensorboard 2.21.
"""

import argparse
import json
import struct
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def f32(value):
    return struct.unpack("<f", struct.pack("<f", value))[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--expect")
    arguments = parser.parse_args()
    events = EventAccumulator(arguments.folder, size_guidance={"scalars": 0})
    events.Reload()
    scalars = {tag: {e.step: e.value for e in events.Scalars(tag)} for tag in events.Tags()["scalars"]}
    for tag, values in sorted(scalars.items()):
        for step, value in sorted(values.items()):
            print(f"{tag}\t{step}\t{value!r}")
    if not arguments.expect:
        return 0
    fields = {
        "loss": "train/loss",
        "lr": "train/lr",
        "grad_norm": "train/grad_norm",
        "validation_score": "validation/score",
    }
    wrong = 0
    for line in open(arguments.expect):
        line = json.loads(line)
        for field, tag in fields.items():
            value = line.get(field)
            if value is not None and scalars.get(tag, {}).get(line["step"]) != f32(value):
                print(f"step {line['step']}: `{field}` is {value}", file=sys.stderr)
                wrong += 1
    print(f"{wrong} differences", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
