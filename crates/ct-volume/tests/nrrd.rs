//! NRRD files: synthetic ones against numbers worked out by hand, real ones against what pynrrd reads
//! (`fixtures/nrrd/generate.py`).

#![expect(clippy::unwrap_used, reason = "helpers of tests, which may unwrap")]

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use ct_volume::nifti::NiftiError;
use ct_volume::nrrd::{self, NrrdError};
use ct_volume::{
    Affine, LabelVolume, Limits, Orientation, ReadOptions, StudyKind, VolumeError, WarningCode, detect_kind,
    read_labels, read_study,
};
use flate2::{Compression, write::GzEncoder};
use ndarray::ArrayView3;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// A header of 2 x 3 x 4 voxels up to, not including, its empty line.
const PLAIN: &str = "NRRD0004\n# comment: not a field\ntype: unsigned char\ndimension: 3\nsizes: 2 3 4\n\
    encoding: raw\nspace: left-posterior-superior\nspace directions: (0.5,0,0) (0,0.75,0) (0,0,2.5)\n\
    kinds: domain domain domain\nspace origin: (10,-20,30)\nkey:=value: with a colon\n";

fn ramp() -> Vec<u8> {
    (0..24).collect()
}

fn file(header: &str, voxels: &[u8]) -> Vec<u8> {
    [header.as_bytes(), b"\n", voxels].concat()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// [`PLAIN`] with replacements, read with the ramp as its voxels.
fn read(changes: &[(&str, &str)]) -> Result<LabelVolume, NrrdError> {
    nrrd::decode_labels(&file(&changed(changes), &ramp()), &Limits::default())
}

fn changed(changes: &[(&str, &str)]) -> String {
    changes.iter().fold(PLAIN.to_owned(), |header, (from, to)| {
        assert!(header.contains(from), "{from}");
        header.replace(from, to)
    })
}

fn codes(labels: &LabelVolume) -> Vec<WarningCode> {
    labels.warnings().iter().map(|w| w.code).collect()
}

/// Voxels in the order of the file.
fn in_file_order(labels: &LabelVolume) -> Vec<u16> {
    labels.labels().t().iter().copied().collect()
}

fn affine_is(labels: &LabelVolume, rows: [[f64; 4]; 3]) {
    assert_eq!(labels.geometry().affine(), &Affine::from_rows(rows));
}

#[test]
fn geometry_and_order_of_an_attached_file() {
    let labels = read(&[]).unwrap();
    assert_eq!(labels.geometry().shape(), [2, 3, 4]);
    affine_is(&labels, [[-0.5, 0.0, 0.0, -10.0], [0.0, -0.75, 0.0, 20.0], [0.0, 0.0, 2.5, 30.0]]);
    assert_eq!(labels.geometry().orientation().to_string(), "LPS");
    assert_eq!(in_file_order(&labels), (0..24).collect::<Vec<u16>>());
    assert_eq!(labels.labels()[[1, 2, 3]], 1 + 2 * 2 + 3 * 6);
    assert!(labels.warnings().is_empty(), "{:?}", labels.warnings());
}

#[test]
fn spaces_and_directions() {
    for (names, x, y) in [
        (["left-posterior-superior", "LPS"], -1.0, -1.0),
        (["left-anterior-superior", "las"], -1.0, 1.0),
        (["Right-Anterior-Superior", "RAS"], 1.0, 1.0),
    ] {
        for name in names {
            let labels = read(&[("left-posterior-superior", name)]).unwrap();
            affine_is(
                &labels,
                [[0.5 * x, 0.0, 0.0, 10.0 * x], [0.0, 0.75 * y, 0.0, -20.0 * y], [0.0, 0.0, 2.5, 30.0]],
            );
        }
    }
    // The first axis runs down the body, the second to the right, the third back to front.
    let directions = "space directions: (0,0,-2) ( -0.5, 0, 0 )  (0,-7.5e-1,0)";
    let labels = read(&[("space directions: (0.5,0,0) (0,0.75,0) (0,0,2.5)", directions)]).unwrap();
    affine_is(&labels, [[0.0, 0.5, 0.0, -10.0], [0.0, 0.0, 0.75, 20.0], [-2.0, 0.0, 0.0, 30.0]]);
    assert_eq!(labels.geometry().orientation().to_string(), "IRA");
    let ras = labels.reoriented(Orientation::RAS);
    assert_eq!(ras.geometry().shape(), [3, 4, 2]);
    assert_eq!(ras.labels()[[2, 3, 0]], labels.labels()[[1, 2, 3]]);
    let sheared = read(&[("(0,0,2.5)", "(0.5,0,2.5)")]).unwrap();
    assert_eq!(codes(&sheared), [WarningCode::ShearedAffine]);
}

#[test]
fn what_is_not_told_is_assumed_with_a_warning() {
    let spaceless = [
        ("space: left-posterior-superior\n", ""),
        ("space directions: (0.5,0,0) (0,0.75,0) (0,0,2.5)", "spacings: 0.5 -0.75 nan"),
        ("space origin: (10,-20,30)\n", ""),
    ];
    let labels = read(&spaceless).unwrap();
    affine_is(&labels, [[-0.5, 0.0, 0.0, 0.0], [0.0, 0.75, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]]);
    assert_eq!(codes(&labels), [WarningCode::NoOrientation, WarningCode::HeaderRepaired]);
    let labels = read(&[("space directions: (0.5,0,0) (0,0.75,0) (0,0,2.5)", "spacings: 1 2 3")]).unwrap();
    affine_is(&labels, [[-1.0, 0.0, 0.0, -10.0], [0.0, -2.0, 0.0, 20.0], [0.0, 0.0, 3.0, 30.0]]);
    assert_eq!(codes(&labels), [WarningCode::NoOrientation]);
    let labels = read(&[("space origin: (10,-20,30)\n", "")]).unwrap();
    assert_eq!(labels.geometry().affine().origin_mm(), [0.0; 3]);
    assert_eq!(codes(&labels), [WarningCode::HeaderRepaired]);
    let in_units = |units| read(&[("kinds:", &format!("space units: {units}\nkinds:"))]).unwrap();
    assert_eq!(codes(&in_units("\"mm\" \"mm\" \"mm\"")), []);
    assert_eq!(codes(&in_units("\"um\" \"um\" \"um\"")), [WarningCode::SpatialUnits]);
}

#[test]
fn types_byte_orders_and_encodings() {
    let values: Vec<f64> = (0..24).map(f64::from).collect();
    let mut n = 0;
    macro_rules! check {
        ($type:ty: $($name:literal),*) => {$(
            for (endian, bytes) in [
                ("little", values.iter().flat_map(|&v| (v as $type).to_le_bytes()).collect::<Vec<u8>>()),
                ("BIG", values.iter().flat_map(|&v| (v as $type).to_be_bytes()).collect()),
            ] {
                for (encoding, voxels) in [("raw", bytes.clone()), ("gzip", gzip(&bytes)), ("gz", gzip(&bytes))] {
                    let header = changed(&[
                        ("unsigned char", $name),
                        ("raw", &format!("{encoding}\nEndian: {endian}")),
                    ]);
                    let labels = nrrd::decode_labels(&file(&header, &voxels), &Limits::default()).unwrap();
                    assert_eq!(in_file_order(&labels), (0..24).collect::<Vec<u16>>(), "{header}");
                    n += 1;
                }
            }
        )*};
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 23")]
    {
        check!(i8: "signed char", "int8", "int8_t");
        check!(u8: "uchar", "unsigned char", "uint8", "uint8_t");
        check!(i16: "short", "short int", "signed short", "signed short int", "int16", "int16_t");
        check!(u16: "ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t");
        check!(i32: "int", "signed int", "int32", "int32_t");
        check!(u32: "uint", "unsigned int", "uint32", "uint32_t");
        check!(i64: "longlong", "long long", "long long int", "signed long long", "signed long long int");
        check!(i64: "int64", "int64_t");
        check!(u64: "ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t");
        check!(f32: "float");
        check!(f64: "Double");
    }
    assert_eq!(n, 40 * 6);
}

#[test]
fn forms_of_the_text() {
    let crlf = changed(&[("\n", "\r\n")]) + "\r";
    let labels = nrrd::decode_labels(&file(&crlf, &ramp()), &Limits::default()).unwrap();
    assert_eq!(in_file_order(&labels), (0..24).collect::<Vec<u16>>());
    let old = [("NRRD0004", "NRRD0001"), ("space directions", "SpaceDirections"), ("type: ", "type:")];
    assert!(read(&old).is_ok());
    assert_eq!(
        codes(&nrrd::decode_labels(&file(PLAIN, &[0; 25]), &Limits::default()).unwrap()),
        [WarningCode::TrailingBytes]
    );
    for (skip, expected) in [("5", 5), ("-1", 9)] {
        let header = changed(&[("kinds", &format!("byte skip: {skip}\nkinds"))]);
        let voxels: Vec<u8> = (0..33).collect();
        let labels = nrrd::decode_labels(&file(&header, &voxels), &Limits::default()).unwrap();
        assert_eq!(in_file_order(&labels)[0], expected);
    }
    let header = changed(&[("raw", "gzip\nbyteskip: 5")]);
    let voxels: Vec<u8> = (0..29).collect();
    let labels = nrrd::decode_labels(&file(&header, &gzip(&voxels)), &Limits::default()).unwrap();
    assert_eq!(in_file_order(&labels)[0], 5);
}

#[test]
fn an_axis_that_is_none_of_space_must_have_length_one() {
    let four = |sizes, kind: &str, direction| {
        read(&[
            ("dimension: 3", "dimension: 4"),
            ("sizes: 2 3 4", sizes),
            ("kinds: ", &format!("kinds: {kind} ")),
            ("space directions: ", direction),
        ])
    };
    let labels = four("sizes: 1 2 3 4", "list", "space directions: none ").unwrap();
    assert_eq!(labels.geometry().shape(), [2, 3, 4]);
    affine_is(&labels, [[-0.5, 0.0, 0.0, -10.0], [0.0, -0.75, 0.0, 20.0], [0.0, 0.0, 2.5, 30.0]]);
    let error = four("sizes: 5 2 3 4", "list", "space directions: none ").unwrap_err();
    assert!(matches!(&error, NrrdError::NonSpatialAxis { axis: 0, length: 5, kind } if kind == "list"));
    assert!(error.to_string().contains("axis 0 (kind `list`)") && error.to_string().contains("length 5"));
    // Without directions the kinds tell.
    let spacings = [
        ("dimension: 3", "dimension: 4"),
        ("sizes: 2 3 4", "sizes: 2 3 2 4"),
        (
            "space directions: (0.5,0,0) (0,0.75,0) (0,0,2.5)\nkinds: domain",
            "spacings: 1 1 nan 1\nkinds: domain none",
        ),
    ];
    let swapped = [
        spacings[0],
        spacings[1],
        (spacings[2].0, "spacings: 1 1 nan 1\nkinds: domain domain none domain\nx:="),
    ];
    assert!(matches!(read(&spacings), Err(NrrdError::NonSpatialAxis { axis: 1, length: 3, .. })));
    assert!(matches!(read(&swapped), Err(NrrdError::NonSpatialAxis { axis: 2, length: 2, .. })));
    let flat = [
        ("dimension: 3", "dimension: 2"),
        ("sizes: 2 3 4", "sizes: 6 4"),
        (" (0,0,2.5)", ""),
        ("n domain domain", "n domain"),
    ];
    assert!(matches!(read(&flat), Err(NrrdError::Rank { dimension: 2, spatial: 2 })));
}

#[test]
fn errors_carry_the_values() {
    use NrrdError::{Duplicate, Malformed, Missing, Unsupported};
    for encoding in ["bzip2", "bz2", "hex", "ascii", "text", "txt", "ZRL"] {
        let error = read(&[("raw", encoding)]).unwrap_err();
        let lower = encoding.to_ascii_lowercase();
        assert!(matches!(&error, Unsupported { field: "encoding", value, .. } if *value == lower), "{error}");
    }
    for (from, to, field) in [
        ("unsigned char", "block", "type"),
        ("left-posterior-superior", "scanner-xyz", "space"),
        ("left-posterior-superior", "left-posterior-superior-time", "space"),
        ("kinds", "line skip: 3\nkinds", "line skip"),
        ("kinds", "data file: voxels.raw\nkinds", "data file"),
    ] {
        let error = read(&[(from, to)]).unwrap_err();
        assert!(matches!(&error, Unsupported { field: f, .. } if *f == field), "{to}: {error}");
    }
    for (from, to, field) in [
        ("unsigned char", "char", "type"),
        ("unsigned char", "unsigned char char char char char", "type"),
        ("raw", "raw\nendian: middle", "endian"),
        ("dimension: 3", "dimension: 17", "dimension"),
        ("dimension: 3", "dimension: -3", "dimension"),
        ("sizes: 2 3 4", "sizes: 2 3", "sizes"),
        ("sizes: 2 3 4", "sizes: 2 3 4 5", "sizes"),
        ("sizes: 2 3 4", "sizes: 2 0 4", "sizes"),
        ("sizes: 2 3 4", "sizes: 2 -3 4", "sizes"),
        ("sizes: 2 3 4", "sizes: 2 3 99999999999999999999", "sizes"),
        ("kinds: domain", "kinds: domain domain", "kinds"),
        ("(0,0,2.5)", "(0,0)", "space directions"),
        ("(0,0,2.5)", "(0,0,2.5,1)", "space directions"),
        ("(0,0,2.5)", "(0,0,2.5", "space directions"),
        ("(0,0,2.5)", "", "space directions"),
        ("(10,-20,30)", "(10,-20,30) (1,2,3)", "space origin"),
        ("kinds", "byte skip: -2\nkinds", "byte skip"),
        ("raw", "gzip\nbyte skip: -1", "byte skip"),
        ("kinds", "no colon\nkinds", "header line"),
    ] {
        let error = read(&[(from, to)]).unwrap_err();
        assert!(matches!(&error, Malformed { field: f, .. } if *f == field), "{to}: {error}");
    }
    for field in ["type", "dimension", "sizes", "encoding", "space"] {
        let error = read(&[(&format!("\n{field}: "), "\nx:=")]).unwrap_err();
        assert!(matches!(&error, Missing { field: f } if *f == field), "{field}: {error}");
    }
    assert!(matches!(read(&[("unsigned char", "short")]), Err(Missing { field: "endian" })));
    assert!(matches!(read(&[("kinds", "sizes: 2 3 4\nkinds")]), Err(Duplicate { field: "sizes" })));
    assert!(
        matches!(read(&[("NRRD0004", "NRRD0006")]), Err(NrrdError::Magic { found }) if found == "NRRD0006")
    );
    assert!(matches!(
        read(&[("sizes: 2 3 4", "sizes: 2 3 5")]),
        Err(NrrdError::Voxels(NiftiError::Truncated { .. }))
    ));
    assert!(matches!(read(&[("raw", "gzip")]), Err(NrrdError::Voxels(NiftiError::Gzip { .. }))));
    assert!(matches!(read(&[("(0,0,2.5)", "(0,0,0)")]), Err(NrrdError::Geometry(_))));
    assert!(matches!(read(&[("(0,0,2.5)", "(0,0,inf)")]), Err(NrrdError::Geometry(_))));
    assert!(matches!(read(&[("sizes: 2 3 4", "sizes: 9999 9999 9999")]), Err(NrrdError::Limit(_))));
    assert!(matches!(read(&[("kinds", "byte skip: 9999999999999999999\nkinds")]), Err(NrrdError::Limit(_))));
    let end = nrrd::decode_labels(PLAIN.as_bytes(), &Limits::default());
    assert!(matches!(end, Err(Missing { field: "empty line at the end" })), "{end:?}");
    let long = file(&(PLAIN.to_owned() + &"# more\n".repeat(1 << 20)), &ramp());
    let end = nrrd::decode_labels(&long, &Limits::default());
    assert!(matches!(end, Err(Missing { field: "empty line at the end" })), "{end:?}");
    let negative =
        nrrd::decode_labels(&file(&changed(&[("unsigned", "signed")]), &[255; 24]), &Limits::default());
    assert!(
        matches!(negative, Err(NrrdError::Voxels(NiftiError::LabelRange { value: -1.0 }))),
        "{negative:?}"
    );
}

#[test]
fn detached_header_reads_the_file_beside_it_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("inner");
    fs_err::create_dir_all(inner.join("sub")).unwrap();
    let voxels: Vec<u8> = (0..30).collect();
    for (name, bytes) in [
        ("inner/v.raw", &voxels[..24]),
        ("inner/v v.raw.gz", &gzip(&voxels[..24])),
        ("inner/sub/v.raw", &voxels),
        ("inner/LIST", &voxels),
        ("outside.raw", &voxels),
    ] {
        fs_err::write(folder.path().join(name), bytes).unwrap();
    }
    let header = inner.join("h.nhdr");
    let read = |data_file: &str, encoding: &str, end: &str| {
        let text = changed(&[("raw", encoding)]) + "data file: " + data_file + end;
        fs_err::write(&header, text).unwrap();
        assert_eq!(detect_kind(&header).unwrap(), StudyKind::Nrrd);
        nrrd::read_labels(&header, &Limits::default())
    };
    for (data_file, encoding, end, first) in [
        ("v.raw", "raw", "", 0),
        ("./v.raw", "raw", "\n", 0),
        ("v v.raw.gz", "gzip", "\n\nignored", 0),
        ("sub/v.raw", "raw\nbyte skip: -1", "\r\n", 6),
    ] {
        assert_eq!(in_file_order(&read(data_file, encoding, end).unwrap())[0], first, "{data_file}");
    }
    let absolute = folder.path().join("outside.raw");
    let names = ["../outside.raw", "sub/../../outside.raw", "LIST", "LIST 2", "v%03d.raw 1 3 1", ""];
    for data_file in names.into_iter().chain([absolute.to_str().unwrap()]) {
        let error = read(data_file, "raw", "\n").unwrap_err();
        let VolumeError::Nrrd { path, source } = &error else { panic!("{data_file}: {error:?}") };
        assert_eq!(path, &header);
        assert!(matches!(source, NrrdError::Unsupported { field: "data file", .. }), "{data_file}: {source}");
    }
    let error = read("missing.raw", "raw", "").unwrap_err();
    assert!(
        matches!(&error, VolumeError::Read { path, .. } if *path == inner.join("missing.raw")),
        "{error:?}"
    );
}

#[test]
fn volumes_keep_their_values_and_lose_nan() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.nrrd");
    let mut values = [-3024.0_f32; 24];
    (values[1], values[2], values[23]) = (f32::NAN, f32::NEG_INFINITY, 1234.5);
    let voxels: Vec<u8> = values.iter().flat_map(|v| v.to_be_bytes()).collect();
    let header = changed(&[("unsigned char", "float\nendian: big"), ("raw", "gzip")]);
    fs_err::write(&path, file(&header, &gzip(&voxels))).unwrap();
    let volume = nrrd::read_volume(&path, &Limits::default()).unwrap();
    let hu: Vec<f32> = volume.hu().t().iter().copied().collect();
    assert_eq!((hu[0], hu[1], hu[2], hu[23]), (-3024.0, -1024.0, -1024.0, 1234.5));
    assert_eq!(volume.warnings()[0].code, WarningCode::NonFiniteVoxels);
    let small = Limits::default().with_max_bytes(24 * 4 - 1);
    assert!(matches!(nrrd::read_volume(&path, &small), Err(VolumeError::Limit { .. })));
}

