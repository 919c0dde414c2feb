//! Documents per second by the fork server and by the command line, with the same invoices and the same places.
//!
//! ```sh
//! cargo run --release -p svc-invoice --example render_speed -- 10 2   # rounds, documents at once
//! ```
//!
//! The two take turns, so that whatever else the machine does slows both. What counts is the ratio.
#![expect(clippy::print_stdout, clippy::float_arithmetic, reason = "figures for people, at a terminal")]

use std::error::Error;
use std::time::{Duration, Instant};

use svc_invoice::document::render::BackEnd;
use svc_invoice::document::{Invoice, Page, Renderer, RendererSettings, Templates};

const SAMPLE: &str = include_str!("../templates/sample/invoice.json");
/// Lines of the invoices of one round: most have few. The long one goes first, or it would be waited for alone.
const LINES: [usize; 8] = [20, 8, 5, 3, 3, 2, 2, 1];

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let rounds: u32 = arguments.next().map_or(Ok(10), |text| text.parse())?;
    let concurrency: usize = arguments.next().map_or(Ok(2), |text| text.parse())?;
    let templates = Templates::new()?;
    let (pages, warm_up) = (pages(&templates)?, templates.specimen()?);
    let program = match std::env::var_os("WEASYPRINT") {
        Some(program) => program.into(),
        None => stack::weasyprint::binary()?,
    };
    let renderer = |back_end| {
        let deadline = Duration::from_secs(120);
        let warm_up = warm_up.clone();
        Renderer::new(RendererSettings { back_end, concurrency, deadline, warm_up, ..RendererSettings::new(&program) })
    };
    let (server, command_line) = (renderer(BackEnd::ForkServer), renderer(BackEnd::CommandLine));
    // Neither pays for its first document.
    let first: Vec<Page> = pages.iter().take(1).cloned().collect();
    round(&server, &first).await?;
    round(&command_line, &first).await?;
    let (mut by_server, mut by_command_line) = (Vec::new(), Vec::new());
    for _ in 0..rounds.max(1) {
        by_command_line.push(round(&command_line, &pages).await?);
        by_server.push(round(&server, &pages).await?);
    }
    let (fast, slow) = (median(&mut by_server), median(&mut by_command_line));
    let per_second = |time: Duration| pages.len() as f64 / time.as_secs_f64();
    println!("{rounds} rounds of {} documents, {concurrency} at once, medians", pages.len());
    println!("fork server   {:6.2} documents/s", per_second(fast));
    println!("command line  {:6.2} documents/s", per_second(slow));
    println!("ratio         {:6.2}", slow.as_secs_f64() / fast.as_secs_f64());
    Ok(())
}

fn pages(templates: &Templates) -> Result<Vec<Page>, Box<dyn Error>> {
    let sample: Invoice = serde_json::from_str(SAMPLE)?;
    let page = |lines: usize| {
        let lines = sample.lines.iter().cycle().take(lines).cloned().collect();
        Ok(templates.page(&Invoice { lines, ..sample.clone() })?)
    };
    LINES.into_iter().map(page).collect()
}

/// How long all pages take when they are wanted at once.
async fn round(renderer: &Renderer, pages: &[Page]) -> Result<Duration, Box<dyn Error>> {
    let began = Instant::now();
    let documents = pages.iter().cloned().map(|page| {
        let renderer = renderer.clone();
        tokio::spawn(async move { renderer.pdf(page).await })
    });
    for document in documents.collect::<Vec<_>>() {
        document.await??;
    }
    Ok(began.elapsed())
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
