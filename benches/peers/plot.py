#!/usr/bin/env python3
"""The ratios of a run of model.sh as an SVG: a bar a work, a tick at its target, a line at the peer's time.

    plot.py model.json peers.svg
"""

import json
import sys

LABELS = {
    "train-nano": "training step, 8 M parameters", "train-mid": "LoRA step, mid-size", "encode": "encode an image",
    "encode-16": "encode 16 images", "prefill": "prompt of 310 positions", "decode": "32 tokens",
    "decode-16": "32 tokens of 16 rows", "answer-nano": "file to box, nano", "answer-mid": "file to box, mid-size",
    "load": "load 2 GB", "help": "start of --help", "predict": "start to answer, one PNG",
}
LEFT, WIDTH, ROW, TOP = 210, 420, 24, 40


def main():
    results = json.load(open(sys.argv[1]))
    names = [name for name in LABELS if name in results]
    most = max(1.2, *(results[name]["ratio"] for name in names))
    x = lambda ratio: LEFT + WIDTH * ratio / most
    height = TOP + ROW * len(names) + 34
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 70}" height="{height}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="100%" height="100%" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="20" font-weight="bold">Our time over PyTorch\'s, less is better</text>',
    ]
    bottom = TOP + ROW * len(names)
    for row, name in enumerate(names):
        ratio, target = results[name]["ratio"], results[name]["target"]
        y = TOP + ROW * row
        color = "#2a7f62" if ratio <= target else "#c8861a"
        out += [
            f'<text x="{LEFT - 8}" y="{y + 15}" text-anchor="end">{LABELS[name]}</text>',
            f'<rect x="{LEFT}" y="{y + 4}" width="{max(x(ratio) - LEFT, 1):.1f}" height="{ROW - 8}" fill="{color}"/>',
            f'<line x1="{x(target):.1f}" x2="{x(target):.1f}" y1="{y + 1}" y2="{y + ROW - 1}" stroke="#202020" stroke-width="2"/>',
            f'<text x="{x(max(ratio, target)) + 6:.1f}" y="{y + 15}">{ratio:.2f}</text>',
        ]
    out += [
        f'<line x1="{x(1):.1f}" x2="{x(1):.1f}" y1="{TOP - 6}" y2="{bottom + 4}" stroke="#808080" stroke-dasharray="4 3"/>',
        f'<text x="{x(1):.1f}" y="{bottom + 20}" text-anchor="middle" fill="#505050">PyTorch</text>',
        f'<text x="{LEFT}" y="{bottom + 20}" fill="#505050">black tick: target</text>',
        "</svg>",
    ]
    open(sys.argv[2], "w").write("\n".join(out) + "\n")


if __name__ == "__main__":
    main()
