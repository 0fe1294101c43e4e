//! Indices, split files and image tables survive the disk, and what is wrong with them is named.

mod audit_set;

use std::error::Error;
use std::path::Path;

use audit_set::{Set, slice_image};
use ct_slices::SplitPart::{Test, Train};
use ct_slices::index::{
    INDEX_FILE_NAME, IndexError, IndexLimits, LineProblem, RecordProblem, SplitFile, SplitFileError,
    SplitProblem, index_to_bytes, read_image_csv, read_index, read_index_as_is, read_indices, write_index,
};
use ct_slices::pixels::encode_gray;
use ct_slices::{IndexRecord, Neighbors, Task, YesNo};

fn two_patients() -> Set {
    let mut set = Set::new("set", "MSD");
    set.add_patient("pancreas_001", 1, Train, true);
    set.add_patient("pancreas_002", 2, Test, false);
    let record = &mut set.records[1];
    record.neighbors = Neighbors {
        previous: Some(0),
        previous_image: Some("pancreas_001_slice_0.png".to_owned()),
        next: Some(2),
        next_image: None,
    };
    record.tasks = vec![Task::PancreasDetection, Task::TumorClassification, Task::TumorDetection];
    record.answer = Some(YesNo::Yes);
    // Numbers that a reader of less than full precision would change.
    record.spacing_mm = Some([0.703_125, 0.1 + 0.2, 2.500_000_000_000_000_4]);
    set
}

#[test]
fn an_index_survives_the_disk_byte_by_byte() {
    let set = two_patients();
    let path = set.write();
    let limits = IndexLimits::default();
    let index = read_index(&path, &limits).unwrap();
    assert_eq!(index.records, set.records);
    assert_eq!(index.root, set.root());
    assert_eq!(index.image_path(&index.records[0]), Some(set.root().join("pancreas_001_slice_0.png")));
    assert_eq!(read_index(set.root(), &limits).unwrap(), index);
    assert_eq!(read_index_as_is(set.root(), &limits).unwrap(), index);
    assert_eq!(read_indices(&[path.clone(), set.root().to_owned()], &limits).unwrap().len(), 2);

    let bytes = fs_err::read(&path).unwrap();
    assert_eq!(index_to_bytes(&path, &index.records).unwrap(), bytes);
    assert_eq!(bytes.iter().filter(|byte| **byte == b'\n').count(), set.records.len());
    assert!(bytes.starts_with(b"{\"schema_version\":1,\"dataset\":\"MSD\",\"patient\":\"pancreas_001\","));
    // The last line feed may be missing, and lines may end as on Windows.
    fs_err::write(&path, bytes.strip_suffix(b"\n").unwrap()).unwrap();
    assert_eq!(read_index(&path, &limits).unwrap().records, set.records);
    fs_err::write(&path, String::from_utf8(bytes).unwrap().replace('\n', "\r\n")).unwrap();
    assert_eq!(read_index(&path, &limits).unwrap().records, set.records);
    fs_err::write(&path, "").unwrap();
    assert_eq!(read_index(&path, &limits).unwrap().records, []);
}

/// Writes a line after a good one and gives back what reading it says.
fn read_second_line(set: &Set, line: &[u8], limits: &IndexLimits) -> IndexError {
    let path = set.root().join(INDEX_FILE_NAME);
    let mut bytes = index_to_bytes(&path, &set.records[..1]).expect("a sound record");
    bytes.extend(line);
    fs_err::write(&path, bytes).expect("room on disk");
    read_index(&path, limits).expect_err("the line is bad")
}

fn problem(error: IndexError) -> LineProblem {
    match error {
        IndexError::Line { path, line, source } => {
            assert!(path.ends_with(INDEX_FILE_NAME));
            assert_eq!(line, 2);
            *source
        }
        other => panic!("{other}"),
    }
}

