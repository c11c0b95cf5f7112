//! The page that a node serves, in a real browser over a real network: `sidechain/page/test/browser` says what is done there.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tests::binary;
use tests::network::{Network, Options};

/// Runs one file of the browser's tests over a network of its own.
fn browse(file: &str) {
    let folder = root().join("sidechain/page");
    assert!(folder.join("node_modules").exists(), "the page's packages are not installed: run `make deps`");
    let network = Network::start(Options { block_interval: "1s", fund: true, ..Options::default() });
    let mut command = Command::new("node");
    command
        .args(["--test", "--test-reporter=spec", &format!("test/browser/{file}.test.mjs")])
        .current_dir(&folder)
        .env("PAGE", network.rpc(1))
        .env("CAUSEWAY", binary::path())
        .env("NETWORK", network.folder())
        .env_remove("CAUSEWAY_HOME")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    // Where the pictures go is said from the repository's root on.
    if let Some(pictures) = std::env::var_os("PICTURES") {
        command.env("PICTURES", root().join(pictures));
    }
    let output = binary::end(command.spawn().expect("node is installed"), "the browser");
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert!(output.status.success(), "{}\n{text}\n{}", output.status, network.logs());
    println!("{text}");
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn owners_bring_bitcoin_in_and_take_it_out_in_the_page() {
    browse("owners");
}

#[test]
fn owners_are_given_back_what_nobody_paid_out_in_time() {
    browse("overdue");
}

#[test]
fn readers_find_all_requests_and_are_told_of_a_node_that_lies() {
    browse("readers");
}

#[test]
fn everybody_can_use_every_view_by_eye_by_ear_by_keyboard_and_on_a_phone() {
    browse("everybody");
}
