//! Transactions of users on their way to other nodes.

use std::sync::Arc;

use alloy_primitives::Bytes;
use jsonrpsee::core::client::ClientT;
use jsonrpsee::http_client::HttpClientBuilder;
use serde_json::{Value, json};

use super::world::{CHAIN, NOBODY, World, hash, raw, transfer};
use crate::io::{
    clock::now_ms,
    node_state::{Gossip, Source},
    rpc::{Settings, serve},
    upstream::UpstreamClient,
};
use crate::testing::Key;

#[tokio::test(flavor = "multi_thread")]
async fn what_a_user_sends_is_gossiped_once_however_often_it_is_sent_at_once_and_taken_by_others() {
    let mut world = World::halted(|_| ()).await;
    let other = World::halted(|_| ()).await;
    let transaction = transfer(&Key::new(1), 0);
    world.send(&transaction).await.unwrap();
    for _ in 0..20 {
        world.send(&transaction).await.expect("a retry");
    }
    let Gossip::Transaction(bytes) = world.gossip.recv().await.unwrap() else { panic!("a transaction was sent") };
    assert_eq!(bytes, raw(&transaction));
    assert!(world.gossip.try_recv().is_err());
    assert_eq!(other.state.admit(&bytes, now_ms()).unwrap(), hash(&transaction));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_goes_out_again_when_it_waited_long() {
    let mut world = World::halted(|_| ()).await;
    let transaction = transfer(&Key::new(1), 0);
    // It came a minute ago, and what was gossiped then was lost.
    world.state.admit(&raw(&transaction), now_ms() - 60_000).unwrap();
    world.send(&transaction).await.unwrap();
    assert_eq!(world.gossip.try_recv().unwrap(), Gossip::Transaction(raw(&transaction)));
    world.send(&transaction).await.unwrap();
    assert!(world.gossip.try_recv().is_err(), "and then not at once again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_floods_delays_no_user() {
    let world = World::halted(|_| ()).await;
    // Each costs a signature check, and none is taken.
    let strangers: Vec<_> = (0..200).map(|key| raw(&Key::new(1_000 + key).transfer(CHAIN, 0, NOBODY, 1))).collect();
    for round in 0..40 {
        strangers.iter().for_each(|bytes| world.state.deliver(Source::Peer([1; 32]), bytes.clone()));
        if round == 20 {
            world.state.deliver(Source::Peer([2; 32]), raw(&transfer(&Key::new(2), 0)));
        }
    }
    let started = std::time::Instant::now();
    let transaction = transfer(&Key::new(1), 0);
    assert_eq!(world.send(&transaction).await.unwrap(), json!(hash(&transaction)));
    println!("answered after {:?}", started.elapsed());
    // Its turn came before those of the flood that came before it; so did that of another peer.
    assert!(world.state.pool().contains(hash(&transfer(&Key::new(2), 0))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_passes_what_users_send_to_the_node_it_follows() {
    let mut validator = World::halted(|_| ()).await;
    let follower = World::halted(|_| ()).await;
    let mut state = follower.state.clone();
    state.upstream = Some(Arc::new(UpstreamClient::new(&format!("http://{}", validator.server.address)).unwrap()));
    let server = serve(state, Settings::new(([127, 0, 0, 1], 0).into())).unwrap();
    let client = HttpClientBuilder::default().build(format!("http://{}", server.address)).unwrap();
    let transaction = transfer(&Key::new(1), 0);
    let send = |bytes: Bytes| {
        let client = client.clone();
        async move { ClientT::request::<Value, _>(&client, "eth_sendRawTransaction", vec![json!(bytes)]).await }
    };
    assert_eq!(send(raw(&transaction)).await.unwrap(), json!(hash(&transaction)));
    assert!(validator.gossip.try_recv().is_ok());
    assert!(follower.state.pool().contains(hash(&transaction)), "the follower shows it as pending too");
    let refused = send(raw(&Key::new(99).transfer(CHAIN, 0, NOBODY, 1))).await.unwrap_err().to_string();
    assert!(refused.contains("insufficient funds"), "{refused}");
    validator.server.stop().await;
    let refused = send(raw(&transfer(&Key::new(1), 1))).await.unwrap_err().to_string();
    assert!(refused.contains("does not answer"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_copies_a_state_refuses_what_it_would_lose() {
    let world = World::halted(|_| ()).await;
    let copying = world.state.clone().taking_nothing();
    let server = serve(copying, Settings::new(([127, 0, 0, 1], 0).into())).unwrap();
    let client = HttpClientBuilder::default().build(format!("http://{}", server.address)).unwrap();
    let sent: Result<Value, _> =
        client.request("eth_sendRawTransaction", vec![json!(raw(&transfer(&Key::new(1), 0)))]).await;
    let said = sent.unwrap_err().to_string();
    assert!(said.contains("copies the state of a later block") && said.contains("-32005"), "{said}");
    assert_eq!(world.state.pool().status().executable, 0);
}
