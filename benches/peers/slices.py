"""A CT volume to one PNG a slice: nibabel + scikit-image + matplotlib against this project.

Both sides read the same phantom volume (.nii and .nii.gz), on one thread, in turn, and write every
slice. What is timed is the work itself, from opening the file to the last PNG, inside each process;
start-up and imports are left out on both sides. Run through `slices.sh`, which makes the environment.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import tempfile
import time
import warnings

import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt
import nibabel as nib
import numpy as np
from skimage import exposure

warnings.filterwarnings("ignore")


def peer(volume: pathlib.Path, preset: str, out: pathlib.Path) -> dict:
    """The published way: whole volume as float64, one slice at a time, matplotlib's image writer."""
    start = time.perf_counter()
    hu = nib.load(volume).get_fdata()
    loaded = time.perf_counter()
    for k in range(hu.shape[2]):
        plane = hu[:, :, k]
        if preset == "paper-2024":
            low, high = np.percentile(plane, (2, 98))
            plane = exposure.equalize_hist(exposure.rescale_intensity(plane, in_range=(low, high)))
        else:
            plane = (np.clip(plane, -150, 250) + 150) / 400
            plane = np.fliplr(np.rot90(plane))
        plt.imsave(out / f"slice_{k}.png", plane, cmap="gray")
    end = time.perf_counter()
    return {"slices": hu.shape[2], "load_s": loaded - start, "total_s": end - start}


def ours(binary: str, volume: pathlib.Path, preset: str, out: pathlib.Path) -> dict:
    done = subprocess.run([binary, str(volume), preset, str(out)], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", required=True)
    parser.add_argument("--volume", required=True, type=pathlib.Path, help=".nii.gz phantom")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=pathlib.Path)
    args = parser.parse_args()

    # In memory where there is such a file system: a disk that is flushing would be timed otherwise.
    memory = pathlib.Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        folder = pathlib.Path(folder)
        plain = folder / "plain.nii"
        image = nib.load(args.volume)
        nib.save(nib.Nifti1Image(np.asarray(image.dataobj), image.affine, image.header), plain)
        raw_mb = np.asarray(image.dataobj).nbytes / 1e6
        print(f"volume {image.shape}, {raw_mb:.1f} MB raw, {args.volume.stat().st_size / 1e6:.1f} MB gzip, "
              f"{args.rounds} rounds, one thread")
        results = []
        for form, volume in (("nii.gz", args.volume), ("nii", plain)):
            for preset in ("paper-2024", "code-2025", "fixed"):
                rows = []
                for n in range(args.rounds + 1):
                    for side in ("peer", "ours"):
                        # A new folder each time: overwriting files makes the file system flush them.
                        with tempfile.TemporaryDirectory(dir=folder) as out:
                            out = pathlib.Path(out)
                            run = peer(volume, preset, out) if side == "peer" else ours(args.binary, volume, preset, out)
                        rows.append((n, side, run))
                rows = [row for row in rows if row[0] > 0]  # the first round warms up
                peers = [r["total_s"] for _, s, r in rows if s == "peer"]
                own = [r["total_s"] for _, s, r in rows if s == "ours"]
                ratios = [p / o for p, o in zip(peers, own)]
                slices = rows[0][2]["slices"]
                last = [r for _, s, r in rows if s == "ours"]
                load = statistics.median(r["load_s"] for r in last)
                entry = {
                    "file": form, "preset": preset, "slices": slices,
                    "peer_slices_per_s": slices / statistics.median(peers),
                    "our_slices_per_s": slices / statistics.median(own),
                    "ratio_median": statistics.median(ratios), "ratio_min": min(ratios), "ratio_max": max(ratios),
                    "our_load_mb_per_s": raw_mb / load,
                    "our_render_us": 1e6 * statistics.median(r["render_s"] for r in last) / slices,
                    "our_write_us": 1e6 * statistics.median(r["write_s"] for r in last) / slices,
                    "our_png_us": 1e6 * statistics.median(r["png_s"] for r in last) / slices,
                }
                results.append(entry)
                print(f"{form:7} {preset:11} peer {entry['peer_slices_per_s']:7.1f}/s  ours "
                      f"{entry['our_slices_per_s']:7.1f}/s  ratio {entry['ratio_median']:.1f} "
                      f"({entry['ratio_min']:.1f} to {entry['ratio_max']:.1f})  load {entry['our_load_mb_per_s']:.0f} MB/s, "
                      f"render {entry['our_render_us']:.0f} us, png {entry['our_png_us']:.0f}, "
                      f"write {entry['our_write_us']:.0f} us a slice")
        if args.json:
            args.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
