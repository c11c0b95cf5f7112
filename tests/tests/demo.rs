//! The main job, end to end, on real parts: what `make demo` shows.

use tests::binary;

#[test]
fn the_demo_ends_with_every_amount_matching() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let folder = home.path().join("net");
    let demo = binary::run(home.path(), ["demo", "--data-dir", folder.to_str().expect("UTF-8")], "");
    assert_eq!(demo.code, Some(0), "{demo}");
    for shown in
        ["Every amount matches", "Every satoshi is there", "64 bytes", "vouchers signed and checked", "caught up"]
    {
        assert!(demo.stdout.contains(shown), "the demo does not show {shown:?}: {demo}");
    }
    assert!(!folder.exists(), "the demo leaves {} behind", folder.display());
}
