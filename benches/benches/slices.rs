//! From plane to PNG: rendering under each preset, PNG encoding, annotation, resize.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ct_phantom::{Layout, PhantomLabel, PhantomSpec, generate_patient};
use ct_slices::pixels::{
    Filter, HuWindow, Precision, Rendering, encode_gray, encode_rgba, render, resize_gray,
};
use ct_slices::{AnnotateRules, LabelMap, Organ, PlaneMap, annotate_volume};
use ndarray::Axis;

fn slices(c: &mut Criterion) {
    let phantom =
        generate_patient(&PhantomSpec::new(Layout::Msd, 42, 1).with_slices(40..=40), 0).expect("a phantom");
    let hu = phantom.volume.hu();
    let middle = hu.len_of(Axis(2)) / 2;
    let plane = PlaneMap::FlipBoth.view(hu.index_axis(Axis(2), middle));

    let mut group = c.benchmark_group("slice 512x512");
    group.throughput(Throughput::Elements(1));
    let renderings = [
        ("paper-2024", Rendering::Paper2024),
        ("code-2025", Rendering::Code2025 { precision: Precision::F64 }),
        ("fixed", Rendering::FixedWindow(HuWindow::PANCREAS)),
    ];
    for (name, rendering) in &renderings {
        group.bench_function(format!("render {name}"), |b| {
            b.iter(|| render(black_box(plane), rendering).expect("an image"));
        });
    }
    let gray = render(plane, &renderings[0].1).expect("an image");
    group.bench_function("png gray", |b| b.iter(|| encode_gray(black_box(gray.view())).expect("a file")));
    group.bench_function("png rgba", |b| b.iter(|| encode_rgba(black_box(gray.view())).expect("a file")));
    group.bench_function("resize to 448x448, Pillow bicubic", |b| {
        b.iter(|| resize_gray(black_box(gray.view()), 448, 448, Filter::Bicubic).expect("an image"));
    });
    group.finish();

    let mut group = c.benchmark_group("mask");
    group.throughput(Throughput::Elements(hu.len_of(Axis(2)) as u64)).sample_size(10);
    let map = LabelMap(std::collections::BTreeMap::from([
        (Organ::Liver, vec![PhantomLabel::Liver.value()]),
        (Organ::Spleen, vec![PhantomLabel::Spleen.value()]),
        (Organ::Pancreas, vec![PhantomLabel::Pancreas.value(), PhantomLabel::Tumor.value()]),
        (Organ::Tumor, vec![PhantomLabel::Tumor.value()]),
    ]));
    group.bench_function("annotate 4 organs, per slice", |b| {
        b.iter(|| {
            let view = black_box(phantom.organs.labels().view());
            annotate_volume(view, &map, PlaneMap::FlipBoth, &AnnotateRules::FIXED).expect("boxes")
        });
    });
    group.finish();
}

criterion_group!(benches, slices);
criterion_main!(benches);
