"""Measures preparation, training and serving against size. Run through `run.sh`, which builds first.

Each part writes one JSON file: the machine, the commit, the settings, and every repetition of every
point. Needs Python alone; `plots.py` fits and draws.
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import subprocess
import sys
import tempfile

import prepare
import serve
import train


def machine() -> dict:
    name = platform.machine()
    info = pathlib.Path("/proc/cpuinfo")
    if info.is_file():
        names = [line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
        name = names[0] if names else name
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {"cpu": name, "cores": os.cpu_count(), "memory_gb": round(memory / 1e9, 1)}


def command(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


def main() -> None:
    parts = {"prepare": prepare.measure, "audit": prepare.measure_audit, "train": train.measure, "serve": serve.measure}
    parser = argparse.ArgumentParser()
    parser.add_argument("--bins", required=True, type=pathlib.Path)
    parser.add_argument("--only", action="append", choices=parts)
    parser.add_argument("--quick", action="store_true", help="few sizes and repetitions, to try it out")
    parser.add_argument("--out", required=True, type=pathlib.Path)
    parser.add_argument("--data", type=pathlib.Path, help="keeps the synthetic studies")
    args = parser.parse_args()

    changed = command("git", "status", "--porcelain", "--", "crates", "bins", "Cargo.toml", "Cargo.lock")
    about = {
        "machine": machine(),
        "rust": command("rustc", "--version"),
        "profile": os.environ.get("PROFILE", "release"),
        "threads": int(os.environ.get("THREADS", "1")),
        "commit": os.environ.get("COMMIT") or command("git", "rev-parse", "--short", "HEAD"),
        "with_uncommitted_changes": "COMMIT" not in os.environ and bool(changed),
        "date": datetime.date.today().isoformat(),
        "quick": args.quick,
    }
    args.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="scaling-") as scratch:
        data = args.data or pathlib.Path(scratch) / "data"
        data.mkdir(parents=True, exist_ok=True)
        for name in args.only or parts:
            print(f"{name}:", file=sys.stderr)
            found = parts[name](args.bins, data, pathlib.Path(scratch), about["threads"], args.quick)
            (args.out / f"{name}.json").write_text(json.dumps(about | found, indent=1) + "\n")


if __name__ == "__main__":
    main()
