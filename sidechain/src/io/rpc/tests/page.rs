//! The page for people, as browsers ask for it.

use alloy_primitives::keccak256;

use super::http::exchange;
use super::world::World;
use crate::origins::Hosts;

fn get(path: &str, more: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{more}Connection: close\r\n\r\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_whole_and_loads_nothing_of_elsewhere() {
    let world = World::halted(|settings| settings.page = true).await;
    let html = exchange(&world, &get("/", "")).await;
    assert!(html.starts_with("HTTP/1.1 200") && html.contains("content-type: text/html; charset=utf-8"), "{html}");
    assert!(html.contains("content-security-policy: default-src 'none'; script-src 'self'"), "{html}");
    for (path, kind) in [("/page.js", "text/javascript"), ("/page.css", "text/css"), ("/icon.svg", "image/svg+xml")] {
        assert!(html.contains(&format!("\"{path}\"")), "{path} is not named");
        let file = exchange(&world, &get(path, "")).await;
        assert!(file.starts_with("HTTP/1.1 200") && file.contains(&format!("content-type: {kind}")), "{path}");
        assert!(file.contains("x-content-type-options: nosniff"), "{path}");
    }
    assert!(exchange(&world, &get("/other", "")).await.starts_with("HTTP/1.1 405"));
    assert!(exchange(&world, &get("/../page.js", "")).await.starts_with("HTTP/1.1 405"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_genesis_file_is_the_one_whose_hash_names_the_network() {
    let world = World::halted(|settings| settings.page = true).await;
    let answer = exchange(&world, &get("/genesis.json", "")).await;
    let (_, content) = answer.split_once("\r\n\r\n").expect("a body");
    let id = keccak256([b"causeway/network\n", content.as_bytes()].concat());
    assert_eq!(world.get("peg_getInfo", serde_json::json!([])).await["networkId"], id.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_browser_has_is_not_sent_again() {
    let world = World::halted(|settings| settings.page = true).await;
    let first = exchange(&world, &get("/page.js", "")).await;
    let tag = first.lines().find_map(|line| line.strip_prefix("etag: ")).expect("a tag");
    let again = exchange(&world, &get("/page.js", &format!("If-None-Match: {tag}\r\n"))).await;
    assert!(again.starts_with("HTTP/1.1 304") && again.ends_with("\r\n\r\n"), "{again}");
    let other = exchange(&world, &get("/page.js", "If-None-Match: \"other\"\r\n")).await;
    assert!(other.starts_with("HTTP/1.1 200"), "another version's");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_a_page_has_none_and_its_page_may_ask_under_its_own_name_alone() {
    let plain = World::halted(|_| {}).await;
    assert!(exchange(&plain, &get("/", "")).await.starts_with("HTTP/1.1 405"));

    let world = World::halted(|settings| {
        settings.page = true;
        settings.hosts = Hosts::new(vec!["node.example".into()]).expect("a name");
    })
    .await;
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[]}"#;
    let post = |origin: &str| {
        format!(
            "POST / HTTP/1.1\r\nHost: node.example\r\nOrigin: {origin}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
    };
    assert!(exchange(&world, &post("https://node.example")).await.contains("0xca05"));
    assert!(exchange(&world, &post("https://evil.example")).await.starts_with("HTTP/1.1 403"));
}
