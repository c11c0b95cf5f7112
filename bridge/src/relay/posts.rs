//! Posts that wait to be sent to the signing board, in order.

use std::collections::VecDeque;

use crate::board::Post;

/// Milliseconds for which a post that could not be sent is tried again; after that its session repeats it.
pub const POST_FOR_MS: u64 = 5_000;

/// Posts that may wait. A member posts twice in a session; of more than this the sessions repeat the oldest.
const MAX_WAITING: usize = 256;

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

    /// The first one is sent, or never will be.
    pub fn pop(&mut self) {
        self.waiting.pop_front();
    }
}
