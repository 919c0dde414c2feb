//! A TCP proxy whose faults can be changed while connections pass through it.
//!
//! | fault | what the two ends see |
//! |---|---|
//! | none | each other |
//! | [`Toxic::Latency`] | every piece of data late, each direction by itself, in order |
//! | [`Toxic::Resets`] | connections torn down in the middle (RST), at random |
//! | [`Toxic::Hang`] | nothing: connections open, data is taken and not passed on, not even the other's end (half-open) |
//!
//! What hangs is held, not lost: after [`Proxy::heal`] it arrives, as after a partition in which TCP sends again.
//!
//! The trap: proxies run on a thread of their own, not on the caller's runtime, so they outlive the test that starts one
//! and do not wait for a runtime that is busy. Dropping a proxy ends its connections.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::OnceLock,
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    runtime::Runtime,
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};

use crate::{Result, error::Doing, ports};

/// What one read takes at most.
const CHUNK: usize = 64 * 1024;
/// How many pieces of data are on their way in one direction; the sender waits beyond that.
const IN_FLIGHT: usize = 256;

/// What a proxy does to the connections through it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Toxic {
    /// Nothing.
    #[default]
    None,
    /// Data arrives late, by `delay` plus or minus up to `jitter`.
    Latency {
        /// The mean.
        delay: Duration,
        /// How far off it may be.
        jitter: Duration,
    },
    /// With this probability (0 to 1), a piece of data is the end of its connection.
    Resets {
        /// Of each piece of data, in either direction.
        probability: f64,
    },
    /// Nothing passes, and nobody is told.
    Hang,
}

/// A proxy in front of one port of this machine; dropping it ends its connections.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    toxic: watch::Sender<Toxic>,
}

impl Proxy {
    /// Starts one on a free port, in front of `upstream`, which need not be there yet.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start(upstream: u16) -> Result<Self> {
        let runtime = runtime()?;
        let (toxic, changes) = watch::channel(Toxic::None);
        let (port, listener) = ports::on_port("the proxy", None, async |port| {
            let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port));
            let listener = listener.doing(|| format!("listen on port {port}"))?;
            listener.set_nonblocking(true).doing(|| format!("listen on port {port}"))?;
            Ok((port, listener))
        })
        .await?;
        let _entered = runtime.enter();
        let listener = TcpListener::from_std(listener).doing(|| format!("listen on port {port}"))?;
        runtime.spawn(accept(listener, SocketAddr::from((Ipv4Addr::LOCALHOST, upstream)), changes));
        Ok(Self { port, toxic })
    }

    /// Where it listens.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Changes what happens to every connection from now on.
    pub fn set(&self, toxic: Toxic) {
        self.toxic.send_replace(toxic);
    }

    /// Lets everything pass again.
    pub fn heal(&self) {
        self.set(Toxic::None);
    }

    /// What happens to connections now.
    pub fn toxic(&self) -> Toxic {
        *self.toxic.borrow()
    }
}

/// One thread for all proxies of this program.
fn runtime() -> Result<&'static Runtime> {
    static RUNTIME: OnceLock<std::result::Result<Runtime, String>> = OnceLock::new();
    let start = || {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(1).thread_name("proxies").enable_all().build().map_err(|error| error.to_string())
    };
    let started = RUNTIME.get_or_init(start).as_ref();
    started.map_err(|error| crate::StackError::new(format!("could not start a thread for proxies: {error}")))
}

/// Takes connections until the proxy is dropped.
async fn accept(listener: TcpListener, upstream: SocketAddr, mut changes: watch::Receiver<Toxic>) {
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((client, _)) = accepted {
                    tokio::spawn(connect(client, upstream, changes.clone()));
                }
            }
            alive = changes.changed() => {
                if alive.is_err() {
                    return;
                }
            }
        }
    }
}

/// Leads one connection on. A server that is not there is a reset.
async fn connect(mut client: TcpStream, upstream: SocketAddr, mut changes: watch::Receiver<Toxic>) {
    if passes(&mut changes).await.is_err() {
        return;
    }
    let Ok(mut server) = TcpStream::connect(upstream).await else {
        let _dropped = passes(&mut changes).await;
        return reset(&client);
    };
    for end in [&client, &server] {
        // Data is passed on as it comes: Nagle's algorithm would add a delay that nobody asked for.
        let _slower = end.set_nodelay(true);
    }
    let passed = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let there = direction(from_client, to_server, changes.clone());
        let back = direction(from_server, to_client, changes.clone());
        tokio::select! {
            passed = async { tokio::try_join!(there, back) } => passed,
            () = dropped(changes) => Err(Torn),
        }
    };
    if passed.is_err() {
        reset(&client);
        reset(&server);
    }
}

/// The connection ends with a reset.
struct Torn;

/// What one end said.
enum Said {
    /// This, to be passed on no earlier than then.
    Data(Instant, Vec<u8>),
    /// It was reset.
    Reset,
}

/// Passes on what one end says to the other, until it has nothing more to say.
async fn direction(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut changes: watch::Receiver<Toxic>,
) -> std::result::Result<(), Torn> {
    let (sender, mut queue) = mpsc::channel(IN_FLIGHT);
    let toxics = changes.clone();
    let read = async move {
        let (mut buffer, mut due) = (vec![0; CHUNK], Instant::now());
        loop {
            let said = match from.read(&mut buffer).await {
                Ok(0) => return Ok(()),
                Ok(length) => {
                    let toxic = *toxics.borrow();
                    if matches!(toxic, Toxic::Resets { probability } if rand::random_bool(probability.clamp(0.0, 1.0)))
                    {
                        return Err(Torn);
                    }
                    // Never before what was said earlier.
                    due = due.max(Instant::now() + delay(toxic));
                    Said::Data(due, buffer.get(..length).unwrap_or_default().to_vec())
                }
                Err(_reset) => Said::Reset,
            };
            let over = matches!(said, Said::Reset);
            if sender.send(said).await.is_err() || over {
                return Ok(());
            }
        }
    };
    let write = async move {
        while let Some(said) = queue.recv().await {
            if let Said::Data(due, _) = &said {
                sleep_until(*due).await;
            }
            passes(&mut changes).await?;
            match said {
                Said::Data(_, bytes) => to.write_all(&bytes).await.map_err(|_gone| Torn)?,
                Said::Reset => return Err(Torn),
            }
        }
        passes(&mut changes).await?;
        to.shutdown().await.map_err(|_gone| Torn)
    };
    tokio::try_join!(read, write).map(|_| ())
}

/// How late a piece of data is.
fn delay(toxic: Toxic) -> Duration {
    match toxic {
        Toxic::Latency { delay, jitter } => {
            let shortest = delay.saturating_sub(jitter);
            rand::random_range(shortest..=delay + jitter)
        }
        _ => Duration::ZERO,
    }
}

/// Waits until data may pass; an error when the proxy is gone.
async fn passes(changes: &mut watch::Receiver<Toxic>) -> std::result::Result<(), Torn> {
    changes.wait_for(|toxic| *toxic != Toxic::Hang).await.map(|_| ()).map_err(|_dropped| Torn)
}

/// Waits until the proxy is gone.
async fn dropped(mut changes: watch::Receiver<Toxic>) {
    while changes.changed().await.is_ok() {}
}

/// Closing is to be a reset, not a farewell. Where that cannot be had, the farewell comes.
fn reset(stream: &TcpStream) {
    let _farewell = stream.set_zero_linger();
}

#[cfg(test)]
mod tests;
