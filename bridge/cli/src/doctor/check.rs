//! One thing that was looked at.

use serde::Serialize;

/// How it stands, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Something does not work, or is not safe.
    Wrong,
    /// It works, and may not for long or not in every case.
    Doubtful,
    Fine,
}

/// Whose part of the machine it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Whose {
    User,
    Node,
    Relayer,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    pub level: Level,
    pub whose: Whose,
    /// One word.
    pub what: &'static str,
    pub seen: String,
    /// What to do; nothing where it is fine.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub advice: String,
}

/// Makes checks of one part of the machine.
#[derive(Clone, Copy, Debug)]
pub struct Notes(pub Whose);

impl Notes {
    pub fn wrong(self, what: &'static str, seen: impl Into<String>, advice: impl Into<String>) -> Check {
        self.note(Level::Wrong, what, seen, advice)
    }

    pub fn doubtful(self, what: &'static str, seen: impl Into<String>, advice: impl Into<String>) -> Check {
        self.note(Level::Doubtful, what, seen, advice)
    }

    pub fn fine(self, what: &'static str, seen: impl Into<String>) -> Check {
        self.note(Level::Fine, what, seen, "")
    }

    fn note(self, level: Level, what: &'static str, seen: impl Into<String>, advice: impl Into<String>) -> Check {
        Check { level, whose: self.0, what, seen: seen.into(), advice: advice.into() }
    }
}

impl Check {
    /// In one line: whatever others wrote is in it is kept there.
    pub fn line(&self) -> String {
        let level = match self.level {
            Level::Wrong => "WRONG",
            Level::Doubtful => "DOUBTFUL",
            Level::Fine => "fine",
        };
        let whose = match self.whose {
            Whose::User => "user",
            Whose::Node => "node",
            Whose::Relayer => "relayer",
        };
        let Self { what, seen, advice, .. } = self;
        let line = format!("{level:<8}  {whose:<7}  {what:<9}  {seen}");
        let line = if advice.is_empty() { line } else { format!("{line}. {advice}") };
        bridge::foreign::lines(&line).replace('\n', " ")
    }
}

/// The worst first; of those that are as bad, in the order in which they were looked at.
pub fn sort(checks: &mut [Check]) {
    checks.sort_by_key(|check| (check.level, check.whose));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_comes_first_and_each_check_is_one_line() {
        let (user, node) = (Notes(Whose::User), Notes(Whose::Node));
        let mut checks = vec![
            user.fine("disk", "9 GiB free"),
            node.doubtful("clock", "late", "wait"),
            node.wrong("port", "a\nb", "stop it"),
        ];
        sort(&mut checks);
        let lines: Vec<String> = checks.iter().map(Check::line).collect();
        assert_eq!(lines[0], "WRONG     node     port       a b. stop it");
        assert_eq!(lines[1], "DOUBTFUL  node     clock      late. wait");
        assert_eq!(lines[2], "fine      user     disk       9 GiB free");
    }
}
