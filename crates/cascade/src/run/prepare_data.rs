//! From studies, synthetic or on disk, to prepared folders.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use ct_phantom::{Layout, MANIFEST_NAME, write_dataset};
use ct_slices::Preset;
use ct_slices::audit::{AuditInput, AuditOptions, audit};
use ct_slices::dataset::{Dataset, DatasetError, builtin_datasets};
use ct_slices::index::{IndexLimits, read_index_as_is};
use ct_slices::prepare::{
    self, PrepareConfig, Progress, RunOptions, TumorCrop, TumorMixConfig, mix_tumor_set,
};
use ct_volume::{Limits, write_atomic};

use crate::config::{CascadeConfig, DataConfig};
use crate::events::{CascadeEvent, Observe};
use crate::{CascadeError, Stage};

/// The tumor set in the run's data folder.
const TUMOR_FOLDER: &str = "tumor-set";

/// Events of worker threads, handed to the observer one at a time.
struct Shared<'a, 'b>(Mutex<&'a mut (dyn FnMut(CascadeEvent<'_>) + Send + 'b)>);

/// Makes what is missing, and returns the folders that stages read. What is complete stays.
pub(crate) fn prepare_data(
    config: &CascadeConfig,
    work: &Path,
    threads: usize,
    observe: Observe<'_>,
    stop: &AtomicBool,
) -> Result<Vec<PathBuf>, CascadeError> {
    let data = &config.data;
    if !data.folders.is_empty() {
        return Ok(data.folders.clone());
    }
    let studies = if data.raw.is_empty() {
        make_phantoms(data, work, threads, observe, stop)?
    } else {
        data.raw.iter().map(|raw| known_dataset(&raw.name, raw.root.clone())).collect::<Result<_, _>>()?
    };
    let mut folders = Vec::new();
    for (place, (dataset, root)) in studies.iter().enumerate() {
        observe(CascadeEvent::Part(&format!("preparing slices of {}", dataset.tag)));
        let out = folder_of(work, place, dataset);
        prepare_one(dataset, root, data, &out, threads, observe, stop)?;
        folders.push((out, dataset.label_map.clone().unwrap_or_default()));
    }
    let mut all: Vec<PathBuf> = folders.iter().map(|(folder, _)| folder.clone()).collect();
    if config.stages.contains_key(&Stage::TumorYesNo) {
        observe(CascadeEvent::Part("mixing the tumor set"));
        let sources: Vec<PathBuf> = folders
            .iter()
            .filter(|(_, labels)| !labels.organs().any(|organ| organ == ct_slices::Organ::Liver))
            .map(|(folder, _)| folder.clone())
            .collect();
        let out = work.join(TUMOR_FOLDER);
        if !out.join("summary.json").is_file() {
            if out.is_dir() {
                // Cut short by a kill: it is quick to make and cannot be gone on with.
                fs_err::remove_dir_all(&out).map_err(CascadeError::io(&out))?;
            }
            let mix = TumorMixConfig {
                preset: data.tumor_mix.preset,
                crop: data.tumor_mix.crop.unwrap_or_else(|| TumorCrop::default_of(data.tumor_mix.preset)),
                threshold: data.tumor_mix.threshold,
                seed: data.split_seed,
            };
            let summary = mix_tumor_set(&sources, None, &mix, &out)?;
            for note in &summary.notes {
                observe(CascadeEvent::Remark(note));
            }
        }
        all.push(out);
    }
    if data.audit {
        audit_all(&all, work, threads, observe)?;
    }
    Ok(all)
}

/// The folders that [`prepare_data`] makes, for a process that another one prepares them for.
pub(crate) fn prepared_folders(config: &CascadeConfig, work: &Path) -> Result<Vec<PathBuf>, CascadeError> {
    let data = &config.data;
    if !data.folders.is_empty() {
        return Ok(data.folders.clone());
    }
    let names: Vec<&str> = match data.raw.is_empty() {
        true => data.phantoms.iter().map(|phantoms| name_of(phantoms.layout)).collect(),
        false => data.raw.iter().map(|raw| raw.name.as_str()).collect(),
    };
    let mut folders = Vec::with_capacity(names.len() + 1);
    for (place, name) in names.into_iter().enumerate() {
        folders.push(folder_of(work, place, &known_dataset(name, None)?.0));
    }
    if config.stages.contains_key(&Stage::TumorYesNo) {
        folders.push(work.join(TUMOR_FOLDER));
    }
    Ok(folders)
}

fn folder_of(work: &Path, place: usize, dataset: &Dataset) -> PathBuf {
    work.join(format!("{}-{}", place + 1, dataset.tag.to_lowercase()))
}

fn name_of(layout: Layout) -> &'static str {
    match layout {
        Layout::Msd => "msd-pancreas",
        Layout::Nih => "nih-pancreas",
        Layout::Abd => "abdomenct-1k",
    }
}

