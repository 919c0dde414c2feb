//! Webhooks of the provider: each is heard once, and then read up on.
//!
//! | setting | meaning | when unset |
//! |---|---|---|
//! | `PROVIDER_WEBHOOK_SECRET` | what the provider signs with, `whsec_…`; several, separated by blanks, while it changes | required |
//!
//! The endpoint believes a signature and nothing else, writes the message's id down and answers at once. What happened is not
//! taken from the message: a worker asks the provider for the payment and writes down what it says (`payment/settle.rs`).
//! So a message that comes late, twice, or before an earlier one does no harm.
//!
//! Trap: most webhooks tell of what our own request was just answered. They are given a second, and the provider is asked only
//! about what the ledger does not know by then.

use chrono::Utc;
use diesel::{
    QueryableByName,
    sql_types::{self, Array},
};
use diesel_async::RunQueryDsl;
use nats::{
    batch::{Batcher, Limits},
    config::Settings,
    database::{Database, DatabaseError, sql},
    http::NoContent,
    problem::{Code, Problem},
    service::StartError,
    telemetry::Trace,
};
use poem::web::Data;
use poem_openapi::{OpenApi, param::Header, payload::Binary};

use crate::{
    Payments,
    payment::{
        api::Tag,
        charge::delay_ms,
        settle::{Unsettled, locate, settle},
    },
    provider::{Notice, Unknown},
    signature::{SigningSecret, Unsigned, verify},
};

/// How many webhooks an instance reads up on at once.
pub(crate) const AT_ONCE: usize = 32;
const LEASE_MS: i32 = 5_000;
/// Longest message that is read, in bytes.
const LARGEST: usize = 64 * 1024;

/// The secrets that the provider may sign with.
///
/// # Errors
/// When there is none, or one is malformed.
pub(crate) fn secrets(settings: &Settings) -> Result<Vec<SigningSecret>, StartError> {
    let text = settings.require("PROVIDER_WEBHOOK_SECRET")?;
    let secrets = text.split_whitespace().map(str::parse).collect::<Result<Vec<_>, String>>();
    secrets.map_err(|error| StartError::Other(format!("setting PROVIDER_WEBHOOK_SECRET: {error}")))
}

/// The endpoint of webhooks.
pub struct WebhookApi;

#[OpenApi(prefix_path = "/v1/webhooks/payments", tag = "Tag::Payments")]
impl WebhookApi {
    /// Take a webhook of the sandbox provider
    ///
    /// For the provider, not for clients. The body is JSON, signed as Standard Webhooks says over its bytes as they are sent;
    /// a message whose signature is not the provider's, or whose time is more than five minutes from ours, is
    /// `unauthenticated`. The same message may come any number of times.
    #[oai(path = "/sandbox", method = "post", operation_id = "receive_sandbox_webhook")]
    async fn sandbox(
        &self,
        Data(payments): Data<&Payments>,
        /// The message's own id.
        #[oai(name = "webhook-id")]
        id: Header<Option<String>>,
        /// When it was sent, in seconds since 1970.
        #[oai(name = "webhook-timestamp")]
        timestamp: Header<Option<String>>,
        /// Its signatures, separated by blanks: `v1,` and base64.
        #[oai(name = "webhook-signature")]
        signature: Header<Option<String>>,
        body: Binary<Vec<u8>>,
    ) -> Result<NoContent, Problem> {
        if body.0.len() > LARGEST {
            return Err(Problem::new(Code::PayloadTooLarge, format!("A webhook has at most {LARGEST} bytes.")));
        }
        let (Some(id), Some(timestamp), Some(signature)) = (&id.0, &timestamp.0, &signature.0) else {
            let detail = "A webhook has the headers `webhook-id`, `webhook-timestamp` and `webhook-signature`.";
            return Err(Problem::new(Code::Unauthenticated, detail));
        };
        let signed = verify(&payments.secrets, (id, timestamp, signature), &body.0, Utc::now().timestamp());
        signed.map_err(|unsigned| {
            let detail = match unsigned {
                Unsigned::Stale => "The webhook's time is missing or too far from ours.",
                Unsigned::Forged => "The webhook's signature is not that of the provider.",
            };
            Problem::new(Code::Unauthenticated, detail)
        })?;
        let notice: Notice = serde_json::from_slice(&body.0).map_err(|error| {
            Problem::new(Code::MalformedRequest, format!("The webhook is signed, but cannot be read: {error}."))
        })?;
        payments.heard.ask((id.clone(), notice)).await?;
        Ok(NoContent)
    }
}

/// Writes messages down, those that come together in one transaction.
pub(crate) type Hearing = Batcher<(String, Notice), ()>;

/// Starts hearing.
pub(crate) fn start_hearing(database: Database) -> Hearing {
    let hear = move |messages| {
        let database = database.clone();
        async move { hear(&database, messages).await }
    };
    Batcher::start(Limits::default(), |_| 1, hear)
}

