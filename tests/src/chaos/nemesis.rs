//! The nemesis: breaks one thing after the other as the schedule says, mends it, and takes down the times.

use std::time::{Duration, Instant};

use super::{
    fault::{Fault, Link, Part, Schedule, Step},
    history::History,
    measure::Episode,
};
use crate::{
    Result, StackError,
    proxy::Toxic,
    system::{GATEWAY, System, Upstream},
    wait::wait_for,
};

/// How long the shop has to sell again before the nemesis goes on all the same.
const SELLS_WITHIN: Duration = Duration::from_secs(15);
/// The payment provider's name among the processes.
const PROVIDER: &str = "sandbox-provider";
const DELAY: Duration = Duration::from_millis(60);
const JITTER: Duration = Duration::from_millis(40);
/// Of each piece of data.
const RESETS: f64 = 0.02;

/// Breaks things until `until` is over and a whole round is done; `progress` is told each.
///
/// # Errors
/// When a part does not come back: then there is nothing left to measure.
pub async fn run(
    system: &mut System,
    history: &History,
    mut schedule: Schedule,
    until: Instant,
    progress: impl Fn(&str),
) -> Result<Vec<Episode>> {
    let mut episodes: Vec<Episode> = Vec::new();
    while Instant::now() < until || episodes.len() < schedule.per_round {
        let Some(step) = schedule.next() else { break };
        let began = history.now();
        if let Some(before) = episodes.last_mut() {
            before.next = began;
        }
        let over = strike(system, history, step).await;
        let over = over.map_err(|error| StackError::new(format!("after {}: {error}", step.fault)))?;
        let ready = history.now();
        let what = format!("an order after {}", step.fault);
        let sells =
            wait_for(&what, SELLS_WITHIN, async || Ok::<_, StackError>(history.has_order_since(over).then_some(())))
                .await;
        let fault = step.name(system);
        let outcome = if sells.is_ok() { "sells again" } else { "does not sell yet" };
        progress(&format!("{} {fault}: {outcome} {} ms after its end", clock(began), history.now() - over));
        episodes.push(Episode { fault, began, over, ready, next: u64::MAX });
        tokio::time::sleep(step.pause).await;
    }
    if let Some(last) = episodes.last_mut() {
        last.next = history.now();
    }
    Ok(episodes)
}

/// One fault from its beginning to when the part is back; when it was over.
async fn strike(system: &mut System, history: &History, step: Step) -> Result<u64> {
    match step.fault {
        Fault::Kill(part) => kill(system, history, part, step).await,
        Fault::Stall(part) => stall(system, history, part, step).await,
        Fault::Restart(part) => {
            let mut over = history.now();
            for name in instances(system, part, step.whole)? {
                over = history.now();
                system.roll(&name).await?;
            }
            Ok(over)
        }
        Fault::Wipe => {
            let over = history.now();
            system.wipe_nats().await?;
            Ok(over)
        }
        Fault::SetBack => {
            // What comes in meanwhile is lost.
            let earlier = system.snapshot_nats()?;
            tokio::time::sleep(step.hold).await;
            let over = history.now();
            system.set_back_nats(&earlier).await?;
            Ok(over)
        }
        Fault::Latency(link) => {
            poison(system, history, link, Toxic::Latency { delay: DELAY, jitter: JITTER }, step).await
        }
        Fault::Resets(link) => poison(system, history, link, Toxic::Resets { probability: RESETS }, step).await,
        Fault::Hang(link) => poison(system, history, link, Toxic::Hang, step).await,
    }
}

async fn kill(system: &mut System, history: &History, part: Part, step: Step) -> Result<u64> {
    let names = match part {
        Part::Nats => {
            system.nats.kill();
            Vec::new()
        }
        Part::Postgres => {
            system.crash_postgres()?;
            Vec::new()
        }
        Part::Redis => {
            system.kill_redis();
            Vec::new()
        }
        _ => instances(system, part, step.whole)?,
    };
    for name in &names {
        system.kill(name)?;
    }
    tokio::time::sleep(step.hold).await;
    let over = history.now();
    match part {
        Part::Nats => drop(system.nats.restart().await?),
        Part::Postgres => drop(system.restart_postgres().await?),
        Part::Redis => drop(system.restart_redis().await?),
        _ => {
            for name in &names {
                system.restart(name).await?;
            }
        }
    }
    Ok(over)
}

async fn stall(system: &mut System, history: &History, part: Part, step: Step) -> Result<u64> {
    let names = match part {
        Part::Nats => {
            system.nats.pause()?;
            Vec::new()
        }
        Part::Postgres => {
            system.postgres.pause()?;
            Vec::new()
        }
        Part::Redis => {
            system.redis.process().pause()?;
            Vec::new()
        }
        _ => instances(system, part, step.whole)?,
    };
    for name in &names {
        system.pause(name)?;
    }
    tokio::time::sleep(step.hold).await;
    let over = history.now();
    match part {
        Part::Nats => drop(system.nats.resume().await?),
        Part::Postgres => system.postgres.resume()?,
        Part::Redis => system.redis.process().resume()?,
        _ => {
            for name in &names {
                system.resume(name).await?;
            }
        }
    }
    Ok(over)
}

async fn poison(system: &System, history: &History, link: Link, toxic: Toxic, step: Step) -> Result<u64> {
    let upstream = match link {
        Link::Nats => Upstream::Nats,
        Link::Postgres => Upstream::Postgres,
    };
    system.poison_all(upstream, toxic)?;
    tokio::time::sleep(step.hold).await;
    system.heal();
    Ok(history.now())
}

/// The processes of a part: all of them, or the first.
fn instances(system: &System, part: Part, whole: bool) -> Result<Vec<String>> {
    let service = match part {
        Part::Service(name) => name,
        Part::Gateway => GATEWAY,
        Part::Provider => PROVIDER,
        Part::Nats | Part::Postgres | Part::Redis => return Ok(Vec::new()),
    };
    let mut names = system.instances(service);
    names.retain(|name| system.process(name).is_ok());
    if !whole {
        names.truncate(1);
    }
    if names.is_empty() && part != Part::Provider {
        return Err(StackError::new(format!("there is no process of {service}")));
    }
    Ok(names)
}

impl Step {
    /// As reports call it.
    fn name(self, system: &System) -> String {
        let (Fault::Kill(part) | Fault::Stall(part) | Fault::Restart(part)) = self.fault else {
            return self.fault.to_string();
        };
        match instances(system, part, true).map_or(0, |names| names.len()) {
            0 | 1 => self.fault.to_string(),
            all if self.whole => format!("{} (all {all})", self.fault),
            all => format!("{} (1 of {all})", self.fault),
        }
    }
}

/// `1:05.3`
pub(super) fn clock(millis: u64) -> String {
    format!("{}:{:02}.{}", millis / 60_000, millis / 1_000 % 60, millis / 100 % 10)
}
