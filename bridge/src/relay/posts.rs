//! Posts that wait to be sent to the signing board, in order.

use std::collections::VecDeque;

use crate::board::Post;

/// Milliseconds for which a post that could not be sent is tried again; after that its session repeats it.
pub const POST_FOR_MS: u64 = 5_000;

/// Posts that may wait. A member posts twice in a session; of more than this the sessions repeat the oldest.
const MAX_WAITING: usize = 256;

/// What came of sending a post.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PostEnd {
    /// It is under way.
    Sent,
    /// The node's pool does not take it now: it is sent again, and the later ones wait behind it.
    RefusedByThePool,
    /// The board would refuse it: it is given up, its session repeats what is still wanted.
    WouldFail,
}

/// What is not sent yet.
#[derive(Clone, Debug, Default)]
pub struct Posts {
    waiting: VecDeque<(u64, Post)>,
}

impl Posts {
    pub fn push(&mut self, post: Post, clock_ms: u64) {
        if self.waiting.len() >= MAX_WAITING {
            self.waiting.pop_front();
        }
        self.waiting.push_back((clock_ms, post));
    }

    /// The post to send next.
    pub fn first(&mut self, clock_ms: u64) -> Option<&Post> {
        self.waiting.retain(|(since, _)| clock_ms.saturating_sub(*since) < POST_FOR_MS);
        self.waiting.front().map(|(_, post)| post)
    }

    /// What came of the first one.
    pub fn ended(&mut self, end: PostEnd) {
        match end {
            PostEnd::Sent | PostEnd::WouldFail => drop(self.waiting.pop_front()),
            PostEnd::RefusedByThePool => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::B256;

    use super::*;
    use crate::board::{Kind, Session};

    fn post(payload: u8) -> Post {
        let to = Session::Signing { number: 1, attempt: 1 };
        Post { to, session: B256::ZERO, kind: Kind::Shares, payload: vec![payload] }
    }

    #[test]
    fn posts_go_in_order_and_are_given_up_when_they_are_old() {
        let mut posts = Posts::default();
        posts.push(post(1), 0);
        posts.push(post(2), 1_000);
        assert_eq!(posts.first(POST_FOR_MS - 1), Some(&post(1)));
        assert_eq!(posts.first(POST_FOR_MS), Some(&post(2)));
        posts.ended(PostEnd::RefusedByThePool);
        assert_eq!(posts.first(POST_FOR_MS), Some(&post(2)), "it is sent again");
        posts.ended(PostEnd::Sent);
        assert_eq!(posts.first(POST_FOR_MS), None);
    }

    #[test]
    fn only_so_many_wait() {
        let mut posts = Posts::default();
        (0..=MAX_WAITING).for_each(|number| posts.push(post(u8::try_from(number % 256).expect("a byte")), 0));
        assert_eq!(posts.waiting.len(), MAX_WAITING);
        assert_eq!(posts.first(0), Some(&post(1)), "the oldest has gone");
    }
}
