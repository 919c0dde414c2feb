//! Documents on the real WeasyPrint: what it prints, what it may not reach, and that it always ends.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::io::ErrorKind;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use svc_invoice::document::{Invoice, RenderErrorKind, Renderer, RendererSettings, Templates};

/// The real program.
fn program() -> PathBuf {
    std::env::var_os("WEASYPRINT").map_or_else(|| stack::weasyprint::binary().unwrap(), Into::into)
}

/// A renderer with patience for a busy machine.
fn renderer(program: &Path) -> Renderer {
    Renderer::new(RendererSettings { deadline: Duration::from_secs(60), ..RendererSettings::new(program) })
}

fn page(body: &str) -> String {
    format!("<!DOCTYPE html><html lang=en><title>Test</title><style>p {{ font-family: Inter }}</style>{body}</html>")
}

fn sample() -> Invoice {
    serde_json::from_str(include_str!("../templates/sample/invoice.json")).unwrap()
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
        // Written by another process: a file that this one still had open could not be executed while another test
        // forks (ETXTBSY).
        let mut shell = Command::new("/bin/sh")
            .args(["-c", "cat > \"$1\"", "sh"])
            .arg(&file.path)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        std::io::Write::write_all(&mut shell.stdin.take().unwrap(), format!("#!/bin/sh\n{text}\n").as_bytes()).unwrap();
        assert!(shell.wait().unwrap().success());
        std::fs::set_permissions(&file.path, std::fs::Permissions::from_mode(0o755)).unwrap();
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

#[tokio::test]
async fn an_invoice_becomes_a_page_whose_text_can_be_found() {
    let html = Templates::new().unwrap().html(&sample()).unwrap();
    let pdf = renderer(&program()).pdf(html).await.unwrap();
    let text = text_of(&pdf);
    for words in ["Rechnung WEB-2026-000042", "251,42 €", "Atelier Sud SARL", "LMP-1", "Seite 1 von 1"] {
        assert!(text.contains(words), "{words} in:\n{text}");
    }
}

#[tokio::test]
async fn the_same_page_gives_the_same_bytes() {
    let html = Templates::new().unwrap().html(&sample()).unwrap();
    let renderer = renderer(&program());
    let (one, two) = tokio::join!(renderer.pdf(html.clone()), renderer.pdf(html));
    assert_eq!(one.unwrap(), two.unwrap());
}

#[tokio::test]
async fn the_totals_never_stand_alone_on_a_page() {
    let templates = Templates::new().unwrap();
    let renderer = renderer(&program());
    for count in [7, 8, 9, 10] {
        let mut invoice = sample();
        invoice.lines = std::iter::repeat_n(invoice.lines[0].clone(), count).collect();
        let pdf = renderer.pdf(templates.html(&invoice).unwrap()).await.unwrap();
        let text = text_of(&pdf);
        let total = text.split('\u{c}').find(|page| page.contains("Zahlbetrag")).expect("a page with the total");
        assert!(total.contains("LMP-1"), "{count} lines: the total stands alone:\n{total}");
    }
}

#[tokio::test]
async fn nothing_is_fetched_from_the_network() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    // The trap works: left to itself, WeasyPrint does come.
    let bait = Scratch::new("bait.html");
    std::fs::write(&bait.path, page(&format!("<img src=http://{address}/bait>"))).unwrap();
    let mut unfenced = Command::new(program());
    unfenced.args(["--quiet", "--timeout", "1"]).arg(&bait.path).arg(bait.beside("bait.pdf")).env_remove("http_proxy");
    assert!(tokio::task::spawn_blocking(move || unfenced.status()).await.unwrap().unwrap().success());
    assert!(listener.accept().is_ok(), "nobody took the bait");

    let renderer = renderer(&program());
    for body in [
        format!("<img src=http://{address}/img>"),
        format!("<link rel=stylesheet href=http://{address}/style>"),
        format!("<style>@import 'http://{address}/import';</style>"),
        format!("<style>p {{ background: url(http://{address}/background) }}</style><p>x"),
        format!(
            "<style>@font-face {{ font-family: f; src: url(http://{address}/font) }} p {{ font-family: f }}</style><p>x"
        ),
        format!("<object data=http://{address}/object></object>"),
        format!("<embed src=http://{address}/embed>"),
        format!("<link rel=attachment href=http://{address}/attachment>"),
        format!("<svg viewBox='0 0 1 1'><image href='http://{address}/svg'/></svg>"),
    ] {
        // Most of them fail the document, a few are passed over; none may come to us.
        let _ = renderer.pdf(page(&body)).await;
        let visit = listener.accept().map(|(_, from)| from).map_err(|problem| problem.kind());
        assert_eq!(visit, Err(ErrorKind::WouldBlock), "{body}");
    }
}

