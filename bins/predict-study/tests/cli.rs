//! The real binary on a small synthetic study, as NIfTI and as DICOM.
#![expect(clippy::unwrap_used, reason = "test helpers outside of test functions")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use ct_phantom::{Layout, PhantomSpec, Tumors, generate_patient};
use ct_volume::dicom::{SeriesTags, write_series};
use ct_volume::{ReadOptions, nifti, read_labels};
use findings::{Entity, Findings};

const PATIENT: &str = "PLANTED^NAME";

fn predict_study(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_predict-study")).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// One patient with a tumor, as `study.nii.gz` and in the folder `dicom`.
fn study() -> &'static Path {
    static STUDY: OnceLock<tempfile::TempDir> = OnceLock::new();
    STUDY
        .get_or_init(|| {
            let folder = tempfile::tempdir().unwrap();
            let spec = PhantomSpec::new(Layout::Msd, 99, 1)
                .with_matrix(128)
                .with_slices(24..=24)
                .with_tumors(Tumors::All);
            let phantom = generate_patient(&spec, 0).unwrap();
            let file = folder.path().join("study.nii.gz");
            nifti::write_volume(&file, &phantom.volume, nifti::VoxelType::Int16).unwrap();
            let tags = SeriesTags {
                patient: PATIENT.to_owned(),
                uid_root: "2.25.4712".to_owned(),
                slice_thickness_mm: 5.0,
            };
            write_series(&folder.path().join("dicom"), &phantom.volume, &tags).unwrap();
            folder
        })
        .path()
}

/// A small ONNX file of the segmenter's tests.
fn segmenter(name: &str) -> String {
    format!("{}/../../crates/box-segmenter/tests/fixtures/{name}.onnx", env!("CARGO_MANIFEST_DIR"))
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs_err::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

const FILES: [&str; 7] = [
    "boxes.nii.gz",
    "coco-results.json",
    "coco.json",
    "findings.json",
    "findings.mrk.json",
    "montage.png",
    "overlays",
];

#[test]
fn a_study_becomes_findings_and_files() {
    let out = tempfile::tempdir().unwrap();
    let to = |name: &str| out.path().join(name).to_str().unwrap().to_owned();
    let input = study().join("study.nii.gz");
    let input = input.to_str().unwrap();
    let run = predict_study(&[input, "--out", &to("a"), "--organs", "--json"]);
    assert!(run.status.success(), "{}", text(&run.stderr));
    assert!(text(&run.stderr).contains("not for diagnosis"));
    let found = Findings::from_json(&run.stdout).unwrap();
    assert_eq!(names(Path::new(&to("a"))), FILES);
    assert_eq!(Findings::from_json(&fs_err::read(to("a") + "/findings.json").unwrap()).unwrap(), found);
    assert_eq!((found.n_slices_asked, found.slice_scores.len()), (24, 24));
    let of = |entity: Entity| found.findings.iter().filter(|finding| finding.entity == entity).count();
    assert!(of(Entity::PANCREAS) > 0 && of(Entity::LIVER) > 0, "{:?}", found.entities);
    assert_eq!(found.provenance.weights_sha256.len(), 4);
    // The mask lies on the grid of the study.
    let mask = read_labels(Path::new(&(to("a") + "/boxes.nii.gz")), &ReadOptions::default()).unwrap();
    assert_eq!(mask.geometry().shape(), found.study.shape);
    // The same study in another format has the same findings.
    let dicom = study().join("dicom");
    let run = predict_study(&[dicom.to_str().unwrap(), "--out", &to("b"), "--organs", "--json"]);
    assert!(run.status.success(), "{}", text(&run.stderr));
    let other = Findings::from_json(&run.stdout).unwrap();
    assert_eq!(other.findings.len(), found.findings.len());
    for (a, b) in other.findings.iter().zip(&found.findings) {
        assert_eq!((&a.entity, a.key_slice_idx), (&b.entity, b.key_slice_idx));
        assert!(a.center_lps_mm.iter().zip(b.center_lps_mm).all(|(a, b)| (a - b).abs() < 0.1));
    }
    let mut expected = FILES.map(str::to_owned).to_vec();
    expected.extend(["findings-seg.dcm", "findings-sr.dcm"].map(str::to_owned));
    expected.sort();
    assert_eq!(names(Path::new(&to("b"))), expected);
}

#[test]
fn a_sagittal_series_has_every_file_but_the_report() {
    let folder = tempfile::tempdir().unwrap();
    let (series, out) = (folder.path().join("series"), folder.path().join("out"));
    let volume = ct_volume::read_study(&study().join("study.nii.gz"), &ReadOptions::default()).unwrap();
    let sagittal = volume.reoriented("PSR".parse().unwrap());
    let tags = SeriesTags { patient: "x".into(), uid_root: "2.25.4713".into(), slice_thickness_mm: 3.0 };
    write_series(&series, &sagittal, &tags).unwrap();
    let run = predict_study(&[series.to_str().unwrap(), "--out", out.to_str().unwrap()]);
    assert!(run.status.success(), "{}", text(&run.stderr));
    assert!(text(&run.stderr).contains("no findings-sr.dcm"), "{}", text(&run.stderr));
    let mut expected = FILES.map(str::to_owned).to_vec();
    expected.push("findings-seg.dcm".to_owned());
    expected.sort();
    assert_eq!(names(&out), expected);
}

#[test]
fn a_segmenter_gives_masks_beside_the_boxes() {
    let out = tempfile::tempdir().unwrap();
    let to = |name: &str| out.path().join(name).to_str().unwrap().to_owned();
    let input = study().join("study.nii.gz");
    let (encoder, decoder) = (segmenter("sam-encoder"), segmenter("sam-decoder"));
    let segmenter = ["--segmenter-encoder", encoder.as_str(), "--segmenter-decoder", decoder.as_str()];
    let (input, with, without) = (input.to_str().unwrap(), to("with"), to("without"));
    let run = predict_study(&[[input, "--out", &with].as_slice(), &segmenter].concat());
    assert!(run.status.success(), "{}", text(&run.stderr));
    let mut expected = FILES.map(str::to_owned).to_vec();
    expected.push("segmentation.nii.gz".to_owned());
    assert_eq!(names(Path::new(&with)), expected);
    let mask = |name: &str| read_labels(&Path::new(&with).join(name), &ReadOptions::default()).unwrap();
    let (masks, boxes) = (mask("segmentation.nii.gz"), mask("boxes.nii.gz"));
    assert_eq!(masks.geometry(), boxes.geometry());
    assert_ne!(masks.labels(), boxes.labels());
    let labels = |volume: &ct_volume::LabelVolume| {
        volume.labels().iter().copied().collect::<std::collections::BTreeSet<u16>>()
    };
    assert!(labels(&masks).is_subset(&labels(&boxes)) && labels(&masks).len() > 1);
    // Everything else is as without it.
    let run = predict_study(&[input, "--out", &without]);
    assert!(run.status.success(), "{}", text(&run.stderr));
    let both = |file| [&with, &without].map(|folder| fs_err::read(Path::new(folder).join(file)).unwrap());
    let [a, b] = both("boxes.nii.gz");
    assert_eq!(a, b);
    let [mut a, b] = both("findings.json").map(|bytes| Findings::from_json(&bytes).unwrap());
    for part in ["segmenter-encoder", "segmenter-decoder"] {
        assert!(a.provenance.weights_sha256.remove(part).is_some());
    }
    assert_eq!(a, b);
}

#[test]
fn a_patient_is_named_in_dicom_objects_alone_and_not_if_anonymous() {
    let out = tempfile::tempdir().unwrap();
    let dicom = study().join("dicom");
    let key = out.path().join("key");
    fs_err::write(&key, "sixteen bytes or more").unwrap();
    for is_anonymous in [false, true] {
        let to = out.path().join(if is_anonymous { "anonymous" } else { "kept" });
        let mut arguments = vec![dicom.to_str().unwrap(), "--out", to.to_str().unwrap()];
        if is_anonymous {
            arguments.extend(["--anonymize", key.to_str().unwrap()]);
        }
        let run = predict_study(&arguments);
        assert!(run.status.success(), "{}", text(&run.stderr));
        let said = text(&run.stdout) + &text(&run.stderr);
        assert!(!said.contains("PLANTED") && !said.contains("2.25.4712"), "{said}");
        assert!(said.contains("tumor score\t"), "{said}");
        for file in all_files(&to) {
            let bytes = fs_err::read(&file).unwrap();
            let holds = |what: &[u8]| bytes.windows(what.len()).any(|part| part == what);
            let may = !is_anonymous && file.extension().is_some_and(|ending| ending == "dcm");
            assert_eq!(holds(PATIENT.as_bytes()), may, "{}", file.display());
            assert_eq!(holds(b"2.25.4712"), may, "{}", file.display());
        }
    }
}

fn all_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs_err::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { all_files(&path) } else { vec![path] }).collect()
}

