//! The faults: what can be broken, and the order in which a run breaks it.
//!
//! | fault | what happens | what it stands for |
//! |---|---|---|
//! | kill | SIGKILL of one instance or of all, started again after a while | a crash, a lost machine |
//! | stall | SIGSTOP, continued after a while | a pause that looks like death, and is none |
//! | restart | SIGTERM, started again | a deployment |
//! | wipe | the store of JetStream is removed | a lost volume |
//! | set back | the store of JetStream is put back to an earlier state | a backup that was played back, a lost write cache |
//! | latency, resets, hang | a proxy between the services and NATS or PostgreSQL | a bad network, a half-open connection |
//!
//! A schedule is a function of its seed: the same seed breaks the same parts in the same order, for the same times. What the
//! system was doing at that moment is not repeated.

use std::{fmt, time::Duration};

use rand::{
    Rng, SeedableRng,
    rngs::StdRng,
    seq::{IndexedRandom, SliceRandom},
};

use crate::system::SERVICES;

/// Something that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// A service, by its name.
    Service(&'static str),
    /// The gateway.
    Gateway,
    /// The payment provider.
    Provider,
    /// nats-server.
    Nats,
    /// PostgreSQL.
    Postgres,
    /// Redis.
    Redis,
}

/// A way that data goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Link {
    /// Between every process and NATS.
    Nats,
    /// Between every service and PostgreSQL.
    Postgres,
}

/// A fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// SIGKILL.
    Kill(Part),
    /// SIGSTOP.
    Stall(Part),
    /// SIGTERM.
    Restart(Part),
    /// JetStream's store is gone.
    Wipe,
    /// JetStream's store is of an earlier moment.
    SetBack,
    /// Data is late.
    Latency(Link),
    /// Connections break.
    Resets(Link),
    /// Nothing passes, and nobody is told.
    Hang(Link),
}

/// The kinds of fault, each of which a round has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// See [`Fault::Kill`].
    Kill,
    /// See [`Fault::Stall`].
    Stall,
    /// See [`Fault::Restart`].
    Restart,
    /// See [`Fault::Wipe`].
    Wipe,
    /// See [`Fault::SetBack`].
    SetBack,
    /// See [`Fault::Latency`].
    Latency,
    /// See [`Fault::Resets`].
    Resets,
    /// See [`Fault::Hang`].
    Hang,
}

/// A fault with its times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// What is broken.
    pub fault: Fault,
    /// Whether every instance of a service is meant, or one of them.
    pub whole: bool,
    /// For how long it stays broken.
    pub hold: Duration,
    /// The rest after it, once orders succeed again.
    pub pause: Duration,
}

/// How many parts are stalled, and how many restarted, in a round.
const STALLED: usize = 3;
const RESTARTED: usize = 2;

impl Part {
    /// As reports call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Service(name) => name,
            Self::Gateway => "gateway",
            Self::Provider => "sandbox-provider",
            Self::Nats => "nats-server",
            Self::Postgres => "PostgreSQL",
            Self::Redis => "Redis",
        }
    }
}

impl Fault {
    /// Which kind it is of.
    pub const fn kind(self) -> Kind {
        match self {
            Self::Kill(_) => Kind::Kill,
            Self::Stall(_) => Kind::Stall,
            Self::Restart(_) => Kind::Restart,
            Self::Wipe => Kind::Wipe,
            Self::SetBack => Kind::SetBack,
            Self::Latency(_) => Kind::Latency,
            Self::Resets(_) => Kind::Resets,
            Self::Hang(_) => Kind::Hang,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let link = |link: &Link| match link {
            Link::Nats => "NATS",
            Link::Postgres => "PostgreSQL",
        };
        match self {
            Self::Kill(Part::Service(name)) => write!(f, "kill svc-{name}"),
            Self::Stall(Part::Service(name)) => write!(f, "stall svc-{name}"),
            Self::Restart(Part::Service(name)) => write!(f, "restart svc-{name}"),
            Self::Kill(part) => write!(f, "kill {}", part.name()),
            Self::Stall(part) => write!(f, "stall {}", part.name()),
            Self::Restart(part) => write!(f, "restart {}", part.name()),
            Self::Wipe => f.write_str("wipe JetStream's store"),
            Self::SetBack => f.write_str("set JetStream's store back"),
            Self::Latency(way) => write!(f, "latency to {}", link(way)),
            Self::Resets(way) => write!(f, "resets on the way to {}", link(way)),
            Self::Hang(way) => write!(f, "hanging connections to {}", link(way)),
        }
    }
}

/// The endless schedule of a seed, in rounds; each round has every kind of fault, and kills every part.
pub struct Schedule {
    random: StdRng,
    longest: Duration,
    round: std::vec::IntoIter<Fault>,
    previous: Option<Fault>,
    /// How many faults one round has.
    pub per_round: usize,
}

impl Schedule {
    /// The schedule of `seed`; no fault stays for longer than `longest`, and none for less than a third of that.
    pub fn of(seed: u64, longest: Duration) -> Self {
        let mut schedule = Self {
            random: StdRng::seed_from_u64(seed),
            longest,
            round: Vec::new().into_iter(),
            previous: None,
            per_round: 0,
        };
        schedule.begin_round();
        schedule
    }

