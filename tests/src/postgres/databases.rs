//! Databases and roles, made through `psql`.

use std::process::Stdio;

use tokio::io::AsyncWriteExt;

use super::{Data, Postgres, SUPERUSER};
use crate::error::Doing;
use crate::{Result, StackError};

impl Postgres {
    /// Makes a database with an owner of its own, and answers the owner's URL. What exists is kept, the
    /// password is set anew. No other role may connect to it.
    pub async fn create_database(&self, database: &str, owner: &str, password: &str) -> Result<String> {
        let (name, role) = (identifier(database)?, identifier(owner)?);
        let create = format!("CREATE DATABASE {name} OWNER {role}{}", self.strategy());
        let absent = format!("WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '{name}')");
        let sql = format!("SELECT '{create}' {absent} \\gexec");
        self.psql("postgres", &[role_sql(role, password), sql, private_sql(name)].join("\n")).await?;
        Ok(self.url_as(name, role, password))
    }

    /// Makes a database as a copy of another, to which nobody is connected: the quick way to a migrated one.
    pub async fn clone_database(&self, template: &str, database: &str, owner: &str, password: &str) -> Result<String> {
        let (template, name, role) = (identifier(template)?, identifier(database)?, identifier(owner)?);
        let sql = format!("CREATE DATABASE {name} TEMPLATE {template} OWNER {role}{};", self.strategy());
        self.psql("postgres", &[role_sql(role, password), sql, private_sql(name)].join("\n")).await?;
        Ok(self.url_as(name, role, password))
    }

    /// Copying files is three times as fast as logging every page, where no disk is waited for.
    fn strategy(&self) -> &'static str {
        if self.data == Data::Scratch && self.programs.major >= 15 { " STRATEGY FILE_COPY" } else { "" }
    }

    /// Removes a database, and whoever is connected to it.
    pub async fn drop_database(&self, database: &str) -> Result<()> {
        let name = identifier(database)?;
        self.psql("postgres", &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE);")).await.map(drop)
    }

    /// Runs SQL as the superuser; answers the rows as lines, values parted by `|`.
    pub async fn psql(&self, database: &str, sql: &str) -> Result<String> {
        let mut command = tokio::process::Command::from(self.programs.command("psql"));
        command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p"]);
        command.arg(self.port.to_string()).args(["-U", SUPERUSER, "-d", database, "-f", "-"]);
        command.env("PGPASSWORD", &self.password).env("PGCONNECT_TIMEOUT", "10").kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let failed = || format!("run SQL in the database {database}");
        let mut child = command.spawn().doing(failed)?;
        // Passwords go in here and not by the arguments, which every user of the machine can read.
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(sql.as_bytes()).await.doing(failed)?;
        }
        let output = child.wait_with_output().await.doing(failed)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned());
        }
        Err(StackError::new(format!("could not {}: {}", failed(), String::from_utf8_lossy(&output.stderr).trim())))
    }
}

/// A role that exists is kept: two may be making it at the same time. The password is set anew.
fn role_sql(role: &str, password: &str) -> String {
    let password = password.replace('\'', "''");
    format!(
        "DO $do$ BEGIN CREATE ROLE {role}; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $do$;\n\
         ALTER ROLE {role} LOGIN PASSWORD '{password}';"
    )
}

/// Nobody but the owner (and the superuser) may connect.
fn private_sql(database: &str) -> String {
    format!("REVOKE ALL ON DATABASE {database} FROM PUBLIC;")
}

/// Names that need no quoting, and cannot carry SQL.
fn identifier(name: &str) -> Result<&str> {
    let first = name.starts_with(|c: char| c.is_ascii_lowercase());
    if first && name.len() < 64 && name.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_') {
        return Ok(name);
    }
    Err(StackError::new(format!("{name:?} is no name for a database or role here: use a-z, 0-9 and _")))
}

/// A password as it stands in a URL.
pub(super) fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut url, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            url.push(char::from(byte));
        } else {
            url.push_str(&format!("%{byte:02X}"));
        }
        url
    })
}
