//! The built `causeway`, run as a user runs it: in a home folder of its own, to its end, and within bounds.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;

use crate::process::Process;
use crate::waiting::Patience;

/// Longer than any command takes that a test runs to its end. The demo takes two minutes, more on a machine that is busy.
const LONGEST_RUN: Duration = Duration::from_secs(480);

/// Where cargo put the binary: beside this test's own folder.
///
/// # Panics
///
/// When it is not built: cargo builds no other package's binary for a test.
#[must_use]
pub fn path() -> PathBuf {
    let test = std::env::current_exe().expect("a running program knows where it is");
    let path = test.ancestors().nth(2).expect("target/debug/deps/test").join("causeway");
    assert!(path.is_file(), "there is no {}: run `cargo build -p causeway` first (`make test` does)", path.display());
    path
}

/// `causeway` with these arguments, a home folder of its own, and none of the caller's settings.
pub fn command<A: AsRef<OsStr>>(home: &Path, arguments: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(path());
    command.args(arguments).env("HOME", home).env_remove("XDG_DATA_HOME").stdin(Stdio::null());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("CAUSEWAY_")) {
        command.env_remove(name);
    }
    command
}

/// What a finished command left.
#[derive(Debug)]
pub struct Finished {
    /// None: ended by a signal.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Runs it to its end, with `input` as its standard input.
///
/// # Panics
///
/// When it cannot be started, or does not end.
pub fn run<A: AsRef<OsStr>>(home: &Path, arguments: impl IntoIterator<Item = A>, input: &str) -> Finished {
    let mut child = spawn(home, arguments);
    let mut pipe = child.stdin.take().expect("piped");
    let _ = pipe.write_all(input.as_bytes()); // One that fails early does not read.
    drop(pipe);
    end(child, "causeway").into()
}

/// Starts it, with pipes for all three.
///
/// # Panics
///
/// When it cannot be started.
pub fn spawn<A: AsRef<OsStr>>(home: &Path, arguments: impl IntoIterator<Item = A>) -> Child {
    let mut command = command(home, arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("the binary starts")
}

/// Runs it until it has told `until`, and kills it; what it told.
///
/// # Panics
///
/// When it does not tell that within a minute.
pub fn interrupted<A: AsRef<OsStr>>(home: &Path, arguments: impl IntoIterator<Item = A>, until: &str) -> String {
    const A_MINUTE: Patience = Patience::new(Duration::from_secs(60), Duration::from_millis(50));
    let told = home.join("told.txt");
    let file = File::create(&told).expect("a file");
    let _waiting = Process::start(command(home, arguments).stdout(file.try_clone().expect("a file")).stderr(file));
    let text = || fs::read_to_string(&told).expect("it is there");
    A_MINUTE.until(until, text, || Some(text()).filter(|text| text.contains(until)))
}

/// Waits for the end of a process whose output is piped, and gives what it wrote. One that does not end is killed.
///
/// # Panics
///
/// When it does not end.
pub fn end(child: Child, name: &str) -> Output {
    let id = child.id().to_string();
    let (sender, ended) = mpsc::channel();
    std::thread::spawn(move || sender.send(child.wait_with_output()));
    ended.recv_timeout(LONGEST_RUN).map(|output| output.expect("our child")).unwrap_or_else(|_| {
        let _ = Command::new("kill").args(["-KILL", &id]).status(); // So that it tells what it wrote.
        let written = ended.recv_timeout(Duration::from_secs(10)).ok().and_then(Result::ok).map(Finished::from);
        let written = written.map(|finished| finished.to_string()).unwrap_or_default();
        panic!("{name} did not end within {} s\n{written}", LONGEST_RUN.as_secs())
    })
}

impl From<Output> for Finished {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

impl Finished {
    /// The lines of `--json`.
    ///
    /// # Panics
    ///
    /// When it failed, or a line is not JSON.
    #[must_use]
    pub fn json(&self) -> Vec<Value> {
        assert_eq!(self.code, Some(0), "{self}");
        self.stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
            .collect()
    }

    /// It failed with status 1, and its error says all of `words`.
    ///
    /// # Panics
    ///
    /// When it did not, or left them out.
    pub fn fails_saying(&self, words: &[&str]) {
        self.refused(1, words);
    }

    /// The arguments were refused (status 2), and the error says all of `words`.
    ///
    /// # Panics
    ///
    /// When they were not, or it left them out.
    pub fn is_misused_saying(&self, words: &[&str]) {
        self.refused(2, words);
    }

    /// It failed with a status that says why, and its error says all of `words`.
    ///
    /// # Panics
    ///
    /// When it did not, or left them out.
    pub fn ends_with(&self, status: i32, words: &[&str]) {
        self.refused(status, words);
    }

    /// The error of a command with `--json`: the last line of standard error.
    ///
    /// # Panics
    ///
    /// When there is none, or it has another shape.
    #[must_use]
    pub fn json_error(&self) -> Value {
        let last = self.stderr.lines().last().unwrap_or_default();
        let line: Value = serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {self}"));
        let error = line["error"].clone();
        let is_whole = error["code"].is_string() && error["message"].is_string() && error["help"].is_string();
        assert!(is_whole && error["detail"].is_array(), "{self}");
        error
    }

    fn refused(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{self}");
        let is_shown = self.stderr.contains("error:") || self.stderr.contains("{\"error\":");
        assert!(is_shown, "no error is shown: {self}");
        assert!(!self.stderr.contains("panicked"), "{self}");
        for word in words {
            assert!(self.stderr.contains(word), "the error does not say {word:?}: {self}");
        }
    }
}

impl std::fmt::Display for Finished {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "status {:?}\n{}\n{}", self.code, self.stdout, self.stderr)
    }
}
