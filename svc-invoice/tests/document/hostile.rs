//! Pages that mean harm: they reach nothing, they end, and they end alone.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::time::Instant;

use svc_invoice::document::RenderErrorKind;

use super::*;

#[tokio::test]
async fn nothing_is_fetched_from_the_network() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    // The trap works: left to itself, WeasyPrint does come.
    let bait = Scratch::new("bait.html");
    std::fs::write(&bait.path, page(&format!("<img src=http://{address}/bait>")).html).unwrap();
    let mut unfenced = Command::new(program());
    unfenced.args(["--quiet", "--timeout", "1"]).arg(&bait.path).arg(bait.beside("bait.pdf")).env_remove("http_proxy");
    assert!(tokio::task::spawn_blocking(move || unfenced.status()).await.unwrap().unwrap().success());
    assert!(listener.accept().is_ok(), "nobody took the bait");

    let renderers = BACK_ENDS.map(|back_end| Renderer::new(RendererSettings { back_end, ..patient(program()) }));
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
        for renderer in &renderers {
            let _ = renderer.pdf(page(&body)).await;
            let visit = listener.accept().map(|(_, from)| from).map_err(|problem| problem.kind());
            assert_eq!(visit, Err(ErrorKind::WouldBlock), "{renderer:?}: {body}");
        }
    }
}

#[tokio::test]
async fn a_page_that_asks_for_an_address_is_refused() {
    for back_end in BACK_ENDS {
        let renderer = Renderer::new(RendererSettings { back_end, ..patient(program()) });
        let problem = renderer.pdf(page("<img src=http://127.0.0.1:9/x>")).await.unwrap_err();
        assert_eq!(problem.kind(), RenderErrorKind::Failed);
        assert!(!problem.to_string().contains("127.0.0.1"), "the page's content is for the log alone: {problem}");
        assert!(problem.internal().contains("127.0.0.1"), "{problem:?}");
    }
}

#[tokio::test]
async fn no_file_gets_into_the_document() {
    let secret = Scratch::new("secret.txt");
    std::fs::write(&secret.path, "the secret of the file").unwrap();
    let renderer = renderer();
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
async fn hostile_text_in_any_field_of_an_invoice_is_only_text() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let renderer = renderer();
    for text in [
        format!("<script src=http://{address}/s></script>"),
        format!("</style><style>@import 'http://{address}/i';"),
        format!("\"><img src=http://{address}/q>"),
        "<link rel=attachment href=file:///etc/passwd>".to_owned(),
        "{{seller.name}} }} {{{number}}}".to_owned(),
        "url(file:///etc/passwd); } * { display: none".to_owned(),
        "<div>".repeat(100),
    ] {
        let mut invoice = sample();
        for field in
            [&mut invoice.number, &mut invoice.seller.name, &mut invoice.buyer.name, &mut invoice.lines[0].name]
        {
            field.clone_from(&text);
        }
        invoice.note = Some(text.clone());
        invoice.payment_terms = Some(text.clone());
        invoice.lines[0].description = Some(text.clone());
        invoice.lines[1].sku = Some(text.clone());
        let pdf = renderer.pdf(page_of(&invoice)).await.unwrap_or_else(|problem| panic!("{text}: {problem:?}"));
        assert!(text_of(&pdf).contains("251,42 €"), "{text}");
        assert!(!String::from_utf8_lossy(&pdf).contains("/EmbeddedFile"), "{text}");
        assert_eq!(listener.accept().map(drop).map_err(|problem| problem.kind()), Err(ErrorKind::WouldBlock), "{text}");
    }
}

#[tokio::test]
async fn a_deadline_ends_its_document_and_no_other() {
    let settings =
        RendererSettings { concurrency: 3, deadline: Duration::from_secs(15), ..RendererSettings::new(program()) };
    let renderer = Renderer::new(settings);
    let began = Instant::now();
    let (endless, drawing, good) = tokio::join!(
        renderer.pdf(page("<table><td colspan=1000000>x</table>")),
        renderer.pdf(page(&drawing_of_drawings(9))),
        async {
            let mut done = Vec::new();
            for _ in 0..3 {
                done.push((renderer.pdf(page("<p>A good page")).await, began.elapsed()));
            }
            done
        }
    );
    for problem in [endless.unwrap_err(), drawing.unwrap_err()] {
        // Processor time is bounded too, and memory; whichever comes first.
        assert!(matches!(problem.kind(), RenderErrorKind::TimedOut | RenderErrorKind::TooLarge), "{problem:?}");
    }
    for (good, _) in good {
        assert!(text_of(&good.unwrap()).contains("A good page"));
    }
    assert!(began.elapsed() < Duration::from_secs(60), "the deadline did not strike: {:?}", began.elapsed());
}

/// A drawing of ten drawings of ten drawings …
fn drawing_of_drawings(depth: u32) -> String {
    let mut svg = String::from("<svg viewBox='0 0 9 9'><defs><path id=a0 d='M0 0 L9 9'/>");
    for level in 1..depth {
        svg.push_str(&format!("<g id=a{level}>{}</g>", format!("<use href='#a{}'/>", level - 1).repeat(10)));
    }
    svg + &format!("</defs><use href='#a{}'/></svg>", depth - 1)
}

#[tokio::test]
async fn what_wants_all_memory_is_refused() {
    for back_end in BACK_ENDS {
        let settings = RendererSettings { back_end, memory: 512 << 20, ..patient(program()) };
        // As many dots as the machine has memory for.
        let dots =
            "<style>p { width: 100000000px; white-space: nowrap } p::before { content: leader('.') }</style><p>x";
        let problem = Renderer::new(settings).pdf(page(dots)).await.unwrap_err();
        assert_eq!(problem.kind(), RenderErrorKind::TooLarge, "{problem:?}");
        assert!(problem.to_string().contains("512 MB"), "{problem}");
    }
}

#[tokio::test]
async fn a_page_nested_too_deep_is_refused_and_a_large_drawing_is_drawn() {
    let renderer = renderer();
    let problem = renderer.pdf(page(&"<div>".repeat(3000))).await.unwrap_err();
    assert_eq!(problem.kind(), RenderErrorKind::Failed, "{problem:?}");
    let drawing = format!("<svg viewBox='0 0 9 9'>{}</svg>", "<path d='M1 1 L5 5 Z'/>".repeat(5000));
    renderer.pdf(page(&drawing)).await.unwrap();
}

#[tokio::test]
async fn a_pdf_that_grows_too_large_is_refused() {
    let settings = RendererSettings { max_pdf_bytes: 10_000, ..patient(program()) };
    let problem = Renderer::new(settings).pdf(page_of(&sample())).await.unwrap_err();
    assert_eq!(problem.kind(), RenderErrorKind::TooLarge, "{problem:?}");
}
