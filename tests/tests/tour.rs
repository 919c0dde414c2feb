//! The README's tour, run as it is printed.

use std::process::Command;

use stack::{scratch::Scratch, seed::ACCOUNTS};

use crate::shop::Shop;

const README: &str = include_str!("../../README.md");

/// The shell blocks between the two marks.
fn tour() -> String {
    let after = README.split("<!-- tour -->").nth(1).expect("the beginning of the tour");
    let tour = after.split("<!-- end of tour -->").next().expect("the end of the tour");
    tour.split("```sh").skip(1).map(|block| block.split("```").next().unwrap_or_default()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tour_works_as_printed() {
    let shop = Shop::shared().await;
    let scratch = Scratch::new("tour").unwrap();
    std::fs::create_dir(scratch.path().join(".argosy")).unwrap();
    let mut env = format!("GATEWAY_URL='{}'\nMAIL_URL='{}'\n", shop.system.gateway_url(), shop.system.mail.url());
    for account in ACCOUNTS {
        env +=
            &format!("DEMO_{0}_EMAIL='{1}'\nDEMO_{0}_PASSWORD='{2}'\n", account.role, account.email, account.password);
    }
    std::fs::write(scratch.path().join(".argosy/env"), env).unwrap();
    let script = format!("set -euo pipefail\n{}", tour());
    assert!(script.lines().count() > 15, "the tour has a few steps:\n{script}");

    let mut command = Command::new("bash");
    command.arg("-c").arg(&script).current_dir(scratch.path());
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();

    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "the tour failed:\n{out}\n{err}");
    for expected in ["\"confirmed\"", "%PDF-1."] {
        assert!(out.contains(expected), "expected {expected} in what the tour prints:\n{out}\n{err}");
    }
}
