//! Dead letters: listing, showing, redriving and discarding them, by asking each service for its own.

use nats::{
    config::Settings,
    connect::connect,
    contracts::{
        Call,
        operations::{
            DeadLetter, DeadLetterDetails, DiscardDeadLetter, GetDeadLetter, ListDeadLetters, NoDeadLetter,
            RedriveDeadLetters,
        },
    },
    invoke::{CallError, Caller},
    topology::{OPERATOR, Topology},
    types::DeadLetterId,
};

use crate::{say, text};

const PAGE: i64 = 100;
/// How many letters a service marks at one request.
const AT_ONCE: u64 = 10_000;

/// `argosy dead list`: prints the dead letters, of all consumers or of one.
pub(crate) async fn list(settings: &Settings, consumer: Option<&str>) -> Result<(), String> {
    let services = Services::connect(settings).await?;
    let mut silent = Vec::new();
    for service in &services.names {
        if let Err(reason) = services.list(service, consumer).await {
            silent.push(format!("{service} could not be asked: {reason}"));
        }
    }
    if silent.is_empty() { Ok(()) } else { Err(silent.join("\n")) }
}

/// `argosy dead show`: prints one with its headers and body.
pub(crate) async fn show(settings: &Settings, id: &str) -> Result<(), String> {
    let question = GetDeadLetter { id: parse(id)? };
    let DeadLetterDetails { letter, headers, payload, payload_size } =
        Services::connect(settings).await?.of(&question).await?;
    say(&line(&letter))?;
    say(&format!("first given up {}, last tried {}", letter.first_at, letter.last_at))?;
    say("")?;
    headers.iter().try_for_each(|header| say(&format!("{}: {}", header.name, header.value)))?;
    say("")?;
    say(&payload)?;
    if payload.len() as u64 >= payload_size { Ok(()) } else { say(&format!("… of {payload_size} bytes")) }
}

/// `argosy dead redrive`: has one letter, those of a consumer, or all tried again.
pub(crate) async fn redrive(settings: &Settings, which: &str) -> Result<(), String> {
    let services = Services::connect(settings).await?;
    let mut question = RedriveDeadLetters { id: None, consumer: None, by: OPERATOR.to_owned() };
    if which.starts_with("dlt_") {
        question.id = Some(parse(which)?);
        services.of(&question).await?;
        return say(&format!("{which} is being tried again; `argosy dead show {which}` tells whether it failed"));
    }
    question.consumer = Some(which.to_owned()).filter(|which| which != "all");
    let (mut count, mut silent) = (0, Vec::new());
    for service in &services.names {
        loop {
            match services.caller.call_at(service, &question).await {
                Ok(redriven) => {
                    count += redriven.count;
                    if redriven.count < AT_ONCE {
                        break;
                    }
                }
                Err(error) => {
                    silent.push(format!("{service} could not be asked: {}", told(service, &error)));
                    break;
                }
            }
        }
    }
    say(&format!("{count} dead letters are being tried again; `argosy dead list` shows those that are left"))?;
    if silent.is_empty() { Ok(()) } else { Err(silent.join("\n")) }
}

/// `argosy dead discard`: throws one away for good.
pub(crate) async fn discard(settings: &Settings, id: &str, reason: &str) -> Result<(), String> {
    let question = DiscardDeadLetter { id: parse(id)?, reason: reason.to_owned(), by: OPERATOR.to_owned() };
    let discarded = Services::connect(settings).await?.of(&question).await?;
    say(&format!(
        "{id} is discarded: {} will never take effect of {}",
        discarded.letter.consumer, discarded.letter.subject
    ))
}

struct Services {
    caller: Caller,
    names: Vec<String>,
}

impl Services {
    async fn connect(settings: &Settings) -> Result<Self, String> {
        let caller = Caller::new(connect(settings, OPERATOR).await.map_err(text)?);
        let topology = Topology::embedded().map_err(text)?;
        Ok(Self { caller, names: topology.services().map(str::to_owned).collect() })
    }

    /// The answer of the service that has the letter.
    async fn of<C: Call<Refusal = NoDeadLetter>>(&self, question: &C) -> Result<C::Reply, String> {
        let mut silent = Vec::new();
        for service in &self.names {
            match self.caller.call_at(service, question).await {
                Ok(reply) => return Ok(reply),
                Err(CallError::Refused(NoDeadLetter::NotFound)) => {}
                Err(error) => silent.push(format!("{service} could not be asked: {}", told(service, &error))),
            }
        }
        silent.insert(0, "no service that answered has this dead letter; see `argosy dead list`".to_owned());
        Err(silent.join("\n"))
    }

    async fn list(&self, service: &str, consumer: Option<&str>) -> Result<(), String> {
        let mut question = ListDeadLetters { consumer: consumer.map(str::to_owned), after: None, limit: PAGE };
        loop {
            let page = self.caller.call_at(service, &question).await.map_err(|error| told(service, &error))?;
            page.letters.iter().try_for_each(|letter| say(&line(letter)))?;
            match page.letters.last() {
                Some(last) => question.after = Some(last.id),
                None => return Ok(()),
            }
        }
    }
}

fn line(letter: &DeadLetter) -> String {
    let DeadLetter { id, consumer, subject, attempts, last_at, reason, .. } = letter;
    format!("{id}  {}  {consumer}  {subject}  {attempts} failures  {reason}", last_at.format("%Y-%m-%dT%H:%M:%SZ"))
}

fn parse(id: &str) -> Result<DeadLetterId, String> {
    id.parse().map_err(|_| format!("`{id}` is no id of a dead letter (dlt_…); see `argosy dead list`"))
}

fn told<R: std::fmt::Debug>(service: &str, error: &CallError<R>) -> String {
    match error {
        CallError::Unavailable { .. } => format!("no instance of {service} is there"),
        CallError::TimedOut { .. } => format!("{service} did not answer in time"),
        other => other.to_string(),
    }
}
