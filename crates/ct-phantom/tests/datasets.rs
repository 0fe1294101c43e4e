//! Data sets on disk: names, agreement of image and mask, threads, errors.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use ct_phantom::{
    Layout, MANIFEST_NAME, PhantomError, PhantomLabel as Label, PhantomManifest, PhantomSpec, Tumors,
    generate_patient, write_dataset,
};
use ct_volume::{Limits, Orientation, ReadOptions, Warning, WarningCode, nifti, read_study};

fn tiny(layout: Layout, patients: u32) -> PhantomSpec {
    PhantomSpec::quick(layout, 17, patients).with_matrix(64)
}

fn write(out: &Path, spec: &PhantomSpec) -> PhantomManifest {
    write_dataset(out, spec, &|_| (), &AtomicBool::new(false)).expect("a temporary folder can be written")
}

/// Every file under a folder with its bytes.
fn files(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let (mut folders, mut found) = (vec![root.to_owned()], BTreeMap::new());
    while let Some(folder) = folders.pop() {
        for entry in fs_err::read_dir(folder).expect("a folder just found") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(root).expect("found under the root");
                found.insert(name.to_owned(), fs_err::read(&path).expect("a file just found"));
            }
        }
    }
    found
}

#[test]
fn bytes_do_not_depend_on_threads() {
    for layout in Layout::ALL {
        let spec = tiny(layout, 5);
        let mut seen: Option<BTreeMap<PathBuf, Vec<u8>>> = None;
        for threads in [1, 2, 4] {
            let folder = tempfile::tempdir().unwrap();
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| write(folder.path(), &spec));
            let found = files(folder.path());
            match &seen {
                Some(first) => assert!(*first == found, "{layout}, {threads} threads"),
                None => seen = Some(found),
            }
        }
    }
}

#[test]
fn files_have_the_names_of_the_layout() {
    let check = |layout, expected: &[&str]| {
        let folder = tempfile::tempdir().unwrap();
        let manifest = write(folder.path(), &tiny(layout, 2));
        let names: Vec<String> =
            files(folder.path()).into_keys().map(|path| path.to_string_lossy().replace('\\', "/")).collect();
        for name in expected {
            assert!(names.iter().any(|n| n == name), "{layout}: no {name} in {names:?}");
        }
        assert!(names.iter().any(|n| n == MANIFEST_NAME));
        let text = fs_err::read_to_string(folder.path().join(MANIFEST_NAME)).unwrap();
        assert_eq!(serde_json::from_str::<PhantomManifest>(&text).unwrap(), manifest);
    };
    check(
        Layout::Msd,
        &["imagesTr/pancreas_001.nii.gz", "labelsTr/pancreas_001.nii.gz", "labelsTr/pancreas_002.nii.gz"],
    );
    check(
        Layout::Nih,
        &[
            "volumes/PANCREAS_0001/01-01-2000-PANCREAS0001-phantom/Pancreas-0001/1-001.dcm",
            "volumes/PANCREAS_0002/01-01-2000-PANCREAS0002-phantom/Pancreas-0002/1-024.dcm",
            "TCIA_pancreas_labels-02-05-2017/label0002.nii.gz",
        ],
    );
    check(
        Layout::Abd,
        &[
            "AbdomenCT-1K-ImagePart1/Case_00001_0000.nii.gz",
            "AbdomenCT-1K-ImagePart2/Case_00401_0000.nii.gz",
            "Masks/Case_00401.nii.gz",
        ],
    );
}

