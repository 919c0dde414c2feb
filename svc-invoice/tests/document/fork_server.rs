//! The fork server: what becomes of documents when processes die, and of processes when nobody wants their document.

use std::fs::{read_dir, read_to_string};

use svc_invoice::document::RenderErrorKind;

use super::*;

/// WeasyPrint on a Python that writes down the number of each of its processes. There is no command line to fall back on.
fn watched() -> Scratch {
    let program = Scratch::new("weasyprint");
    let (python, pids) = (program.beside("python3"), program.beside("pids"));
    let real = self::program().with_file_name("python");
    executable(&python, &format!("#!/bin/sh\necho $$ >> '{}'\nexec '{}' \"$@\"\n", pids.display(), real.display()));
    executable(&program.path, &format!("#!{}\n", python.display()));
    program
}

/// The servers that were started, the last one last.
fn servers(watched: &Scratch) -> Vec<u32> {
    let pids = read_to_string(watched.beside("pids")).unwrap_or_default();
    pids.lines().map(|pid| pid.parse().unwrap()).collect()
}

/// The state and the parent of a process; `None` once it is gone.
fn process(pid: u32) -> Option<(String, u32)> {
    let stat = read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    Some((fields.next()?.to_owned(), fields.next()?.parse().ok()?))
}

/// Gone, or a zombie that its new parent has yet to collect.
fn is_gone(pid: u32) -> bool {
    process(pid).is_none_or(|(state, _)| state == "Z")
}

/// The last server and a document's process, once it is at one.
async fn at_work(watched: &Scratch) -> (u32, u32) {
    until("a document is being made", || {
        let server = *servers(watched).last()?;
        let mut all = read_dir("/proc").ok()?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let child = all.find(|pid| process(*pid).is_some_and(|(_, parent)| parent == server))?;
        Some((server, child))
    })
    .await
}

fn signal(name: &str, pid: u32) {
    assert!(Command::new("/bin/kill").args([name, &pid.to_string()]).status().unwrap().success());
}

/// Takes a while.
fn long() -> Page {
    page_of(&sample_of(400))
}

#[tokio::test]
async fn a_server_makes_many_documents_and_is_started_once() {
    let watched = watched();
    let renderer = Renderer::new(RendererSettings { concurrency: 2, ..patient(&watched.path) });
    let documents = (0..6).map(|index| {
        let renderer = renderer.clone();
        tokio::spawn(async move { (index, renderer.pdf(page(&format!("<p>Number {index}"))).await) })
    });
    for document in documents.collect::<Vec<_>>() {
        let (index, pdf) = document.await.unwrap();
        assert!(text_of(&pdf.unwrap()).contains(&format!("Number {index}")), "each has its own");
    }
    assert_eq!(servers(&watched).len(), 1);
}

#[tokio::test]
async fn a_server_that_dies_is_replaced_and_its_documents_are_made() {
    let watched = watched();
    let renderer = Renderer::new(RendererSettings { concurrency: 2, ..patient(&watched.path) });
    renderer.pdf(page("<p>Warm")).await.unwrap();
    let (one, two) = (renderer.clone(), renderer.clone());
    let one = tokio::spawn(async move { one.pdf(long()).await });
    let two = tokio::spawn(async move { two.pdf(long()).await });
    let (server, child) = at_work(&watched).await;
    signal("-KILL", server);
    assert!(text_of(&one.await.unwrap().unwrap()).contains("251,42 €"));
    assert!(text_of(&two.await.unwrap().unwrap()).contains("251,42 €"));
    assert_eq!(servers(&watched).len(), 2);
    until("what it had forked died with it", || is_gone(child).then_some(())).await;
}

