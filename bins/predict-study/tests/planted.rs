//! Identifiers planted in every attribute of PS3.15's table, in several transfer syntaxes and character sets, and
//! in NIfTI and NRRD headers: no program repeats one, in files, names of files, messages or what it leaves behind.
//!
//! Programs beside `predict-study` are those that `cargo test --workspace` builds next to it.
#![expect(clippy::unwrap_used, reason = "test helpers outside of test functions")]

#[path = "../../../crates/dicom-findings/tests/support/planting.rs"]
mod planting;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ct_phantom::{Layout, PhantomSpec, Tumors, generate_patient};
use ct_volume::dicom::{SeriesTags, write_series};
use planting::{Planter, Search, check_search, deflated, in_syntax};
use tempfile::TempDir;

const SYNTAXES: [&str; 4] =
    ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"];
const N_SLICES: u32 = 24;

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs_err::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

/// A program in an empty folder for temporary files, told to say all it can.
fn program(name: &str, temporary: &Path) -> Command {
    let path = Path::new(env!("CARGO_BIN_EXE_predict-study")).with_file_name(name);
    assert!(path.is_file(), "{} is built by `cargo test --workspace`", path.display());
    let mut command = Command::new(path);
    command.env("RUST_LOG", "trace").env("RUST_BACKTRACE", "full").env("TMPDIR", temporary);
    command
}

/// What came out of runs.
struct Outputs {
    temporary: TempDir,
    /// What it is, and the bytes.
    all: Vec<(String, Vec<u8>)>,
}

impl Outputs {
    fn new() -> Self {
        Self { temporary: TempDir::new().unwrap(), all: Vec::new() }
    }

    fn run(&mut self, name: &str, arguments: &[&str]) -> Output {
        let output = program(name, self.temporary.path()).args(arguments).output().unwrap();
        let what = format!("{name} {arguments:?}");
        self.all.push((format!("stdout of {what}"), output.stdout.clone()));
        self.all.push((format!("stderr of {what}"), output.stderr.clone()));
        output
    }

    /// A run that must work.
    fn done(&mut self, name: &str, arguments: &[&str]) {
        let output = self.run(name, arguments);
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name} {arguments:?}: {message}");
    }

    /// Every file of a folder, with its name.
    fn folder(&mut self, folder: &Path) {
        let written = files(folder);
        assert!(!written.is_empty(), "{}", folder.display());
        for path in written {
            let bytes = fs_err::read(&path).unwrap();
            let name = path.strip_prefix(folder).unwrap().display().to_string();
            self.all.push((format!("name {name}"), name.into_bytes()));
            self.all.push((path.display().to_string(), bytes));
        }
    }

    /// Nothing is found, and nothing is left in the folder for temporary files.
    fn check(&self, search: &Search) -> usize {
        for (what, bytes) in &self.all {
            assert_eq!(search.find(bytes), None, "{what}");
        }
        assert_eq!(files(self.temporary.path()), Vec::<PathBuf>::new(), "left behind");
        self.all.iter().map(|(_, bytes)| bytes.len()).sum()
    }
}

/// A planted series in a folder; names of its files are planted in `names`.
fn study(folder: &Path, number: usize, names: &mut Planter) -> Planter {
    let spec = PhantomSpec::new(Layout::Msd, 700 + number as u64, 1)
        .with_matrix(64)
        .with_slices(N_SLICES..=N_SLICES)
        .with_tumors(Tumors::All);
    let volume = generate_patient(&spec, 0).unwrap().volume;
    let plain = TempDir::new().unwrap();
    let tags = SeriesTags { patient: "P".into(), uid_root: "2.25.66".into(), slice_thickness_mm: 5.0 };
    let mut planter = Planter::new(number);
    let attributes = planter.attributes();
    fs_err::create_dir_all(folder).unwrap();
    for (slice, path) in write_series(plain.path(), &volume, &tags).unwrap().iter().enumerate() {
        let mut object = dicom_object::open_file(path).unwrap();
        let syntax = SYNTAXES[number % SYNTAXES.len()];
        let is_deflated = syntax == SYNTAXES[3];
        if !is_deflated {
            object = in_syntax(object, syntax);
        }
        let mut bytes = planter.file(object, &attributes, slice);
        if is_deflated {
            bytes = deflated(&bytes);
        }
        fs_err::write(folder.join(format!("{}.dcm", names.mark("FILE", 100 * number + slice))), bytes)
            .unwrap();
    }
    planter
}

