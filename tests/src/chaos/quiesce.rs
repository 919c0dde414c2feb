//! The end of a run: the load is off, nothing is broken any more; wait until everything is settled, and read what is there.
//!
//! | within | what must be so |
//! |---|---|
//! | [`SETTLED_WITHIN`] | no order is pending, no stock reserved, every refund made, every confirmed order invoiced |
//! | the drain | every invoice is rendered, as far as the renderer gets: it needs a third of a second of both cores for each |
//! | `MAILED_WITHIN` | every mail about it is sent: a mail whose sender was killed waits for its lease of a minute |

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use chrono::Utc;

use super::{
    checker::unsettled,
    observe,
    state::{FinalState, Invoice, Notification},
    world::World,
};
use crate::{Result, StackError, mail::MailCatcher, wait::wait_for};

/// The criterion: after so long, every order's saga is over.
pub const SETTLED_WITHIN: Duration = Duration::from_secs(60);
/// For mails; see above.
const MAILED_WITHIN: Duration = Duration::from_secs(120);
/// When no document is rendered for so long, the rest is not waited for.
const STILL: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long it took, in milliseconds since the last fault was over and the load off.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Settled {
    /// Until no order was pending; nothing when one still is.
    pub orders: Option<u64>,
    /// Until no stock was reserved.
    pub stock: Option<u64>,
    /// Until every confirmed order had its invoice, and every canceled one its money back.
    pub books: Option<u64>,
    /// How many invoices were not rendered when the run ended.
    pub backlog: usize,
}

/// Waits, and reads. What is not settled in time is in the state for the checker to find.
///
/// # Errors
/// When the state cannot be read at all.
pub async fn quiesce(
    world: &World,
    catcher: &MailCatcher,
    drain: Duration,
    progress: impl Fn(&str),
) -> Result<(FinalState, Settled)> {
    let began = Instant::now();
    let orders = until(began, "no order to be pending", async || match observe::pending(world).await? {
        0 => Ok(Some(())),
        pending => Err(StackError::new(format!("{pending} orders are pending"))),
    });
    let stock = until(began, "no stock to be reserved", async || {
        let levels = observe::levels(world).await?;
        let reserved: Vec<_> = levels.iter().filter(|(_, stock)| stock.reserved != 0).collect();
        if reserved.is_empty() { Ok(Some(())) } else { Err(StackError::new(format!("reserved: {reserved:?}"))) }
    });
    let (orders, stock) = tokio::join!(orders, stock);
    let told = |what: &str, at: Option<u64>| match at {
        Some(at) => progress(&format!("{what} after {at} ms")),
        None => progress(&format!("not within {SETTLED_WITHIN:?}: {what}")),
    };
    told("no order is pending", orders);
    told("no stock is reserved", stock);
    let (mut state, books) = settled_books(world, began).await?;
    told("every refund is made, every invoice issued", books);
    let backlog = drained(world, &mut state, drain).await?;
    progress(&format!("{backlog} of {} invoices wait for the renderer", state.invoices.len()));
    mailed(world, catcher, &mut state).await?;
    Ok((state, Settled { orders, stock, books, backlog }))
}

/// Waits for a condition until the criterion's time is over; how long it took.
async fn until<Look>(began: Instant, what: &str, look: impl Fn() -> Look) -> Option<u64>
where
    Look: Future<Output = Result<Option<()>>>,
{
    let bound = SETTLED_WITHIN.saturating_sub(began.elapsed()).max(LOOK_EVERY);
    wait_for(what, bound, look).await.ok().map(|()| millis(began))
}

fn millis(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Reads the books until stock, money and invoices are what the orders say, at most until the criterion's time is over.
async fn settled_books(world: &World, began: Instant) -> Result<(FinalState, Option<u64>)> {
    let history = world.client.history().records()?;
    loop {
        let state = observe::books(world).await?;
        let at = millis(began);
        if unsettled(&history, &state) == 0 {
            return Ok((state, Some(at)));
        }
        if began.elapsed() >= SETTLED_WITHIN {
            return Ok((state, None));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Waits until every invoice is rendered, at most for the drain and as long as there is progress; how many are not.
async fn drained(world: &World, state: &mut FinalState, drain: Duration) -> Result<usize> {
    let (began, mut progress, mut known) = (Instant::now(), Instant::now(), usize::MAX);
    loop {
        // The mail with the link follows the document: so much cheaper to look at.
        let found = observe::notifications(world, Utc::now()).await?;
        let told: BTreeSet<&str> = found.values().flat_map(words).collect();
        let open: Vec<&Invoice> =
            state.invoices.iter().filter(|invoice| !told.contains(invoice.number.as_str())).collect();
        if open.len() < known {
            (known, progress) = (open.len(), Instant::now());
        }
        if open.is_empty() || began.elapsed() >= drain || progress.elapsed() >= STILL {
            let waiting: BTreeSet<String> = open.iter().map(|invoice| invoice.number.clone()).collect();
            let rendered = observe::rendered(world, &open).await?;
            for invoice in &mut state.invoices {
                invoice.rendered = !waiting.contains(&invoice.number) || rendered.contains(&invoice.number);
            }
            return Ok(waiting.len() - rendered.len());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Waits until every mail is sent that follows from what is settled by now, and reads the catcher. The renderer may still
/// be at work: what it finishes meanwhile counts as rendered when its mail is written.
async fn mailed(world: &World, catcher: &MailCatcher, state: &mut FinalState) -> Result<()> {
    let settled = state.orders.values().filter(|order| order.is_terminal()).map(|order| &order.number);
    let rendered = state.invoices.iter().filter(|invoice| invoice.rendered).map(|invoice| &invoice.number);
    let awaited: BTreeSet<String> = settled.chain(rendered).cloned().collect();
    let (now, deadline) = (Utc::now(), Instant::now() + MAILED_WITHIN);
    let due = |notification: &Notification| notification.due || words(notification).any(|word| awaited.contains(word));
    loop {
        let found = observe::notifications(world, now).await?;
        let told: BTreeSet<&str> = found.values().flat_map(words).collect();
        let written = awaited.iter().all(|number| told.contains(number.as_str()));
        let sent = found.values().all(|notification| notification.state == "sent" || !due(notification));
        if (written && sent) || Instant::now() >= deadline {
            break;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    state.mails = observe::mails(catcher).await?;
    // After the mails: whatever the catcher has must be written here.
    state.notifications = observe::notifications(world, now).await?;
    for notification in state.notifications.values_mut() {
        notification.due = due(notification);
    }
    let told: BTreeSet<&str> = state.notifications.values().flat_map(words).collect();
    for invoice in &mut state.invoices {
        invoice.rendered |= told.contains(invoice.number.as_str());
    }
    Ok(())
}

/// The words of its subject; one of them is the number of what it is about.
fn words(notification: &Notification) -> impl Iterator<Item = &str> {
    notification.subject.split_whitespace()
}
