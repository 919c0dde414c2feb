//! The command line, on programs that stand in for WeasyPrint: how each end of a process is understood.
//!
//! They are no scripts of a Python's, so there is no fork server for them, and the command line is fallen back on.

use svc_invoice::document::RenderErrorKind;

use super::*;

/// A renderer with patience for a busy machine.
fn renderer(program: &Path) -> Renderer {
    Renderer::new(patient(program))
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
    let settings = RendererSettings { max_page_bytes: 100, ..RendererSettings::new("/nonexistent") };
    let problem = Renderer::new(settings).pdf(Page::of("x".repeat(101))).await.unwrap_err();
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

#[tokio::test]
async fn what_finds_the_queue_full_is_turned_away_at_once() {
    let slow = Scratch::script("/bin/sleep 600");
    let settings = RendererSettings {
        concurrency: 1,
        queue: 1,
        deadline: Duration::from_secs(2),
        ..RendererSettings::new(&slow.path)
    };
    let renderer = Renderer::new(settings);
    let (first, second, third) = tokio::join!(renderer.pdf(page("<p>1")), renderer.pdf(page("<p>2")), async {
        tokio::task::yield_now().await;
        let began = std::time::Instant::now();
        (renderer.pdf(page("<p>3")).await, began.elapsed())
    });
    assert_eq!(first.unwrap_err().kind(), RenderErrorKind::TimedOut);
    assert_eq!(second.unwrap_err().kind(), RenderErrorKind::Busy);
    let problem = third.0.unwrap_err();
    assert_eq!(problem.kind(), RenderErrorKind::Busy);
    assert!(problem.to_string().starts_with("2 documents") && third.1 < Duration::from_secs(1), "{problem}");
}