#[test]
fn bad_lines_are_named_with_their_number() {
    let set = two_patients();
    let limits = IndexLimits::default();
    let good = String::from_utf8(index_to_bytes(Path::new(""), &set.records[1..2]).unwrap()).unwrap();
    let json = |line: &str| {
        let problem = problem(read_second_line(&set, line.as_bytes(), &limits));
        assert!(matches!(problem, LineProblem::Json(_)), "{line}: {problem}");
    };
    json("no json\n");
    json("{}\n");
    json("[1]\n");
    json(&good.replace("\"dataset\"", "\"datset\""));
    json(&good.replace("\"schema_version\":1,", "\"schema_version\":1,\"more\":0,"));
    json(&good.replace("\"slice_index\":1", "\"slice_index\":-1"));
    json(&good.replace("\"slice_index\":1", "\"slice_index\":1.5"));
    json(&good.replace("\"slice_index\":1", "\"slice_index\":4294967296"));
    json(&good.replace("0.703125", "1e999"));
    json(&good.replace("0.703125", "NaN"));
    json(&good.replace("[30,40,69,63]", "[30,40,69]"));
    json(&good.replace("\"tumor\"", "\"tumour\""));
    json(&good[..good.len() / 2]);
    json(&format!("\u{feff}{good}"));
    json(&("[".repeat(60_000) + "\n"));
    json(&("{\"a\":".repeat(12_000) + "\n"));

    let problem_of = |line: &str| problem(read_second_line(&set, line.as_bytes(), &limits));
    assert!(matches!(problem_of("\n"), LineProblem::Blank));
    assert!(matches!(problem_of(" \t\r\n"), LineProblem::Blank));
    let long = format!("{}\n", " ".repeat(70_000));
    assert!(matches!(problem_of(&long), LineProblem::TooLong { limit: 65_536 }));
    assert!(matches!(problem(read_second_line(&set, b"\xff\xfe\n", &limits)), LineProblem::Json(_)));
}

#[test]
fn limits_hold_to_the_byte() {
    let set = two_patients();
    let path = set.write();
    let bytes = fs_err::read(&path).unwrap();
    let longest = bytes.split(|byte| *byte == b'\n').map(<[u8]>::len).max().unwrap() as u64;
    let limits = IndexLimits::default();
    assert!(read_index(&path, &limits.with_max_line_bytes(longest)).is_ok());
    let error = read_index(&path, &limits.with_max_line_bytes(longest - 1)).unwrap_err();
    assert!(matches!(error, IndexError::Line { .. }), "{error}");

    let n_bytes = bytes.len() as u64;
    assert!(read_index(&path, &limits.with_max_file_bytes(n_bytes)).is_ok());
    let error = read_index(&path, &limits.with_max_file_bytes(n_bytes - 1)).unwrap_err();
    assert_eq!(
        error.source().unwrap().to_string(),
        format!("file size in bytes is {n_bytes}, above the limit of {}", n_bytes - 1)
    );

    let n_records = set.records.len() as u64;
    assert!(read_index(&path, &limits.with_max_records(n_records)).is_ok());
    assert!(matches!(
        read_index(&path, &limits.with_max_records(n_records - 1)).unwrap_err(),
        IndexError::Limit { .. }
    ));
    assert!(matches!(read_index(&set.root().join("none"), &limits).unwrap_err(), IndexError::Read { .. }));
}

