//! Where WeasyPrint is, and the Python that it is installed for.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// The executable: as given when it is a path, else the first of that name on `PATH`.
pub(super) fn find(program: &Path) -> Option<PathBuf> {
    if program.components().nth(1).is_some() {
        // Absolute, because the process starts in a folder of its own; not resolved, because a virtual environment
        // is recognised by the path that its links are called by.
        return std::path::absolute(program).ok().filter(|path| path.is_file());
    }
    std::env::split_paths(&std::env::var_os("PATH")?).map(|folder| folder.join(program)).find(|path| path.is_file())
}

/// The Python that a script of pip's is for, which knows where WeasyPrint's modules are; `None` for any other program.
pub(super) fn interpreter(program: &Path) -> Option<PathBuf> {
    let mut head = [0; 1024];
    let length = File::open(program).ok()?.read(&mut head).ok()?;
    let path = named_by(&String::from_utf8_lossy(head.get(..length)?))?;
    path.is_file().then_some(path)
}

/// What the first lines name: `#!/venv/bin/python`, or, where that would be too long for the kernel,
/// `#!/bin/sh` and `'''exec' "/venv/bin/python" "$0" "$@"`.
fn named_by(head: &str) -> Option<PathBuf> {
    let mut lines = head.lines();
    let first = lines.next()?.strip_prefix("#!")?.trim();
    let path = match lines.next().and_then(|line| line.strip_prefix("'''exec' ")) {
        Some(rest) if first == "/bin/sh" => match rest.strip_prefix('"') {
            Some(quoted) => quoted.split('"').next()?,
            None => rest.split(' ').next()?,
        },
        _ => first.split(' ').next()?,
    };
    let path = PathBuf::from(path);
    let name = path.file_name()?.to_str()?;
    (path.is_absolute() && name.starts_with("python")).then_some(path)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_python_of_a_script_is_the_one_that_its_first_lines_name() {
        for (head, python) in [
            ("#!/opt/weasyprint/bin/python3\nimport sys", Some("/opt/weasyprint/bin/python3")),
            ("#!/usr/bin/python3 -I\n", Some("/usr/bin/python3")),
            ("#!/bin/sh\n'''exec' \"/a long/way/bin/python\" \"$0\" \"$@\"\n' '''\n", Some("/a long/way/bin/python")),
            ("#!/bin/sh\n'''exec' /away/python3.13 \"$0\" \"$@\"\n", Some("/away/python3.13")),
            ("#!/usr/bin/env python3\n", None),
            ("#!/bin/sh\nexec weasyprint\n", None),
            ("\u{7f}ELF", None),
            ("", None),
        ] {
            assert_eq!(named_by(head), python.map(PathBuf::from), "{head}");
        }
    }
}
