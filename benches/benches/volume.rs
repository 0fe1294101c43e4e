//! Reading studies: NIfTI decode (plain and gzip) of a 512 x 512 x 40 phantom-like volume.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ct_phantom::{Layout, PhantomSpec, generate_patient};
use ct_volume::Limits;
use ct_volume::nifti::{VoxelType, decode_volume, decode_volume_into, write_volume};

fn nifti(c: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let phantom =
        generate_patient(&PhantomSpec::new(Layout::Msd, 42, 1).with_slices(40..=40), 0).expect("a phantom");
    let raw_bytes = phantom.volume.hu().len() as u64 * 2;
    let mut group = c.benchmark_group("nifti");
    group.throughput(Throughput::Bytes(raw_bytes)).sample_size(10);
    for name in ["study.nii", "study.nii.gz"] {
        let path = folder.path().join(name);
        write_volume(&path, &phantom.volume, VoxelType::Int16).expect("a written study");
        let bytes = fs_err::read(&path).expect("its bytes");
        group.bench_function(format!("decode {name}, int16 to f32 HU, new memory"), |b| {
            b.iter(|| decode_volume(black_box(&bytes), &Limits::default(), None).expect("a volume"));
        });
        // As `prepare-slices run` reads: into the memory of the study before.
        group.bench_function(format!("decode {name}, int16 to f32 HU, used memory"), |b| {
            let mut spare = Vec::new();
            b.iter(|| {
                let volume = decode_volume_into(
                    std::mem::take(&mut spare),
                    black_box(&bytes),
                    &Limits::default(),
                    None,
                );
                spare = volume.expect("a volume").into_array().into_raw_vec_and_offset().0;
            });
        });
    }
    group.finish();
}

criterion_group!(benches, nifti);
criterion_main!(benches);
