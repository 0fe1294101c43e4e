//! Connections: how many, how slow, and how it ends.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{interval, sleep, timeout};

use crate::app::{App, ChatServer};
use crate::write_deadline::WriteDeadline;

/// Where a request comes from; an extension of every request that [`serve`] hands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub SocketAddr);

/// How a server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServeEnd {
    /// Every request that had come was answered.
    Drained,
    /// [`drain_timeout`](crate::ServerLimits::drain_timeout) was over before that.
    CutOff {
        /// Connections that were still at something.
        connections: usize,
    },
}

/// Longest head of a request.
const MAX_HEAD_BYTES: usize = 64 << 10;
const MAX_HEADERS: usize = 64;
/// After the system gave no connection, such as for want of file handles.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
const UPKEEP: Duration = Duration::from_secs(15);
/// At the end, for a request that is on its way on a connection that looks idle.
const LAST_REQUEST: Duration = Duration::from_millis(100);
/// For those that are given up to be told so.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Serves until `shutdown`, then ends in three steps, so that a proxy before several servers loses no answer:
///
/// 1. `/readyz` says 503 from that moment on. For [`drain_delay`](crate::ServerLimits::drain_delay) requests
///    are still taken and answered, each with `Connection: close`, until whoever asks `/readyz` sends them
///    elsewhere.
/// 2. No more connections are taken. What was asked, waiting for the model or being answered, is answered within
///    [`drain_timeout`](crate::ServerLimits::drain_timeout).
/// 3. What then still waits is told that the server stopped, and what is left is cut off.
///
/// # Errors
/// None yet; connections that fail are their clients' concern.
pub async fn serve(
    listener: TcpListener,
    server: ChatServer,
    shutdown: impl Future<Output = ()>,
) -> io::Result<ServeEnd> {
    let app = Arc::clone(&server.app);
    let (delay, patience) = (app.config.limits.drain_delay, app.config.limits.drain_timeout);
    let slots = Arc::new(Semaphore::new(app.config.limits.max_connections.get()));
    let (ending, ended) = watch::channel(false);
    let door = Door { app: Arc::clone(&app), router: server.router(), listener, slots, ended };
    let upkeep = tokio::spawn(keep_up(Arc::clone(&app)));
    tokio::select! {
        () = shutdown => {}
        never = door.take_all() => never?,
    }
    app.draining.store(true, Ordering::Relaxed);
    tracing::info!(delay_s = delay.as_secs(), patience_s = patience.as_secs(), "draining");
    // Also without a delay this takes what the system has made of connections: their clients may have asked.
    if let Ok(never) = timeout(delay, door.take_all()).await {
        never?;
    }
    // The listener goes with it.
    drop(door);
    // Nobody is there to hear it if there are no connections.
    let _ = ending.send(true);
    let mut end = ServeEnd::Drained;
    if timeout(patience, ending.closed()).await.is_err() {
        let connections = ending.receiver_count();
        tracing::warn!(connections, "connections are cut off");
        end = ServeEnd::CutOff { connections };
    }
    app.worker.close();
    if end != ServeEnd::Drained {
        // Over or not, it is the end.
        let _ = timeout(LAST_WORDS, ending.closed()).await;
    }
    upkeep.abort();
    Ok(end)
}

async fn keep_up(app: Arc<App>) {
    let mut ticks = interval(UPKEEP);
    loop {
        ticks.tick().await;
        app.studies.sweep();
        app.metrics.upkeep();
    }
}

/// Where connections come in.
struct Door {
    app: Arc<App>,
    router: Router,
    listener: TcpListener,
    slots: Arc<Semaphore>,
    ended: watch::Receiver<bool>,
}

impl Door {
    /// Takes connections for ever. Giving this up loses none: both waits can be left.
    async fn take_all(&self) -> io::Result<()> {
        loop {
            let slot = Arc::clone(&self.slots).acquire_owned().await.map_err(io::Error::other)?;
            match self.listener.accept().await {
                Ok((stream, address)) => self.take(stream, address, slot),
                Err(error) => {
                    tracing::warn!(kind = ?error.kind(), "no connection could be taken");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn take(&self, stream: TcpStream, address: SocketAddr, slot: OwnedSemaphorePermit) {
        let connection = Connection { app: Arc::clone(&self.app), stream, address, slot };
        tokio::spawn(connection.serve(self.router.clone(), self.ended.clone()));
    }
}

struct Connection {
    app: Arc<App>,
    stream: TcpStream,
    address: SocketAddr,
    slot: OwnedSemaphorePermit,
}

impl Connection {
    async fn serve(self, router: Router, mut ended: watch::Receiver<bool>) {
        let Self { app, stream, address, slot } = self;
        app.metrics.connection_opened();
        let limits = &app.config.limits;
        // Small pieces of a stream go out at once.
        let _ = stream.set_nodelay(true);
        let io = TokioIo::new(Box::pin(WriteDeadline::new(stream, limits.write_timeout)));
        let service = TowerToHyperService::new(router.layer(axum::Extension(ClientAddress(address))));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header_timeout)
            .max_buf_size(MAX_HEAD_BYTES)
            .max_headers(MAX_HEADERS)
            .serve_connection(io, service);
        tokio::pin!(connection);
        let end = async {
            // Without a sender the server is gone.
            let _ = ended.wait_for(|end| *end).await;
            // An idle connection is closed at the end, and so is one that nothing was read of yet. A request that
            // was sent before its client could know is read until then.
            sleep(LAST_REQUEST).await;
        };
        tokio::pin!(end);
        let mut is_ending = false;
        loop {
            tokio::select! {
                // What went wrong is the client's concern, and may tell something of it.
                _ = &mut connection => break,
                () = &mut end, if !is_ending => {
                    is_ending = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
        app.metrics.connection_closed();
        drop(slot);
    }
}