#[test]
fn kinds_of_files() {
    let folder = tempfile::tempdir().unwrap();
    let mut dicom = vec![0; 128];
    dicom.extend(b"DICM");
    for (name, content, expected) in [
        ("a.nrrd", &file(PLAIN, &ramp())[..], true),
        ("no_name", b"NRRD0005\n", true),
        ("damaged.NHDR", b"damaged", true),
        ("empty.seg.nrrd", b"", true),
        ("dicom.nrrd", &dicom, false),
        ("text.txt", b"NRR", false),
    ] {
        let path = folder.path().join(name);
        fs_err::write(&path, content).unwrap();
        assert_eq!(nrrd::is_nrrd(&path).unwrap(), expected, "{name}");
    }
    assert!(matches!(nrrd::is_nrrd(&folder.path().join("none.nrrd")), Err(VolumeError::Read { .. })));
    let path = folder.path().join("a.nrrd");
    assert_eq!(detect_kind(&path).unwrap(), StudyKind::Nrrd);
    assert_eq!(read_labels(&path, &ReadOptions::default()).unwrap().labels()[[1, 0, 0]], 1);
    assert_eq!(read_study(&path, &ReadOptions::default()).unwrap().hu()[[1, 0, 0]], 1.0);
}

fn shared_data() -> PathBuf {
    let shared = std::env::var_os("MINIGPT_PANCREAS_SHARED").map(PathBuf::from);
    shared.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared")).join("data")
}