#[test]
fn nothing_of_a_dicom_study_comes_out() {
    let work = TempDir::new().unwrap();
    let at = |name: &str| work.path().join(name);
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let key = at("key");
    fs_err::write(&key, [7; 32]).unwrap();
    let mut outputs = Outputs::new();
    let mut own = Outputs::new();
    let mut names = Planter::new(9);
    let mut planters = Vec::new();
    for number in 0..5 {
        let home = at(&format!("study-{number}"));
        planters.push(study(&home, number, &mut names));
        let home = text(&home);
        let [named, anonymous] = ["named", "anonymous"].map(|kind| at(&format!("{kind}-{number}")));
        outputs.done(
            "predict-study",
            &[&home, "--out", &text(&anonymous), "--json", "--anonymize", &text(&key)],
        );
        outputs.folder(&anonymous);
        if number == 0 {
            outputs.done("predict-study", &[&home, "--out", &text(&named), "--organs"]);
            // Objects that belong to the study repeat what the standard asks for.
            for name in ["findings-sr.dcm", "findings-seg.dcm"] {
                own.all.push((name.to_owned(), fs_err::read(named.join(name)).unwrap()));
                fs_err::remove_file(named.join(name)).unwrap();
            }
            outputs.folder(&named);
            let overlays = at("overlays");
            outputs.done("detect-pancreas", &["predict", &home, "--json", "--overlay", &text(&overlays)]);
            outputs.folder(&overlays);
        }
        outputs.done("prepare-slices", &["inspect", &home]);
        outputs.done("prepare-slices", &["inspect", &home, "--json"]);
        let converted = at(&format!("converted-{number}"));
        fs_err::create_dir(&converted).unwrap();
        outputs.done("prepare-slices", &["convert", &home, "--out", &text(&converted.join("a.nii.gz"))]);
        let slice = text(&converted.join("s.png"));
        outputs.done("prepare-slices", &["slice", &home, "--index", "9", "--out", &slice]);
        outputs.folder(&converted);
    }
    let n_values: usize = planters.iter().map(|planter| planter.planted.len()).sum();
    assert!(n_values > 4000, "{n_values}");
    for planter in &planters {
        // Attributes whose values are three digits and a letter, or two bytes.
        assert!(planter.too_short.len() < 8, "{:?}", planter.too_short);
    }
    let everything = || planters.iter().chain([&names]);
    let search = Planter::search(everything(), true);
    check_search(&search, &planters[2].planted[7].bytes);
    let mut injected = Outputs::new();
    injected.folder(&at("study-1"));
    assert!(injected.all.iter().all(|(_, bytes)| search.find(bytes).is_some()), "a leak is found");
    let n_bytes = outputs.check(&search);
    own.check(&Planter::search(everything(), false));
    let repeated = Planter::search(&planters, true);
    assert!(own.all.iter().all(|(_, bytes)| repeated.find(bytes).is_some()), "they point to the study");
    println!(
        "{n_values} values, {} forms, {} outputs of {n_bytes} bytes",
        search.n_forms(),
        outputs.all.len()
    );

    // What cannot be used: messages name the file, as its user named it, and nothing within it.
    let mut refused = Outputs::new();
    let whole = files(&at("study-0")).into_iter().next().unwrap();
    let whole = fs_err::read(whole).unwrap();
    for (number, cut) in (0..24).map(|n| 140 + n * whole.len() / 25).enumerate() {
        let broken = at(&format!("broken-{number}"));
        fs_err::create_dir(&broken).unwrap();
        let mut bytes = whole.clone();
        if number % 3 == 0 {
            bytes.truncate(cut);
        } else {
            let end = bytes.len().min(cut + 9);
            bytes[cut..end].fill(0xFF);
        }
        fs_err::write(broken.join("1.dcm"), &bytes).unwrap();
        let broken = text(&broken);
        let out = text(&at("none"));
        refused.run("prepare-slices", &["inspect", &broken, "--json"]);
        refused.run("prepare-slices", &["convert", &broken, "--out", &text(&at("none.nii"))]);
        if number < 4 {
            refused.run("predict-study", &[&broken, "--out", &out]);
            refused.run("detect-pancreas", &["predict", &broken]);
        }
    }
    let two = at("two");
    fs_err::create_dir(&two).unwrap();
    for number in [0, 1] {
        for path in files(&at(&format!("study-{number}"))) {
            let name = format!("{number}-{}.dcm", refused.all.len() + path.file_name().unwrap().len());
            fs_err::copy(&path, two.join(name)).unwrap();
        }
    }
    assert!(!refused.run("prepare-slices", &["inspect", &text(&two)]).status.success(), "two series");
    let missing = text(&at("missing"));
    assert!(!refused.run("predict-study", &[&missing, "--out", &missing]).status.success());
    refused.check(&Planter::search(&planters, true));
}

