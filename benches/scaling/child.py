"""One program run to its end under GNU time, which starts it from a small process: a child's largest
resident memory counts from its parent's, and Python's is larger than some programs here."""

import os
import subprocess
import sys
import tempfile
import time


def run(words: list, threads: int) -> dict:
    """Seconds on the clock and of the processor, and the largest resident memory."""
    environment = os.environ | {"RAYON_NUM_THREADS": str(threads)}
    with tempfile.NamedTemporaryFile(mode="r") as counted:
        timed = ["/usr/bin/time", "-q", "-f", "%U %S %M", "-o", counted.name]
        start = time.perf_counter()
        done = subprocess.run([*timed, *(str(word) for word in words)], capture_output=True, text=True, env=environment)
        seconds = time.perf_counter() - start
        if done.returncode != 0:
            sys.exit(f"{words[0]} ended with {done.returncode}: {done.stderr[-2000:]}")
        user, system, kib = (float(field) for field in counted.read().split())
    return {
        "seconds": round(seconds, 4),
        "processor_s": round(user + system, 2),
        "peak_mb": round(kib * 1024 / 1e6, 1),
        "out": done.stdout,
    }
