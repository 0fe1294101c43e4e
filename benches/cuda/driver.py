"""Runs every piece of `pieces.py`, ours and PyTorch's, and prints each number beside its target.

Ends with 0 (all ran, all targets met), 1 (a piece failed or was too late), 2 (bad use) or 3 (all
ran, a target was missed or could not be judged).
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pieces
from report import Report

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
# Seconds that all pieces together may take; the rest of 25 minutes is for the start and the report.
FULL_SECONDS, REHEARSAL_SECONDS = 1440, 900
# Kernels that one process compiled and tuned, the next one reads.
CUBECL = '[compilation]\ncache = true\n\n[environment]\npath = "local"\n'


class Memory:
    """The most memory that a process takes: the device's by nvidia-smi, else the host's by the kernel.

    The device's is what all processes hold, less what they held before.
    """

    def __init__(self, is_cuda):
        self.is_cuda, self.peak, self.stopped = is_cuda, 0, threading.Event()
        self.before = used_memory() if is_cuda else 0

    def watch(self, pid):
        self.thread = threading.Thread(target=self.watch_device if self.is_cuda else self.watch_host, args=[pid])
        self.thread.start()

    def watch_device(self, _):
        command = ["nvidia-smi", "-i", "0", "--query-gpu=memory.used", "--format=csv,noheader,nounits", "-lms", "100"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as sampler:
            for line in sampler.stdout:
                if line.strip().isdigit():
                    self.peak = max(self.peak, int(line) * 2**20)
                if self.stopped.is_set():
                    sampler.terminate()
                    break

    def watch_host(self, pid):
        while not self.stopped.wait(0.1):
            try:
                status = Path(f"/proc/{pid}/status").read_text()
            except OSError:
                continue
            lines = [line for line in status.splitlines() if line.startswith("VmHWM:")]
            self.peak = max([self.peak, *(int(line.split()[1]) * 1024 for line in lines)])

    def stop(self):
        self.stopped.set()
        self.thread.join()
        return max(self.peak - self.before, 0)


def nvidia_smi(fields):
    command = ["nvidia-smi", "-i", "0", f"--query-gpu={fields}", "--format=csv,noheader,nounits"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def used_memory():
    used = nvidia_smi("memory.used")
    return int(used) * 2**20 if used and used.isdigit() else 0


class Run:
    def __init__(self, args, folder):
        self.args, self.folder = args, folder
        self.deadline = time.monotonic() + args.seconds
        self.saved = folder / "results.json"
        self.results = json.loads(self.saved.read_text()) if self.saved.is_file() else {}
        (folder / "cubecl.toml").write_text(CUBECL)
        self.programs = {"ours": [args.binary], "fusion": args.fusion and [args.fusion],
                         "peer": args.peer_python and [args.peer_python, str(HERE / "peer.py")]}
        self.environment = os.environ | {
            "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "PYTHONWARNINGS": "ignore", "RUST_BACKTRACE": "0"}
        if not args.rehearse:
            self.environment |= toolkit(args.peer_python)

    def run_all(self):
        for piece in pieces.rehearsal() if self.args.rehearse else pieces.full():
            if self.results.get(piece.name, {}).get("status") == "ok":
                print(f"{piece.name:52} kept", flush=True)
                continue
            result = self.run(piece)
            self.results[piece.name] = result
            if self.args.work:
                self.saved.write_text(json.dumps(self.results))
            note = result.get("note", "")
            print(f"{piece.name:52} {result['status']:8} {result['seconds']:6.1f} s of {piece.limit:3}  {note}",
                  flush=True)

    def run(self, piece):
        """One process, stopped at its limit or at the end of the time for all."""
        program = self.programs[piece.side]
        weights = self.folder / piece.weights
        result = {"seconds": 0.0, "limit": piece.limit, "lines": []}
        if not program:
            return result | {"status": "not run", "note": self.args.absent[piece.side]}
        place = {"write": ["--out"], "matmul": [], "curve": []}.get(piece.work, ["--weights"])
        if place == ["--weights"] and not weights.is_dir():
            return result | {"status": "failed", "note": "there are no weights"}
        left = self.deadline - time.monotonic()
        if left < 10:
            return result | {"status": "late", "note": "the time for all pieces is over"}
        arguments = [piece.work, *piece.options]
        result["command"] = " ".join([*arguments, *(place and [*place, piece.weights])])
        is_cuda = any(option.startswith("cuda") for option in piece.options)
        start = time.monotonic()
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
            command = [*program, *arguments, *(place and [*place, str(weights)])]
            memory = Memory(is_cuda)
            process = subprocess.Popen(command, stdout=out, stderr=errors, cwd=self.folder, env=self.environment)
            memory.watch(process.pid)
            limit = min(piece.limit, left)
            try:
                code = process.wait(limit)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                code = None
            result["peak_gb"] = memory.stop() / 1e9
            result["seconds"] = time.monotonic() - start
            out.seek(0), errors.seek(0)
            result["lines"] = [json.loads(line) for line in out if line.startswith("{") and line.endswith("}\n")]
            tail = errors.read().strip().splitlines()[-4:]
        if code == 0:
            return result | {"status": "ok"}
        if code is None:
            return result | {"status": "late", "note": f"stopped after {limit:.0f} s"}
        return result | {"status": "failed", "note": " | ".join([f"ended with {code}", *tail])}


def toolkit(peer_python):
    """Where no toolkit is installed, the headers and NVRTC that came with PyTorch will do."""
    if "CUDA_PATH" in os.environ or any(Path(path).exists() for path in ("/usr/local/cuda", "/opt/cuda")):
        return {}
    if peer_python:
        program = "import nvidia; print(*nvidia.__path__, sep='\\n')"
        found = subprocess.run([peer_python, "-c", program], capture_output=True, text=True).stdout.splitlines()
        for folder in sorted(path for root in found for path in Path(root).glob("cu[0-9]*")):
            if (folder / "include" / "cuda_fp16.h").is_file():
                print(f"CUDA headers and NVRTC: those of {peer_python}")
                paths = [str(folder / "lib"), os.environ.get("LD_LIBRARY_PATH", "")]
                return {"CUDA_PATH": str(folder), "LD_LIBRARY_PATH": ":".join(filter(None, paths))}
    print("no CUDA toolkit is found: our kernels cannot be compiled unless CUDA_PATH names one")
    return {}


def has_peer(python, rehearse):
    program = "import torch, transformers, peft, safetensors, numpy" + (
        "" if rehearse else "; assert torch.cuda.is_available()")
    try:
        return subprocess.run([python, "-c", program], capture_output=True, timeout=120).returncode == 0
    except (OSError, subprocess.SubprocessError):
        return False


def versions(python):
    program = ("import torch, transformers, peft, json; print(json.dumps({'torch': torch.__version__, "
               "'transformers': transformers.__version__, 'peft': peft.__version__}))")
    return json.loads(subprocess.run([python, "-c", program], capture_output=True, text=True, check=True).stdout)


def machine(gpu):
    model = next((line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.machine())
    found = {"cpu": model, "cores": len(os.sched_getaffinity(0)), "system": f"{platform.system()} {platform.machine()}"}
    if gpu:
        name, driver, memory, clock, power = (gpu.split(", ") + [None] * 5)[:5]
        found |= {"gpu": name, "driver": driver, "memory_mib": memory, "max_sm_mhz": clock, "power_limit_w": power}
    return found


def commit():
    if os.environ.get("COMMIT"):
        return os.environ["COMMIT"]
    git = lambda *command: subprocess.run(["git", "-C", str(ROOT), *command], capture_output=True, text=True)
    head = git("rev-parse", "HEAD")
    if head.returncode:
        return "unknown"
    return head.stdout.strip() + (" with changes" if git("status", "--porcelain", "-uno").stdout.strip() else "")


def write(path, about, rows, results):
    """JSON with a row or piece a line."""
    rows = ",\n  ".join(json.dumps(row) for row in rows)
    results = ",\n  ".join(f"{json.dumps(name)}: {json.dumps(result)}" for name, result in results.items())
    head = json.dumps(about, indent=1).removesuffix("\n}")
    path.write_text(f'{head},\n "rows": [\n  {rows}\n ],\n "pieces": {{\n  {results}\n }}\n}}\n')


def main():
    p = argparse.ArgumentParser(prog="run.sh", description=__doc__)
    p.add_argument("--rehearse", action="store_true", help="all depths at 1/16 width on the CPU")
    p.add_argument("--out", type=Path, metavar="FILE.json")
    p.add_argument("--work", type=Path, metavar="FOLDER", help="keeps weights and results: goes on where it stopped")
    p.add_argument("--seconds", type=float, help="for all pieces together")
    p.add_argument("--binary", required=True, help=argparse.SUPPRESS)
    p.add_argument("--fusion", help=argparse.SUPPRESS)
    p.add_argument("--peer-python", default="python3", help=argparse.SUPPRESS)
    args = p.parse_args()
    args.seconds = args.seconds or (REHEARSAL_SECONDS if args.rehearse else FULL_SECONDS)
    for path in (args.binary, args.fusion):
        if path and not os.access(path, os.X_OK):
            p.error(f"`{path}` is no program")
    gpu = None
    if not args.rehearse:
        gpu = nvidia_smi("name,driver_version,memory.total,clocks.max.sm,power.limit")
        if not gpu:
            p.error("nvidia-smi names no GPU; without one there is `--rehearse`")
    args.absent = {
        "fusion": "the CPU has no fusion" if args.rehearse else "no build with fusion was given",
        "peer": "PyTorch, transformers or peft is not there, or sees no GPU",
    }
    if args.rehearse:
        args.fusion = None
    if not has_peer(args.peer_python, args.rehearse):
        args.peer_python = None
    for path in ("binary", "fusion"):
        if getattr(args, path):
            setattr(args, path, str(Path(getattr(args, path)).resolve()))
    about = {
        "what": "rehearsal: 1/16 width, CPU" if args.rehearse else "full size, CUDA",
        "commit": commit(), "command": "benches/cuda/run.sh" + (" --rehearse" if args.rehearse else ""),
        "machine": machine(gpu), "peer": versions(args.peer_python) if args.peer_python else None,
        "threads": os.environ.get("RAYON_NUM_THREADS"),
    }
    for key, value in about.items():
        print(f"{key}: {value}", flush=True)
    start = time.monotonic()
    folder = args.work or Path(tempfile.mkdtemp(prefix="cuda-work-"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        run = Run(args, folder.resolve())
        run.run_all()
        manifest = folder / "weights" / "minigpt.json"
        config = json.loads(manifest.read_text())["config"] if manifest.is_file() else None
    finally:
        if not args.work:
            shutil.rmtree(folder)
    seconds = time.monotonic() - start
    failed = [name for name, result in run.results.items() if result["status"] in ("failed", "late")]
    if args.rehearse:
        failed += [name for name, result in run.results.items()
                   if result["status"] == "not run" and name.startswith("peer")]
    if config is None:
        print("no weights were written: there is nothing to report")
        return 1
    report = Report(run.results, config, args.rehearse)
    print()
    print("\n".join(report.text()))
    misses = report.misses()
    print(f"\n{seconds:.0f} s; failed: {', '.join(failed) or 'none'}; missed: {', '.join(misses) or 'none'}")
    if args.out:
        write(args.out, about | {"seconds": seconds, "failed": failed, "missed": misses}, report.rows, run.results)
    return 1 if failed else 3 if misses else 0


if __name__ == "__main__":
    sys.exit(main())
