//! Where `make setup` put the programs that the stack starts.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Result, StackError};

/// The repository's root.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// A program of the local virtual environment (`.argosy/venv/bin`): `nats-server`, `weasyprint`.
pub fn in_venv(program: &str) -> Result<PathBuf> {
    installed(root().join(".argosy/venv/bin").join(program), program)
}

/// The mail catcher's program, to be run by `node`.
pub(crate) fn maildev() -> Result<PathBuf> {
    installed(root().join(".argosy/mail/node_modules/maildev/bin/maildev"), "the mail catcher")
}

/// The OpenID provider's program, to be run by `node`.
pub(crate) fn openid_provider() -> Result<PathBuf> {
    let provider = root().join(".argosy/openid");
    installed(provider.join("node_modules/oidc-provider/package.json"), "the OpenID provider")?;
    installed(provider.join("provider.mjs"), "the OpenID provider")
}

/// A program of the system, found on the PATH; `package` is what brings it.
pub fn on_path(program: &str, package: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Debian keeps servers in sbin, which is not on every user's PATH.
    let places = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    places.map(|place| place.join(program)).find(|file| file.is_file()).ok_or_else(|| {
        StackError::new(format!("{program} is not installed: run `make setup` (it installs the package {package})"))
    })
}

/// Takes the variables with this beginning out of a program's environment: a person's own settings
/// (`PGSERVICE`, `MAILDEV_WEB_USER`) are not meant for our instances.
pub(crate) fn without_settings(command: &mut Command, beginning: &str) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with(beginning) {
            command.env_remove(name);
        }
    }
}

fn installed(file: PathBuf, what: &str) -> Result<PathBuf> {
    if file.exists() {
        return Ok(file);
    }
    Err(StackError::new(format!("{what} is not installed ({} is missing): run `make setup`", file.display())))
}

/// A binary of this workspace, built with the same profile as the running program.
pub fn built(name: &str) -> Result<PathBuf> {
    let here =
        std::env::current_exe().map_err(|error| StackError::new(format!("cannot find this program: {error}")))?;
    // target/<profile>/stack, or target/<profile>/deps/stack-… for a test.
    let places = here.ancestors().skip(1).take(2).map(|place| place.join(name));
    places.into_iter().find(|file| file.is_file()).ok_or_else(|| {
        StackError::new(format!("{name} is not built beside {}: run `cargo build --workspace`", here.display()))
    })
}
