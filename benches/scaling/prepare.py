"""Preparation against slices: `prepare-slices run`, and the audit that ends it.

Studies are phantoms of 50 slices. `prepare` has 512 x 512 slices of 20 patients; larger sets are the same
files, linked under other patients' names, since making 100,000 slices takes hours. So source files lie in
the page cache, and the audit is left out, which would find the copies. `audit` has patients who all differ,
128 x 128.
"""

import json
import os
import pathlib
import shutil
import sys

import child

SLICES_A_STUDY = 50
N_DIFFERENT = 20


def phantoms(bins: pathlib.Path, data: pathlib.Path, patients: int, size: int) -> pathlib.Path:
    """Studies of `patients` in `data`, made where they are missing."""
    folder = data / f"phantoms-{size}-{patients}"
    # The manifest is written last.
    if not (folder / "phantom.json").is_file():
        shutil.rmtree(folder, ignore_errors=True)
        words = ["--patients", patients, "--size", size, "--slices", f"{SLICES_A_STUDY}-{SLICES_A_STUDY}"]
        child.run([bins / "prepare-slices", "phantom", "--layout", "msd", "--out", folder, *words], os.cpu_count() or 1)
    return folder


def linked(source: pathlib.Path, patients: int, folder: pathlib.Path) -> pathlib.Path:
    """The first `patients` of `source`; where there are more, its files again under further names."""
    for kind in ("imagesTr", "labelsTr"):
        names = sorted((source / kind).iterdir())
        (folder / kind).mkdir(parents=True)
        for n in range(patients):
            os.link(names[n % len(names)], folder / kind / f"pancreas_{n:05}.nii.gz")
    return folder


def prepared(bins: pathlib.Path, studies: pathlib.Path, out: pathlib.Path, threads: int, audit: bool) -> dict:
    words = [bins / "prepare-slices", "run", "--images", studies / "imagesTr", "--labels", studies / "labelsTr"]
    words += ["--layout", "msd", "--out", out, "--threads", threads, "--json", *([] if audit else ["--no-audit"])]
    found = child.run(words, threads)
    counts = json.loads(found.pop("out"))["counts"]
    index_bytes = (out / "index.jsonl").stat().st_size
    image_bytes = sum(entry.stat().st_size for entry in os.scandir(out / "slices"))
    written = {"index_bytes": index_bytes, "image_bytes": image_bytes}
    return found | {"slices": counts["slices"], "images": counts["images"]} | written


def points(bins, source, data, scratch, sizes, audit):
    """`sizes` are (slices, threads, repetitions)."""
    for slices, threads, repetitions in sizes:
        # Beside the sources, so that files can be linked.
        studies = linked(source, slices // SLICES_A_STUDY, data / "linked")
        try:
            # Once to fill the page cache.
            rounds = range(repetitions + 1 if slices <= 1000 else repetitions)
            runs = []
            for _ in rounds:
                out = scratch / "prepared"
                runs.append(prepared(bins, studies, out, threads, audit))
                if audit:
                    for name, options in (("audit_alone", []), ("audit_without_probe", ["--no-probe"])):
                        words = ["audit", out, "--json", "--threads", threads, *options]
                        alone = child.run([bins / "prepare-slices", *words], threads)
                        alone.pop("out")
                        runs[-1][name] = alone
                shutil.rmtree(out)
        finally:
            shutil.rmtree(studies)
        runs = runs[-repetitions:]
        seconds = [run["seconds"] for run in runs]
        print(f"  {slices} slices, {threads} threads: {seconds} s, {runs[0]['peak_mb']} MB", file=sys.stderr)
        yield {"slices": slices, "threads": threads, "runs": runs}


def measure(bins, data, scratch, threads, quick):
    source = phantoms(bins, data, 2 if quick else N_DIFFERENT, 512)
    stored = sum(entry.stat().st_size for kind in ("imagesTr", "labelsTr") for entry in os.scandir(source / kind))
    n_slices = SLICES_A_STUDY * len(list((source / "imagesTr").iterdir()))
    sizes = [(100, threads, 3), (1000, threads, 3), (10_000, threads, 2), (100_000, threads, 1)]
    sizes += [(10_000, 2 * threads, 2)]
    if quick:
        sizes = [(100, threads, 1), (1000, threads, 1)]
    settings = {
        "slices_a_study": SLICES_A_STUDY, "different_slices": n_slices, "size_px": 512, "preset": "fixed",
        "audit": False, "stored_bytes_a_slice": stored / n_slices,
    }
    return {"settings": settings, "points": list(points(bins, source, data, scratch, sizes, False))}


def measure_audit(bins, data, scratch, threads, quick):
    largest = 1000 if quick else 30_000
    source = phantoms(bins, data, largest // SLICES_A_STUDY, 128)
    sizes = [slices for slices in (100, 300, 1000, 3000, 10_000, 30_000) if slices <= largest]
    sizes = [(slices, threads, 1 if slices > 1000 else 3) for slices in sizes]
    settings = {"slices_a_study": SLICES_A_STUDY, "size_px": 128, "preset": "fixed", "audit": True}
    return {"settings": settings, "points": list(points(bins, source, data, scratch, sizes, True))}
