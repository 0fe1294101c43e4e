//! `slice` and `convert`.

use anyhow::{Context, Result};
use bin_support::EXIT_OK;
use ct_slices::LabelMap;
use ct_slices::dataset::Layout;
use ct_slices::prepare::{ImageOrientation, PrepareConfig, SliceOptions, render_slice};
use ct_volume::nifti::{VoxelType, write_volume};
use ct_volume::{StudyKind, detect_kind, read_study, write_atomic};

use crate::args::{ConvertArgs, OrientationArg, SliceArgs};
use crate::inspect::{limits, read_options};

pub(crate) fn image_orientation(arg: OrientationArg) -> ImageOrientation {
    match arg {
        OrientationArg::Consistent => ImageOrientation::Consistent,
        OrientationArg::Published => ImageOrientation::Published,
    }
}

pub(crate) fn run(args: &SliceArgs) -> Result<u8> {
    let layout = match args.layout {
        Some(layout) => layout,
        None if detect_kind(&args.study)? == StudyKind::Dicom => Layout::Nih,
        None => Layout::Msd,
    };
    let mut config = PrepareConfig::new(args.preset, layout, layout.default_tag(), LabelMap::default());
    config.image_orientation = image_orientation(args.image_orientation);
    config.window_hu = args.window.unwrap_or(config.window_hu);
    config.neighbors_rgb = args.neighbors;
    config.allow_irregular = args.read.allow_irregular;
    let options = SliceOptions {
        index: args.index,
        frame: args.read.frame,
        series: args.read.series,
        limits: limits(args.read.max_mib),
    };
    let (png, (width, height)) = render_slice(&args.study, &config, &options)?;
    write_atomic(&args.out, &png)?;
    bin_support::note(&format!("wrote {} ({width} x {height}), research use only", args.out.display()));
    Ok(EXIT_OK)
}

pub(crate) fn convert(args: &ConvertArgs) -> Result<u8> {
    let volume = read_study(&args.study, &read_options(&args.read))?;
    let is_i16 = |hu: &f32| hu.fract() == 0.0 && (-32768.0..=32767.0).contains(hu);
    let voxel_type = if volume.hu().iter().all(is_i16) { VoxelType::Int16 } else { VoxelType::Float32 };
    write_volume(&args.out, &volume, voxel_type).context("conversion failed")?;
    for warning in volume.warnings() {
        bin_support::note(&format!("warning: {warning}"));
    }
    Ok(EXIT_OK)
}
