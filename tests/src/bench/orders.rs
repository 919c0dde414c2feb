//! Placing orders, and carrying them to their end.

use std::time::{Duration, Instant};

use diesel::{QueryableByName, sql_query, sql_types};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};

use super::{
    Better, Options, Workload, by_turns,
    limit::Limit,
    load::{requests, transactions},
    shop::Shop,
};
use crate::{Result, StackError, error::Doing, system::System};

const CLIENTS: u32 = 32;
/// The services that only act on what has happened.
const CONSUMERS: [&str; 3] = ["payment", "notify", "invoice"];
/// How long orders may take to come to their end after the last was placed.
const DRAINED_WITHIN: Duration = Duration::from_secs(300);

/// What is ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goods {
    /// Two of a thousand SKUs.
    Spread,
    /// The two that everybody wants.
    Hot,
}

impl Goods {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Spread => "orders placed, spread",
            Self::Hot => "orders placed, hot",
        }
    }
}

/// `POST /v1/orders` to its 201, while the services that act on orders are held; against PostgreSQL alone.
pub(super) async fn placed(
    system: &System,
    shop: &Shop,
    goods: Goods,
    options: &Options,
    progress: &impl Fn(&str),
) -> Result<Workload> {
    progress(goods.name());
    let limit = Limit::open(&system.postgres, &options.directory).await?;
    let (script, theirs) = (shop.orders_script(goods).await?, limit.script(goods == Goods::Hot)?);
    CONSUMERS.iter().try_for_each(|service| system.pause(service))?;
    let mut seen = (Duration::ZERO, Duration::ZERO);
    let ours = async || {
        let measured = requests(&shop.url, CLIENTS, options.slice, Some(&script)).await?;
        seen = (measured.p50, measured.p99);
        Ok(measured.per_second)
    };
    let peers = async || transactions(&limit.url, &theirs, options.slice).await;
    let measured = by_turns(options.rounds, ours, peers).await;
    for service in CONSUMERS {
        system.resume(service).await?;
    }
    let (ours, peer) = measured?;
    Ok(Workload {
        name: goods.name().to_owned(),
        ratio: ours / peer,
        target: if goods == Goods::Hot { 3.0 } else { 0.5 },
        better: Better::Higher,
        ours,
        peer,
        unit: "orders/s".to_owned(),
        notes: format!("p50 {} ms, p99 {} ms", seen.0.as_millis(), seen.1.as_millis()),
    })
}

/// The name of the workload of [`whole`].
pub(super) const WHOLE: &str = "whole orders";

/// Orders placed, captured, confirmed, invoiced and told of by mail, as many as come to their end in the time that they
/// need for that; against PostgreSQL alone placing them.
pub(super) async fn whole(
    system: &System,
    shop: &Shop,
    options: &Options,
    progress: &impl Fn(&str),
) -> Result<Workload> {
    progress(WHOLE);
    let limit = Limit::open(&system.postgres, &options.directory).await?;
    let (script, theirs) = (shop.orders_script(Goods::Spread).await?, limit.script(false)?);
    settled(system, progress).await?;
    let ours = async || {
        let (before, began) = (confirmed(system).await?, Instant::now());
        requests(&shop.url, CLIENTS, options.slice, Some(&script)).await?;
        settled(system, progress).await?;
        let seconds = began.elapsed().as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "some thousands of orders")]
        Ok((confirmed(system).await? - before) as f64 / seconds)
    };
    let peers = async || transactions(&limit.url, &theirs, options.slice).await;
    let (ours, peer) = by_turns(options.rounds, ours, peers).await?;
    Ok(Workload {
        name: WHOLE.to_owned(),
        ratio: ours / peer,
        target: 0.1,
        better: Better::Higher,
        ours,
        peer,
        unit: "orders/s".to_owned(),
        notes: "placed, captured, confirmed, invoice issued, mail sent; documents are rendered beside it".to_owned(),
    })
}

/// Waits until no order, invoice or mail is on its way.
async fn settled(system: &System, progress: &impl Fn(&str)) -> Result<()> {
    let began = Instant::now();
    loop {
        let confirmed = confirmed(system).await?;
        let orders = count(system, "order", "select count(*) from orders where status = 'pending'").await?;
        let mails = count(
            system,
            "notify",
            "select count(*) from notification where state = 'sent' and template = 'order_confirmed'",
        )
        .await?;
        let invoices = count(system, "invoice", "select count(*) from invoice where order_id is not null").await?;
        if orders == 0 && mails.min(invoices) >= confirmed {
            return Ok(());
        }
        if began.elapsed() > DRAINED_WITHIN {
            let left = format!("{orders} orders pending, {mails} mails and {invoices} invoices of {confirmed}");
            return Err(StackError::new(format!("after {DRAINED_WITHIN:?} there are still {left}")));
        }
        if began.elapsed() > Duration::from_secs(30) {
            progress(&format!(
                "waiting: {orders} orders pending, {mails} mails and {invoices} invoices of {confirmed}"
            ));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn confirmed(system: &System) -> Result<i64> {
    count(system, "order", "select count(*) from orders where status = 'confirmed'").await
}

async fn count(system: &System, service: &str, question: &str) -> Result<i64> {
    #[derive(QueryableByName)]
    struct Count {
        #[diesel(sql_type = sql_types::BigInt)]
        count: i64,
    }
    let url = system.postgres.url(&format!("argosy_{service}"));
    let mut connection = AsyncPgConnection::establish(&url).await.doing(|| format!("connect to argosy_{service}"))?;
    let counted: Count = sql_query(question).get_result(&mut connection).await.doing(|| format!("run `{question}`"))?;
    Ok(counted.count)
}
