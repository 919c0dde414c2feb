//! What was measured, for people and for programs.

use std::fmt;

use serde::Serialize;

/// Which way a ratio is to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Better {
    /// As much as can be.
    Higher,
    /// As little as can be.
    Lower,
}

/// One workload and what it came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Workload {
    /// What was done.
    pub name: String,
    /// Ours by the peer's.
    pub ratio: f64,
    /// What the ratio should be.
    pub target: f64,
    /// Which way it is to go.
    pub better: Better,
    /// Our figure.
    pub ours: f64,
    /// The peer's.
    pub peer: f64,
    /// What both count, such as `orders/s`.
    pub unit: String,
    /// What else was seen.
    pub notes: String,
}

impl Workload {
    /// Whether the target is met.
    pub fn is_met(&self) -> bool {
        match self.better {
            Better::Higher => self.ratio >= self.target,
            Better::Lower => self.ratio <= self.target,
        }
    }
}

/// All that was measured in one run.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Report {
    workloads: Vec<Workload>,
}

impl Report {
    /// Adds what a workload came to.
    pub fn add(&mut self, workload: Workload) {
        self.workloads.push(workload);
    }

    /// As `bench.json` has it.
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| workload | ours | peer | ratio | target | | notes |\n|---|---|---|---|---|---|---|")?;
        for one in &self.workloads {
            let Workload { name, ratio, target, ours, peer, unit, notes, better } = one;
            let sign = match better {
                Better::Higher => "≥",
                Better::Lower => "≤",
            };
            let met = if one.is_met() { "met" } else { "missed" };
            writeln!(
                f,
                "| {name} | {ours:.0} {unit} | {peer:.0} {unit} | {ratio:.2} | {sign} {target} | {met} | {notes} |"
            )?;
        }
        Ok(())
    }
}
