//! Processes that end with their test, however it ends.

use std::process::{Child, ChildStdin, Command, ExitStatus};

/// A process that is killed when dropped.
#[derive(Debug)]
pub struct Process(Child);

impl Process {
    /// Starts it.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    #[must_use]
    pub fn start(command: &mut Command) -> Self {
        Self(command.spawn().unwrap_or_else(|error| panic!("{:?} does not start: {error}", command.get_program())))
    }

    #[must_use]
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Its piped standard input, once; it is closed when that is dropped.
    ///
    /// # Panics
    ///
    /// When it was not piped, or taken before.
    pub fn stdin(&mut self) -> ChildStdin {
        self.0.stdin.take().expect("piped")
    }

    /// How it ended; none while it runs.
    ///
    /// # Panics
    ///
    /// Never: a child can be asked.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().expect("our child")
    }

    /// `kill -9`, unless it has ended by itself.
    pub fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
