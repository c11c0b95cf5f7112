//! What the demo shows: numbered steps, and facts with the time each took.

use std::time::{Duration, Instant};

use eyre::{Result, bail};

/// How long any one step may take before something must be wrong.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// Time between two looks at something that is waited for.
pub const POLL: Duration = Duration::from_millis(150);

pub struct Story {
    start: Instant,
    step: Instant,
    number: u32,
}

impl Story {
    pub fn new() -> Self {
        Self { start: Instant::now(), step: Instant::now(), number: 0 }
    }

    /// Begins the next step.
    pub fn step(&mut self, title: impl AsRef<str>) {
        self.number += 1;
        self.step = Instant::now();
        println!("\n{}. {}", self.number, title.as_ref());
    }

    /// A line of the step: how long after its beginning, a name, and what was seen.
    pub fn fact(&mut self, name: &str, text: impl std::fmt::Display) {
        let elapsed = self.step.elapsed();
        println!("   {:>3}.{} s  {name:<11} {text}", elapsed.as_secs(), elapsed.subsec_millis() / 100);
    }

    pub fn end(&self) {
        println!("\nEvery amount matches. {} s in all.", self.start.elapsed().as_secs());
    }
}

/// Asks until there is an answer. `what` completes "waited until".
///
/// # Errors
///
/// Those of `ask`, and [`PATIENCE`] is over.
pub async fn wait<T>(what: &str, mut ask: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask().await? {
            return Ok(answer);
        }
        if start.elapsed() > PATIENCE {
            bail!("waited {} s until {what}", PATIENCE.as_secs());
        }
        tokio::time::sleep(POLL).await;
    }
}
