//! Opening weight files: what is in them, and what damaged or hostile ones give.
#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

mod weights_fixture;

use std::path::Path;
use std::time::{Duration, Instant};

use burn::tensor::{DType, Device};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use vlm_model::{ModelFiles, Part, Precision, TensorFile, WeightsError, discover, load_checkpoint};
use weights_fixture::pth::{Alpha, Root, archive, pth_bytes};
use weights_fixture::*;

fn small() -> Weights {
    let tensor =
        |shape: &[usize]| (shape.to_vec(), (0..shape.iter().product()).map(|i: usize| i as f32).collect());
    [("a.weight", &[3, 4][..]), ("b", &[5]), ("c.bias", &[2, 1, 2]), ("scalar", &[])]
        .into_iter()
        .map(|(name, shape)| (name.to_owned(), tensor(shape)))
        .collect()
}

/// Writes, opens and reads everything.
fn open_bytes(path: &Path, bytes: &[u8]) -> Result<Weights, WeightsError> {
    fs_err::write(path, bytes).unwrap();
    let file = TensorFile::open(path)?;
    let mut weights = Weights::new();
    for name in file.names() {
        let data = file.read(name)?;
        assert_eq!(
            (data.dtype(), &data.shape().to_vec()),
            (file.info(name).unwrap().dtype, &file.info(name).unwrap().shape)
        );
        if let Ok(data) = data.try_cast(DType::F32) {
            weights.insert(name.to_owned(), (data.shape().to_vec(), data.try_into_vec().unwrap()));
        }
    }
    Ok(weights)
}

#[test]
fn both_formats_hold_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let weights = small();
    for dtype in [DType::F32, DType::F16, DType::BF16] {
        let bytes = safetensors_bytes(&weights, dtype);
        assert_eq!(open_bytes(&folder.path().join("x.safetensors"), &bytes).unwrap(), weights, "{dtype:?}");
    }
    for ending in ["pth", "pt", "bin"] {
        for is_half in [false, true] {
            for root in [Root::Flat(&weights), Root::Training(&weights, Alpha::Int(2))] {
                let path = folder.path().join(format!("x.{ending}"));
                assert_eq!(open_bytes(&path, &pth_bytes(&root, is_half)).unwrap(), weights, "{ending}");
            }
        }
    }
    let file = TensorFile::open(&folder.path().join("x.pth")).unwrap();
    assert_eq!(file.names().collect::<Vec<_>>(), ["a.weight", "b", "c.bias", "scalar"]);
    assert_eq!(file.info("a.weight").unwrap().n_bytes(), 24);
    assert!(file.info("d").is_none());
    assert!(matches!(file.read("d"), Err(WeightsError::NoTensor { name, .. }) if name == "d"));
    let other = folder.path().join("x.gguf");
    fs_err::write(&other, "GGUF").unwrap();
    assert!(matches!(TensorFile::open(&other), Err(WeightsError::Format { .. })));
    assert!(matches!(TensorFile::open(&folder.path().join("none.pth")), Err(WeightsError::Io { .. })));
    assert!(matches!(
        TensorFile::open(&folder.path().join("none.safetensors")),
        Err(WeightsError::Io { .. })
    ));
}

