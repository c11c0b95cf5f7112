//! The page that a node serves, in a real browser over a real network: `sidechain/page/test/browser` says what is done there.

use std::path::Path;
use std::process::{Command, Stdio};

use tests::binary;
use tests::network::{Network, Options};

#[test]
fn people_do_all_that_the_page_is_for() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sidechain/page");
    assert!(folder.join("node_modules").exists(), "the page's packages are not installed: run `make deps`");
    let network = Network::start(Options { block_interval: "1s", fund: true, ..Options::default() });
    let browser = Command::new("node")
        .args(["--test", "--test-concurrency=1", "--test-reporter=spec", "test/browser/page.test.mjs"])
        .current_dir(&folder)
        .env("PAGE", network.rpc(1))
        .env("CAUSEWAY", binary::path())
        .env("NETWORK", network.folder())
        .env_remove("CAUSEWAY_HOME")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let output = binary::end(browser.expect("node is installed"), "the browser");
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert!(output.status.success(), "{}\n{text}", output.status);
    println!("{text}");
}
