//! One child process of the local network: started with its log, told to stop, killed, started again.
//!
//! Every child holds the read end of a pipe as its standard input. Closing the pipe asks it to stop; the operating system
//! closes it when this process dies, however it dies, so that no child is ever left over.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use eyre::{Result, WrapErr, bail};

/// How long a child may take to stop before it is killed. bitcoind flushes its caches, a node its database.
const STOP_TIME: Duration = Duration::from_secs(20);
/// Bytes of a log that are looked at for its last lines.
const TAIL_BYTES: u64 = 16 * 1024;
/// Last lines of a log that are shown when a child ends by itself.
const TAIL_LINES: usize = 12;

/// A program with its arguments and its log.
#[derive(Debug)]
pub struct Process {
    name: String,
    program: PathBuf,
    arguments: Vec<String>,
    /// First line of its standard input: the passphrase of its keys.
    secret: Option<String>,
    log: PathBuf,
    /// It is to run: started, and not killed or stopped since.
    wanted: bool,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    /// Open as long as the child is to run.
    input: Option<ChildStdin>,
}

impl Process {
    pub fn new(name: impl Into<String>, program: &Path, arguments: Vec<String>, log: PathBuf) -> Self {
        Self {
            name: name.into(),
            program: program.to_owned(),
            arguments,
            secret: None,
            log,
            wanted: false,
            running: None,
        }
    }

    /// Given to the child as the first line of its standard input.
    pub fn with_secret(mut self, secret: &str) -> Self {
        self.secret = Some(secret.to_owned());
        self
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn log(&self) -> &Path {
        &self.log
    }

    pub fn pid(&self) -> Option<u32> {
        self.running.as_ref().map(|running| running.child.id())
    }

    /// Starts it; does nothing when it runs.
    pub fn start(&mut self) -> Result<()> {
        if self.running.is_some() {
            return Ok(());
        }
        let log = self.open_log().wrap_err_with(|| format!("cannot write {}", self.log.display()))?;
        let errors = log.try_clone().wrap_err("cannot share the log")?;
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(log)
            .stderr(errors)
            // A Ctrl-C at the terminal is for this process alone: it stops the children in order.
            .process_group(0)
            .spawn()
            .wrap_err_with(|| format!("cannot start {}", self.program.display()))?;
        let mut input = child.stdin.take();
        if let (Some(secret), Some(input)) = (&self.secret, &mut input) {
            // A child that is gone already is found by `ended`, with its log.
            let _ = writeln!(input, "{secret}");
        }
        self.running = Some(Running { child, input });
        self.wanted = true;
        Ok(())
    }

    /// Whether it is to run: started, and not killed or stopped since.
    pub fn is_wanted(&self) -> bool {
        self.wanted
    }

    /// How it ended, if it ended by itself; then it no longer runs.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.running.as_mut()?.child.try_wait().ok()??;
        self.running = None;
        Some(status)
    }

    /// Fails with the last lines of the log when it is not running.
    pub fn expect_running(&mut self) -> Result<()> {
        match self.ended() {
            None if self.running.is_some() => Ok(()),
            None => bail!("{} does not run", self.name),
            Some(status) => {
                bail!("{} ended ({status}); the last lines of {}:\n{}", self.name, self.log.display(), self.tail())
            }
        }
    }

    /// Asks it to stop, without waiting.
    pub fn ask_to_stop(&mut self) {
        self.wanted = false;
        if let Some(running) = &mut self.running {
            running.input = None;
        }
    }

    /// Waits until it stopped, at most [`STOP_TIME`] from `asked` on; then it is killed.
    pub fn wait_stopped(&mut self, asked: Instant) {
        self.ask_to_stop();
        while let Some(running) = &mut self.running {
            match running.child.try_wait() {
                Ok(None) if asked.elapsed() < STOP_TIME => std::thread::sleep(Duration::from_millis(20)),
                Ok(None) => {
                    tracing::warn!(name = self.name, "did not stop in time and is killed");
                    self.kill();
                }
                _ => self.running = None,
            }
        }
    }

    /// Kills it as `kill -9` does.
    pub fn kill(&mut self) {
        self.wanted = false;
        if let Some(mut running) = self.running.take() {
            let _ = running.child.kill(); // It may have ended this moment.
            let _ = running.child.wait();
        }
    }

    /// The last lines of its log.
    pub fn tail(&self) -> String {
        last_lines(&self.log).unwrap_or_else(|error| format!("  (cannot read it: {error})"))
    }

    fn open_log(&self) -> std::io::Result<File> {
        if let Some(folder) = self.log.parent() {
            std::fs::create_dir_all(folder)?;
        }
        OpenOptions::new().create(true).append(true).open(&self.log)
    }
}

impl Drop for Process {
    /// A network that is dropped without being stopped (a test that failed) must not live on.
    fn drop(&mut self) {
        self.kill();
    }
}

fn last_lines(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<_> = text.lines().collect();
    let from = lines.len().saturating_sub(TAIL_LINES);
    // What went wrong is often said before a long goodbye.
    let says_error = |line: &&&str| line.to_lowercase().contains("error");
    let errors = lines[..from].iter().rev().filter(says_error).take(3);
    let shown = errors.collect::<Vec<_>>().into_iter().rev().chain(&lines[from..]);
    Ok(shown.map(|line| format!("  {line}\n")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(folder: &Path, script: &str) -> Process {
        Process::new("child", Path::new("/bin/sh"), vec!["-c".into(), script.into()], folder.join("child.log"))
    }

    #[test]
    fn closing_its_input_stops_a_child() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut child = shell(folder.path(), "read line; echo got $line; read more; echo stopped").with_secret("word");
        child.start().expect("sh is everywhere");
        child.wait_stopped(Instant::now());
        assert_eq!(child.pid(), None);
        assert_eq!(child.tail(), "  got word\n  stopped\n");
    }

    #[test]
    fn a_child_that_ends_by_itself_is_reported_with_its_last_words() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut child = shell(folder.path(), "echo the disk is full; exit 3");
        child.start().expect("sh is everywhere");
        let error = loop {
            if let Err(error) = child.expect_running() {
                break error.to_string();
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        assert!(error.contains("exit status: 3") && error.contains("the disk is full"), "{error}");
        assert!(child.expect_running().expect_err("still not").to_string().contains("does not run"));
    }

    #[test]
    fn a_killed_child_can_be_started_again() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut child = shell(folder.path(), "read line");
        child.start().expect("sh is everywhere");
        let first = child.pid();
        child.kill();
        assert_eq!(child.pid(), None);
        child.start().expect("again");
        assert!(child.pid().is_some() && child.pid() != first);
    }
}