/// A `.pth` training checkpoint gives the model that its tensors in safetensors give; rank and
/// targets come from shapes and names, alpha from what training saved.
#[test]
fn a_training_checkpoint_is_found_and_loaded() {
    let mut config = tiny_config();
    (config.vision.width, config.vision.n_heads) = (64, 1);
    let weights = tiny_weights(&config, 3);
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    write_llama(&folder.join("llama"), &weights, &config.llama, DType::F32, 1);
    let eva = under(&weights, "visual_encoder.");
    fs_err::write(folder.join("eva.pth"), pth_bytes(&Root::Flat(&eva), true)).unwrap();
    write_safetensors(&folder.join("ln_vision.safetensors"), &under(&weights, "ln_vision."), DType::F32);
    let trained = checkpoint_weights(&weights);
    let later = renamed(&trained, |name| {
        let name = name.replace("_A.weight", "_A.default.weight");
        format!("module.{}", name.replace("_B.weight", "_B.default.weight"))
    });
    for (alpha, expected) in [(Alpha::Int(6), 6.0), (Alpha::Float(0.5), 0.5)] {
        for tensors in [&trained, &later] {
            let bytes = pth_bytes(&Root::Training(tensors, alpha), false);
            fs_err::write(folder.join("checkpoint_49.pth"), bytes).unwrap();
            let lora = discover(folder).unwrap().0.lora.unwrap();
            assert_eq!((lora.rank, lora.alpha, lora.targets.len()), (3, expected, 2));
            let (model, report, _) =
                load_checkpoint(folder, Precision::F32, &Device::flex(), &mut |_, _| {}).unwrap();
            assert_holds(&model, &weights);
            assert!(report.ignored.is_empty(), "{report}");
        }
    }
    let projector = only(&weights, is_projector);
    fs_err::write(folder.join("checkpoint_49.pth"), pth_bytes(&Root::Flat(&projector), false)).unwrap();
    let files = ModelFiles { checkpoint: Some(folder.join("checkpoint_49.pth")), ..ModelFiles::default() };
    let result = load_f32(&files, &config, &[Part::Adapters, Part::Projector]);
    assert!(matches!(result, Err(WeightsError::NoAdapters { .. })));
}

/// A header of JSON text and so many bytes of data.
fn with_header(header: &str, n_data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(vec![0; n_data]);
    bytes
}

#[test]
fn hostile_safetensors_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    let tensor = |dtype: &str, shape: &str, offsets: &str| {
        with_header(&format!(r#"{{"x":{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}}}"#), 16)
    };
    assert!(open_bytes(&path, &tensor("F32", "[4]", "[0,16]")).is_ok());
    let max = u64::MAX;
    for bytes in [
        vec![],
        vec![0; 7],
        vec![0; 8],
        [(1_u64 << 60).to_le_bytes().to_vec(), b"{}".to_vec()].concat(),
        [max.to_le_bytes().to_vec(), b"{}".to_vec()].concat(),
        [3_u64.to_le_bytes().to_vec(), b"{}".to_vec()].concat(),
        with_header("[]", 0),
        with_header("{", 0),
        with_header("\u{ff}", 0),
        with_header(&"[".repeat(100_000), 0),
        with_header(&format!(r#"{{"x":{}"#, r#"{"x":"#.repeat(100_000)), 0),
        with_header("{}", 1),
        tensor("F32", "[5]", "[0,16]"),
        tensor("F32", "[4]", "[0,20]"),
        tensor("F32", "[3]", "[4,16]"),
        tensor("F32", "[4]", "[16,0]"),
        tensor("F32", "[-4]", "[0,16]"),
        tensor("F32", "[4]", "[-16,0]"),
        tensor("F32", "[4.0]", "[0,16]"),
        tensor("F32", "[4]", "[0,16,32]"),
        tensor("F32", "[4]", "[0]"),
        tensor("F31", "[4]", "[0,16]"),
        tensor("F8_E4M3", "[16]", "[0,16]"),
        tensor("F32", "[4294967296,4294967296,4294967296]", "[0,16]"),
        tensor("U8", &format!("[{max}]"), &format!("[0,{max}]")),
        tensor("U8", &format!("[{}]", max - 60), &format!("[0,{}]", max - 60)),
        tensor("F32", &format!("[{}]", 1_u64 << 60), "[0,16]"),
        tensor("F32", "[18446744073709551616]", "[0,16]"),
    ] {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(150)]).into_owned();
        let start = Instant::now();
        let error = open_bytes(&path, &bytes).err().unwrap_or_else(|| panic!("opened: {shown}"));
        assert!(matches!(error, WeightsError::Format { .. } | WeightsError::Io { .. }), "{shown}: {error}");
        assert!(start.elapsed() < Duration::from_secs(1), "{shown}");
    }
}

#[test]
fn truncated_files_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let weights = small();
    for (path, bytes) in [
        ("x.safetensors", safetensors_bytes(&weights, DType::F32)),
        ("x.pth", pth_bytes(&Root::Training(&weights, Alpha::Int(1)), false)),
    ] {
        for length in 0..bytes.len() {
            assert!(
                open_bytes(&folder.path().join(path), &bytes[..length]).is_err(),
                "{path} of {length} bytes"
            );
        }
    }
}

