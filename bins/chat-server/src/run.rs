//! Opens the model, then serves it or talks on the terminal.

use std::io::Read;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bin_support::{EXIT_ERROR, EXIT_OK, data, note};
use chat_api::{ChatServer, RESEARCH_NOTE, ServeEnd, ServerConfig, ServerLimits, serve, terminal_chat};
use tokio::net::TcpListener;
use tracing_subscriber::EnvFilter;

use crate::args::{Args, LimitArgs};
use crate::checkpoints::Checkpoints;
use crate::model::CascadeModel;

/// Between two looks at whether to end.
const PATIENCE: Duration = Duration::from_millis(100);
/// For an answer that ended at the last moment to be sent.
const SENDING_S: u64 = 10;
/// More of a token file is not read.
const MAX_TOKEN_BYTES: u64 = 4096;

pub(crate) fn run(args: &Args) -> Result<u8> {
    let filter =
        EnvFilter::try_new(&args.log).with_context(|| format!("`--log {}` is no filter", args.log))?;
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).init();
    let config = config(args)?;
    let checkpoints = match (&args.checkpoint, &args.run) {
        (Some(folder), _) => Checkpoints::One(folder.clone()),
        (None, Some(run)) => Checkpoints::Run(run.clone()),
        (None, None) => Checkpoints::Embedded,
    };
    let device = args.device.open()?;
    if args.terminal {
        let mut model = CascadeModel::open(checkpoints, args.precision, device)?;
        terminal_chat(&mut model, std::io::stdin(), std::io::stdout(), &config.limits)?;
        return Ok(EXIT_OK);
    }
    let stop = bin_support::stop_flag(Some("answers at hand may end; once more to end at once …"));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    // Before the model is opened: an address in use should not cost the time.
    let asked = (args.host, args.port);
    let listener = runtime
        .block_on(TcpListener::bind(asked))
        .with_context(|| format!("cannot listen at {} port {}", args.host, args.port))?;
    let model = CascadeModel::open(checkpoints, args.precision, device)?;
    if !args.host.is_loopback() && config.bearer_token.is_none() {
        note("others can reach this address, and no token is asked for (`--token-file`)");
    }
    let server = ChatServer::start(model, config)?;
    data(&format!("http://{}", listener.local_addr()?))?;
    note(RESEARCH_NOTE);
    match runtime.block_on(serve(listener, server, stopped(stop)))? {
        ServeEnd::CutOff { connections } => {
            note(&format!(
                "error: {connections} connections were cut off, still busy after `--drain-timeout-s`"
            ));
            Ok(EXIT_ERROR)
        }
        _ => Ok(EXIT_OK),
    }
}

async fn stopped(stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        tokio::time::sleep(PATIENCE).await;
    }
}

fn config(args: &Args) -> Result<ServerConfig> {
    let mut config = ServerConfig::default();
    config.bearer_token = args.token_file.as_deref().map(token).transpose()?;
    config.allowed_hosts.clone_from(&args.allow_host);
    config.replica_name.clone_from(&args.replica_name);
    config.behind_proxy = args.behind_proxy;
    set_limits(&mut config.limits, &args.limits);
    Ok(config)
}

fn set_limits(limits: &mut ServerLimits, args: &LimitArgs) {
    let count = |n: u16| NonZeroUsize::new(n.into()).unwrap_or(NonZeroUsize::MIN);
    limits.queue_capacity = count(args.queue);
    limits.client_queue_capacity = count(args.client_queue);
    limits.max_connections = count(args.max_connections);
    limits.max_study_bytes = args.max_upload_mib << 20;
    limits.max_memory_bytes = args.max_memory_mib << 20;
    limits.study_expiry = Duration::from_secs(args.expiry_s);
    limits.answer_timeout = Duration::from_secs(args.answer_timeout_s);
    limits.drain_delay = Duration::from_secs(args.drain_delay_s);
    let patience = args.drain_timeout_s.unwrap_or(args.answer_timeout_s + SENDING_S);
    limits.drain_timeout = Duration::from_secs(patience);
}

/// The first line of a token file.
fn token(path: &Path) -> Result<String> {
    let mut text = String::new();
    fs_err::File::open(path)?.take(MAX_TOKEN_BYTES).read_to_string(&mut text)?;
    let token = text.lines().next().unwrap_or_default().trim();
    let is_plain = |b: u8| b.is_ascii_graphic();
    ensure!(
        token.len() >= 16 && token.bytes().all(is_plain),
        "the first line of `{}` is no token: at least 16 printable characters without spaces are expected",
        path.display()
    );
    Ok(token.to_owned())
}
