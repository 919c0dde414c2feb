//! What must be so of all payments, checked on the tables as they are.

use diesel::{QueryableByName, pg::Pg, sql_query, sql_types};
use diesel_async::RunQueryDsl;
use nats::{
    contracts::operations::AuditCheck,
    database::{Connection, DatabaseError},
    types::OrderId,
};

use crate::Payments;

/// How many violations are told; the rest is counted by looking again.
const TOLD: i64 = 20;

/// An invariant: a query for its figures (`figures`), and one for what violates it (`order_id`, `what`).
struct Invariant {
    must_be_so: &'static str,
    figures: &'static str,
    violations: &'static str,
}

const INVARIANTS: [Invariant; 8] = [
    Invariant {
        must_be_so: "every succeeded payment has one capture, of its amount, and no other has any",
        figures: "select format('%s payments succeeded, %s captures', count(distinct payment.id)
                      filter (where payment.status = 'succeeded'), count(transaction.id)) as figures
                  from payment left join transaction on transaction.payment_id = payment.id and kind = 'capture'",
        violations: "select order_id, format('is %s over %s, captured %s', status, payment.amount, captured.sum) as what
                     from payment, lateral (select count(*), coalesce(sum(amount), 0) as sum from transaction
                         where payment_id = payment.id and kind = 'capture') captured
                     where (captured.count, captured.sum) is distinct from
                         case status when 'succeeded' then (1::bigint, payment.amount::numeric) else (0::bigint, 0::numeric) end",
    },
    Invariant {
        must_be_so: "what was held is captured or let go, once a payment is over",
        figures: "select format('%s held, %s captured, %s let go', coalesce(sum(amount) filter (where kind = 'authorize'), 0),
                      coalesce(sum(amount) filter (where kind = 'capture'), 0),
                      coalesce(sum(amount) filter (where kind = 'void'), 0)) as figures from transaction",
        violations: "select order_id, format('is %s, held %s, captured %s, let go %s', status, held, taken, let_go) as what
                     from payment, lateral (select coalesce(sum(amount) filter (where kind = 'authorize'), 0) as held,
                         coalesce(sum(amount) filter (where kind = 'capture'), 0) as taken,
                         coalesce(sum(amount) filter (where kind = 'void'), 0) as let_go
                         from transaction where payment_id = payment.id) ledger
                     where status in ('succeeded', 'failed', 'canceled') and held <> taken + let_go",
    },
    Invariant {
        must_be_so: "refunds never exceed what was captured",
        figures: "select format('%s captured, %s refunded', coalesce(sum(amount) filter (where kind = 'capture'), 0),
                      coalesce(sum(amount) filter (where kind = 'refund'), 0)) as figures from transaction",
        violations: "select order_id, format('captured %s, refunded %s', taken, given_back) as what
                     from payment, lateral (select coalesce(sum(amount) filter (where kind = 'capture'), 0) as taken,
                         coalesce(sum(amount) filter (where kind = 'refund'), 0) as given_back
                         from transaction where payment_id = payment.id) ledger
                     where given_back > taken",
    },
    Invariant {
        must_be_so: "every refund that succeeded is in the ledger, and no other",
        figures: "select format('%s refunds: %s succeeded, %s pending, %s failed', count(*),
                      count(*) filter (where status = 'succeeded'), count(*) filter (where status = 'pending'),
                      count(*) filter (where status = 'failed')) as figures from refund",
        violations: "select payment.order_id, format('refund of %s, in the ledger %s', refund.amount, transaction.amount) as what
                     from (select * from refund where status = 'succeeded') refund
                     full join (select * from transaction where kind = 'refund') transaction
                         using (provider_reference, payment_id, amount)
                     join payment on payment.id = payment_id
                     where refund.id is null or transaction.id is null",
    },
    Invariant {
        must_be_so: "no canceled order keeps money of the customer's",
        figures: "select format('%s orders canceled', count(*)) as figures from canceled_order",
        violations: "select order_id, format('captured %s, refunded or about to be %s', taken, promised) as what
                     from payment join canceled_order using (order_id),
                         lateral (select coalesce(sum(amount), 0) as taken from transaction
                             where payment_id = payment.id and kind = 'capture') ledger,
                         lateral (select coalesce(sum(amount), 0) as promised from refund
                             where payment_id = payment.id and status <> 'failed') refunds
                     where taken <> promised",
    },
    Invariant {
        must_be_so: "nothing waits for the provider for more than ten minutes",
        figures: "select format('%s payments, %s refunds and %s webhooks are open',
                      (select count(*) from payment where next_try_at is not null),
                      (select count(*) from refund where status = 'pending'),
                      (select count(*) from webhook where next_try_at is not null)) as figures",
        violations: "select order_id, format('is %s since %s', status, created_at) as what
                     from payment where next_try_at is not null and created_at < now() - interval '10 minutes'
                 union all
                     select payment.order_id, format('has a refund that is pending since %s', refund.created_at)
                     from refund join payment on payment.id = refund.payment_id
                     where refund.status = 'pending' and refund.created_at < now() - interval '10 minutes'
                 union all
                     select null, format('webhook %s is not read up on since %s', id, created_at)
                     from webhook where next_try_at is not null and created_at < now() - interval '10 minutes'",
    },
    Invariant {
        must_be_so: "no surplus capture older than ten minutes is unrefunded",
        figures: "select format('%s surplus captures: %s went back, %s are about to, %s were refused', count(*),
                      count(*) filter (where state = 'refunded'), count(*) filter (where state = 'pending'),
                      count(*) filter (where state = 'failed')) as figures from surplus",
        violations: "select payment.order_id, format('the surplus capture %s of %s is %s since %s', reference,
                         surplus.amount, state, surplus.created_at) as what
                     from surplus join payment on payment.id = surplus.payment_id
                     where state <> 'refunded' and surplus.created_at < now() - interval '10 minutes'",
    },
    Invariant {
        must_be_so: "the ledger and the provider's statement agree",
        figures: "select format('%s lines of the statement, %s rows of the ledger, compared until %s',
                      (select count(*) from statement_line), (select count(*) from transaction),
                      (select complete_until from statement)) as figures",
        violations: "select null::uuid as order_id, format('%s: %s', reference, difference) as what
                     from reconciliation_difference",
    },
];