#[test]
fn impossible_values_are_refused_both_ways() {
    let check = |break_it: fn(&mut IndexRecord), expected: &str| {
        let set = two_patients();
        let mut records = set.records.clone();
        break_it(&mut records[1]);
        let error = write_index(&set.root().join(INDEX_FILE_NAME), &records).unwrap_err();
        assert!(!set.root().join(INDEX_FILE_NAME).exists(), "nothing is left behind");
        assert!(problem(error).to_string().contains(expected));

        let line = serde_json::to_vec(&records[1]).unwrap();
        let error = read_second_line(&set, &line, &IndexLimits::default());
        let text = problem(error).to_string();
        assert!(text.contains(expected), "{text}");
    };
    check(|r| r.schema_version = 2, "schema_version is 2, expected 1");
    check(|r| r.patient.clear(), "`patient` is empty");
    check(|r| r.volume = "a\nb".to_owned(), "`volume` is empty, longer");
    check(|r| r.dataset = "x".repeat(257), "`dataset` is empty, longer");
    check(
        |r| r.image = Some("/etc/passwd".to_owned()),
        "`image` is not a path within the index's folder: it is absolute",
    );
    check(|r| r.image = Some("a/../../b.png".to_owned()), "it has an empty, `.` or `..` part");
    check(|r| r.neighbors.next_image = Some("..".to_owned()), "`neighbors.next_image`");
    check(|r| r.pixels_sha256 = Some("ABC".to_owned()), "`pixels_sha256` is not 64");
    check(|r| r.slice_index = 4, "`slice_index` is 4 in a volume of 4 slices");
    check(|r| r.neighbors.next = Some(3), "`neighbors.next` is 3, not next to slice 1");
    check(|r| r.neighbors.next = Some(4), "`neighbors.next` is 4 in a volume of 4 slices");
    check(|r| r.neighbors.previous = Some(1), "`neighbors.previous` is 1, not next to slice 1");
    check(|r| r.width = 0, "image of 0x96 pixels");
    check(|r| r.spacing_mm = Some([0.0, 1.0, 1.0]), "spacing_mm is [0.0, 1.0, 1.0]");
    check(|r| r.height = 50, "box [30, 40, 69, 63] of `pancreas` is not inside the image of 96x50");
    check(|r| r.tasks.reverse(), "tasks are not sorted");
    check(|r| r.tasks = vec![Task::TumorDetection; 2], "tasks are not sorted and distinct");
    check(|r| r.organs.values_mut().for_each(|o| o.bbox = None), "pixels and no box");
    check(|r| r.organs.values_mut().for_each(|o| o.max_pixels = 7), "more than 7");
    check(
        |r| r.organs.values_mut().for_each(|o| o.bbox_ratio = 1.01),
        "bbox_ratio of organ `pancreas` is 1.01",
    );
    check(
        |r| r.organs.values_mut().for_each(|o| o.pixels_ratio = -0.01),
        "pixels_ratio of organ `pancreas` is -0.01",
    );
}

#[test]
fn a_ratio_that_is_no_number_is_refused() {
    let mut record = two_patients().records[0].clone();
    record.organs.values_mut().for_each(|organ| organ.bbox_ratio = f64::NAN);
    assert!(matches!(record.check(), Err(RecordProblem::Ratio { .. })));
    record.spacing_mm = Some([f64::INFINITY, 1.0, 1.0]);
    assert!(matches!(record.check(), Err(RecordProblem::Spacing { .. })));
}

#[test]
fn an_existing_index_stays_when_writing_fails() {
    let mut set = two_patients();
    let path = set.write();
    let before = fs_err::read(&path).unwrap();
    set.records[0].width = 0;
    assert!(write_index(&path, &set.records).is_err());
    assert_eq!(fs_err::read(&path).unwrap(), before);
    assert!(matches!(
        write_index(&set.root().join("none/index.jsonl"), &[]).unwrap_err(),
        IndexError::Write(_)
    ));
}

#[test]
fn split_files_check_themselves() {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let split = SplitFile::new("MSD", Some(42), "shuffle", names(&["b", "a"]), names(&["c"]));
    // printf 'MSD\ntrain\tb\ntrain\ta\ntest\tc\n' | sha256sum
    assert_eq!(split.sha256, SPLIT_SHA256);
    assert_eq!(split.verify(), Ok(()));
    let check = |change: fn(&mut SplitFile), expected: &dyn Fn(&SplitProblem) -> bool| {
        let mut changed = split.clone();
        change(&mut changed);
        let problem = changed.verify().unwrap_err();
        assert!(expected(&problem), "{problem}");
    };
    check(|s| s.schema_version = 2, &|p| matches!(p, SplitProblem::SchemaVersion { got: 2 }));
    check(|s| s.test.push("a".to_owned()), &|p| matches!(p, SplitProblem::PatientTwice { .. }));
    check(|s| s.train.swap(0, 1), &|p| matches!(p, SplitProblem::Hash { .. }));
    check(|s| s.dataset = "NIH".to_owned(), &|p| matches!(p, SplitProblem::Hash { .. }));
    check(|s| s.train[0] = "b\ntrain\tx".to_owned(), &|p| matches!(p, SplitProblem::Name));

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("split.json");
    assert!(matches!(SplitFile::read(&path).unwrap_err(), SplitFileError::Read { .. }));
    fs_err::write(&path, "{}").unwrap();
    assert!(matches!(SplitFile::read(&path).unwrap_err(), SplitFileError::Json { .. }));
    let mut twice = split.clone();
    twice.test = names(&["b"]);
    assert!(matches!(twice.write(&path).unwrap_err(), SplitFileError::Problem { .. }));
    split.write(&path).unwrap();
    assert_eq!(SplitFile::read(&path).unwrap(), split);
}

