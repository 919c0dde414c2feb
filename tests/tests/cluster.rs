//! Three NATS servers hold the same streams: the one that leads is killed again and again while orders come in.

use std::time::{Duration, Instant};

use async_nats::jetstream::{self, context::ContextBuilder, stream};
use nats::{connect::connect, topology::PROVISIONER};
use stack::{
    postgres::Data,
    scratch::Scratch,
    system::{Options, System},
    wait::wait_for,
};

use crate::{reliability::load::Load, shop::Shop};

const BUYERS: u32 = 3;
const KILLS: u32 = 4;
const STREAM: &str = "ORDER";
/// Raft's election timeout is four to nine seconds.
const ELECTED_WITHIN: Duration = Duration::from_secs(30);
/// A question to a leader that has just died is not answered; the next one may be.
const LOOK: Duration = Duration::from_millis(500);
/// A request whose answer was lost with its connection is told so at its deadline, and then repeated.
const HTTP_DEADLINE: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread")]
async fn orders_go_on_while_the_leader_of_their_stream_is_killed_again_and_again() {
    let scratch = Scratch::new("system").unwrap();
    let options = Options { nats_nodes: 3, ..Options::new(scratch.path(), Data::Scratch) };
    let mut shop = Shop::open_with(options, scratch).await;
    let nats = operator(&shop.system).await;
    assert_eq!(info(&nats).await.unwrap().config.num_replicas, 3);
    let load = Load::start(&shop, BUYERS).await;
    let mut gaps = Vec::new();

    for _ in 0..KILLS {
        load.goes_on(3).await;
        let leader = leader(&shop.system).await;
        shop.system.nats.kill_node(&leader).unwrap();
        let (killed, accepted) = (Instant::now(), load.accepted());
        let before = last_sequence(&nats).await;

        wait_for("the stream to take events again", ELECTED_WITHIN, async || {
            let last = info(&nats).await?.state.last_sequence;
            if last > before { Ok(Some(())) } else { Err(format!("its last is still {last}")) }
        })
        .await
        .unwrap();
        gaps.push(killed.elapsed());
        assert!(load.accepted() > accepted, "orders were accepted while nobody led the stream");
        shop.system.nats.restart_node(&leader).await.unwrap();
    }

    let orders = load.finish().await;
    orders.all_arrive(&shop).await;
    println!(
        "{KILLS} leaders killed under {} orders: the stream took events again after {gaps:.1?}; a buyer waited {:.1?} at most",
        orders.count(),
        orders.gap
    );
    assert!(orders.gap < HTTP_DEADLINE, "a buyer had to wait {:?} for an order", orders.gap);
}

/// A connection that knows every server and does not wait long for one that is gone.
async fn operator(system: &System) -> jetstream::Context {
    let client = connect(&system.settings(PROVISIONER), PROVISIONER).await.unwrap();
    ContextBuilder::new().timeout(LOOK).build(client)
}

async fn info(nats: &jetstream::Context) -> Result<stream::Info, String> {
    let stream = nats.get_stream(STREAM).await.map_err(|error| error.to_string())?;
    Ok(stream.cached_info().clone())
}

/// The number of the stream's last message, as whoever leads it next knows it.
async fn last_sequence(nats: &jetstream::Context) -> u64 {
    let look = async || info(nats).await.map(|info| Some(info.state.last_sequence));
    wait_for("somebody to lead the stream", ELECTED_WITHIN, look).await.unwrap()
}

async fn leader(system: &System) -> String {
    let look = async || system.leader_of(STREAM).await.map(Some);
    wait_for("somebody to lead the stream", ELECTED_WITHIN, look).await.unwrap()
}