#[tokio::test]
async fn a_page_that_asks_for_an_address_is_refused() {
    let problem = renderer(&program()).pdf(page("<img src=http://127.0.0.1:9/x>")).await.unwrap_err();
    assert_eq!(problem.kind(), RenderErrorKind::Failed);
    assert!(!problem.to_string().contains("127.0.0.1"), "the page's content is for the log alone: {problem}");
    assert!(!problem.internal().is_empty());
}

#[tokio::test]
async fn no_file_gets_into_the_document() {
    let secret = Scratch::new("secret.txt");
    std::fs::write(&secret.path, "the secret of the file").unwrap();
    let renderer = renderer(&program());
    let path = secret.path.display();
    for body in [
        format!("<link rel=attachment href='file://{path}'><p>x"),
        format!("<a rel=attachment href='file://{path}'>x</a>"),
        format!("<a rel=attachment href='{path}'>x</a>"),
        format!("<object data='file://{path}'></object><p>x"),
        "<link rel=attachment href='file:///etc/passwd'><p>x".to_owned(),
    ] {
        // Refused, or printed without the file.
        if let Ok(pdf) = renderer.pdf(page(&body)).await {
            let bytes = String::from_utf8_lossy(&pdf);
            assert!(!bytes.contains("/EmbeddedFile"), "{body}");
            assert!(!text_of(&pdf).contains("the secret"), "{body}");
        }
    }
}

#[tokio::test]
async fn an_endless_page_is_given_up_and_no_other() {
    let settings =
        RendererSettings { deadline: Duration::from_secs(4), concurrency: 3, ..RendererSettings::new(program()) };
    let hurried = Renderer::new(settings);
    let mut bomb = String::from("<style>:root { --a0: xxxxxxxxxxxxxxxx;");
    for step in 1..30 {
        bomb.push_str(&format!("--a{step}: var(--a{0}) var(--a{0});", step - 1));
    }
    bomb.push_str("} p { content: var(--a29); font-family: var(--a29) }</style><p>x");
    let patient = renderer(&program());
    let began = Instant::now();
    let (table, variables, good) = tokio::join!(
        hurried.pdf(page("<table><td colspan=1000000>x</table>")),
        hurried.pdf(page(&bomb)),
        patient.pdf(page("<p>A good page")),
    );
    assert_eq!(table.unwrap_err().kind(), RenderErrorKind::TimedOut);
    // The bomb ends at the deadline or at the limit of memory, whichever comes first.
    let problem = variables.unwrap_err();
    assert!(matches!(problem.kind(), RenderErrorKind::TimedOut | RenderErrorKind::Failed), "{problem:?}");
    assert!(text_of(&good.unwrap()).contains("A good page"));
    assert!(began.elapsed() < Duration::from_secs(30), "the deadline did not strike: {:?}", began.elapsed());
}

#[tokio::test]
async fn the_real_program_is_ready_and_new_enough() {
    let version = renderer(&program()).check().await.unwrap();
    assert!(version.split('.').count() >= 2, "{version}");
}

#[tokio::test]
async fn a_missing_program_is_told_with_its_remedy() {
    let renderer = renderer(Path::new("/nonexistent/weasyprint"));
    let missing = [renderer.check().await.unwrap_err(), renderer.pdf(page("<p>x")).await.unwrap_err()];
    for problem in missing {
        assert_eq!(problem.kind(), RenderErrorKind::Missing);
        assert!(problem.to_string().contains("/nonexistent/weasyprint"), "{problem}");
        assert!(problem.to_string().contains("pip install weasyprint"), "{problem}");
    }
    // It is there, but its interpreter is not.
    let broken = Scratch::script("");
    let script = format!("printf '#!/nonexistent/python\\n' > '{}'", broken.path.display());
    assert!(Command::new("/bin/sh").args(["-c", &script]).status().unwrap().success());
    let problem = self::renderer(&broken.path).pdf(page("<p>x")).await.unwrap_err();
    assert_eq!(problem.kind(), RenderErrorKind::Missing, "{problem:?}");
}

#[tokio::test]
async fn an_old_program_is_refused() {
    let old = Scratch::script("echo WeasyPrint version 57.2");
    let problem = renderer(&old.path).check().await.unwrap_err();
    assert_eq!(problem.kind(), RenderErrorKind::Missing);
    assert!(problem.to_string().contains("57.2 is too old"), "{problem}");
}

