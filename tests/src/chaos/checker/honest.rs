//! Answers: the same each time, legal, and readable by whoever gets them.

use super::{Keys, Verdict};
use crate::chaos::history::{Certainty, Operation, Record};

/// A repetition gets the first answer, byte for byte.
pub(super) fn replays_are_identical(keys: &Keys<'_>) -> Verdict {
    let mut verdict = Verdict::of("repeated requests get the same answer");
    for (key, tries) in keys {
        let done = tries.iter().filter(|record| record.outcome.certainty() == Certainty::Done);
        let mut answers = done.filter_map(|record| record.outcome.answer());
        let Some(first) = answers.next() else { continue };
        for answer in answers {
            let same = first.id == answer.id && first.body == answer.body && first.status == answer.status;
            verdict.see(same, || format!("{key} got {:?} and {:?}", first, answer));
        }
    }
    verdict
}

/// A key belongs to one body.
pub(super) fn reused_keys_are_refused(history: &[Record]) -> Verdict {
    let mut verdict = Verdict::of("a key with another body is refused");
    for record in history.iter().filter(|record| record.operation == Operation::ReuseKey) {
        match record.outcome.certainty() {
            Certainty::Unknown => {}
            certainty => {
                let refused = certainty == Certainty::Refused
                    && record.outcome.answer().is_some_and(|answer| answer.status == 422);
                verdict.see(refused, || format!("{:?} was reused and answered {:?}", record.key, record.outcome));
            }
        }
    }
    verdict
}

/// Who is refused, is refused for a reason that the operation has.
pub(super) fn refusals_are_legal(history: &[Record]) -> Verdict {
    let mut verdict = Verdict::of("requests are refused only for reasons that the operation has");
    for record in history {
        let Some(answer) = record.outcome.answer().filter(|_| record.outcome.certainty() == Certainty::Refused) else {
            continue;
        };
        verdict.see(record.operation.refusals().contains(&answer.status), || {
            let (client, operation) = (&record.client, record.operation.name());
            format!(
                "{operation} of {client} at {} ms was answered {} {:?}",
                record.start, answer.status, answer.problem
            )
        });
    }
    verdict
}

/// What goes wrong is 409, 422, 429 or 5xx with a problem document, never a page of a framework.
pub(super) fn faults_are_problems(history: &[Record]) -> Verdict {
    let mut verdict = Verdict::of("every error answer is a problem document with a status that clients expect");
    for record in history {
        let Some(answer) = record.outcome.answer().filter(|answer| !(200..300).contains(&answer.status)) else {
            continue;
        };
        let expected = matches!(answer.status, 409 | 422 | 429 | 500..=599);
        verdict.see(expected && answer.problem.is_some(), || {
            format!("{} at {} ms was answered {answer:?}", record.operation.name(), record.start)
        });
    }
    verdict
}
