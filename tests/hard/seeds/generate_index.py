"""Makes `index.jsonl`: eight slices of two synthetic patients, one with a tumor, without image files; run in this folder."""
import hashlib
import json


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


def organ(box):
    pixels = (box[2] - box[0] + 1) * (box[3] - box[1] + 1) if box else 0
    ratio = 1.0 if box else 0.0
    area = (box[2] - box[0]) * (box[3] - box[1]) if box else 0
    return {"pixels": pixels, "bbox": box, "pixels_ratio": ratio, "bbox_ratio": ratio, "max_pixels": max(pixels, 36),
            "max_bbox_area": max(area, 25)}


with open("index.jsonl", "w") as out:
    for patient, part, has_tumor in [("pancreas_001", "train", True), ("pancreas_002", "test", False)]:
        for n in range(4):
            near = {"previous": n - 1 if n > 0 else None, "previous_image": f"slices/{patient}_{n - 1}.png" if n > 0 else None,
                    "next": n + 1 if n < 3 else None, "next_image": None}
            record = {
                "schema_version": 1, "dataset": "MSD", "patient": patient, "volume": patient, "slice_index": n, "slice_count": 4,
                "width": 96, "height": 96, "spacing_mm": [0.8, 0.8, 2.5], "image": f"slices/{patient}_{n}.png",
                "pixels_sha256": sha256(f"{patient} {n}"), "source_sha256": sha256(patient), "mask_sha256": sha256(f"{patient} mask"),
                "neighbors": near,
                "organs": {"pancreas": organ([30, 40, 69, 63]), "tumor": organ([40, 45, 45, 50] if has_tumor else None)},
                "split": part, "tasks": ["pancreas_detection", "tumor_classification"], "answer": "yes" if has_tumor else "no",
                "crop": [10, 10, 80, 80] if n == 3 else None,
            }
            out.write(json.dumps(record, separators=(",", ":")) + "\n")
