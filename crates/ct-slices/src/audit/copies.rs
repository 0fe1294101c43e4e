//! Training images that come back in the test part mirrored, turned, windowed anew or rescaled.

use std::collections::{BTreeMap, BTreeSet};

use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::finding::{Finding, FindingCode};
use super::image_facts::{ImageFacts, ImageState, load_gray};
use super::leaks::{Groups, Pairs, leaking_pairs};
use super::options::AuditOptions;
use super::signature::{Query, Signature, Turn, block_means, explained};
use super::slices::{Slice, Slices};
use crate::index::SplitPart;

/// Fewer pixels say too little: two patches of noise may look alike.
const MIN_PIXELS: usize = 256;
/// Least share of explained variance of two copies, pixel by pixel. Of a 512x512 abdominal slice, copies
/// in another window have 0.9997, as JPEG of quality 50 0.996, with noise of 8 gray levels 0.995; the
/// slice 2 mm further has 0.97 to 0.98. Among 1.5 million pairs of real pancreas crops of different
/// patients none passes the steps before.
const MIN_EXPLAINED: f64 = 0.98;
/// Longest side at which images of different sizes are compared.
const MAX_COMMON_SIDE: usize = 128;
/// Most that the aspect of a rescaled copy is off.
const MAX_ASPECT_CHANGE: f64 = 0.03;

/// Findings for copies that no hash shows.
pub(super) fn find_copies(
    slices: &Slices<'_>,
    images: &[ImageState],
    options: &AuditOptions,
) -> Vec<Finding> {
    let slice_name = |slice: &Slice<'_>| slices.slice_name(slice);
    let turned_sha256 = turned_hashes(slices, images);
    let mut groups = Groups::new();
    for (&n, hash) in &turned_sha256 {
        groups.entry(hash).or_insert_with(Vec::new).push(n);
    }
    let mirrored = leaking_pairs(slices, &groups, |a, b| {
        let pixels = |n: usize| images[n].facts().map(|facts| &facts.pixels_sha256);
        slices.all[a].patient != slices.all[b].patient && pixels(a) != pixels(b)
    });
    let mut findings = mirrored.into_findings(
        slices,
        options,
        FindingCode::LeakMirrored,
        "images are mirrored or turned copies of another patient's",
        slice_name,
    );
    let altered = altered_pairs(slices, images, &turned_sha256);
    findings.extend(altered.into_findings(
        slices,
        options,
        FindingCode::LeakAltered,
        "images are copies of another patient's with other gray levels or another size",
        slice_name,
    ));
    findings
}

/// Images that can be told apart, which may be in a leak.
fn usable<'a>(
    slices: &'a Slices<'_>,
    images: &'a [ImageState],
) -> impl Iterator<Item = (usize, &'a ImageFacts)> {
    let facts = images.iter().map(ImageState::facts).enumerate();
    facts
        .filter_map(|(n, facts)| facts.map(|facts| (n, facts)))
        .filter(|(n, facts)| slices.all[*n].part.is_some() && !facts.is_constant)
}

/// A hash that mirrored and turned copies share, for the images that have such a copy as far as size
/// and histogram tell: few, so that they are read again.
fn turned_hashes(slices: &Slices<'_>, images: &[ImageState]) -> BTreeMap<usize, Vec<u8>> {
    let mut groups = Groups::new();
    for (n, facts) in usable(slices, images) {
        groups.entry(&facts.turned_key).or_insert_with(Vec::new).push(n);
    }
    let mut candidates = Vec::new();
    for group in groups.into_values() {
        let pixels: BTreeSet<_> =
            group.iter().filter_map(|&n| images[n].facts()).map(|facts| &facts.pixels_sha256).collect();
        let parts: BTreeSet<_> = group.iter().map(|&n| slices.all[n].part).collect();
        if pixels.len() > 1 && parts.len() > 1 {
            candidates.extend(group);
        }
    }
    candidates
        .into_par_iter()
        .filter_map(|n| {
            let plane = load_gray(&slices.image_path(&slices.all[n])?)?;
            let hash = Turn::all().map(|turn| plane_hash(turn.apply(plane.view()))).min()?;
            Some((n, hash))
        })
        .collect()
}