#[derive(QueryableByName)]
struct Figures {
    #[diesel(sql_type = sql_types::Text)]
    figures: String,
}

#[derive(QueryableByName)]
#[diesel(check_for_backend(Pg))]
struct Violation {
    #[diesel(sql_type = sql_types::Nullable<sql_types::Uuid>)]
    order_id: Option<OrderId>,
    #[diesel(sql_type = sql_types::Text)]
    what: String,
}

/// Every invariant of this service's, with its figures.
pub(crate) async fn audit(payments: Payments) -> Result<Vec<AuditCheck>, DatabaseError> {
    let mut connection = payments.database.connection().await?;
    let mut checks = Vec::with_capacity(INVARIANTS.len());
    for invariant in &INVARIANTS {
        checks.push(invariant.check(&mut connection).await?);
    }
    Ok(checks)
}

impl Invariant {
    async fn check(&self, connection: &mut Connection) -> Result<AuditCheck, DatabaseError> {
        let figures: Figures = sql_query(self.figures).get_result(connection).await?;
        let violations: Vec<Violation> =
            sql_query(format!("{} limit {TOLD}", self.violations)).load(connection).await?;
        let told = violations.into_iter().map(|violation| match violation.order_id {
            Some(order) => format!("{order}: {}", violation.what),
            None => violation.what,
        });
        Ok(AuditCheck::new(self.must_be_so, figures.figures, told.collect()))
    }
}
