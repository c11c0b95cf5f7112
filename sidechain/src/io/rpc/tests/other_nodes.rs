//! Transactions of users on their way to other nodes.

use std::sync::Arc;

use alloy_primitives::Bytes;
use jsonrpsee::core::client::ClientT;
use jsonrpsee::http_client::HttpClientBuilder;
use serde_json::{Value, json};

use super::world::{CHAIN, NOBODY, World, hash, raw, transfer};
use crate::io::{
    clock::now_ms,
    node_state::Gossip,
    rpc::{Settings, serve},
    upstream::UpstreamClient,
};
use crate::testing::Key;

#[tokio::test(flavor = "multi_thread")]
async fn what_a_user_sends_is_gossiped_once_and_taken_by_others() {
    let mut world = World::halted(|_| ()).await;
    let other = World::halted(|_| ()).await;
    let transaction = transfer(&Key::new(1), 0);
    world.send(&transaction).await.unwrap();
    assert!(world.send(&transaction).await.is_err());
    let Gossip::Transaction(bytes) = world.gossip.recv().await.unwrap() else { panic!("a transaction was sent") };
    assert_eq!(bytes, raw(&transaction));
    assert!(world.gossip.try_recv().is_err());
    assert_eq!(other.state.admit(&bytes, now_ms()).unwrap(), hash(&transaction));
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
