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

/// Longest head of a request.
const MAX_HEAD_BYTES: usize = 64 << 10;
const MAX_HEADERS: usize = 64;
/// After the system gave no connection, such as for want of file handles.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
const UPKEEP: Duration = Duration::from_secs(15);

/// Serves until `shutdown`, then lets what is running end within
/// [`drain_timeout`](crate::ServerLimits::drain_timeout).
///
/// # Errors
/// None yet; connections that fail are their clients' concern.
pub async fn serve(
    listener: TcpListener,
    server: ChatServer,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let app = Arc::clone(&server.app);
    let router = server.router();
    let slots = Arc::new(Semaphore::new(app.config.limits.max_connections.get()));
    let (ending, ended) = watch::channel(false);
    let upkeep = tokio::spawn(keep_up(Arc::clone(&app)));
    tokio::pin!(shutdown);
    loop {
        let slot = tokio::select! {
            () = &mut shutdown => break,
            slot = Arc::clone(&slots).acquire_owned() => slot.map_err(io::Error::other)?,
        };
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, address)) => {
                let connection = Connection { app: Arc::clone(&app), stream, address, slot };
                tokio::spawn(connection.serve(router.clone(), ended.clone()));
            }
            Err(error) => {
                tracing::warn!(kind = ?error.kind(), "no connection could be taken");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    app.draining.store(true, Ordering::Relaxed);
    // Nobody is there to hear it if there are no connections.
    let _ = ending.send(true);
    drop(ended);
    if timeout(app.config.limits.drain_timeout, ending.closed()).await.is_err() {
        tracing::warn!("connections were cut off at the end");
    }
    app.worker.close();
    upkeep.abort();
    Ok(())
}

async fn keep_up(app: Arc<App>) {
    let mut ticks = interval(UPKEEP);
    loop {
        ticks.tick().await;
        app.studies.sweep();
        app.metrics.upkeep();
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
        let mut is_ending = false;
        loop {
            tokio::select! {
                // What went wrong is the client's concern, and may tell something of it.
                _ = &mut connection => break,
                _ = ended.wait_for(|end| *end), if !is_ending => {
                    is_ending = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
        app.metrics.connection_closed();
        drop(slot);
    }
}