#[tokio::test]
async fn no_more_run_at_once_than_allowed() {
    // Each run leaves a mark while it runs and writes down how many marks it saw.
    let fake = Scratch::script(
        "here=$(/usr/bin/dirname \"$0\"); /bin/mkdir \"$here/run.$$\"; /bin/ls -d \"$here\"/run.* | /usr/bin/wc -l >> \"$here/seen\"\n\
         /bin/cat > /dev/null; /bin/sleep 0.2; /bin/rmdir \"$here/run.$$\"; printf '%%PDF-1.7 x %%%%EOF'",
    );
    let settings =
        RendererSettings { concurrency: 2, deadline: Duration::from_secs(60), ..RendererSettings::new(&fake.path) };
    let renderer = Renderer::new(settings);
    let runs = (0..8).map(|_| {
        let renderer = renderer.clone();
        tokio::spawn(async move { renderer.pdf(page("<p>x")).await })
    });
    for run in runs.collect::<Vec<_>>() {
        run.await.unwrap().unwrap();
    }
    let seen = std::fs::read_to_string(fake.beside("seen")).unwrap();
    let most = seen.lines().map(|line| line.trim().parse::<u32>().unwrap()).max();
    assert_eq!((seen.lines().count(), most), (8, Some(2)), "{seen}");
}

#[tokio::test]
async fn without_a_place_in_time_the_renderer_is_busy() {
    let slow = Scratch::script("/bin/sleep 600");
    let settings =
        RendererSettings { concurrency: 1, deadline: Duration::from_millis(700), ..RendererSettings::new(&slow.path) };
    let renderer = Renderer::new(settings);
    let (first, second) = tokio::join!(renderer.pdf(page("<p>1")), async {
        tokio::task::yield_now().await;
        renderer.pdf(page("<p>2")).await
    });
    let kinds = [first.unwrap_err().kind(), second.unwrap_err().kind()];
    assert_eq!(kinds, [RenderErrorKind::TimedOut, RenderErrorKind::Busy]);
}

#[tokio::test]
async fn a_death_by_signal_is_tried_once_more() {
    let frail = Scratch::script(
        "here=$(/usr/bin/dirname \"$0\"); echo run >> \"$here/runs\"\n\
         if /usr/bin/test -e \"$here/died\"; then printf '%%PDF-1.7 x %%%%EOF'; exit 0; fi\n\
         : > \"$here/died\"; kill -SEGV $$",
    );
    assert!(renderer(&frail.path).pdf(page("<p>x")).await.unwrap().starts_with(b"%PDF"));

    let doomed = Scratch::script(
        "here=$(/usr/bin/dirname \"$0\"); echo run >> \"$here/runs\"; echo last words >&2; kill -SEGV $$",
    );
    let problem = renderer(&doomed.path).pdf(page("<p>x")).await.unwrap_err();
    assert_eq!(problem.kind(), RenderErrorKind::Failed);
    assert!(problem.internal().contains("last words"), "{problem:?}");
    assert_eq!(std::fs::read_to_string(doomed.beside("runs")).unwrap().lines().count(), 2);
}

#[tokio::test]
async fn half_a_document_is_none() {
    for script in
        ["printf '%%PDF-1.7 cut off'", "exit 0", "printf 'no PDF %%%%EOF'", "printf '%%PDF-1.7 %%%%EOF'; exit 1"]
    {
        let problem = renderer(&Scratch::script(script).path).pdf(page("<p>x")).await.unwrap_err();
        assert_eq!(problem.kind(), RenderErrorKind::Failed, "{script}");
    }
}

#[tokio::test]
async fn what_is_too_large_is_refused() {
    let settings = RendererSettings { max_html_bytes: 100, ..RendererSettings::new("/nonexistent") };
    let problem = Renderer::new(settings).pdf("x".repeat(101)).await.unwrap_err();
    assert_eq!(problem.kind(), RenderErrorKind::TooLarge);

    let flood = Scratch::script("printf '%%PDF-1.7'; exec /usr/bin/yes");
    let settings = RendererSettings { max_pdf_bytes: 1000, ..RendererSettings::new(&flood.path) };
    let problem = Renderer::new(settings).pdf(page("<p>x")).await.unwrap_err();
    assert_eq!(problem.kind(), RenderErrorKind::TooLarge);
}

#[tokio::test]
async fn a_document_that_nobody_waits_for_ends() {
    let slow = Scratch::script(
        "here=$(/usr/bin/dirname \"$0\"); echo $$ > \"$here/new\"; /bin/mv \"$here/new\" \"$here/pid\"; exec /bin/sleep 600",
    );
    let renderer = renderer(&slow.path);
    let work = tokio::spawn(async move { renderer.pdf(page("<p>x")).await });
    let pid = until("the program to start", || std::fs::read_to_string(slow.beside("pid")).ok()).await;
    work.abort();
    let stat = format!("/proc/{}/stat", pid.trim());
    until("the program to end", || (!Path::new(&stat).exists()).then_some(())).await;
}

/// Waits for a condition, not for a time.
async fn until<T>(what: &str, condition: impl Fn() -> Option<T>) -> T {
    let looking = stack::wait::wait_for(what, Duration::from_secs(30), || async { Ok::<_, String>(condition()) });
    looking.await.unwrap_or_else(|error| panic!("{error}"))
}