/// What the files hold is what is in memory: by affine, and by the published index maps.
#[test]
fn image_and_mask_agree_by_affine_and_by_index() {
    for layout in Layout::ALL {
        let folder = tempfile::tempdir().unwrap();
        let spec = tiny(layout, 2).with_tumors(Tumors::Half);
        let manifest = write(folder.path(), &spec);
        for (index, study) in (0..).zip(&manifest.studies) {
            let memory = generate_patient(&spec, index).unwrap();
            let image = read_study(&folder.path().join(&study.image), &ReadOptions::default()).unwrap();
            let mask =
                nifti::read_labels(&folder.path().join(&study.labels), &Limits::default(), None).unwrap();
            // Overlapping slices are part of the phantom; nothing else is to be noticed.
            let expected = |warning: &&Warning| warning.code == WarningCode::ThicknessIsNotSpacing;
            let warnings: Vec<_> =
                image.warnings().iter().chain(mask.warnings()).filter(|w| !expected(w)).collect();
            assert!(warnings.is_empty(), "{layout}: {warnings:?}");
            image.geometry().check_same_grid(mask.geometry(), 1e-3).unwrap();
            let tidy = image.geometry().reoriented(Orientation::LPS);
            tidy.check_same_grid(memory.volume.geometry(), 1e-3).unwrap();
            assert_eq!(image.view_as(Orientation::LPS), memory.volume.hu().view());

            let [n0, n1, n2] = image.geometry().shape();
            let (stored, labels) = (image.hu(), mask.labels());
            for ((column, row, up), &hu) in memory.volume.hu().indexed_iter() {
                // SPEC 1.2: pixel (row, column) of the picture shows this voxel.
                let (at, k) = match layout {
                    Layout::Msd | Layout::Abd => ([n0 - 1 - column, n1 - 1 - row], up),
                    Layout::Nih => ([column, n1 - 1 - row], n2 - 1 - up),
                };
                assert_eq!(stored[[at[0], at[1], k]], hu);
                let label = Label::from_value(memory.organs.labels()[[column, row, up]]).unwrap();
                let expected = match (layout, label) {
                    (Layout::Msd | Layout::Nih, Label::Pancreas) | (Layout::Nih, Label::Tumor) => 1,
                    (Layout::Msd, Label::Tumor) => 2,
                    (Layout::Abd, Label::Liver) => 1,
                    (Layout::Abd, Label::RightKidney | Label::LeftKidney) => 2,
                    (Layout::Abd, Label::Spleen) => 3,
                    (Layout::Abd, Label::Pancreas | Label::Tumor) => 4,
                    _ => 0,
                };
                assert_eq!(labels[[at[0], at[1], k]], expected, "{layout} {label:?}");
            }
            if let (Layout::Msd, Some(tumor)) = (layout, &study.facts.tumor) {
                assert_eq!(labels[tumor.center_voxel], 2);
            }
        }
    }
}

/// File 1-(k+1) is slice k of the mask, row j and column i are the mask's (SPEC 1.2).
#[test]
fn a_dicom_file_is_found_by_its_number() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = write(folder.path(), &tiny(Layout::Nih, 1));
    let series = folder.path().join(&manifest.studies[0].image);
    let whole = read_study(&series, &ReadOptions::default()).unwrap();
    for k in [0, 5, 23] {
        let one = read_study(&series.join(format!("1-{:03}.dcm", k + 1)), &ReadOptions::default()).unwrap();
        assert_eq!(one.hu().index_axis(ndarray::Axis(2), 0), whole.hu().index_axis(ndarray::Axis(2), k));
    }
}

#[test]
fn nih_patients_are_healthy_unless_asked() {
    assert_eq!(PhantomSpec::new(Layout::Nih, 1, 4).tumors, Tumors::None);
    assert_eq!(PhantomSpec::new(Layout::Msd, 1, 4).tumors, Tumors::Half);
    let folder = tempfile::tempdir().unwrap();
    let manifest = write(folder.path(), &tiny(Layout::Msd, 4));
    assert_eq!(manifest.studies.iter().filter(|study| study.facts.tumor.is_some()).count(), 2);
}

#[test]
fn progress_is_told_once_a_patient() {
    let folder = tempfile::tempdir().unwrap();
    let told = Mutex::new(Vec::new());
    let tell =
        |progress: ct_phantom::Progress| told.lock().unwrap().push((progress.index, progress.patients));
    write_dataset(folder.path(), &tiny(Layout::Msd, 3), &tell, &AtomicBool::new(false)).unwrap();
    let mut told = told.into_inner().unwrap();
    told.sort_unstable();
    assert_eq!(told, [(0, 3), (1, 3), (2, 3)]);
}

#[test]
fn cancelling_leaves_no_manifest() {
    let folder = tempfile::tempdir().unwrap();
    let cancel = AtomicBool::new(false);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let stop = |_| cancel.store(true, Ordering::Relaxed);
    let error =
        pool.install(|| write_dataset(folder.path(), &tiny(Layout::Msd, 6), &stop, &cancel)).unwrap_err();
    assert!(matches!(error, PhantomError::Cancelled), "{error}");
    assert!(!folder.path().join(MANIFEST_NAME).exists());
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs_err::write(&file, b"in the way").unwrap();
    let out = file.join("out");
    let error = write_dataset(&out, &tiny(Layout::Msd, 1), &|_| (), &AtomicBool::new(false)).unwrap_err();
    assert!(matches!(&error, PhantomError::Folder { path, .. } if *path == out), "{error}");
    let spec = tiny(Layout::Msd, 1).with_matrix(4000);
    let error = write_dataset(folder.path(), &spec, &|_| (), &AtomicBool::new(false)).unwrap_err();
    assert!(matches!(error, PhantomError::Spec(_)), "{error}");
}
