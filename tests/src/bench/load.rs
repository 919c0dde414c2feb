//! The load generators: wrk for HTTP, pgbench for PostgreSQL; and what they say.

use std::{path::Path, process::Command, time::Duration};

use crate::{Result, StackError, error::Doing, tools};

/// What one run of wrk came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Requests {
    /// Answers per second.
    pub(super) per_second: f64,
    /// The median latency.
    pub(super) p50: Duration,
    /// The latency that one request in a hundred exceeds.
    pub(super) p99: Duration,
}

/// Sends requests over so many connections, as the Lua script says.
pub(super) async fn requests(url: &str, connections: u32, slice: Duration, script: Option<&Path>) -> Result<Requests> {
    let mut command = Command::new(tools::on_path("wrk", "wrk")?);
    command.arg("-t1").arg(format!("-c{connections}")).arg(format!("-d{}s", slice.as_secs())).arg("--latency");
    if let Some(script) = script {
        command.arg("-s").arg(script);
    }
    let said = output(command.arg(url)).await?;
    read(&said).ok_or_else(|| StackError::new(format!("wrk did not measure what was asked for:\n{said}")))
}

/// Runs a transaction of pgbench's on 32 connections, prepared; transactions per second.
pub(super) async fn transactions(url: &str, script: &Path, slice: Duration) -> Result<f64> {
    let mut command = Command::new(tools::on_path("pgbench", "postgresql")?);
    command.args(["-n", "-M", "prepared", "-c", "32", "-j", "1", "-T", &slice.as_secs().to_string(), "-f"]);
    let said = output(command.arg(script).arg(url)).await?;
    let tps = said.lines().find_map(|line| line.strip_prefix("tps = ")?.split_whitespace().next()?.parse().ok());
    tps.ok_or_else(|| StackError::new(format!("pgbench did not measure what was asked for:\n{said}")))
}

async fn output(command: &mut Command) -> Result<String> {
    let mut command = std::mem::replace(command, Command::new("true"));
    let name = command.get_program().to_string_lossy().into_owned();
    let run = tokio::task::spawn_blocking(move || command.output()).await;
    let output = run.doing(|| format!("run {name}"))?.doing(|| format!("run {name}"))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(said);
    }
    Err(StackError::new(format!("{name} failed: {said}{}", String::from_utf8_lossy(&output.stderr))))
}

/// wrk's report; nothing when some answers were no success, which would be fast and worth nothing.
fn read(said: &str) -> Option<Requests> {
    if said.contains("Non-2xx") || said.contains("Socket errors") {
        return None;
    }
    let field = |name: &str| said.lines().find_map(|line| line.trim().strip_prefix(name).map(str::trim));
    Some(Requests {
        per_second: field("Requests/sec:")?.parse().ok()?,
        p50: duration(field("50%")?)?,
        p99: duration(field("99%")?)?,
    })
}

/// A duration as wrk writes it: `1.50ms`, `890.00us`, `2.10s`.
fn duration(text: &str) -> Option<Duration> {
    let unit = text.find(|letter: char| letter.is_ascii_alphabetic())?;
    let (value, unit) = text.split_at(unit);
    let seconds = value.parse::<f64>().ok()?
        * match unit {
            "us" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            _ => return None,
        };
    Some(Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "Running 1s test @ http://127.0.0.1:1/\n  Latency Distribution\n     50%  890.00us\n     75%    1.10ms\n     \
        90%    1.50ms\n     99%    2.10s \n  10 requests in 1.00s\nRequests/sec:   9321.55\nTransfer/sec:      1.95MB\n";

    #[test]
    fn a_report_is_read() {
        let read = read(SAID).expect("a report");
        assert!((read.per_second - 9321.55).abs() < 0.001, "{read:?}");
        assert_eq!((read.p50, read.p99), (Duration::from_micros(890), Duration::from_millis(2100)));
    }

    #[test]
    fn refused_requests_are_no_measurement() {
        assert_eq!(read(&format!("{SAID}  Non-2xx or 3xx responses: 4\n")), None);
        assert_eq!(read(""), None);
    }
}
