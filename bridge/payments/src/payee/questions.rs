//! What contracts are asked that sign vouchers (EIP-1271): whether a signature is theirs.
//!
//! Only the chain knows, so an answer takes time, and a contract may be made to take long. No more than a few are asked for at once, of one signer fewer still, and an
//! answer is kept for a while, so that the same question costs the chain nothing. Payers that sign by a key wait for none of it.

use std::collections::{BTreeMap, VecDeque};

use alloy_primitives::{Address, B256, Bytes, FixedBytesSliceExt as _, keccak256};

use super::Refused;

/// Asked at once, in all,
pub const MOST_ASKED: usize = 64;

/// and of one signer: so that one contract that is slow leaves room for others.
pub const MOST_ASKED_OF_ONE: usize = 8;

/// Answers that are kept: half a megabyte.
const MOST_KEPT: usize = 4_096;

/// Seconds for which an answer is kept: a contract may change its mind, and then no claim of it works any more.
const KEPT_S: u64 = 60;

/// What a contract is asked: `isValidSignature(digest, signature)`, which must answer within the 100,000 gas that `MicroChannel` gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    pub signer: Address,
    pub digest: B256,
    pub signature: Bytes,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// It was answered a moment ago.
    Known(bool),
    /// The chain is to be asked, and then [`Questions::answered`] or [`Questions::unanswered`] called.
    Ask,
}

/// All questions under way, and the last answers.
#[derive(Clone, Debug, Default)]
pub struct Questions {
    asked: usize,
    asked_of: BTreeMap<Address, usize>,
    answers: BTreeMap<B256, (bool, u64)>,
    order: VecDeque<B256>,
}

impl Question {
    fn key(&self) -> B256 {
        keccak256([self.signer.into_word(), self.digest, keccak256(&self.signature)].as_flattened())
    }
}

impl Questions {
    /// Begins to ask, unless it is known.
    ///
    /// # Errors
    ///
    /// `Busy`: try again later.
    pub fn ask(&mut self, question: &Question, now_unix_s: u64) -> Result<Asked, Refused> {
        let fresh = |(_, at): &&(bool, u64)| now_unix_s.abs_diff(*at) < KEPT_S;
        if let Some((answer, _)) = self.answers.get(&question.key()).filter(fresh) {
            return Ok(Asked::Known(*answer));
        }
        let signer = question.signer;
        let of_one = self.asked_of.entry(signer).or_default();
        if *of_one >= MOST_ASKED_OF_ONE || self.asked >= MOST_ASKED {
            let asked = *of_one;
            self.unlist(signer);
            return Err(Refused::Busy { signer, asked });
        }
        *of_one += 1;
        self.asked += 1;
        Ok(Asked::Ask)
    }

    /// The chain answered.
    pub fn answered(&mut self, question: &Question, answer: bool, now_unix_s: u64) {
        self.unanswered(question);
        let key = question.key();
        if self.answers.insert(key, (answer, now_unix_s)).is_none() {
            self.order.push_back(key);
        }
        while self.order.len() > MOST_KEPT {
            self.order.pop_front().map(|oldest| self.answers.remove(&oldest));
        }
    }

    /// The chain did not answer, or nobody waits for it any more.
    pub fn unanswered(&mut self, question: &Question) {
        if let Some(of_one) = self.asked_of.get_mut(&question.signer) {
            *of_one = of_one.saturating_sub(1);
            self.asked = self.asked.saturating_sub(1);
        }
        self.unlist(question.signer);
    }

    fn unlist(&mut self, signer: Address) {
        if self.asked_of.get(&signer) == Some(&0) {
            self.asked_of.remove(&signer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(signer: u8, number: u64) -> Question {
        let signer = Address::repeat_byte(signer);
        Question { signer, digest: B256::with_last_byte(1), signature: number.to_be_bytes().to_vec().into() }
    }

    #[test]
    fn a_contract_is_asked_once_for_a_while_and_again_after_it() {
        let mut questions = Questions::default();
        assert_eq!(questions.ask(&question(1, 1), 100), Ok(Asked::Ask));
        questions.answered(&question(1, 1), false, 100);
        assert_eq!(questions.ask(&question(1, 1), 159), Ok(Asked::Known(false)));
        assert_eq!(questions.ask(&question(1, 2), 100), Ok(Asked::Ask), "another signature");
        assert_eq!(questions.ask(&question(2, 1), 100), Ok(Asked::Ask), "another signer");
        assert_eq!(questions.ask(&question(1, 1), 160), Ok(Asked::Ask));
    }

    #[test]
    fn what_is_asked_at_once_has_a_bound_of_one_signer_and_in_all() {
        let mut questions = Questions::default();
        let signer = Address::repeat_byte(1);
        (0..8).for_each(|number| assert_eq!(questions.ask(&question(1, number), 0), Ok(Asked::Ask)));
        assert_eq!(questions.ask(&question(1, 8), 0), Err(Refused::Busy { signer, asked: 8 }));
        for (signer, number) in (2..9).flat_map(|signer| (0..8).map(move |number| (signer, number))) {
            assert_eq!(questions.ask(&question(signer, number), 0), Ok(Asked::Ask));
        }
        assert!(matches!(questions.ask(&question(9, 0), 0), Err(Refused::Busy { asked: 0, .. })));
        questions.unanswered(&question(1, 0));
        assert_eq!(questions.ask(&question(9, 0), 0), Ok(Asked::Ask));
        (1..10).for_each(|signer| (0..8).for_each(|number| questions.unanswered(&question(signer, number))));
        assert_eq!((questions.asked, questions.asked_of.len()), (0, 0));
    }

    #[test]
    fn answers_that_are_kept_have_a_bound() {
        let mut questions = Questions::default();
        for number in 0..5_000 {
            questions.answered(&question(1, number), true, 0);
        }
        assert_eq!((questions.answers.len(), questions.order.len()), (MOST_KEPT, MOST_KEPT));
        assert_eq!(questions.ask(&question(1, 0), 0), Ok(Asked::Ask));
    }
}
