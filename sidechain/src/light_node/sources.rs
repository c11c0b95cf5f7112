//! Which of several nodes are asked, in which order. One that fails or lies is left out for a while that grows, and never for good.

/// How long a node is left out after its first fault.
const FIRST_PAUSE_MS: u64 = 1_000;
/// The most that it is left out: five minutes. A node that was repaired is found again soon enough.
const LONGEST_PAUSE_MS: u64 = 300_000;

/// Nodes, by their URLs, in the order in which they were named.
#[derive(Clone, Debug)]
pub struct Sources {
    each: Vec<Standing>,
}

#[derive(Clone, Debug)]
struct Standing {
    url: String,
    /// Times in a row that it did not answer.
    failures: u32,
    /// Times that it lied, ever: honest answers in between make no lie good.
    lies: u32,
    left_out_until_ms: u64,
}

impl Sources {
    #[must_use]
    pub fn new(urls: &[String]) -> Self {
        let each = urls.iter().map(|url| Standing { url: url.clone(), failures: 0, lies: 0, left_out_until_ms: 0 });
        Self { each: each.collect() }
    }

    #[must_use]
    pub fn url(&self, index: usize) -> &str {
        &self.each[index].url
    }

    /// All URLs, for people.
    #[must_use]
    pub fn urls(&self) -> String {
        self.each.iter().map(|node| node.url.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// Whom to ask, in this order, and who is left out: to be asked, those first whose time ends first, when none of the others has an
    /// answer that holds. So a question is never refused without all having been asked.
    #[must_use]
    pub fn order(&self, now_ms: u64) -> [Vec<usize>; 2] {
        let is_well = |index: &usize| self.each[*index].left_out_until_ms <= now_ms;
        let (well, mut left_out): (Vec<usize>, Vec<usize>) = (0..self.each.len()).partition(is_well);
        left_out.sort_by_key(|index| self.each[*index].left_out_until_ms);
        [well, left_out]
    }

    /// The node answered, and what it said holds.
    pub fn holds(&mut self, index: usize) {
        self.each[index].failures = 0;
    }

    /// The node did not answer, or lied. How long it is left out, in milliseconds.
    pub fn fault(&mut self, index: usize, lied: bool, now_ms: u64) -> u64 {
        let node = &mut self.each[index];
        let before = node.failures.saturating_add(node.lies).min(16);
        let pause_ms = FIRST_PAUSE_MS.saturating_mul(1 << before).min(LONGEST_PAUSE_MS);
        let count = if lied { &mut node.lies } else { &mut node.failures };
        *count = count.saturating_add(1);
        node.left_out_until_ms = now_ms.saturating_add(pause_ms);
        pause_ms
    }
}
