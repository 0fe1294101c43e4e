//! Writes every export of a study: `export_study OUT [DICOM_FOLDER]`.
//!
//! Without a folder it makes an oblique synthetic series in `OUT/dicom`. The answers are made up: boxes
//! that drift through the middle slices, with a gap. `tools/interop/dicom_findings.py` reads `OUT` back.

use std::path::{Path, PathBuf};

use ct_slices::pixels::HuWindow;
use ct_volume::dicom::{DicomOptions, SeriesTags, read_series, write_series};
use ct_volume::{Affine, Limits, Volume, nifti, write_atomic};
use dicom_findings::{
    ExportOptions, Identity, MissingUids, Software, SourceSeries, Timestamp, measurement_report, segmentation,
};
use findings::export::{coco, montage_png, slicer_markups, write_box_mask, write_overlays};
use findings::{Entity, FindingOptions, Findings, Provenance, SliceAnswers, SliceBox};
use ndarray::{Array3, ShapeBuilder};

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let out = arguments.next().ok_or("usage: export_study OUT [DICOM_FOLDER]")?;
    fs_err::create_dir_all(&out)?;
    let folder = match arguments.next() {
        Some(folder) => folder,
        None => synthetic(&out.join("dicom"))?,
    };
    let paths = [folder];
    let (limits, dicom) = (Limits::default(), DicomOptions::default());
    let volume = read_series(&paths, &limits, &dicom)?;
    nifti::write_volume(&out.join("input.nii.gz"), &volume, nifti::VoxelType::Int16)?;

    let found = Findings::from_answers(
        &answers(&volume)?,
        volume.geometry(),
        provenance(),
        &FindingOptions::default(),
    )?;
    found.write(&out.join("findings.json"))?;
    let coco = coco(&found);
    write_atomic(&out.join("coco.json"), &coco.dataset)?;
    write_atomic(&out.join("coco-results.json"), &coco.results)?;
    write_box_mask(&out.join("boxes.nii.gz"), &found)?;
    write_atomic(&out.join("findings.mrk.json"), &slicer_markups(&found)?)?;
    write_overlays(&out.join("overlays"), &volume, &found, HuWindow::PANCREAS)?;
    write_atomic(&out.join("montage.png"), &montage_png(&volume, &found, HuWindow::PANCREAS)?)?;

    let source = SourceSeries::read(&paths, &limits, &dicom, MissingUids::Derive)?;
    let software = Software::new("minigpt-pancreas", "export_study", env!("CARGO_PKG_VERSION"))?;
    let mut options = ExportOptions::new(Timestamp::new("20260102", "030405")?, software);
    write_objects(&out, "", &found, &source, &options)?;
    options.identity = Identity::Anonymize { key: b"a key of the example".to_vec() };
    write_objects(&out, "anonymous-", &found, &source, &options)
}

fn write_objects(
    out: &Path,
    prefix: &str,
    found: &Findings,
    source: &SourceSeries,
    options: &ExportOptions,
) -> Result<(), Failure> {
    let report = measurement_report(found, source, options)?;
    write_atomic(&out.join(format!("{prefix}findings-sr.dcm")), &report)?;
    let segments = segmentation(found, source, options)?.ok_or("no findings")?;
    write_atomic(&out.join(format!("{prefix}findings-seg.dcm")), &segments)?;
    Ok(())
}

/// An oblique series of 96 x 70 px and 24 slices.
fn synthetic(folder: &Path) -> Result<PathBuf, Failure> {
    let hu = Array3::from_shape_fn((96, 70, 24).f(), |(i, j, k)| {
        let (x, y, z) = (i as f32 - 48.0, j as f32 - 35.0, k as f32 - 12.0);
        let inside = (x / 44.0).powi(2) + (y / 30.0).powi(2) < 1.0;
        if inside { (40.0 + x / 2.0 - y / 3.0 + z).round() } else { -1000.0 }
    });
    let (sin, cos) = 0.2_f64.sin_cos();
    let rows =
        [[-0.8, 0.0, 0.0, 40.0], [0.0, -0.7 * cos, 2.5 * sin, 25.0], [0.0, 0.7 * sin, 2.5 * cos, -60.0]];
    let volume = Volume::new(hu, Affine::from_rows(rows))?;
    let tags = SeriesTags {
        patient: "PHANTOM^ONE".to_owned(),
        uid_root: "2.25.4711".to_owned(),
        slice_thickness_mm: 2.5,
    };
    write_series(folder, &volume, &tags)?;
    Ok(folder.to_owned())
}

/// Boxes that drift with the slices; the tumor's miss one slice, and a stray box is dropped.
fn answers(volume: &Volume) -> Result<Vec<SliceAnswers>, Failure> {
    let study = findings::StudyGeometry::new(volume.geometry())?;
    let [width, height] = study.size_px().map(f64::from);
    let n_slices = study.n_slices();
    let (low, high) = (n_slices / 4, n_slices - n_slices / 4);
    let entities =
        [Entity::PANCREAS, Entity::LIVER, Entity::RIGHT_KIDNEY, Entity::SPLEEN, Entity::new("cyst")?];
    let mut answers = Vec::with_capacity(n_slices);
    for slice_idx in 0..n_slices {
        let part = slice_idx as f64 / n_slices as f64;
        let at = |left: f64, top: f64| {
            let (left, top) = (left + 0.05 * part, top + 0.08 * part);
            [left * width, top * height, (left + 0.21) * width, (top + 0.17) * height]
        };
        let slice_box = |entity: &Entity, edges: [f64; 4], probability| SliceBox {
            entity: entity.clone(),
            box_px: edges.into(),
            probability,
        };
        let mut boxes = Vec::new();
        if (low..high).contains(&slice_idx) {
            for (n, entity) in entities.iter().enumerate() {
                boxes.push(slice_box(
                    entity,
                    at(0.1 + 0.14 * n as f64, 0.3 + 0.05 * n as f64),
                    Some(0.9 - part / 3.0),
                ));
            }
            if (low + 2..high - 2).contains(&slice_idx) && slice_idx != n_slices / 2 {
                let [x, y, ..] = at(0.16, 0.36);
                boxes.push(slice_box(&Entity::PANCREATIC_TUMOR, [x, y, x + 9.3, y + 7.1], Some(0.7)));
            }
        }
        if slice_idx == 1 {
            boxes.push(slice_box(&Entity::PANCREATIC_TUMOR, [1.0, 1.0, 5.0, 5.0], Some(0.3)));
        }
        let distance = (part - 0.5).abs();
        answers.push(SliceAnswers {
            slice_idx,
            boxes,
            tumor_probability: Some((0.9 - 1.8 * distance).max(0.0)),
        });
    }
    Ok(answers)
}

fn provenance() -> Provenance {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    Provenance {
        versions: [("export_study".to_owned(), version)].into(),
        weights_sha256: [("adapter".to_owned(), "5e".repeat(32))].into(),
        split_sha256: Some("0d".repeat(32)),
        config: Some(serde_json::json!({ "window_hu": [-150, 250] })),
    }
}
