//! Where a member's own policy stands on a vault transaction: when it is asked, and when it is asked again.
//!
//! ```text
//!   undecided --ask--> asked --its facts are there--> given          for good
//!       ^                |                      \---> refused        asked again, if that may pass
//!       \---- no answer -/
//! ```

use crate::policy::Refusal;

/// One vault transaction's approval.
#[derive(Clone, Debug, Default)]
pub struct Approval {
    is_given: bool,
    is_asked: bool,
    refusal: Option<Refusal>,
}

/// What a verdict changes, for an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News<'a> {
    Refused(&'a Refusal),
    /// What was refused before is approved.
    Over,
}

impl Approval {
    /// Whether the member may commit to sign.
    #[must_use]
    pub fn is_given(&self) -> bool {
        self.is_given
    }

    /// Whether the policy's facts are to be gathered now; they are then under way until [`Approval::unanswered`] or
    /// [`Approval::decided`].
    pub fn ask(&mut self) -> bool {
        let is_open = !self.is_given && self.refusal.as_ref().is_none_or(Refusal::may_pass);
        is_open && !std::mem::replace(&mut self.is_asked, true)
    }

    /// Its facts could not be gathered: ask again.
    pub fn unanswered(&mut self) {
        self.is_asked = false;
    }

    /// Takes the policy's verdict; returns a refusal that was not known before, or that one is over.
    pub fn decided(&mut self, verdict: Result<(), Refusal>) -> Option<News<'_>> {
        self.is_asked = false;
        self.is_given = verdict.is_ok();
        let refusal = verdict.err();
        if self.refusal == refusal {
            return None;
        }
        self.refusal = refusal;
        Some(self.refusal.as_ref().map_or(News::Over, News::Refused))
    }

    /// Whether the policy refuses, as far as it was asked.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.refusal.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passing() -> Refusal {
        let refusal = Refusal::NotFinal;
        assert!(refusal.may_pass());
        refusal
    }

    #[test]
    fn its_facts_are_gathered_once_until_there_is_an_answer() {
        let mut approval = Approval::default();
        assert!(approval.ask());
        assert!(!approval.ask(), "they are under way");
        approval.unanswered();
        assert!(approval.ask());
        assert_eq!(approval.decided(Ok(())), None);
        assert!(approval.is_given() && !approval.ask(), "for good");
    }

    #[test]
    fn a_refusal_that_may_pass_is_asked_about_again_and_told_once() {
        let mut approval = Approval::default();
        assert_eq!(approval.decided(Err(passing())), Some(News::Refused(&passing())));
        assert!(approval.is_refused());
        assert!(approval.ask() && !approval.is_given());
        assert_eq!(approval.decided(Err(passing())), None, "told before");
        assert_eq!(approval.decided(Ok(())), Some(News::Over));
        assert!(approval.is_given() && !approval.is_refused());
        assert_eq!(approval.decided(Ok(())), None, "told once that it is over");
    }
}
