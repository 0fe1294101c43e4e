"""Reads the exports of one study back with the tools that they are made for, and compares them.

    cargo run --package dicom-findings --example export_study -- OUT [DICOM_FOLDER]
    python tools/interop/dicom_findings.py OUT [DICOM_FOLDER]

pydicom and highdicom open the report and the segmentation and give their boxes, which must be those of
findings.json in the patient's millimeters; nibabel opens the box mask on the grid of the input,
pycocotools the COCO files; the Slicer file is checked for the fields of its schema. Exit code 1 on any
difference. Checked with pydicom 3.0.2, highdicom 0.28.2, nibabel 5.4.2, pycocotools 2.0.11.
"""

import argparse
import contextlib
import io
import json
import pathlib
import sys

import highdicom
import nibabel
import numpy
import pydicom
import pydicom.sr._concepts_dict
from pycocotools.coco import COCO
from pydicom.sr.codedict import codes

NOTE = "research use only, not for diagnosis"
PATIENT_AND_STUDY = [
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID",
    "AccessionNumber", "ReferringPhysicianName",
]
wrong = []


def check(holds, what):
    if not holds:
        wrong.append(what)
        print(f"WRONG: {what}")


def close(a, b, tolerance, what):
    a, b = numpy.asarray(a, float), numpy.asarray(b, float)
    if a.shape != b.shape:
        check(False, f"{what}: shape {a.shape}, expected {b.shape}")
        return
    worst = float(numpy.abs(a - b).max()) if a.size else 0.0
    check(worst <= tolerance, f"{what}: off by {worst}")


def source_images(folder):
    images = [pydicom.dcmread(path, stop_before_pixels=True) for path in sorted(folder.rglob("*")) if path.is_file()]
    # A data set that was made anonymous may have lost what the file's meta information still has.
    uid = lambda image: image.get("SOPInstanceUID") or image.file_meta.MediaStorageSOPInstanceUID
    return {uid(image): image for image in images if "ImagePositionPatient" in image}


def to_patient(image, points):
    """Px of an image, the corner of the first pixel being (0, 0), to LPS mm (PS3.3, C.7.6.2.1.1)."""
    row, column = numpy.array(image.ImageOrientationPatient[:3]), numpy.array(image.ImageOrientationPatient[3:])
    between_rows, between_columns = image.PixelSpacing
    origin = numpy.array(image.ImagePositionPatient)
    return [origin + row * between_columns * (x - 0.5) + column * between_rows * (y - 0.5) for x, y in points]


def same_corners(got, want, what):
    """The four corners in any order and direction: a slice may show the image flipped."""
    got, want = numpy.asarray(got), numpy.asarray(want)
    distances = numpy.linalg.norm(got[:, None, :] - want[None, :, :], axis=2)
    close(distances.min(axis=1), numpy.zeros(4), 0.01, what)
    check(len(set(distances.argmin(axis=1))) == 4, f"{what}: a corner twice")


def check_identity(dataset, images, anonymous, what):
    image = next(iter(images.values()))
    for keyword in PATIENT_AND_STUDY:
        got = str(getattr(dataset, keyword, "missing"))
        want = "" if anonymous else str(getattr(image, keyword, ""))
        check(got == want, f"{what}: {keyword}")
    if image.StudyInstanceUID:
        check((dataset.StudyInstanceUID == image.StudyInstanceUID) != anonymous, f"{what}: StudyInstanceUID")
    check(NOTE in dataset.SeriesDescription, f"{what}: the note")
    if anonymous:
        text = str(dataset)
        hidden = {image.StudyInstanceUID, image.SeriesInstanceUID, image.FrameOfReferenceUID, *images}
        check(not any(uid in text for uid in hidden if uid), f"{what}: a UID of the source")
        for keyword in ["PatientName", "PatientID"]:
            value = str(getattr(image, keyword, ""))
            check(not value or value not in text, f"{what}: {keyword} in a text")


def known_meanings():
    meanings = {}
    for scheme, concepts in pydicom.sr._concepts_dict.concepts.items():
        for values in concepts.values():
            for code, (meaning, _) in values.items():
                meanings.setdefault((scheme, code), set()).add(meaning.lower())
    return meanings


