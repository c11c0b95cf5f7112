//! What the container image runs, without an image: its entry point with a file in the place of the mounted secret, and its health check, as the
//! `Containerfile` has it, against a node that runs.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tests::process::Process;
use tests::validators::{PASSPHRASE, Validators};
use tests::waiting::Patience;
use tests::{binary, port};

const PATIENCE: Patience = Patience::new(Duration::from_secs(60), Duration::from_millis(100));

fn in_repository(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name)).expect("in the repository")
}

/// The entry point, with this secret and the binary of this build in their places.
fn entry_point(folder: &Path, secret: &Path) -> PathBuf {
    let text = in_repository("bridge/cli/container/start");
    let (mounted, installed) = ("/run/secrets/passphrase", "/usr/bin/causeway");
    assert!(text.contains(mounted) && text.contains(installed), "{text}");
    let text = text.replace(mounted, &secret.display().to_string());
    let path = folder.join("start");
    fs::write(&path, text.replace(installed, &binary::path().display().to_string())).expect("writable");
    path
}

fn start(entry: &Path, config: &Path, log: &Path) -> Process {
    let log = File::options().create(true).append(true).open(log).expect("writable");
    let mut command = Command::new("sh");
    command.arg(entry).args(["node", "--config"]).arg(config).env_remove("CAUSEWAY_LOG");
    command.stdin(Stdio::null()).stdout(log.try_clone().expect("a file can be shared")).stderr(log);
    Process::start(&mut command)
}

/// What a container's runtime runs to see whether it is healthy.
fn is_healthy(address: &str) -> bool {
    let file = in_repository("Containerfile");
    let line = file.lines().find_map(|line| line.strip_prefix("HEALTHCHECK ")).expect("it has one");
    let (_, check) = line.split_once("CMD ").expect("a command");
    let ended = Command::new("sh").args(["-c", check]).env("HEALTH", address).output().expect("a shell");
    ended.status.success()
}

#[test]
fn a_container_takes_its_passphrase_from_the_secret_is_healthy_when_ready_and_stops_in_order() {
    let mut network = Validators::new(4);
    let (secret, log) = (network.home().join("secret"), network.home().join("container.log"));
    fs::write(&secret, format!("{PASSPHRASE}\n")).expect("writable");
    let entry = entry_point(network.home(), &secret);
    let address = format!("127.0.0.1:{}", port::free());
    network.configure(0, &format!("[metrics]\nlisten = \"{address}\"\n"));
    assert!(!is_healthy(&address), "nothing runs");

    let mut container = start(&entry, &network.config(0), &log);
    let shown = || fs::read_to_string(&log).unwrap_or_default();
    PATIENCE.until("it starts", shown, || shown().contains("validator started").then_some(()));
    assert!(!is_healthy(&address), "a validator that is alone is not ready");
    (1..4).for_each(|index| network.start(index));
    PATIENCE.until("it is healthy", shown, || is_healthy(&address).then_some(()));

    // The shell is gone: what the runtime signals is the service.
    let sent = Command::new("kill").args(["-TERM", &container.id().to_string()]).status();
    assert!(sent.expect("kill is there").success());
    let status = PATIENCE.until("it stops", shown, || container.ended());
    assert_eq!(status.code(), Some(0), "{}", shown());

    // Without a secret a validator does not start, and says what is missing.
    fs::remove_file(&secret).expect("written");
    let mut container = start(&entry, &network.config(0), &log);
    let status = PATIENCE.until("it ends", shown, || container.ended());
    assert!(!status.success() && shown().contains("passphrase"), "{}", shown());
}

#[test]
fn a_follower_in_a_container_needs_no_secret() {
    let mut network = Validators::started(4);
    let follower = network.follow(0);
    network.kill(follower);
    let log = network.home().join("container.log");
    let entry = entry_point(network.home(), &network.home().join("no-secret"));
    let _container = start(&entry, &network.config(follower), &log);
    let shown = || fs::read_to_string(&log).unwrap_or_default();
    PATIENCE.until("it follows", shown, || shown().contains("follower started").then_some(()));
}
