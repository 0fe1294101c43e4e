//! What `predict-study` takes.

use std::path::PathBuf;

use clap::Parser;
use vlm_model::{DeviceChoice, Precision};

/// There is nothing to go on with: a study takes seconds, and its files are written at the end.
const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 data, device or system error; 2 wrong usage; 130 stopped by Ctrl-C, nothing is
written.

Research use only, not for diagnosis. Nothing is sent anywhere.";

/// A CT study in, findings out: the pancreas on every slice, a tumor in the region around it, linked
/// over slices into boxes in 3-D with sizes in mm, and a tumor score of the study.
///
/// Writes findings.json, COCO files, a box mask on the grid of the study (NIfTI), 3D Slicer markups,
/// slices with boxes drawn, a montage, and for DICOM studies a structured report (SR, TID 1500) and a
/// segmentation (SEG). With a promptable segmenter of yours (SAM, MedSAM) as two ONNX files, also the masks
/// of what is in the boxes (NIfTI).
#[derive(Debug, Parser)]
#[command(version, after_help = format!("Example:\n  predict-study study.nii.gz --out out/findings\n  predict-study dicom_folder --out out/findings --organs --json\n\n{EXIT_CODES}"))]
pub(crate) struct Args {
    /// A NIfTI or NRRD file, a DICOM file or folder.
    #[arg(value_name = "STUDY")]
    pub(crate) study: PathBuf,
    /// The folder that files are written into.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: PathBuf,
    /// A run folder of `run-cascade` [default: the quickstart's checkpoints, which the program carries].
    #[arg(long, value_name = "FOLDER")]
    pub(crate) run: Option<PathBuf>,
    /// Look for liver, right kidney and spleen too.
    #[arg(long)]
    pub(crate) organs: bool,
    /// Least probability with which a structure is said to be visible; 0 asks for its box on every slice.
    #[arg(long, value_name = "P", default_value_t = 0.5)]
    pub(crate) min_presence: f64,
    /// Least tumor probability of a slice for a tumor to be placed on it.
    #[arg(long, value_name = "P", default_value_t = 0.5)]
    pub(crate) min_tumor: f64,
    /// Limits of the HU window, as the model was trained with.
    #[arg(long, value_names = ["LOW", "HIGH"], num_args = 2, default_values_t = [-150.0, 250.0], allow_negative_numbers = true)]
    pub(crate) window_hu: Vec<f64>,
    /// Leave patient and study out of DICOM files and replace every UID by one made with the bytes of this
    /// file, at least 16 that only you know (`head -c 32 /dev/urandom > key`).
    #[arg(long, value_name = "KEY_FILE")]
    pub(crate) anonymize: Option<PathBuf>,
    /// Image encoder of a segmenter in ONNX, run on the CPU once a slice with boxes.
    #[arg(long, value_name = "ONNX", requires = "segmenter_decoder")]
    pub(crate) segmenter_encoder: Option<PathBuf>,
    /// Its mask decoder, run once a box: SAM's export, or one with an input `boxes`.
    #[arg(long, value_name = "ONNX", requires = "segmenter_encoder")]
    pub(crate) segmenter_decoder: Option<PathBuf>,
    /// Number type of frozen weights: f32, bf16 or f16.
    #[arg(long, default_value_t = Precision::F32)]
    pub(crate) precision: Precision,
    /// auto, cpu or cuda:N.
    #[arg(long, default_value_t = DeviceChoice::Auto)]
    pub(crate) device: DeviceChoice,
    /// Print findings.json.
    #[arg(long)]
    pub(crate) json: bool,
}
