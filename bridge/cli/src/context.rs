//! What every command is given: how it prints its result, and a runtime to wait in.

use std::future::Future;

use clap::ValueEnum;
use eyre::{Result, WrapErr};

/// What every command is given.
#[derive(Clone, Debug)]
pub struct Context {
    /// Print results as JSON, one object a line.
    pub json: bool,
    pub log_format: LogFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Human,
    Json,
}

impl Context {
    /// Runs a command that waits for networks. Each command has one runtime, made when it is first needed.
    pub fn block_on<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .wrap_err("the operating system gives no threads for the runtime")?;
        runtime.block_on(work)
    }

    /// Prints a result: as one line of JSON for scripts, else what `human` writes.
    pub fn print(&self, json: &impl serde::Serialize, human: impl FnOnce()) {
        if self.json {
            let json = serde_json::to_string(json).expect("our own types always serialise");
            println!("{}", crate::terminal::escaped(&json));
        } else {
            human();
        }
    }
}
