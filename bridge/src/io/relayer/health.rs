//! Says once that somebody fails, and once that it works again.

use std::fmt::Display;

/// The health of one that the relayer depends on.
pub struct Health {
    who: &'static str,
    error: Option<String>,
}

impl Health {
    pub fn new(who: &'static str) -> Self {
        Self { who, error: None }
    }

    pub fn failed(&mut self, error: &impl Display) {
        let text = error.to_string();
        if self.error.as_ref() != Some(&text) {
            tracing::warn!("{text}; waiting for it");
            self.error = Some(text);
        }
    }

    pub fn recovered(&mut self) {
        if self.error.take().is_some() {
            tracing::info!("{} is back", self.who);
        }
    }
}