/// What a pickle would run in Python does not run here.
#[test]
fn pickles_are_not_executed() {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace");
    let command = format!("touch {}", trace.display());
    let mut pickle = b"\x80\x02}X\x05\0\0\0modelcposix\nsystem\n(X".to_vec();
    pickle.extend(u32::try_from(command.len()).unwrap().to_le_bytes());
    pickle.extend(command.as_bytes());
    pickle.extend(b"tRs.");
    let result = open_bytes(&folder.path().join("x.pth"), &archive(&pickle, Vec::new()));
    assert!(result.is_err(), "{result:?}");
    assert!(!trace.exists());
}

/// A view of a small storage may claim any size: it is refused before memory is taken.
#[test]
fn views_larger_than_the_file_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let weights: Weights = [("x".to_owned(), (vec![1 << 15, 1 << 15], vec![1.0]))].into();
    let bytes = pth_bytes(&Root::Flat(&weights), false);
    assert!(open_bytes(&folder.path().join("x.pth"), &bytes).is_err(), "rows past the storage");
    // strides of zero
    let at = |needle: &[u8]| bytes.windows(needle.len()).position(|window| window == needle).unwrap();
    let mut bytes = bytes.clone();
    let strides = at(b"t(J\x00\x80\x00\x00J\x01\x00\x00\x00t");
    bytes[strides + 3..strides + 5].fill(0);
    bytes[strides + 8] = 0;
    match open_bytes(&folder.path().join("x.pth"), &bytes) {
        Err(WeightsError::Format { reason, .. }) => {
            assert!(reason.contains("larger than the file"), "{reason}")
        }
        other => panic!("{:?}", other.map(|weights| weights.len())),
    }
}

/// Seeded mutations: errors or other values, never a panic, a long wait or much memory.
#[expect(clippy::print_stdout, reason = "how many of the mutations matter")]
fn mutate(name: &str, good: &[u8], n: usize) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let mut below = move |n: usize| usize::try_from(rng.next_u64() % n as u64).unwrap();
    let (before, start) = (peak_memory(), Instant::now());
    let mut opened = 0;
    for _ in 0..n {
        let mut bytes = good.to_vec();
        for _ in 0..=below(3) {
            let at = below(bytes.len());
            match below(4) {
                0 => bytes[at] ^= 1 << below(8),
                1 => bytes[at] = [0, 0xff, 0x7f, 0x80][below(4)],
                2 => bytes[at] = u8::try_from(below(256)).unwrap(),
                _ => {
                    bytes.remove(at);
                }
            }
        }
        opened += usize::from(open_bytes(&path, &bytes).is_ok());
    }
    println!("{name}: {opened} of {n} still open, {:?}", start.elapsed());
    assert!(opened < n && start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
    let grown = peak_memory().saturating_sub(before);
    assert!(grown < 256 << 20, "{grown} bytes of memory were taken");
}

/// The process's largest memory so far, where the system tells.
fn peak_memory() -> u64 {
    let status = fs_err::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1024
}

#[test]
fn mutated_safetensors_are_survived() {
    mutate("x.safetensors", &safetensors_bytes(&small(), DType::F32), 2000);
}

#[test]
fn mutated_checkpoints_are_survived() {
    mutate("x.pth", &pth_bytes(&Root::Training(&small(), Alpha::Int(4)), false), 2000);
    mutate("y.pth", &pth_bytes(&Root::Flat(&small()), true), 2000);
}

#[test]
fn mutated_golden_checkpoints_are_survived() {
    let Some(goldens) = goldens() else { return };
    let path = goldens.join("minigpt_v2/checkpoint_qv_f16.pth");
    mutate("x.pth", &fs_err::read(path).unwrap(), 500);
}
