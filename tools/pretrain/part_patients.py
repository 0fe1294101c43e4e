#!/usr/bin/env python3
"""Parts exported phantoms by patient: some for the tower, the others for the language model alone.

A tower knows the patients that it has learned from too well: a language model that learns on its
features of other patients learns how far to trust them. The first FIRST patients of MORE/train join
those of SLICES/train in TOWER/train, the others go into LANGUAGE/train.

    part_patients.py SLICES MORE 1000 TOWER LANGUAGE
"""

import os
import sys

import numpy as np

PIXELS = 128 * 128
slices, more, first, tower, language = sys.argv[1:6]
patients = np.fromfile(f"{more}/train/patients.u32", "<u4")
known = np.fromfile(f"{slices}/train/patients.u32", "<u4")
joins = patients < int(first)
for folder in (tower, language):
    os.makedirs(f"{folder}/train")
for name in ("images.u8", "labels.u8"):
    old, new = (np.memmap(f"{folder}/train/{name}", np.uint8, "r").reshape(-1, PIXELS) for folder in (slices, more))
    with open(f"{tower}/train/{name}", "wb") as of_tower, open(f"{language}/train/{name}", "wb") as of_language:
        for at in range(0, len(old), 4096):
            old[at:at + 4096].tofile(of_tower)
        for at in range(0, len(new), 4096):
            block, here = new[at:at + 4096], joins[at:at + 4096]
            block[here].tofile(of_tower)
            block[~here].tofile(of_language)
np.concatenate([known, patients[joins] + known.max() + 1]).astype("<u4").tofile(f"{tower}/train/patients.u32")
patients[~joins].astype("<u4").tofile(f"{language}/train/patients.u32")
