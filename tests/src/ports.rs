//! TCP ports on the loopback interface.
//!
//! The trap: asking the kernel for any port (`:0`) gives one of the ephemeral range, from which outgoing
//! connections are served too: between our looking and the server's binding, a client of a parallel test can
//! take it. So free ports are searched below that range, no two the same within this program, and a server
//! that finds its port taken all the same is started again on another.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::{Result, StackError};

const FIRST: u16 = 15_000;
/// Linux starts its ephemeral range here, unless told otherwise.
const EPHEMERAL: u16 = 32_768;
const ATTEMPTS: u32 = 3;

/// A port that nobody listens on, never the same twice in this program.
pub fn free() -> Result<u16> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let range = u32::from(ephemeral_start().saturating_sub(FIRST));
    if range < 1000 {
        let listener = TcpListener::bind(("127.0.0.1", 0));
        return listener.and_then(|l| l.local_addr()).map(|a| a.port()).map_err(|e| none_free(&e.to_string()));
    }
    for _ in 0..range {
        let step = NEXT.fetch_add(1, Ordering::Relaxed).wrapping_add(start());
        if let Ok(port) = u16::try_from(u32::from(FIRST) + step % range)
            && is_free(port)
        {
            return Ok(port);
        }
    }
    Err(none_free("every one is taken"))
}

/// This port, or the sentence that says who must give way: `setting` is what would choose another.
pub fn claim(port: u16, setting: &str) -> Result<u16> {
    if is_free(port) {
        return Ok(port);
    }
    Err(StackError::port_taken(format!(
        "port {port} is in use by another program: stop that program, or set {setting} to another port"
    )))
}

/// This port if nobody listens on it, else a free one.
pub fn prefer(port: u16) -> Result<u16> {
    if is_free(port) { Ok(port) } else { free() }
}

/// Whether nobody listens on a port, on the loopback interface or on all of them.
pub fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok() && TcpListener::bind(("0.0.0.0", port)).is_ok()
}

/// Starts a server on `wanted`, or on a free port, and on another one if somebody was faster.
pub(crate) async fn on_port<T, Start>(name: &str, wanted: Option<u16>, start: impl Fn(u16) -> Start) -> Result<T>
where
    Start: Future<Output = Result<T>>,
{
    if let Some(port) = wanted {
        return start(claim(port, &format!("the port of {name}"))?).await;
    }
    for _ in 1..ATTEMPTS {
        match start(free()?).await {
            Err(error) if error.is_port_taken() => {}
            done => return done,
        }
    }
    start(free()?).await
}

fn ephemeral_start() -> u16 {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    range.split_whitespace().next().and_then(|first| first.parse().ok()).unwrap_or(EPHEMERAL)
}

/// Where this program begins to look: programs started side by side should not look in step.
fn start() -> u32 {
    static START: std::sync::OnceLock<u32> = std::sync::OnceLock::new();
    *START.get_or_init(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.subsec_micros());
        std::process::id().wrapping_mul(97).wrapping_add(now)
    })
}

fn none_free(why: &str) -> StackError {
    StackError::new(format!("no free TCP port on 127.0.0.1 ({why}): end the programs that hold them"))
}
