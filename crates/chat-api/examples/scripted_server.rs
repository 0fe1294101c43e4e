//! Serves a scripted model: the page, the API and all its limits, without weights. Prints its address on the
//! first line. `--port 0` picks a free port; `--token-ms` is how long a token takes; `--queue` and `--batch`
//! are sizes; `--expiry-s` is how long a study is kept. `--terminal` talks on the terminal; `--samples FOLDER`
//! writes a small DICOM series and a NIfTI file to try them with.
#![allow(clippy::print_stdout, reason = "an example prints")]

#[path = "../tests/support/scripted.rs"]
mod scripted;

use std::collections::HashMap;
use std::error::Error;
use std::io::Write;
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Duration;

use chat_api::{ChatServer, ServerConfig, serve, terminal_chat};
use ct_phantom::{Layout, PhantomSpec, generate_patient};
use ct_volume::dicom::{SeriesTags, write_series};
use ct_volume::nifti::{VoxelType, write_volume};
use scripted::Scripted;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut model = Scripted::new(Duration::from_millis(20));
    if arguments.first().is_some_and(|word| word == "--terminal") {
        let limits = ServerConfig::default().limits;
        return Ok(terminal_chat(&mut model, std::io::stdin(), std::io::stdout(), &limits)?);
    }
    if let [word, folder] = &arguments[..]
        && word == "--samples"
    {
        return write_samples(Path::new(folder));
    }
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .json()
        .init();
    let options: HashMap<&str, &str> = arguments
        .chunks(2)
        .filter_map(|pair| Some((pair.first()?.as_str(), pair.get(1)?.as_str())))
        .collect();
    let number = |name: &str, default: u64| options.get(name).and_then(|n| n.parse().ok()).unwrap_or(default);
    let size = |name: &str, default| NonZeroUsize::new(usize::try_from(number(name, default)).unwrap_or(1));
    model.token_time = Duration::from_millis(number("--token-ms", 20));
    model.max_batch = size("--batch", 1).map_or(1, NonZeroUsize::get);
    let mut config = ServerConfig::default();
    config.bearer_token = options.get("--token").map(|token| (*token).to_owned());
    config.limits.study_expiry = Duration::from_secs(number("--expiry-s", 3600));
    if let Some(queue) = size("--queue", 64) {
        config.limits.queue_capacity = queue;
        config.limits.client_queue_capacity = queue;
    }
    let server = ChatServer::start(model, config)?;
    let port = u16::try_from(number("--port", 8080))?;
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("http://{}", listener.local_addr()?);
    std::io::stdout().flush()?;
    let stop = async {
        // Without a handler the server runs until it is ended.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    serve(listener, server, stop).await?;
    Ok(())
}

/// A patient of 128 by 128 px and 24 slices, as DICOM and as NIfTI.
fn write_samples(folder: &Path) -> Result<(), Box<dyn Error>> {
    let spec = PhantomSpec::new(Layout::Msd, 11, 2).with_matrix(128).with_slices(24..=24);
    let volume = generate_patient(&spec, 0)?.volume;
    let tags = SeriesTags {
        patient: "SAMPLE^NAME".to_owned(),
        uid_root: "2.25.9".to_owned(),
        slice_thickness_mm: volume.geometry().spacing_mm()[2],
    };
    write_series(&folder.join("dicom"), &volume, &tags)?;
    write_volume(&folder.join("study.nii.gz"), &volume, VoxelType::Int16)?;
    Ok(())
}