#[test]
fn what_cannot_be_used_is_named_and_nothing_is_written() {
    let out = tempfile::tempdir().unwrap();
    let to = out.path().join("out");
    let to_text = to.to_str().unwrap();
    let short = out.path().join("short");
    fs_err::write(&short, "short").unwrap();
    let dicom = study().join("dicom");
    let (dicom, short) = (dicom.to_str().unwrap(), short.to_str().unwrap());
    let (encoder, decoder) = (segmenter("sam-encoder"), segmenter("sam-decoder"));
    let pair = |encoder, decoder| {
        vec![dicom, "--out", to_text, "--segmenter-encoder", encoder, "--segmenter-decoder", decoder]
    };
    for (arguments, code, said) in [
        (vec!["no/such.nii.gz", "--out", to_text], 1, "no/such.nii.gz"),
        (vec![dicom, "--out", to_text, "--run", "no/such"], 1, "no/such"),
        (vec![dicom, "--out", to_text, "--min-tumor", "1.5"], 1, "min_tumor"),
        (vec![dicom, "--out", to_text, "--anonymize", short], 1, "16"),
        (pair(&decoder, &encoder), 1, "swapped"),
        (pair(&encoder, "no/such.onnx"), 1, "no/such.onnx"),
        (vec![dicom, "--out", to_text, "--segmenter-encoder", &encoder], 2, "--segmenter-decoder"),
        (vec![dicom], 2, "--out"),
    ] {
        let run = predict_study(&arguments);
        assert_eq!(run.status.code(), Some(code), "{arguments:?}");
        assert!(text(&run.stderr).contains(said), "{arguments:?}: {}", text(&run.stderr));
        assert!(!to.exists() || names(&to).is_empty(), "{arguments:?}");
    }
    let help = predict_study(&["--help"]);
    assert!(text(&help.stdout).contains("Example:") && text(&help.stdout).contains("Exit codes"));
}
