//! What happens when this program ends in an orderly way: every child is stopped, the scratch directory goes.
//!
//! Children of a program that is killed are ended by the kernel (see `os::die_with_parent`); its scratch
//! directory is removed by the next program that wants one.

use std::sync::{Mutex, Once, PoisonError, Weak};
use std::time::{Duration, Instant};

use crate::process::Inner;

/// How long the children have to end, all together.
const BOUND: Duration = Duration::from_secs(5);

static HOOK: Once = Once::new();
static CHILDREN: Mutex<Vec<Weak<Inner>>> = Mutex::new(Vec::new());

/// Makes sure that [`run`] is called at the end.
pub(crate) fn arm() {
    HOOK.call_once(|| crate::os::at_exit(run));
}

/// Remembers a child, to be stopped at the end if nobody did before.
pub(crate) fn remember(child: Weak<Inner>) {
    arm();
    let mut children = CHILDREN.lock().unwrap_or_else(PoisonError::into_inner);
    children.retain(|known| known.strong_count() > 0);
    children.push(child);
}

extern "C" fn run() {
    let children: Vec<_> = {
        let known = CHILDREN.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().filter_map(Weak::upgrade).collect()
    };
    for child in &children {
        child.ask_to_stop();
    }
    let deadline = Instant::now() + BOUND;
    for child in &children {
        child.wait_until(deadline);
    }
    crate::scratch::remove_own();
}