/// Writes messages down that were not heard before; what they tell of may be known already.
async fn hear(database: &Database, messages: Vec<(String, Notice)>) -> Result<Vec<()>, DatabaseError> {
    let mut connection = database.connection().await?;
    sql("insert into webhook (id, kind, payment, operation, next_try_at)
         select *, case when not exists (select from known_operation where provider_reference = heard.operation)
                        then now() + interval '1 second' end
         from unnest($1, $2, $3, $4) as heard (id, kind, payment, operation)
         order by heard.id
         on conflict (id) do nothing")
    .bind::<Array<sql_types::Text>, _>(messages.iter().map(|(id, _)| id).collect::<Vec<_>>())
    .bind::<Array<sql_types::Text>, _>(messages.iter().map(|(_, notice)| &notice.r#type).collect::<Vec<_>>())
    .bind::<Array<sql_types::Text>, _>(messages.iter().map(|(_, notice)| &notice.data.payment).collect::<Vec<_>>())
    .bind::<Array<sql_types::Text>, _>(messages.iter().map(|(_, notice)| &notice.data.operation).collect::<Vec<_>>())
    .execute(&mut connection)
    .await?;
    Ok(messages.iter().map(|_| ()).collect())
}

/// A webhook that a worker reads up on.
#[derive(Debug, QueryableByName)]
pub(crate) struct Heard {
    #[diesel(sql_type = sql_types::Text)]
    id: String,
    #[diesel(sql_type = sql_types::Text)]
    payment: String,
    #[diesel(sql_type = sql_types::Integer)]
    tries: i32,
}

/// Lets those be that tell nothing new, and takes the oldest others, for the time of a lease. Neither waits for the rows
/// of another instance.
pub(crate) async fn claim(payments: Payments, at_most: i64) -> Result<Vec<Heard>, DatabaseError> {
    let mut connection = payments.database.connection().await?;
    sql("with known as materialized (
             select id from webhook
             where next_try_at <= now()
               and exists (select from known_operation where provider_reference = webhook.operation)
             for update of webhook skip locked)
         update webhook set next_try_at = null from known where webhook.id = known.id")
    .execute(&mut connection)
    .await?;
    let claimed = sql("with due as materialized (
             select id from webhook where next_try_at <= now() order by next_try_at limit $1 for update skip locked)
         update webhook set tries = tries + 1, next_try_at = now() + $2 * interval '1 millisecond'
         from due where webhook.id = due.id
         returning webhook.id, webhook.payment, webhook.tries")
    .bind::<sql_types::BigInt, _>(at_most)
    .bind::<sql_types::Integer, _>(LEASE_MS)
    .load(&mut connection)
    .await?;
    Ok(claimed)
}

/// Asks the provider what happened, and has it written down.
pub(crate) async fn read_up(payments: Payments, heard: Heard) {
    let trace = Trace::root();
    let span = tracing::info_span!(
        "webhook", webhook = heard.id, tries = heard.tries, request_id = trace.request_id(), trace_id = %trace
    );
    let work = async {
        let again = match look(&payments, &heard).await {
            Ok(()) => None,
            Err(reason) => {
                tracing::warn!(reason, "it is read up on again later");
                Some(delay_ms(heard.tries))
            }
        };
        if let Err(error) = put_off(&payments, &heard, again).await {
            tracing::warn!(%error, "not written down; it is read up on again when the lease has run out");
        }
    };
    trace.scope(span, work).await;
}

/// What is wrong for good is left to the reconciliation, which tells people; an error is worth another try.
async fn look(payments: &Payments, heard: &Heard) -> Result<(), String> {
    let seen = payments.provider.payment(&heard.payment).await.map_err(|Unknown(reason)| reason)?;
    let Some(seen) = seen else {
        tracing::error!(payment = heard.payment, "a webhook tells of a payment that the provider does not know");
        return Ok(());
    };
    let Some(payment) = locate(&payments.database, &seen).await.map_err(|error| error.to_string())? else {
        tracing::warn!(payment = heard.payment, "a webhook tells of a payment that is not ours");
        return Ok(());
    };
    match settle(payments, payment, &seen, None).await {
        Ok(_settled) => Ok(()),
        Err(Unsettled::Database(error)) => Err(error.to_string()),
        Err(Unsettled::Contradiction(reason)) => {
            tracing::error!(%payment, reason, "the provider contradicts what we know; somebody has to see to it");
            Ok(())
        }
    }
}

/// Until the delay is over, or for ever.
async fn put_off(payments: &Payments, heard: &Heard, delay_ms: Option<i32>) -> Result<(), DatabaseError> {
    let mut connection = payments.database.connection().await?;
    sql("update webhook set next_try_at = now() + $3 * interval '1 millisecond' where id = $1 and tries = $2")
        .bind::<sql_types::Text, _>(&heard.id)
        .bind::<sql_types::Integer, _>(heard.tries)
        .bind::<sql_types::Nullable<sql_types::Integer>, _>(delay_ms)
        .execute(&mut connection)
        .await?;
    Ok(())
}

/// Forgets what was heard a month ago and is done with.
pub(crate) async fn forget_old(payments: Payments) -> Result<(), DatabaseError> {
    let mut connection = payments.database.connection().await?;
    sql("delete from webhook where created_at < now() - interval '30 days' and next_try_at is null")
        .execute(&mut connection)
        .await?;
    Ok(())
}
