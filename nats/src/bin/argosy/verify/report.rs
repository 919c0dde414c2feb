//! What was found, for people and for machines.

use nats::contracts::operations::AuditCheck;
use serde::Serialize;

/// How many violations are written out; of the others there is a count.
const SHOWN: usize = 20;

/// One invariant, and whether it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// Whose it is: a service, or `orders`, `events`, `broker` for what concerns several.
    pub(crate) scope: String,
    #[serde(flatten)]
    pub(crate) check: AuditCheck,
    /// How many violations there are beyond those written out.
    pub(crate) more: usize,
    /// Nothing speaks against it, but not all could be asked.
    #[serde(skip)]
    unknown: bool,
}

impl Finding {
    /// What was found here.
    pub(crate) fn of(scope: &str, invariant: &str, figures: impl Into<String>, violations: Violations) -> Self {
        let Violations { shown, count, unasked } = violations;
        let more = count.saturating_sub(shown.len());
        let unknown = count == 0 && !unasked.is_empty();
        let violations = shown.into_iter().chain(unasked).collect();
        Self { scope: scope.to_owned(), check: AuditCheck::new(invariant, figures, violations), more, unknown }
    }

    /// What a service found in its own database.
    pub(crate) fn told(scope: &str, check: AuditCheck) -> Self {
        Self { scope: scope.to_owned(), check, more: 0, unknown: false }
    }

    /// One line, and one more for each violation.
    fn lines(&self) -> Vec<String> {
        let mark = if self.check.holds { "ok" } else { "VIOLATED" };
        let AuditCheck { invariant, figures, violations, .. } = &self.check;
        let mut lines = vec![format!("{mark:<8}  {:<8}  {invariant}: {figures}", self.scope)];
        lines.extend(violations.iter().map(|violation| format!("            - {violation}")));
        if self.more > 0 {
            lines.push(format!("            and {} more", self.more));
        }
        lines
    }
}

/// Violations as they are met: the first of them, and a count of all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Violations {
    shown: Vec<String>,
    count: usize,
    /// Why something could not be found out.
    unasked: Vec<String>,
}

impl Violations {
    /// None that is known, but something could not be found out.
    pub(crate) fn unknown(reason: impl Into<String>) -> Self {
        Self { unasked: vec![reason.into()], ..Self::default() }
    }

    /// Something could not be found out.
    pub(crate) fn add_unknown(&mut self, reason: impl Into<String>) {
        if self.unasked.is_empty() {
            self.unasked.push(reason.into());
        }
    }

    /// One more.
    pub(crate) fn add(&mut self, violation: impl Into<String>) {
        if self.shown.len() < SHOWN {
            self.shown.push(violation.into());
        }
        self.count += 1;
    }

    /// So many more, which are not written out.
    pub(crate) const fn add_unshown(&mut self, count: usize) {
        self.count += count;
    }

    /// How many there are.
    pub(crate) const fn count(&self) -> usize {
        self.count
    }
}

impl<V: Into<String>> FromIterator<V> for Violations {
    fn from_iter<I: IntoIterator<Item = V>>(all: I) -> Self {
        let mut violations = Self::default();
        all.into_iter().for_each(|violation| violations.add(violation));
        violations
    }
}

/// All that was found.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// Whether every invariant holds.
    pub(crate) holds: bool,
    /// None that was found out is violated, but not all were found out.
    #[serde(skip)]
    pub(crate) unknown: bool,
    /// Facts younger than so many seconds were left out.
    pub(crate) settle_s: i64,
    pub(crate) checks: Vec<Finding>,
}

impl Report {
    pub(crate) fn of(checks: Vec<Finding>, settle_s: i64) -> Self {
        let holds = checks.iter().all(|finding| finding.check.holds);
        let unknown = !holds && checks.iter().all(|finding| finding.check.holds || finding.unknown);
        Self { holds, unknown, settle_s, checks }
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let mut lines: Vec<String> = self.checks.iter().flat_map(Finding::lines).collect();
        let violated = self.checks.iter().filter(|finding| !finding.check.holds).count();
        let all = self.checks.len();
        lines.push(match violated {
            0 => format!("All {all} invariants hold; facts younger than {} s are left out.", self.settle_s),
            _ if self.unknown => {
                format!("{violated} of {all} invariants could not be found out; no other is violated.")
            }
            _ => {
                format!(
                    "{violated} of {all} invariants are VIOLATED; facts younger than {} s are left out.",
                    self.settle_s
                )
            }
        });
        lines.join("\n")
    }

    /// For machines.
    pub(crate) fn json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_per_invariant_and_the_first_twenty_violations() {
        let none = Finding::of("orders", "nothing is wrong", "3 orders", Violations::default());
        let many = Finding::of("orders", "much is wrong", "99 orders", (0..25).map(|n| format!("order {n}")).collect());
        let text = Report::of(vec![none, many], 30).text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.first(), Some(&"ok        orders    nothing is wrong: 3 orders"));
        assert_eq!(lines.get(1), Some(&"VIOLATED  orders    much is wrong: 99 orders"));
        assert_eq!(lines.iter().filter(|line| line.contains("- order ")).count(), 20);
        assert_eq!(lines.get(22), Some(&"            and 5 more"));
        assert_eq!(lines.last(), Some(&"1 of 2 invariants are VIOLATED; facts younger than 30 s are left out."));
    }

    #[test]
    fn machines_get_the_same() {
        let violations = Violations::from_iter(["ord_1 has none"]);
        let report = Report::of(vec![Finding::of("orders", "each has one", "1 order", violations)], 30);
        let json: serde_json::Value = serde_json::from_str(&report.json().unwrap()).unwrap();
        assert_eq!(json["holds"], false);
        let expected = serde_json::json!({
            "scope": "orders", "invariant": "each has one", "holds": false, "figures": "1 order",
            "violations": ["ord_1 has none"], "more": 0,
        });
        assert_eq!(json["checks"], serde_json::json!([expected]));
    }

    #[test]
    fn what_could_not_be_asked_is_unknown_unless_something_is_violated() {
        let unknown = || Finding::of("order", "it answers", "no answer", Violations::unknown("it does not answer"));
        let wrong = || Finding::of("orders", "nothing is wrong", "1 order", Violations::from_iter(["ord_1"]));
        let fine = || Finding::of("orders", "nothing is wrong", "1 order", Violations::default());
        for (findings, expected) in [
            (vec![fine()], (true, false)),
            (vec![fine(), unknown()], (false, true)),
            (vec![unknown(), wrong()], (false, false)),
            (vec![wrong()], (false, false)),
        ] {
            let report = Report::of(findings, 30);
            assert_eq!((report.holds, report.unknown), expected, "{}", report.text());
        }
        let mut both = Violations::from_iter(["one is missing"]);
        both.add_unknown("the others could not be asked");
        let both = Finding::of("events", "all are taken", "2 events", both);
        assert_eq!(both.check.violations, ["one is missing", "the others could not be asked"]);
        assert!(!Report::of(vec![both], 30).unknown);
    }

    #[test]
    fn a_report_without_violations_holds() {
        let fine = Finding::of("events", "all are taken", "0 events", Violations::default());
        let report = Report::of(vec![fine], 30);
        assert!(
            report.holds && report.text().ends_with("All 1 invariants hold; facts younger than 30 s are left out.")
        );
    }
}