fn make_phantoms(
    data: &DataConfig,
    work: &Path,
    threads: usize,
    observe: Observe<'_>,
    stop: &AtomicBool,
) -> Result<Vec<(Dataset, PathBuf)>, CascadeError> {
    let mut made = Vec::new();
    for (place, phantoms) in data.phantoms.iter().enumerate() {
        let root = work.join(format!("studies-{}-{}", place + 1, phantoms.layout));
        // The manifest is written last, so its presence tells that the set is whole.
        if !root.join(MANIFEST_NAME).is_file() {
            observe(CascadeEvent::Part(&format!("making {} synthetic patients", phantoms.patients)));
            let shared = Shared(Mutex::new(&mut *observe));
            let progress = |event: ct_phantom::Progress| {
                let (done, total) = (event.done as usize, event.patients as usize);
                shared.tell(&CascadeEvent::Progress { what: "patients", done, total });
            };
            pool(threads)?.install(|| write_dataset(&root, &phantoms.spec(), &progress, stop)).map_err(
                |error| match error {
                    ct_phantom::PhantomError::Cancelled => CascadeError::Stopped,
                    error => error.into(),
                },
            )?;
        }
        let (mut dataset, root) = known_dataset(name_of(phantoms.layout), Some(root))?;
        // Phantoms are no measure of the real dataset's size.
        dataset.expected_volumes = None;
        made.push((dataset, root));
    }
    Ok(made)
}

fn known_dataset(name: &str, root: Option<PathBuf>) -> Result<(Dataset, PathBuf), CascadeError> {
    let datasets = builtin_datasets();
    let known = datasets.iter().map(|dataset| dataset.name.clone()).collect();
    let found = datasets.into_iter().find(|dataset| dataset.name == name);
    let dataset = found.ok_or_else(|| DatasetError::Unknown { name: name.to_owned(), known })?;
    let root = root.unwrap_or_else(|| dataset.root.clone());
    Ok((dataset, root))
}

fn prepare_one(
    dataset: &Dataset,
    root: &Path,
    data: &DataConfig,
    out: &Path,
    threads: usize,
    observe: Observe<'_>,
    stop: &AtomicBool,
) -> Result<(), CascadeError> {
    let labels = dataset.label_map.clone().unwrap_or_default();
    let mut config = PrepareConfig::new(data.preset, dataset.layout, dataset.tag.clone(), labels);
    config.threshold = data.threshold;
    config.seed = data.split_seed;
    config.window_hu = data.window_hu;
    config.image_orientation = data.image_orientation;
    // Stages look at single slices: neighbors would double the images for nothing.
    config.context_images = false;
    config.reference_json = data.preset != Preset::Fixed;
    let shared = Shared(Mutex::new(observe));
    let total = std::sync::atomic::AtomicUsize::new(0);
    let done = std::sync::atomic::AtomicUsize::new(0);
    let progress = |event: Progress<'_>| {
        use std::sync::atomic::Ordering::Relaxed;
        match event {
            Progress::Started { n_volumes } => total.store(n_volumes, Relaxed),
            Progress::VolumeDone { .. } => {
                let done = done.fetch_add(1, Relaxed) + 1;
                shared.tell(&CascadeEvent::Progress { what: "studies", done, total: total.load(Relaxed) });
            }
            _ => {}
        }
    };
    let options = RunOptions {
        threads,
        shard: None,
        resume: true,
        // All folders are audited together, leaks between them included.
        audit: false,
        limits: Limits::default(),
        cancel: stop,
        progress: &progress,
    };
    match prepare::run(dataset, root, &config, out, &options) {
        Ok(_) => Ok(()),
        Err(prepare::PrepareError::Cancelled) => Err(CascadeError::Stopped),
        Err(error) => Err(error.into()),
    }
}

/// Audits all folders together, with the probe on the tumor set, and says what it found.
fn audit_all(
    folders: &[PathBuf],
    work: &Path,
    threads: usize,
    observe: Observe<'_>,
) -> Result<(), CascadeError> {
    let path = work.join("audit.json");
    if path.is_file() {
        return Ok(());
    }
    observe(CascadeEvent::Part("auditing"));
    let mut inputs = Vec::with_capacity(folders.len());
    for folder in folders {
        inputs.push(AuditInput::new(read_index_as_is(folder, &IndexLimits::default())?));
    }
    // A tumor set is copies of slices of other folders in the same parts: altered copies are
    // looked for between the folders they were made of, which is most of an audit's time.
    let options = AuditOptions::default().with_find_altered_copies(false);
    let report = pool(threads)?.install(|| audit(&inputs, &options));
    write_atomic(&work.join("audit.txt"), report.to_text().as_bytes())?;
    let counts = report.to_text().lines().last().unwrap_or_default().to_owned();
    observe(CascadeEvent::Remark(&format!("audit: {counts}")));
    Ok(write_atomic(&path, report.to_json().as_bytes())?)
}

fn pool(threads: usize) -> Result<rayon::ThreadPool, CascadeError> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads.max(1))
        .build()
        .map_err(|error| CascadeError::setting("threads", threads, error.to_string()))
}

impl Shared<'_, '_> {
    fn tell(&self, event: &CascadeEvent<'_>) {
        let mut observe = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match event {
            CascadeEvent::Progress { what, done, total } => {
                observe(CascadeEvent::Progress { what, done: *done, total: *total });
            }
            CascadeEvent::Part(part) => observe(CascadeEvent::Part(part)),
            _ => {}
        }
    }
}