def check_codes(dataset, what):
    """Every standard code is in pydicom's dictionary and means there what it means here."""
    known, seen = known_meanings(), set()
    for element in dataset.iterall():
        for item in element.value if element.VR == "SQ" else []:
            if "CodeValue" in item:
                seen.add((item.CodingSchemeDesignator, item.CodeValue, item.CodeMeaning))
    for scheme, code, meaning in sorted(seen):
        if scheme in ("DCM", "SCT", "LN", "UCUM"):
            meanings = known.get((scheme, code), set())
            if code == "276214006":  # "Finding category" in TID 1411 itself and in highdicom
                continue
            # SNOMED's full names add a part in parentheses and words such as "structure".
            same = any(meaning.lower() in other or other in meaning.lower() for other in meanings)
            # Units have other names there, such as their symbols.
            check(bool(meanings) if scheme == "UCUM" else same, f"{what}: {scheme} {code} {meaning}: {meanings}")


def measured(group, name):
    for item in group[0].ContentSequence:
        if item.ValueType == "NUM" and item.ConceptNameCodeSequence[0].CodeValue == name:
            value = item.MeasuredValueSequence[0]
            return float(value.NumericValue), value.MeasurementUnitsCodeSequence[0].CodeValue
    return None


def check_report(path, document, images, anonymous):
    what = path.name
    report = highdicom.sr.srread(path)
    check(isinstance(report, highdicom.sr.ComprehensiveSR), f"{what}: is a Comprehensive SR")
    check_identity(report, images, anonymous, what)
    check_codes(report, what)
    check(report.PreliminaryFlag == "PRELIMINARY" and report.VerificationFlag == "UNVERIFIED", f"{what}: flags")
    evidence = report.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
    check(len(evidence.ReferencedSOPSequence) == len(images), f"{what}: evidence")
    observers = report.content.get_observer_contexts(observer_type=codes.DCM.Device)
    check(len(observers) == 1, f"{what}: observer")
    groups = report.content.get_volumetric_roi_measurement_groups()
    check(len(groups) == len(document["findings"]), f"{what}: {len(groups)} groups")
    tracking = set()
    for group, finding in zip(groups, document["findings"]):
        name = f"{what} F{finding['number']}"
        tracking.add(group.tracking_uid)
        check(group.tracking_identifier == f"F{finding['number']} {finding['entity']}", f"{name}: identifier")
        check(group.finding_type is not None and group.finding_category is not None, f"{name}: finding")
        known = finding["entity"] in ("pancreas", "pancreatic tumor", "liver", "right kidney", "spleen")
        check(len(group.finding_sites) == int(known), f"{name}: site")
        size = finding["size_mm"]
        for code, value, unit in [
            ("103339001", size["longest"], "mm"), ("103340004", size["perpendicular"], "mm"),
            ("131197000", size["across_slices"], "mm"), ("118565006", finding["volume_ml"], "cm3"),
            ("111012", 100 * finding["confidence"], "%"),
        ]:
            got = measured(group, code)
            check(got is not None and got[1] == unit, f"{name}: {code}")
            close(got[0], value, 1e-6 * max(1, value), f"{name}: {code}")
        regions = group.roi if isinstance(group.roi, (list, tuple)) else [group.roi]
        check(len(regions) == len(finding["boxes"]), f"{name}: {len(regions)} regions")
        for region, box in zip(regions, finding["boxes"]):
            check(region.graphic_type.value == "POLYLINE", f"{name}: polyline")
            points = region.value
            close(points[0], points[-1], 0, f"{name}: closed")
            if not anonymous:
                uid = region.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID
                corners = to_patient(images[uid], points[:4])
                same_corners(corners, box["corners_lps_mm"], f"{name} slice {box['slice_idx']}")
    check(len(tracking) == len(groups), f"{what}: tracking UIDs differ")
    cases = report.content.get_image_measurement_groups()
    score = document["case_tumor_score"]
    check(len(cases) == int(score is not None), f"{what}: case group")
    if score is not None:
        close(measured(cases[0], "111012")[0], 100 * score["value"], 1e-6, f"{what}: case score")
    return len(groups)