fn plane_hash(plane: ArrayView2<'_, u8>) -> Vec<u8> {
    let mut hash = Sha256::new();
    let (height, width) = plane.dim();
    hash.update((height as u64).to_le_bytes());
    hash.update((width as u64).to_le_bytes());
    hash.update(plane.as_standard_layout().as_slice().unwrap_or_default());
    hash.finalize().to_vec()
}

/// One of several slices with one image, one patient and one part.
struct Representative<'a> {
    facts: &'a ImageFacts,
    signature: Signature,
    slices: Vec<usize>,
}

fn representatives<'a>(
    slices: &Slices<'_>,
    images: &'a [ImageState],
    part: SplitPart,
) -> Vec<Representative<'a>> {
    let mut groups = Groups::new();
    for (n, facts) in usable(slices, images) {
        let slice = &slices.all[n];
        if slice.part == Some(part) && facts.width * facts.height >= MIN_PIXELS {
            groups.entry((&facts.pixels_sha256, slice.patient)).or_insert_with(Vec::new).push(n);
        }
    }
    let groups: Vec<_> = groups.into_values().collect();
    groups
        .into_par_iter()
        .filter_map(|slices| {
            let facts = images[slices[0]].facts()?;
            Some(Representative { facts, signature: Signature::new(facts.thumb.clone())?, slices })
        })
        .collect()
}

fn altered_pairs(
    slices: &Slices<'_>,
    images: &[ImageState],
    turned_sha256: &BTreeMap<usize, Vec<u8>>,
) -> Pairs {
    let train = representatives(slices, images, SplitPart::Train);
    let test = representatives(slices, images, SplitPart::Test);
    let matches: Vec<Vec<usize>> = test
        .par_iter()
        .map(|test| {
            let query = Query::new(&test.signature);
            let is_copy = |train: &&Representative<'_>| {
                let (a, b) = (train.slices[0], test.slices[0]);
                let is_turned = turned_sha256.get(&a).is_some_and(|hash| turned_sha256.get(&b) == Some(hash));
                slices.all[a].patient != slices.all[b].patient
                    && train.facts.pixels_sha256 != test.facts.pixels_sha256
                    && !is_turned
                    && is_altered_copy(slices, train, test, &query)
            };
            train.iter().enumerate().filter(|(_, train)| is_copy(train)).map(|(n, _)| n).collect()
        })
        .collect();

    let mut pairs = Pairs::default();
    for (test, matches) in test.iter().zip(matches) {
        for &b in &test.slices {
            // One pair per test slice and training input, however many slices it resembles.
            let mut done = BTreeSet::new();
            for &a in matches.iter().flat_map(|&n| &train[n].slices) {
                if done.insert(slices.all[a].input) {
                    pairs.push(slices, a, b);
                }
            }
        }
    }
    pairs
}

fn is_altered_copy(
    slices: &Slices<'_>,
    train: &Representative<'_>,
    test: &Representative<'_>,
    query: &Query,
) -> bool {
    let turns = query.similar_turns(&train.signature);
    if turns.is_empty() {
        return false;
    }
    let load = |n: usize| slices.image_path(&slices.all[n]).and_then(|path| load_gray(&path));
    let (Some(a), Some(b)) = (load(train.slices[0]), load(test.slices[0])) else { return false };
    turns.into_iter().any(|turn| explained_at_common_size(&a, turn.apply(b.view())) >= MIN_EXPLAINED)
}

fn explained_at_common_size(a: &Array2<u8>, b: ArrayView2<'_, u8>) -> f64 {
    if a.dim() == b.dim() {
        return explained(a.view(), b);
    }
    let aspect = |(height, width): (usize, usize)| width as f64 / height as f64;
    if (aspect(a.dim()) / aspect(b.dim()) - 1.0).abs() > MAX_ASPECT_CHANGE {
        return 0.0;
    }
    let rows = a.nrows().min(b.nrows()).min(MAX_COMMON_SIDE);
    let columns = a.ncols().min(b.ncols()).min(MAX_COMMON_SIDE);
    if rows * columns < MIN_PIXELS {
        return 0.0;
    }
    explained(block_means(a.view(), rows, columns).view(), block_means(b, rows, columns).view())
}
