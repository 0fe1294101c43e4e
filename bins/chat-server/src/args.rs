//! What `chat-server` takes.

use std::net::IpAddr;
use std::path::PathBuf;

use chat_api::ReplicaName;
use clap::{Parser, value_parser};
use vlm_model::{DeviceChoice, Precision};

const AFTER_HELP: &str = "\
Example:
  chat-server --port 8080                      then open the address that it prints
  chat-server --terminal                       the chat for terminals
  chat-server --host 0.0.0.0 --replica-name a --behind-proxy --drain-delay-s 5 --allow-host ct.example.org
                                               one of several behind a proxy; docs/SCALING.md has the proxy's side

At Ctrl-C or SIGTERM `/readyz` says 503, requests are taken for `--drain-delay-s` more, and what was asked is
answered, within `--drain-timeout-s`. A second one ends at once.

Exit codes: 0 ended by Ctrl-C, SIGTERM or `quit`, and every request was answered; 1 data, device or system
error, or requests were cut off after `--drain-timeout-s`; 2 wrong usage; a second Ctrl-C ends by a signal.

Research use only, not for diagnosis. Nothing is sent anywhere, uploads live in memory alone.";

/// A web chat about CT slices, with an API that OpenAI's clients speak: questions about slices are
/// answered with text and boxes, whole studies are looked at, findings can be saved.
///
/// The first line of stdout is the address; logs go to stderr and hold neither questions nor answers.
#[derive(Debug, Parser)]
#[command(version, after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// The address that is listened at.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub(crate) host: IpAddr,
    /// The port; 0 takes a free one.
    #[arg(long, value_name = "N", default_value_t = 8080)]
    pub(crate) port: u16,
    /// Talk on the terminal instead of serving.
    #[arg(long, conflicts_with_all = ["host", "port", "token_file", "allow_host", "replica_name", "behind_proxy"])]
    pub(crate) terminal: bool,
    /// A run folder of `run-cascade` [default: the quickstart's checkpoints, which the program carries].
    #[arg(long, value_name = "FOLDER", conflicts_with = "checkpoint")]
    pub(crate) run: Option<PathBuf>,
    /// One checkpoint folder, of this project or of published files, that answers everything.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) checkpoint: Option<PathBuf>,
    /// A file whose first line every request must bring as bearer token; without it none is asked for.
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// A host name that requests may name beside addresses and localhost; several times for several.
    #[arg(long, value_name = "NAME")]
    pub(crate) allow_host: Vec<String>,
    /// Which of several servers behind a proxy this is: replies that open a study set the cookie `chat-replica`
    /// to it.
    #[arg(long, value_name = "NAME")]
    pub(crate) replica_name: Option<ReplicaName>,
    /// Clients are told apart by the last address in `X-Forwarded-For`; for a server that is reached through a
    /// proxy alone, which adds it.
    #[arg(long)]
    pub(crate) behind_proxy: bool,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
    /// Number type of frozen weights: f32, bf16 or f16.
    #[arg(long, default_value_t = Precision::F32)]
    pub(crate) precision: Precision,
    /// auto, cpu or cuda:N.
    #[arg(long, default_value_t = DeviceChoice::Auto)]
    pub(crate) device: DeviceChoice,
    /// What is logged: off, error, warn, info, debug, or a filter of `tracing`.
    #[arg(long, value_name = "FILTER", default_value = "info")]
    pub(crate) log: String,
}

/// Bounds of the server; `docs/CHAT.md` has all.
#[derive(Debug, clap::Args)]
pub(crate) struct LimitArgs {
    /// Requests that wait for the model.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = value_parser!(u16).range(1..))]
    pub(crate) queue: u16,
    /// Requests of one client that wait for the model.
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = value_parser!(u16).range(1..))]
    pub(crate) client_queue: u16,
    /// Open connections; more wait.
    #[arg(long, value_name = "N", default_value_t = 2048, value_parser = value_parser!(u16).range(1..))]
    pub(crate) max_connections: u16,
    /// Largest upload of a study, as sent and as unpacked, in MiB.
    #[arg(long, value_name = "MIB", default_value_t = 1024, value_parser = value_parser!(u64).range(1..=65_536))]
    pub(crate) max_upload_mib: u64,
    /// Memory for all studies and uploads, in MiB.
    #[arg(long, value_name = "MIB", default_value_t = 4096, value_parser = value_parser!(u64).range(1..=1_048_576))]
    pub(crate) max_memory_mib: u64,
    /// After so many seconds a study that nobody looks at is forgotten.
    #[arg(long, value_name = "S", default_value_t = 3600, value_parser = value_parser!(u64).range(1..=604_800))]
    pub(crate) expiry_s: u64,
    /// Longest time of an answer, waiting included, in seconds.
    #[arg(long, value_name = "S", default_value_t = 300, value_parser = value_parser!(u64).range(1..=86_400))]
    pub(crate) answer_timeout_s: u64,
    /// At the end, so many seconds requests are still taken while `/readyz` says 503: longer than a proxy or
    /// an orchestrator needs to see it.
    #[arg(long, value_name = "S", default_value_t = 0, value_parser = value_parser!(u64).range(..=3600))]
    pub(crate) drain_delay_s: u64,
    /// After that, so many seconds for what was asked to be answered [default: --answer-timeout-s and 10].
    #[arg(long, value_name = "S", value_parser = value_parser!(u64).range(..=90_000))]
    pub(crate) drain_timeout_s: Option<u64>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn arguments_are_consistent() {
        super::Args::command().debug_assert();
    }
}