const SPLIT_SHA256: &str = "fea06fc8bb169fbe74f6b648e9370c225c90d376994a6f9bc7048aef14e00dfc";

#[test]
fn image_tables_become_an_index() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("images");
    fs_err::create_dir_all(&images).unwrap();
    let png = encode_gray(slice_image(1, 0).view()).unwrap();
    for name in ["a_3.png", "a_9.png", "b_0.png"] {
        fs_err::write(images.join(name), &png).unwrap();
    }
    let csv = folder.path().join("labels.csv");
    let read = |text: &str| {
        fs_err::write(&csv, text).unwrap();
        read_image_csv(&csv, &images, &IndexLimits::default())
    };
    let index = read("file,source,patient,slice_index,answer\na_3.png,MSD,a,3,yes\na_9.png,MSD,a,9,yes\nb_0.png,NIH,b,0,no\n").unwrap();
    assert_eq!(index.root, images);
    let got: Vec<_> =
        index.records.iter().map(|r| (r.slice_index, r.slice_count, r.width, r.answer)).collect();
    assert_eq!(
        got,
        [(3, 10, 96, Some(YesNo::Yes)), (9, 10, 96, Some(YesNo::Yes)), (0, 1, 96, Some(YesNo::No))]
    );
    assert!(index.records.iter().all(|r| r.check().is_ok() && r.tasks == [Task::TumorClassification]));
    // Columns in another order, names in quotes.
    assert_eq!(
        read("answer,slice_index,patient,source,file\nno,0,\"b\",NIH,\"b_0.png\"\n").unwrap().records.len(),
        1
    );

    let columns = |header: &str| {
        let error = read(&format!("{header}\n")).unwrap_err();
        assert!(matches!(error, IndexError::Columns { .. }), "{error}");
    };
    columns("");
    columns("file,source,patient,slice_index");
    columns("file,source,patient,slice_index,answer,split");
    columns("file,source,patient,slice_index,label");
    columns("file,file,patient,slice_index,answer");

    let row = |row: &str, expected: &str| {
        let error = read(&format!("file,source,patient,slice_index,answer\n{row}\n")).unwrap_err();
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        assert!(text.contains("line 2") && text.contains(expected), "{row}: {text}");
    };
    row("a_3.png,MSD,a,3", "not a row of the table");
    row("a_3.png,MSD,a,x,yes", "column `slice_index` holds `x`");
    row("a_3.png,MSD,a,4294967295,yes", "column `slice_index`");
    row("a_3.png,MSD,a,3,maybe", "column `answer` holds `maybe`, expected `yes` or `no`");
    row("a_3.png,MSD,a,3,", "column `answer` holds ``");
    row(",MSD,a,3,yes", "`image` is not a path");
    row("../a_3.png,MSD,a,3,yes", "`image` is not a path");
    row("a_3.png,,a,3,yes", "`dataset` is empty");
    row("none.png,MSD,a,3,yes", "cannot read the size of image `none.png`");
    fs_err::write(images.join("a_3.png"), b"no image").unwrap();
    row("a_3.png,MSD,a,3,yes", "cannot read the size of image `a_3.png`: not a usable PNG");
}
