//! Benchmarks: what the system does, against a limit of the same machine, in the same run.
//!
//! Absolute figures move by a factor of two from hour to hour on shared machines. So each workload has a peer (PostgreSQL
//! alone doing the same rows, a bare web server), both sides run by turns, and what counts is the ratio of their medians.
//!
//! | file | what is in it |
//! |---|---|
//! | [`command`] | the options of `stack bench` |
//! | `shop` | the system under load: its articles, customers, and the scripts of the load generator |
//! | `reads`, `orders` | the workloads |
//! | `limit` | the peers |
//! | `load` | running wrk and pgbench, and reading what they say |
//! | `table` | the table and `bench.json` |
//!
//! Trap: the load generator runs on the same cores, on both sides.

#![expect(clippy::float_arithmetic, reason = "figures for people, and no money")]

pub mod command;
mod limit;
mod load;
mod orders;
mod reads;
mod shop;
mod table;

use std::{path::PathBuf, time::Duration};

pub use limit::serve_bytes;
pub use table::{Better, Report, Workload};

use crate::{Result, error::Doing, postgres::Data, system};

/// How to measure.
#[derive(Debug, Clone)]
pub struct Options {
    /// How often each side of a workload runs.
    pub rounds: usize,
    /// How long one side runs, each time.
    pub slice: Duration,
    /// Only workloads whose names begin with this.
    pub only: String,
    /// Where data and logs go.
    pub directory: PathBuf,
}

/// Starts the system as in production (data is kept, permissions are on, limits are on but high), and measures.
///
/// # Errors
/// What could not be started or measured.
pub async fn run(options: &Options, progress: impl Fn(&str)) -> Result<Report> {
    let how = system::Options { log: "warn".to_owned(), ..system::Options::new(&options.directory, Data::Kept) };
    let started = std::time::Instant::now();
    let system = system::System::start(&how, |step| progress(&format!("starting: {step}"))).await?;
    progress(&format!("started after {:.1} s", started.elapsed().as_secs_f32()));
    let shop = shop::Shop::open(&system, &options.directory, &progress).await?;
    let mut report = Report::default();
    let wanted = |name: &str| name.starts_with(&options.only);
    if wanted(reads::PRODUCT) {
        report.add(reads::product(&shop, options, &progress).await?);
    }
    for goods in [orders::Goods::Spread, orders::Goods::Hot] {
        if wanted(goods.name()) {
            report.add(orders::placed(&system, &shop, goods, options, &progress).await?);
        }
    }
    if wanted(orders::WHOLE) {
        report.add(orders::whole(&system, &shop, options, &progress).await?);
    }
    let file = options.directory.join("bench.json");
    std::fs::write(&file, report.json()).doing(|| format!("write {}", file.display()))?;
    system.stop().await;
    Ok(report)
}

/// Runs both sides by turns; the medians.
async fn by_turns<A, B>(rounds: usize, mut ours: A, mut peers: B) -> Result<(f64, f64)>
where
    A: AsyncFnMut() -> Result<f64>,
    B: AsyncFnMut() -> Result<f64>,
{
    let (mut one, mut other) = (Vec::new(), Vec::new());
    for _ in 0..rounds.max(1) {
        one.push(ours().await?);
        other.push(peers().await?);
    }
    Ok((median(one), median(other)))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slow_round_does_not_count() {
        assert!((median(vec![3.0, 100.0, 2.0]) - 3.0).abs() < f64::EPSILON);
    }
}
