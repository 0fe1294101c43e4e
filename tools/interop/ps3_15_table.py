"""Writes Table E.1-1 of DICOM PS3.15 (Basic Application Level Confidentiality Profile) as CSV.

    pip install dicom-anonymizer==2.1.0 pydicom==3.0.2
    python tools/interop/ps3_15_table.py > crates/dicom-findings/tests/fixtures/ps3-15-2026c.csv

The actions are those of the edition 2026c as the package dicom-anonymizer lists them, the value representations and
keywords those of pydicom's dictionary ("UN" and a number where it has none yet). Repeating groups stand with their
first group; private attributes (X) are not in the list.
"""

import csv
import sys

from dicomanonymizer.dicom_anonymization_databases import dicomfields_2026c as table
from pydicom.datadict import dictionary_keyword, dictionary_VR

ACTIONS = {
    "D": table.D_TAGS, "Z": table.Z_TAGS, "X": table.X_TAGS, "U": table.U_TAGS, "Z/D": table.Z_D_TAGS,
    "X/Z": table.X_Z_TAGS, "X/D": table.X_D_TAGS, "X/Z/D": table.X_Z_D_TAGS, "X/Z/U*": table.X_Z_U_STAR_TAGS,
}

rows = {}
for action, tags in ACTIONS.items():
    for tag in tags:
        # Repeating groups come with a mask.
        tag = tuple(tag[:2])
        number = tag[0] << 16 | tag[1]
        try:
            vr, keyword = dictionary_VR(number), dictionary_keyword(number)
        except KeyError:
            vr, keyword = "UN", f"Unnamed{number:08X}"
        rows[number] = (f"{number:08X}", vr.split(" ")[0], action, keyword)

writer = csv.writer(sys.stdout, lineterminator="\n")
writer.writerow(["tag", "vr", "action", "keyword"])
writer.writerows(row for _, row in sorted(rows.items()))