#[test]
fn nothing_of_a_data_set_comes_out() {
    let work = TempDir::new().unwrap();
    let [home, out] = ["home", "out"].map(|name| work.path().join(name));
    let [home_text, out_text] = [&home, &out].map(|path| path.to_str().unwrap());
    let mut outputs = Outputs::new();
    let phantom = ["phantom", "--layout", "nih", "--patients", "4", "--size", "64", "--slices", "24-24"];
    outputs.done("prepare-slices", &[&phantom[..], &["--out", home_text]].concat());
    let mut planters: Vec<Planter> = Vec::new();
    let mut last = PathBuf::new();
    let dicom = files(&home).into_iter().filter(|path| path.extension().is_some_and(|e| e == "dcm"));
    let mut attributes = Vec::new();
    for (slice, path) in dicom.enumerate() {
        if path.parent() != Some(&last) {
            path.parent().unwrap().clone_into(&mut last);
            planters.push(Planter::new(planters.len()));
            attributes = planters.last_mut().unwrap().attributes();
        }
        let object = dicom_object::open_file(&path).unwrap();
        let bytes = planters.last_mut().unwrap().file(object, &attributes, slice);
        fs_err::write(&path, bytes).unwrap();
    }
    assert_eq!(planters.len(), 4);
    outputs.done(
        "prepare-slices",
        &[
            "run",
            "--dataset",
            "nih-pancreas",
            "--root",
            home_text,
            "--out",
            out_text,
            "--reference-json",
            "--json",
        ],
    );
    outputs.run("prepare-slices", &["audit", out_text]);
    outputs.folder(&out);
    let search = Planter::search(&planters, true);
    check_search(&search, &planters[3].planted[9].bytes);
    outputs.check(&search);
}

#[test]
fn nothing_of_nifti_and_nrrd_headers_comes_out() {
    let work = TempDir::new().unwrap();
    let at = |name: &str| work.path().join(name).to_str().unwrap().to_owned();
    let spec = PhantomSpec::new(Layout::Msd, 70, 1).with_matrix(64).with_slices(24..=24);
    let volume = generate_patient(&spec, 0).unwrap().volume;
    ct_volume::nifti::write_volume(Path::new(&at("plain.nii")), &volume, ct_volume::nifti::VoxelType::Int16)
        .unwrap();
    let mut planter = Planter::new(0);
    let nifti = planter.nifti(&fs_err::read(at("plain.nii")).unwrap());
    let nrrd = planter.nrrd(64);
    let mut broken = [nifti.clone(), nrrd.clone()];
    broken.iter_mut().for_each(|bytes| bytes.truncate(bytes.len() - 1000));
    let [broken_nifti, broken_nrrd] = broken;
    let mut outputs = Outputs::new();
    for (name, bytes, is_usable) in [
        ("a.nii", nifti, true),
        ("b.nrrd", nrrd, true),
        ("c.nii", broken_nifti, false),
        ("d.nrrd", broken_nrrd, false),
    ] {
        let path = at(name);
        fs_err::write(&path, bytes).unwrap();
        let [found, made] = ["found", "made"].map(|kind| at(&format!("{name}-{kind}")));
        fs_err::create_dir(&made).unwrap();
        let png = format!("{made}/s.png");
        let nii = format!("{made}/v.nii.gz");
        for (program, arguments) in [
            ("prepare-slices", vec!["inspect", path.as_str(), "--json"]),
            ("prepare-slices", vec!["convert", &path, "--out", &nii]),
            ("prepare-slices", vec!["slice", &path, "--index", "2", "--out", &png]),
            ("predict-study", vec![&path, "--out", &found, "--json"]),
        ] {
            let output = outputs.run(program, &arguments);
            let message = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.success(), is_usable, "{program} {arguments:?}: {message}");
        }
        if is_usable {
            outputs.folder(Path::new(&made));
            outputs.folder(Path::new(&found));
        }
    }
    assert!(planter.planted.len() >= 13);
    let search = Planter::search([&planter], true);
    check_search(&search, &planter.planted[0].bytes);
    outputs.check(&search);
}