#[tokio::test]
async fn a_document_whose_process_dies_is_tried_once_more() {
    let watched = watched();
    let renderer = Renderer::new(patient(&watched.path));
    renderer.pdf(page("<p>Warm")).await.unwrap();
    let work = tokio::spawn({
        let renderer = renderer.clone();
        async move { renderer.pdf(long()).await }
    });
    signal("-KILL", at_work(&watched).await.1);
    assert!(text_of(&work.await.unwrap().unwrap()).contains("251,42 €"));
    assert_eq!(servers(&watched).len(), 1, "the server lives on");
}

#[tokio::test]
async fn a_server_that_hangs_is_killed_and_replaced() {
    let watched = watched();
    let settings = RendererSettings { deadline: Duration::from_secs(15), ..RendererSettings::new(&watched.path) };
    let renderer = Renderer::new(settings);
    renderer.pdf(page("<p>Warm")).await.unwrap();
    let server = servers(&watched)[0];
    signal("-STOP", server);
    let pdf = renderer.pdf(page("<p>In the end")).await.unwrap();
    assert!(text_of(&pdf).contains("In the end"));
    assert_eq!(servers(&watched).len(), 2);
    until("the one that hung is gone", || is_gone(server).then_some(())).await;
}

#[tokio::test]
async fn after_enough_documents_a_server_is_replaced() {
    let watched = watched();
    let renderer = Renderer::new(RendererSettings { recycle_after: 2, ..patient(&watched.path) });
    for _ in 0..5 {
        renderer.pdf(page("<p>x")).await.unwrap();
    }
    let servers = servers(&watched);
    assert_eq!(servers.len(), 3);
    until("those before have ended", || servers[..2].iter().all(|pid| is_gone(*pid)).then_some(())).await;
    assert!(!is_gone(servers[2]));
}

#[tokio::test]
async fn a_document_that_nobody_waits_for_ends_and_makes_room() {
    let watched = watched();
    let renderer = Renderer::new(RendererSettings { concurrency: 1, ..patient(&watched.path) });
    renderer.pdf(page("<p>Warm")).await.unwrap();
    let endless = renderer.clone();
    let work = tokio::spawn(async move { endless.pdf(page("<table><td colspan=1000000>x</table>")).await });
    let (server, child) = at_work(&watched).await;
    work.abort();
    until("its process has ended", || is_gone(child).then_some(())).await;
    renderer.pdf(page("<p>Next")).await.unwrap();
    assert_eq!(servers(&watched), [server]);
}

#[tokio::test]
async fn a_server_ends_with_its_renderer() {
    let watched = watched();
    let renderer = Renderer::new(patient(&watched.path));
    renderer.pdf(page("<p>x")).await.unwrap();
    let server = servers(&watched)[0];
    assert!(!is_gone(server));
    drop(renderer);
    until("the server has ended", || is_gone(server).then_some(())).await;
}

#[tokio::test]
async fn where_no_server_can_be_started_documents_are_made_by_the_command_line() {
    let real = program();
    let fallback = Scratch::new("weasyprint");
    let python = fallback.beside("python3");
    executable(
        &python,
        &format!(
            "#!/bin/sh\ncase \"$*\" in *fork_server.py) exit 1;; esac\nexec '{}' \"$@\"\n",
            real.with_file_name("python").display()
        ),
    );
    let script = read_to_string(&real).unwrap();
    let (_, body) = script.split_once('\n').unwrap();
    executable(&fallback.path, &format!("#!{}\n{body}", python.display()));
    let pdf = Renderer::new(patient(&fallback.path)).pdf(page("<p>All the same")).await.unwrap();
    assert!(text_of(&pdf).contains("All the same"));
}

#[tokio::test]
async fn a_failure_tells_the_log_what_weasyprint_said() {
    let problem = renderer().pdf(page("<img src=file:///nonexistent>")).await.unwrap_err();
    assert_eq!(problem.kind(), RenderErrorKind::Failed);
    assert!(problem.internal().contains("file:///nonexistent"), "{problem:?}");
    assert!(!problem.to_string().contains("nonexistent"), "{problem}");
}
