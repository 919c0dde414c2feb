//! The disk is full: NATS's, then PostgreSQL's. What cannot be written is refused, nothing is damaged, and once there is room
//! again everything goes on, if need be after a restart by whoever supervises the server.
//!
//! A disk of its own needs the right to mount one; without it there is nothing to test here, and the test says so.

use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use stack::{
    postgres::Data,
    scratch::Scratch,
    system::{Options, System},
    wait::wait_for,
};

use super::load::Load;
use crate::shop::Shop;

const BUYERS: u32 = 2;
/// Within this time a server without room has noticed it.
const NOTICED_WITHIN: Duration = Duration::from_secs(30);

/// A small disk in memory; dropping it takes it away again.
struct Disk {
    place: PathBuf,
}

impl Disk {
    /// Mounts one of so many megabytes; `None` where that is not allowed.
    fn mount(place: &Path, megabytes: u32) -> Option<Self> {
        std::fs::create_dir_all(place).unwrap();
        let size = format!("size={megabytes}m,mode=0777");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "argosy-test"]).arg(place).output().ok()?;
        mount.status.success().then(|| Self { place: place.to_owned() })
    }

    /// Uses up all the room there is.
    fn fill(&self) {
        let mut file = File::create(self.filler()).unwrap();
        let mut piece = 1 << 20;
        while piece > 0 {
            if file.write_all(&vec![0; piece]).is_err() {
                piece /= 2;
            }
        }
    }

    fn make_room(&self) {
        std::fs::remove_file(self.filler()).unwrap();
    }

    fn filler(&self) -> PathBuf {
        self.place.join("filler")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _gone = Command::new("umount").arg("--lazy").arg(&self.place).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn full_disks_refuse_and_damage_nothing() {
    let scratch = Scratch::new("system").unwrap();
    let (store, data) = (scratch.path().join("nats/jetstream"), scratch.path().join("postgres"));
    let (Some(of_nats), Some(of_postgres)) = (Disk::mount(&store, 64), Disk::mount(&data, 512)) else {
        println!("not tested: mounting a small disk needs root (or CAP_SYS_ADMIN), which this process does not have");
        return;
    };
    let options = Options::new(scratch.path(), Data::Kept);
    let mut shop = Shop::open_with(options, scratch).await;
    let load = Load::start(&shop, BUYERS).await;

    of_nats.fill();
    wait_for("NATS to have no room", NOTICED_WITHIN, async || {
        let healthz = reqwest::get(format!("{}/healthz", shop.system.nats.monitoring_url())).await;
        let refused = std::fs::read_to_string(shop.system.process("order").unwrap().log()).unwrap_or_default();
        let noticed = !healthz.map_err(|error| error.to_string())?.status().is_success();
        Ok::<_, String>((noticed || refused.contains("did not acknowledge")).then_some(()))
    })
    .await
    .unwrap();
    // The outbox keeps what NATS does not take.
    load.goes_on(4).await;
    of_nats.make_room();
    shop.system.nats.kill();
    shop.system.nats.restart().await.unwrap();
    load.goes_on(4).await;

    of_postgres.fill();
    until_refused(&shop).await;
    of_postgres.make_room();
    let restarted = restart_if_ended(&mut shop.system).await;
    load.goes_on(6).await;

    let orders = load.finish().await;
    orders.all_arrive(&shop).await;
    println!("two full disks under {} orders; PostgreSQL had to be started again: {restarted}", orders.count());
}

/// Waits until a write is answered with what is temporarily wrong, and never with success.
async fn until_refused(shop: &Shop) {
    let (ines, n) = (shop.nobody(), std::sync::atomic::AtomicU32::new(0));
    wait_for("a registration to be refused", NOTICED_WITHIN, async || {
        let n = n.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let body = serde_json::json!({
            "email": format!("full-{n}-{}@example.com", uuid::Uuid::new_v4().simple()),
            "password": "correct horse battery", "name": "x".repeat(60),
        });
        let answer = ines.post("/v1/auth/register", &body).await;
        Ok::<_, String>((answer.status >= 500).then_some(()))
    })
    .await
    .unwrap();
}

/// A PostgreSQL that could not write its log has ended; whoever supervises it starts it again.
async fn restart_if_ended(system: &mut System) -> bool {
    if system.postgres.process().is_running() {
        return false;
    }
    system.restart_postgres().await.unwrap();
    true
}