def check_segments(path, document, images, anonymous, affine):
    what = path.name
    segments = highdicom.seg.segread(path)
    check_identity(segments, images, anonymous, what)
    check_codes(segments, what)
    labels = sorted((record["label"], record["entity"]) for record in document["entities"])
    check([d.SegmentLabel for d in segments.SegmentSequence] == [name for _, name in labels], f"{what}: labels")
    check(segments.SegmentationType == "BINARY", f"{what}: type")
    check(all(d.SegmentAlgorithmType == "AUTOMATIC" for d in segments.SegmentSequence), f"{what}: algorithm")
    for keyword in ["FrameOfReferenceUID", "DimensionOrganizationSequence", "ReferencedSeriesSequence"]:
        check(keyword in segments, f"{what}: {keyword}")
    frames = segments.pixel_array.reshape(segments.NumberOfFrames, segments.Rows, segments.Columns)
    shared = segments.SharedFunctionalGroupsSequence[0]
    orientation = shared.PlaneOrientationSequence[0].ImageOrientationPatient
    spacing = shared.PixelMeasuresSequence[0].PixelSpacing
    drawn = 0
    # LPS mm to voxel index of the input.
    inverse = numpy.linalg.inv(affine) @ numpy.diag([-1, -1, 1, 1])
    masks = {}
    for frame, groups in zip(frames, segments.PerFrameFunctionalGroupsSequence):
        number = groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        position = groups.PlanePositionSequence[0].ImagePositionPatient
        reference = groups.DerivationImageSequence[0].SourceImageSequence[0]
        if not anonymous:
            image = images[reference.ReferencedSOPInstanceUID]
            close(position, image.ImagePositionPatient, 1e-6, f"{what}: position")
            close(orientation, image.ImageOrientationPatient, 1e-6, f"{what}: orientation")
            close(spacing, image.PixelSpacing, 1e-6, f"{what}: spacing")
        rows, columns = numpy.nonzero(frame)
        check(len(rows) > 0, f"{what}: an empty frame")
        row, column = numpy.array(orientation[:3]), numpy.array(orientation[3:])
        across, down = numpy.outer(columns * spacing[1], row), numpy.outer(rows * spacing[0], column)
        places = numpy.array(position) + across + down
        voxels = numpy.rint((inverse @ numpy.c_[places, numpy.ones(len(places))].T)[:3]).astype(int)
        masks.setdefault(labels[number - 1][1], set()).update(map(tuple, voxels.T))
        drawn += len(rows)
    if not anonymous:
        by_source = segments.get_pixels_by_source_instance(list(images), assert_missing_frames_are_empty=True)
        check(int(by_source.sum()) == drawn, f"{what}: highdicom's pixels by source")
    return masks


def check_mask(folder, document, masks):
    source, mask = nibabel.load(folder / "input.nii.gz"), nibabel.load(folder / "boxes.nii.gz")
    check(source.shape == mask.shape, "box mask: shape")
    check(numpy.array_equal(source.affine, mask.affine), "box mask: affine")
    voxels = numpy.asarray(mask.dataobj)
    labels = {record["entity"]: record["label"] for record in document["entities"]}
    for entity, places in masks.items():
        own = set(map(tuple, numpy.argwhere(voxels == labels[entity])))
        # Where boxes overlap the mask has one label; the segmentation has both.
        check(own <= places, f"box mask: {entity} has voxels that the segmentation has not")
        check(all(voxels[place] > 0 for place in places), f"box mask: {entity} lacks voxels")
    # Centers of the voxels of each box, by way of nibabel's affine alone.
    lps = numpy.diag([-1, -1, 1, 1]) @ mask.affine
    for finding in document["findings"]:
        places = masks[finding["entity"]]
        inside = lps @ numpy.c_[numpy.array(sorted(places)), numpy.ones(len(places))].T
        for box in finding["boxes"]:
            a, b, _, d = map(numpy.array, box["corners_lps_mm"])
            right, down = b - a, d - a
            normal = numpy.cross(right, down) / numpy.linalg.norm(numpy.cross(right, down))
            offset = inside[:3].T - a
            near = numpy.abs(offset @ normal) < 0.3 * min(document["study"]["spacing_mm"])
            x, y = offset @ right / (right @ right), offset @ down / (down @ down)
            count = int((near & (x > 0) & (x < 1) & (y > 0) & (y < 1)).sum())
            width, height = box["box_px"][2] - box["box_px"][0], box["box_px"][3] - box["box_px"][1]
            low = (numpy.ceil(width) - 1) * (numpy.ceil(height) - 1)
            high = (numpy.floor(width) + 1) * (numpy.floor(height) + 1)
            check(low <= count <= high, f"F{finding['number']} slice {box['slice_idx']}: {count} voxels")
    return int((voxels > 0).sum())


