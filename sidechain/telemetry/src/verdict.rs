//! Whether a service lives, and whether it can do its work; if not, why, in a line of JSON.

use serde_json::{Value, json};

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// Of a fixed set, for programs.
    pub reason: &'static str,
    /// For people.
    pub message: String,
}

impl Reason {
    pub fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

/// The line; `word` when nothing is wrong.
#[must_use]
pub fn line(word: &str, reasons: &[Reason]) -> String {
    let told: Vec<Value> = reasons.iter().map(|one| json!({ "reason": one.reason, "message": one.message })).collect();
    let status = if reasons.is_empty() { word.to_owned() } else { format!("not {word}") };
    json!({ "status": status, "reasons": told }).to_string() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_one_line_of_json() {
        assert_eq!(line("ready", &[]), "{\"reasons\":[],\"status\":\"ready\"}\n");
        let ill = line("ready", &[Reason::new("disk", "12 bytes\nare left")]);
        assert_eq!(ill.lines().count(), 1, "{ill}");
        assert!(ill.contains(r#""status":"not ready""#) && ill.contains(r#""reason":"disk""#), "{ill}");
    }
}
