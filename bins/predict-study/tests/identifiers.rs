//! What is planted in 200 DICOM objects comes out nowhere but where DICOM asks for it.
#![expect(clippy::unwrap_used, reason = "test helpers outside of test functions")]

#[path = "../../chat-server/tests/support/planted.rs"]
mod planted;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use planted::{leaked, plant};

const N_SERIES: usize = 4;
const N_SLICES: u32 = 50;

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs_err::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

#[test]
fn planted_identifiers_come_out_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    fs_err::write(&key, [7; 32]).unwrap();
    let (mut n_objects, mut out) = (0, Vec::new());
    let everything: Vec<_> = (0..N_SERIES).map(|series| plant(series, N_SLICES)).collect();
    for (number, planted) in everything.iter().enumerate() {
        let study = folder.path().join(format!("study-{number}"));
        fs_err::create_dir(&study).unwrap();
        for (name, bytes) in &planted.files {
            fs_err::write(study.join(name), bytes).unwrap();
            n_objects += 1;
        }
        let results = folder.path().join(format!("results-{number}"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_predict-study"));
        command.arg(&study).arg("--out").arg(&results);
        let is_anonymous = number % 2 == 1;
        if is_anonymous {
            command.arg("--json").arg("--anonymize").arg(&key);
        }
        let run = command.output().unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        out.extend([run.stdout, run.stderr]);
        let written = files(&results);
        assert!(written.len() > 8, "{written:?}");
        for path in written {
            let mut bytes = fs_err::read(&path).unwrap();
            out.push(path.display().to_string().into_bytes());
            match path.extension().and_then(|ending| ending.to_str()) {
                Some("dcm") if !is_anonymous => {
                    assert_eq!(leaked(&bytes, &planted.secret), None, "{}", path.display());
                    assert!(leaked(&bytes, &planted.repeated).is_some(), "{}", path.display());
                    continue;
                }
                Some("gz") => {
                    let mut voxels = Vec::new();
                    flate2::read::GzDecoder::new(bytes.as_slice()).read_to_end(&mut voxels).unwrap();
                    bytes = voxels;
                }
                _ => {}
            }
            out.push(bytes);
        }
    }
    assert_eq!(n_objects, 200);
    // A study that cannot be used.
    let broken = folder.path().join("broken");
    fs_err::create_dir(&broken).unwrap();
    let (_, bytes) = &everything[0].files[0];
    fs_err::write(broken.join("1.dcm"), &bytes[..2000]).unwrap();
    let run = Command::new(env!("CARGO_BIN_EXE_predict-study"))
        .arg(&broken)
        .arg("--out")
        .arg(folder.path().join("none"))
        .output()
        .unwrap();
    assert_eq!(run.status.code(), Some(1));
    out.extend([run.stdout, run.stderr]);
    for bytes in &out {
        let found = leaked(bytes, everything.iter().flat_map(|planted| planted.all()));
        assert!(found.is_none(), "`{}` came out: {}", found.unwrap(), String::from_utf8_lossy(bytes));
    }
}