    fn begin_round(&mut self) {
        let links = [Link::Nats, Link::Postgres];
        let processes: Vec<Part> = SERVICES.iter().map(|name| Part::Service(name)).chain([Part::Gateway]).collect();
        let servers = [Part::Provider, Part::Nats, Part::Postgres, Part::Redis];
        let all: Vec<Part> = processes.iter().copied().chain(servers).collect();
        let mut faults: Vec<Fault> = all.iter().copied().map(Fault::Kill).collect();
        faults.extend(all.choose_multiple(&mut self.random, STALLED).copied().map(Fault::Stall));
        faults.extend(processes.choose_multiple(&mut self.random, RESTARTED).copied().map(Fault::Restart));
        faults.extend([Fault::Wipe, Fault::SetBack]);
        faults.extend(
            links.map(Fault::Latency).into_iter().chain(links.map(Fault::Resets)).chain(links.map(Fault::Hang)),
        );
        faults.shuffle(&mut self.random);
        // Never the same twice in a row, where two rounds meet.
        if let (Some(previous), Some(first)) = (self.previous, faults.first())
            && previous == *first
        {
            faults.rotate_left(1);
        }
        self.per_round = faults.len();
        self.round = faults.into_iter();
    }
}

impl Iterator for Schedule {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        let fault = match self.round.next() {
            Some(fault) => fault,
            None => {
                self.begin_round();
                self.round.next()?
            }
        };
        self.previous = Some(fault);
        let longest = u64::try_from(self.longest.as_millis()).unwrap_or(u64::MAX).max(3);
        let whole = self.random.random();
        let hold = Duration::from_millis(self.random.random_range(longest / 3..=longest));
        let pause = Duration::from_millis(self.random.random_range(longest / 3..=longest));
        Some(Step { fault, whole, hold, pause })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const LONGEST: Duration = Duration::from_secs(3);

    #[test]
    fn a_seed_is_a_schedule() {
        let steps = |seed| Schedule::of(seed, LONGEST).take(100).collect::<Vec<_>>();
        assert_eq!(steps(7), steps(7));
        assert_ne!(steps(7), steps(8));
    }

    #[test]
    fn a_round_has_every_kind_of_fault_and_kills_every_part() {
        for seed in 0..50 {
            let schedule = Schedule::of(seed, LONGEST);
            let per_round = schedule.per_round;
            let round: Vec<Fault> = schedule.take(per_round).map(|step| step.fault).collect();
            let kinds: BTreeSet<Kind> = round.iter().map(|fault| fault.kind()).collect();
            assert_eq!(kinds.len(), 8, "{kinds:?}");
            let killed = round.iter().filter(|fault| fault.kind() == Kind::Kill).collect::<BTreeSet<_>>();
            assert_eq!(killed.len(), SERVICES.len() + 5);
        }
    }

    #[test]
    fn no_fault_comes_twice_in_a_row_and_none_lasts_too_long() {
        for seed in 0..50 {
            let steps: Vec<Step> = Schedule::of(seed, LONGEST).take(200).collect();
            assert!(steps.windows(2).all(|two| two[0].fault != two[1].fault), "seed {seed}");
            assert!(steps.iter().all(|step| (LONGEST / 3..=LONGEST).contains(&step.hold)), "seed {seed}");
        }
    }
}