def check_coco(folder, document):
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(folder / "coco.json")
        results = truth.loadRes(str(folder / "coco-results.json"))
    n_boxes = sum(len(finding["boxes"]) for finding in document["findings"])
    check(len(truth.getAnnIds()) == len(results.getAnnIds()) == n_boxes, "COCO: boxes")
    check(len(truth.getImgIds()) == document["study"]["n_slices"], "COCO: images")
    check(truth.dataset["info"]["description"] == NOTE, "COCO: note")
    for annotation in truth.loadAnns(truth.getAnnIds()):
        finding = document["findings"][annotation["finding"] - 1]
        box = finding["boxes"][annotation["image_id"] - 1 - finding["first_slice_idx"]]["box_px"]
        x, y, w, h = annotation["bbox"]
        close([x, y, x + w, y + h], box, 1e-9, "COCO: box")
        check(truth.loadCats(annotation["category_id"])[0]["name"] == finding["entity"], "COCO: category")
        check(truth.annToMask(annotation).sum() > 0, "COCO: outline")
    return n_boxes


def check_slicer(folder, document):
    markups = json.loads((folder / "findings.mrk.json").read_text())
    check(markups["@schema"].endswith("markups-schema-v1.0.3.json#"), "Slicer: schema")
    check(len(markups["markups"]) == len(document["findings"]), "Slicer: regions")
    for region, finding in zip(markups["markups"], document["findings"]):
        check(region["type"] == "ROI" and region["roiType"] == "Box", "Slicer: type")
        check(region["coordinateSystem"] == "LPS" and region["coordinateUnits"] == "mm", "Slicer: space")
        axes = numpy.array(region["orientation"]).reshape(3, 3)
        close(axes.T @ axes, numpy.eye(3), 1e-9, "Slicer: axes")
        close(numpy.linalg.det(axes), 1, 1e-9, "Slicer: handedness")
        close(region["controlPoints"][0]["position"], region["center"], 0, "Slicer: control point")
        corners = (numpy.array(finding["corners_lps_mm"]) - region["center"]) @ axes
        close(2 * numpy.abs(corners).max(axis=0), region["size"], 1e-6, "Slicer: size")
    return len(markups["markups"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("dicom", type=pathlib.Path, nargs="?")
    arguments = parser.parse_args()
    folder = arguments.out
    document = json.loads((folder / "findings.json").read_text())
    check(document["note"] == NOTE, "findings.json: note")
    images = source_images(arguments.dicom or folder / "dicom")
    affine = nibabel.load(folder / "input.nii.gz").affine
    n_groups = check_report(folder / "findings-sr.dcm", document, images, anonymous=False)
    masks = check_segments(folder / "findings-seg.dcm", document, images, False, affine)
    check_report(folder / "anonymous-findings-sr.dcm", document, images, anonymous=True)
    hidden = check_segments(folder / "anonymous-findings-seg.dcm", document, images, True, affine)
    check(masks == hidden, "the anonymous segmentation has other voxels")
    n_voxels = check_mask(folder, document, masks)
    n_boxes = check_coco(folder, document)
    n_regions = check_slicer(folder, document)
    print(
        f"{len(images)} images; report: {n_groups} groups; segmentation: {len(masks)} segments; "
        f"mask: {n_voxels} voxels; COCO: {n_boxes} boxes; Slicer: {n_regions} regions; {len(wrong)} wrong"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
