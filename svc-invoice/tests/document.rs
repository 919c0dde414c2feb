//! Documents on the real WeasyPrint: what it prints, what it may not reach, and that it always ends.

mod command_line;
mod fork_server;
mod hostile;
mod pages;

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use svc_invoice::document::render::BackEnd;
use svc_invoice::document::{Invoice, Page, Renderer, RendererSettings, Templates};

/// Both ways to a document.
const BACK_ENDS: [BackEnd; 2] = [BackEnd::ForkServer, BackEnd::CommandLine];

/// The real program.
fn program() -> PathBuf {
    std::env::var_os("WEASYPRINT").map_or_else(|| stack::weasyprint::binary().unwrap(), Into::into)
}

/// Settings with patience for a busy machine.
fn patient(program: impl Into<PathBuf>) -> RendererSettings {
    RendererSettings { deadline: Duration::from_secs(60), ..RendererSettings::new(program) }
}

/// A renderer with patience for a busy machine.
fn renderer() -> Renderer {
    Renderer::new(patient(program()))
}

fn page(body: &str) -> Page {
    Page::of(format!(
        "<!DOCTYPE html><html lang=en><title>Test</title><style>p {{ font-family: Inter }}</style>{body}</html>"
    ))
}

fn sample() -> Invoice {
    serde_json::from_str(include_str!("../templates/sample/invoice.json")).unwrap()
}

/// The sample with so many lines, and with sums that are those of the first three.
fn sample_of(lines: usize) -> Invoice {
    let sample = sample();
    Invoice { lines: sample.lines.iter().cycle().take(lines).cloned().collect(), ..sample }
}

/// The page of an invoice.
fn page_of(invoice: &Invoice) -> Page {
    Templates::new().unwrap().page(invoice).unwrap()
}

/// The PDF's text with every kind of blank made plain.
fn text_of(pdf: &[u8]) -> String {
    let file = Scratch::new("page.pdf");
    std::fs::write(&file.path, pdf).unwrap();
    let output = Command::new("pdftotext").args(["-layout"]).arg(&file.path).arg("-").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().replace(['\u{a0}', '\u{202f}'], " ")
}

/// A file in a folder of its own, gone when dropped.
struct Scratch {
    path: PathBuf,
}

impl Scratch {
    fn new(name: &str) -> Self {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("argosy-document-{}-{count}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self { path: folder.join(name) }
    }

    /// A program that stands in for WeasyPrint.
    fn script(text: &str) -> Self {
        let file = Self::new("weasyprint");
        executable(&file.path, &format!("#!/bin/sh\n{text}\n"));
        file
    }

    fn beside(&self, name: &str) -> PathBuf {
        self.path.with_file_name(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(self.path.parent().unwrap());
    }
}

/// Writes a program.
fn executable(path: &Path, text: &str) {
    // Written by another process: a file that this one still had open could not be executed while another test
    // forks (ETXTBSY).
    let mut shell =
        Command::new("/bin/sh").args(["-c", "cat > \"$1\"", "sh"]).arg(path).stdin(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut shell.stdin.take().unwrap(), text.as_bytes()).unwrap();
    assert!(shell.wait().unwrap().success());
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// Waits for a condition, not for a time.
async fn until<T>(what: &str, condition: impl Fn() -> Option<T>) -> T {
    let looking = stack::wait::wait_for(what, Duration::from_secs(30), || async { Ok::<_, String>(condition()) });
    looking.await.unwrap_or_else(|error| panic!("{error}"))
}
