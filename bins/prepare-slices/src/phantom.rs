//! `phantom`, and the phantoms that a dataset of the list stands for.

use std::path::Path;

use anyhow::{Context, Result};
use bin_support::EXIT_OK;
use ct_phantom::{Layout, MANIFEST_NAME, PhantomSpec, Tumors, write_dataset};
use ct_slices::dataset::PhantomSource;

use crate::STOP_MESSAGE;
use crate::args::{PhantomArgs, PhantomLayoutArg};
use crate::run::threads;

pub(crate) fn run(args: &PhantomArgs) -> Result<u8> {
    let layout = match args.layout {
        PhantomLayoutArg::Msd => Layout::Msd,
        PhantomLayoutArg::Nih => Layout::Nih,
        PhantomLayoutArg::Abd => Layout::Abd,
    };
    let mut spec = PhantomSpec::new(layout, args.seed, args.patients).with_matrix(args.size);
    if let Some([fewest, most]) = args.slices {
        spec = spec.with_slices(fewest..=most);
    }
    let n_studies = write(&args.out, &spec, threads(args.work.threads))?;
    if args.work.json {
        bin_support::json(&serde_json::json!({ "studies": n_studies, "layout": layout, "seed": args.seed }))?;
    }
    bin_support::note(&format!("{n_studies} synthetic studies in {}", args.out.display()));
    Ok(EXIT_OK)
}

/// Makes the studies of a dataset that stands for phantoms, unless they are there already.
pub(crate) fn provide(source: &PhantomSource, root: &Path, n_threads: usize) -> Result<()> {
    // The manifest is written last, so its presence tells that the set is whole.
    if root.join(MANIFEST_NAME).is_file() {
        return Ok(());
    }
    bin_support::note(&format!("making {} synthetic studies in {}", source.patients, root.display()));
    let [fewest, most] = source.slices;
    let spec = PhantomSpec::new(Layout::Msd, source.seed, source.patients)
        .with_matrix(source.size)
        .with_slices(fewest..=most)
        .with_tumors(Tumors::Half);
    write(root, &spec, n_threads).map(|_| ())
}

fn write(out: &Path, spec: &PhantomSpec, n_threads: usize) -> Result<usize> {
    let bar = bin_support::item_bar("studies");
    bar.set_length(u64::from(spec.patients));
    let pool =
        rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().context("cannot start threads")?;
    let stop = bin_support::stop_flag(Some(STOP_MESSAGE));
    let manifest =
        pool.install(|| write_dataset(out, spec, &|event| bar.set_position(event.done.into()), stop));
    bar.finish_and_clear();
    Ok(manifest.context("the studies were not made")?.studies.len())
}