/// Hash of the values, little endian, first axis fastest.
fn sha256<T: Copy, const N: usize>(view: ArrayView3<'_, T>, bytes: impl Fn(T) -> [u8; N]) -> String {
    let all: Vec<u8> = view.t().iter().flat_map(|&v| bytes(v)).collect();
    Sha256::digest(&all).iter().map(|b| format!("{b:02x}")).collect()
}

#[test]
fn real_files_are_what_pynrrd_reads() {
    let root = shared_data();
    if !root.join("dcmqi-ct-3slice").is_dir() || !root.join("slicerio-torso-nrrd").is_dir() {
        eprintln!("skipped: no NRRD files in {}", root.display());
        return;
    }
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/nrrd/expected_shared.json");
    let cases: Vec<Value> = serde_json::from_str(&fs_err::read_to_string(fixture).unwrap()).unwrap();
    assert_eq!(cases.len(), 7);
    for case in &cases {
        let what = case["file"].as_str().unwrap();
        let path = root.join(what);
        let labels = nrrd::read_labels(&path, &Limits::default());
        if case.get("error").is_some() {
            let error = labels.unwrap_err();
            let VolumeError::Nrrd { source: NrrdError::NonSpatialAxis { axis, length, .. }, .. } = error
            else {
                panic!("{what}: {error:?}")
            };
            assert_eq!(
                (Some(axis as u64), Some(length)),
                (case["axis"].as_u64(), case["length"].as_u64()),
                "{what}"
            );
            continue;
        }
        let volume = nrrd::read_volume(&path, &Limits::default()).unwrap();
        let shape: [usize; 3] = serde_json::from_value(case["shape"].clone()).unwrap();
        let rows: [[f64; 4]; 4] = serde_json::from_value(case["affine"].clone()).unwrap();
        assert_eq!(volume.geometry().shape(), shape, "{what}");
        let difference =
            volume.geometry().affine().max_abs_diff(&Affine::from_rows([rows[0], rows[1], rows[2]]));
        assert!(difference < 1e-12, "{what}: {difference}");
        assert_eq!(sha256(volume.hu().view(), f32::to_le_bytes), case["volume"].as_str().unwrap(), "{what}");
        assert!(volume.warnings().is_empty(), "{what}: {:?}", volume.warnings());
        let Some(hash) = case.get("labels") else {
            assert!(matches!(labels, Err(VolumeError::Nrrd { source: NrrdError::Voxels(_), .. })), "{what}");
            continue;
        };
        let labels = labels.unwrap();
        assert_eq!(labels.geometry(), volume.geometry(), "{what}");
        assert_eq!(sha256(labels.labels().view(), u16::to_le_bytes), hash.as_str().unwrap(), "{what}");
        let mut counts = BTreeMap::<String, u64>::new();
        for label in labels.labels() {
            *counts.entry(label.to_string()).or_default() += 1;
        }
        assert_eq!(serde_json::to_value(counts).unwrap(), case["counts"], "{what}");
    }
}