/// The real series beside a checkout, where they are.
#[test]
fn nothing_of_real_series_comes_out() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let work = TempDir::new().unwrap();
    let key = work.path().join("key");
    fs_err::write(&key, [9; 32]).unwrap();
    for name in ["dcmqi-ct-3slice", "rt-utils-oblique", "cornerstone-ct-transfer-syntaxes"] {
        let folder = data.join(name);
        if !folder.is_dir() {
            println!("skipped: {name} is not there");
            continue;
        }
        let mut planter = Planter::new(0);
        let mut outputs = Outputs::new();
        let is_series = name != "cornerstone-ct-transfer-syntaxes";
        for path in files(&folder).iter().filter(|path| path.extension().is_some_and(|e| e == "dcm")) {
            let Ok(object) = dicom_object::open_file(path) else { continue };
            planter.note_real(&object);
            if !is_series {
                outputs.run("prepare-slices", &["inspect", path.to_str().unwrap(), "--json"]);
            }
        }
        if is_series {
            let study = folder.to_str().unwrap();
            let out = work.path().join(name);
            let to = out.to_str().unwrap();
            outputs.done("prepare-slices", &["inspect", study, "--json"]);
            // Slices of three studies make no object, and it is said so.
            let is_one = name == "dcmqi-ct-3slice";
            let arguments = [study, "--out", to, "--anonymize", key.to_str().unwrap()];
            assert_eq!(outputs.run("predict-study", &arguments).status.success(), is_one);
            if is_one {
                outputs.folder(&out);
            }
        }
        assert!(planter.planted.len() > 5, "{name}: {}", planter.planted.len());
        let search = Planter::search([&planter], true);
        check_search(&search, &planter.planted[0].bytes);
        let n_bytes = outputs.check(&search);
        println!("{name}: {} values, {n_bytes} bytes", planter.planted.len());
    }
}

#[test]
fn text_that_may_be_burned_in_is_told() {
    use dicom_core::{DataElement, VR};
    use dicom_dictionary_std::tags;
    let work = TempDir::new().unwrap();
    let mut names = Planter::new(9);
    study(&work.path().join("s"), 0, &mut names);
    for path in files(&work.path().join("s")) {
        let mut object = dicom_object::open_file(&path).unwrap();
        object.put(DataElement::new(tags::BURNED_IN_ANNOTATION, VR::CS, "YES"));
        object.put(DataElement::new(tags::RECOGNIZABLE_VISUAL_FEATURES, VR::CS, "YES"));
        fs_err::remove_file(&path).unwrap();
        object.write_to_file(&path).unwrap();
    }
    let [study, out] = ["s", "o"].map(|name| work.path().join(name).to_str().unwrap().to_owned());
    let mut outputs = Outputs::new();
    outputs.done("predict-study", &[&study, "--out", &out, "--json"]);
    outputs.done("prepare-slices", &["inspect", &study]);
    let document = fs_err::read(Path::new(&out).join("findings.json")).unwrap();
    for code in ["burned-in-annotation", "recognizable-visual-features"] {
        let says = |bytes: &[u8]| String::from_utf8_lossy(bytes).contains(code);
        let [stdout, stderr, inspected, _] = &outputs.all[..] else { panic!() };
        assert!(says(&stdout.1) && says(&stderr.1) && says(&inspected.1) && says(&document), "{code}");
    }
}
