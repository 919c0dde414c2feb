//! `argosy`: the operator's command. It speaks NATS only.

mod dead;
mod events;
mod provision;
mod user;
mod verify;

use std::{io::Write, process::ExitCode};

use nats::config::Settings;

const HELP: &str = "argosy: keys, streams, events and dead letters of an Argosy installation

  argosy keys --dir DIR           make each user's nkey, and nats.conf with what each may do
       … --cluster HOST:PORT,…    also nats-1.conf … for the servers of a cluster, by their addresses among each other
  argosy provision [--watch]      create streams, consumers and buckets (as the user `provisioner`); --watch: stay, and
                                  create again what is lost
  argosy events ENTITY_ID         print an entity's events, oldest first (as `operator`)
  argosy republish SERVICE        publish its recorded events again, for a stream or a consumer that misses them; with
      … --entity ID | --since T   only those of one entity, or since a time (RFC 3339)
  argosy dead list [CONSUMER]     print the dead letters, of all consumers or of one
  argosy dead show ID             print one with its headers and body
  argosy dead redrive ID          have its consumer try it again; in place of the ID: a CONSUMER, or all
  argosy dead discard ID REASON   throw it away for good: its consumer will never take effect of that event
  argosy verify [--json]          check every invariant on the running system, and print each with its figures;
      … --settle SECONDS         leave out what is younger (30); exit status 0: all hold, 1: one is violated, 2: unknown
  argosy user grant EMAIL ROLE    give a registered user a role, such as staff or admin
  argosy user rotate-keys         have access tokens signed with a new key; old tokens live out

Settings come from the environment: NATS_URL, NATS_SEED or NATS_SEED_FILE, LOG.
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let settings = Settings::from_environment();
    if let Err(error) = nats::telemetry::start(&settings) {
        return fail(&error.to_string());
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.to_string()),
    };
    runtime.block_on(async {
        let outcome = match words.as_slice() {
            ["verify", options @ ..] => return verify::run(&settings, options).await,
            ["keys", "--dir", directory] => provision::keys(directory, None),
            ["keys", "--dir", directory, "--cluster", nodes] => provision::keys(directory, Some(nodes)),
            ["provision"] => provision::provision(&settings).await,
            ["provision", "--watch"] => provision::watch(&settings).await,
            ["events", entity_id] => events::print(&settings, entity_id).await,
            ["republish", service, options @ ..] => events::republish(&settings, service, options).await,
            ["dead", "list"] => dead::list(&settings, None).await,
            ["dead", "list", consumer] => dead::list(&settings, Some(consumer)).await,
            ["dead", "show", id] => dead::show(&settings, id).await,
            ["dead", "redrive", which] => dead::redrive(&settings, which).await,
            ["dead", "discard", id, reason] => dead::discard(&settings, id, reason).await,
            ["user", "grant", email, role] => user::grant(&settings, email, role).await,
            ["user", "rotate-keys"] => user::rotate_keys(&settings).await,
            _ => Err(HELP.to_owned()),
        };
        match outcome {
            Ok(()) => ExitCode::SUCCESS,
            Err(reason) => fail(&reason),
        }
    })
}

fn fail(reason: &str) -> ExitCode {
    let _closed = writeln!(std::io::stderr(), "{reason}");
    ExitCode::FAILURE
}

fn say(line: &str) -> Result<(), String> {
    writeln!(std::io::stdout(), "{line}").map_err(text)
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
