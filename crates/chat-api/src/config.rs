//! How a server is set up, and its limits.

use std::num::NonZeroUsize;
use std::time::Duration;

use ct_phantom::{Layout, PhantomSpec};

use crate::replica::ReplicaName;

/// How a server is set up.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServerConfig {
    /// Asked for as `Authorization: Bearer …` on everything but the page's own files and the two health
    /// checks. Default none.
    pub bearer_token: Option<String>,
    /// Host names that requests may name beside addresses and `localhost`; a page elsewhere that points a name
    /// of its own at this server is refused. Default none.
    pub allowed_hosts: Vec<String>,
    /// Which of several servers behind one proxy this is: a reply that opens a study sets
    /// [`REPLICA_COOKIE`](crate::REPLICA_COOKIE) to it, since the study lies here alone. Default none, and no
    /// cookie.
    pub replica_name: Option<ReplicaName>,
    /// A proxy stands before the server and nobody reaches it otherwise: clients are told apart, for their
    /// turns, by the last address in `X-Forwarded-For`, which the proxy adds. Default false.
    pub behind_proxy: bool,
    /// The study that comes with the server. Default a phantom.
    pub example: Option<ExampleStudy>,
    /// Bounds.
    pub limits: ServerLimits,
}

/// A phantom as example study, made when it is first asked for.
#[derive(Debug, Clone)]
pub struct ExampleStudy {
    /// Which data set.
    pub spec: PhantomSpec,
    /// Which patient of it.
    pub patient: u32,
}

/// Bounds, all checked before memory is taken.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServerLimits {
    /// Open connections; more wait. Default 2,048.
    pub max_connections: NonZeroUsize,
    /// For a request's head to arrive, and between two requests. Default 10 s.
    pub header_timeout: Duration,
    /// Between two pieces of a body. Default 10 s.
    pub body_idle_timeout: Duration,
    /// For a whole body. Default 10 min.
    pub body_timeout: Duration,
    /// For a piece of a reply to be taken by the client. Default 30 s.
    pub write_timeout: Duration,
    /// From a chat's arrival to its last token, waiting included. Default 5 min.
    pub answer_timeout: Duration,
    /// For a study's run. Default 2 h.
    pub run_timeout: Duration,
    /// Body of a chat request, in bytes. Default 32 MiB.
    pub max_chat_bytes: usize,
    /// Text of a conversation, in bytes. Default 64 KiB.
    pub max_text_bytes: usize,
    /// Turns of a conversation. Default 64.
    pub max_turns: usize,
    /// One image file, in bytes. Default 16 MiB.
    pub max_image_bytes: usize,
    /// Columns times rows of an image. Default 16 million.
    pub max_image_pixels: u64,
    /// Images of a conversation; the model may take fewer. Default 8.
    pub max_images: usize,
    /// Tokens of an answer; the model may take fewer. Default 2,048.
    pub max_answer_tokens: usize,
    /// An upload, in bytes as sent and in bytes as unpacked. Default 1 GiB.
    pub max_study_bytes: u64,
    /// Voxels of a study, in bytes as they lie in memory. Default 1 GiB.
    pub max_volume_bytes: u64,
    /// Files of a study. Default 4,096.
    pub max_study_files: usize,
    /// Memory for studies and for bodies on their way, in bytes. Default 4 GiB.
    pub max_memory_bytes: u64,
    /// Studies held. Default 64.
    pub max_studies: usize,
    /// After which a study that nobody looks at is forgotten. Default 1 h.
    pub study_expiry: Duration,
    /// Exports of one run, in bytes. Default 1 GiB.
    pub max_export_bytes: u64,
    /// Requests that wait for the model. Default 64.
    pub queue_capacity: NonZeroUsize,
    /// Requests of one client that wait for the model. Default 32.
    pub client_queue_capacity: NonZeroUsize,
    /// At a shutdown, for which requests are still taken while `/readyz` says 503, so that a proxy can see it.
    /// Default none.
    pub drain_delay: Duration,
    /// After that, for what was asked to be answered. Default 310 s: whatever waits or is being answered is over
    /// after [`answer_timeout`](Self::answer_timeout), and then has to be sent.
    pub drain_timeout: Duration,
}

impl Default for ServerConfig {
    fn default() -> Self {
        // A patient with a tumor large enough to be seen on a third of the slices.
        let spec = PhantomSpec::new(Layout::Msd, 2024, 10).with_matrix(256).with_slices(40..=40);
        Self {
            bearer_token: None,
            allowed_hosts: Vec::new(),
            replica_name: None,
            behind_proxy: false,
            example: Some(ExampleStudy { spec, patient: 6 }),
            limits: ServerLimits::default(),
        }
    }
}

const fn count(n: usize) -> NonZeroUsize {
    match NonZeroUsize::new(n) {
        Some(n) => n,
        None => NonZeroUsize::MIN,
    }
}

impl Default for ServerLimits {
    fn default() -> Self {
        const MIB: usize = 1 << 20;
        const GIB: u64 = 1 << 30;
        let seconds = Duration::from_secs;
        Self {
            max_connections: count(2048),
            header_timeout: seconds(10),
            body_idle_timeout: seconds(10),
            body_timeout: seconds(600),
            write_timeout: seconds(30),
            answer_timeout: seconds(300),
            run_timeout: seconds(7200),
            max_chat_bytes: 32 * MIB,
            max_text_bytes: 64 << 10,
            max_turns: 64,
            max_image_bytes: 16 * MIB,
            max_image_pixels: 16_000_000,
            max_images: 8,
            max_answer_tokens: 2048,
            max_study_bytes: GIB,
            max_volume_bytes: GIB,
            max_study_files: 4096,
            max_memory_bytes: 4 * GIB,
            max_studies: 64,
            study_expiry: seconds(3600),
            max_export_bytes: GIB,
            queue_capacity: count(64),
            client_queue_capacity: count(32),
            drain_delay: Duration::ZERO,
            drain_timeout: seconds(310),
        }
    }
}
