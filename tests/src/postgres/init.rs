//! PostgreSQL's programs, and a data directory made by its `initdb`.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Data, SUPERUSER};
use crate::error::Doing;
use crate::{Result, StackError, os, scratch, tools};

/// Where Debian and Ubuntu keep the versions side by side.
const PLACE: &str = "/usr/lib/postgresql";

/// The programs of one version, and who runs them.
#[derive(Clone, Debug)]
pub(super) struct Programs {
    bin: PathBuf,
    pub(super) major: u32,
    /// The user and group `postgres` when we are root: initdb and the server refuse to run as root.
    user: Option<(u32, u32)>,
}

/// A data directory that is ready to be served.
pub(super) struct Cluster {
    pub(super) data: PathBuf,
    pub(super) password: String,
    pub(super) programs: Programs,
}

impl Programs {
    /// The newest that is installed, or the one that made this data.
    fn find(data: &Path) -> Result<Self> {
        let made_by = std::fs::read_to_string(data.join("PG_VERSION")).ok().and_then(|v| v.trim().parse().ok());
        let entries = std::fs::read_dir(PLACE).into_iter().flatten().flatten();
        let versions = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        let usable = versions.filter(|major| Path::new(PLACE).join(format!("{major}/bin/postgres")).exists());
        let found = usable.filter(|major| made_by.is_none_or(|made_by: u32| made_by == *major)).max();
        let major = found.ok_or_else(|| match made_by {
            None => {
                StackError::new("PostgreSQL is not installed: run `make setup` (it installs the package postgresql)")
            }
            Some(major) => StackError::new(format!(
                "the data in {} was made by PostgreSQL {major}, which is not installed any more: \
                 install the package postgresql-{major}, or remove the data with `make clean`",
                data.display()
            )),
        })?;
        Ok(Self { bin: Path::new(PLACE).join(format!("{major}/bin")), major, user: postgres_user()? })
    }

    /// A program as the right user, free of the caller's own PG… settings.
    pub(super) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        tools::without_settings(&mut command, "PG");
        if let Some((user, group)) = self.user {
            // The caller's directory may be closed to that user.
            command.uid(user).gid(group).current_dir("/");
        }
        command
    }

    fn own(&self, path: &Path) -> Result<()> {
        let Some((user, group)) = self.user else { return Ok(()) };
        std::os::unix::fs::chown(path, Some(user), Some(group)).doing(|| format!("give {} to postgres", path.display()))
    }
}

/// The cluster in `dir`; made if it is not there.
pub(super) async fn cluster(dir: &Path, wanted: Data) -> Result<Cluster> {
    let (data, secret) = (dir.join("data"), dir.join("password"));
    let programs = Programs::find(&data)?;
    if !data.join("PG_VERSION").exists() {
        if wanted == Data::Scratch {
            copy(&template(&programs).await?, dir).await?;
        } else {
            initialize(&programs, dir, wanted).await?;
        }
    }
    let password = std::fs::read_to_string(&secret).doing(|| {
        format!("read {} (the superuser's password; without it, start anew with `make clean`)", secret.display())
    })?;
    Ok(Cluster { data, password, programs })
}

/// Runs initdb in a directory beside, which gets its name when it is complete.
async fn initialize(programs: &Programs, dir: &Path, wanted: Data) -> Result<()> {
    std::fs::create_dir_all(dir).doing(|| format!("make {}", dir.display()))?;
    let (secret, unfinished) = (dir.join("password"), dir.join("data.unfinished"));
    let password = uuid::Uuid::new_v4().simple().to_string();
    let _ = std::fs::remove_file(&secret);
    let _ = std::fs::remove_dir_all(&unfinished);
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&secret);
    let written = file.and_then(|mut file| file.write_all(password.as_bytes()));
    written.doing(|| format!("write {}", secret.display()))?;
    std::fs::create_dir(&unfinished).doing(|| format!("make {}", unfinished.display()))?;
    programs.own(&secret)?;
    programs.own(&unfinished)?;
    let mut command = programs.command("initdb");
    command.arg("-D").arg(&unfinished).arg("--pwfile").arg(&secret).args(["-U", SUPERUSER]);
    command.args(["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8"]);
    if wanted == Data::Scratch {
        command.arg("--no-sync");
    }
    run(command, "initialize PostgreSQL's data").await?;
    std::fs::rename(&unfinished, dir.join("data")).doing(|| format!("name {}", dir.join("data").display()))
}

/// A cluster to copy: that takes a tenth of what initdb takes.
async fn template(programs: &Programs) -> Result<PathBuf> {
    let base = scratch::on_disk()?;
    let dir = base.join(format!("postgres-{}-user-{}", programs.major, os::user_id()));
    let door = base.join("postgres.door");
    let door = tokio::task::spawn_blocking(move || scratch::lock(&door)).await;
    let _door = door.doing(|| "wait for PostgreSQL's template".to_owned())??;
    if !dir.join("data").exists() {
        initialize(programs, &dir, Data::Scratch).await?;
    }
    Ok(dir)
}

async fn copy(template: &Path, dir: &Path) -> Result<()> {
    std::fs::create_dir_all(dir).doing(|| format!("make {}", dir.display()))?;
    let mut command = Command::new("cp");
    command.args(["-a", "--reflink=auto"]).arg(template.join("data")).arg(template.join("password")).arg(dir);
    run(command, "copy PostgreSQL's template").await
}

async fn run(mut command: Command, what: &str) -> Result<()> {
    command.stdin(Stdio::null());
    let mut command = tokio::process::Command::from(command);
    let output = command.kill_on_drop(true).output().await.doing(|| what.to_owned())?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    Err(StackError::new(format!("could not {what}: {}", said.trim())))
}

/// The user and group to run as: nobody else's unless we are root.
fn postgres_user() -> Result<Option<(u32, u32)>> {
    if os::user_id() != 0 {
        return Ok(None);
    }
    let users = std::fs::read_to_string("/etc/passwd").doing(|| "read /etc/passwd".to_owned())?;
    let line = users.lines().find_map(|line| line.strip_prefix("postgres:"));
    let mut numbers = line.unwrap_or_default().split(':').skip(1).map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(user)), Some(Ok(group))) => Ok(Some((user, group))),
        _ => Err(StackError::new("there is no user postgres to run PostgreSQL as: run `make setup`")),
    }
}
