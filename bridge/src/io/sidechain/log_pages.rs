//! A range of blocks, in as few questions for logs as a node answers.

/// Blocks whose logs are asked for at once.
const MOST_BLOCKS: u64 = 2_000;

/// The blocks that are to be asked for still.
#[derive(Clone, Debug)]
pub struct LogPages {
    /// None: all were answered.
    start: Option<u64>,
    to: u64,
    blocks: u64,
}

impl LogPages {
    pub fn new(from: u64, to: u64) -> Self {
        Self { start: Some(from).filter(|from| *from <= to), to, blocks: MOST_BLOCKS }
    }

    /// First and last block of the next question; none when all were answered.
    pub fn next(&self) -> Option<(u64, u64)> {
        self.start.map(|start| (start, self.to.min(start.saturating_add(self.blocks - 1))))
    }

    /// The question was answered. The next may be about more blocks: those that had much in them may be over.
    pub fn answered(&mut self) {
        self.start = self.next().and_then(|(_, end)| end.checked_add(1)).filter(|start| *start <= self.to);
        self.blocks = (self.blocks * 2).min(MOST_BLOCKS);
    }

    /// The node answers no more than a part of it: the part that its error names, or half. False when the question was about one block.
    pub fn too_many(&mut self, message: &str) -> bool {
        let Some((start, end)) = self.next().filter(|(start, end)| start < end) else { return false };
        let half = start + (end - start - 1) / 2;
        let works = suggested(message).filter(|(from, until)| *from == start && (start..end).contains(until));
        self.blocks = works.map_or(half, |(_, until)| until) - start + 1;
        true
    }
}

/// The range in "... Try with this block range [0x1, 0x2f].", as geth's relatives word it.
fn suggested(message: &str) -> Option<(u64, u64)> {
    let (_, rest) = message.rsplit_once('[')?;
    let (range, _) = rest.split_once(']')?;
    let (from, until) = range.split_once(',')?;
    let number = |text: &str| u64::from_str_radix(text.trim().strip_prefix("0x")?, 16).ok();
    Some((number(from)?, number(until)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A node that answers as many logs as are in so many blocks, and says how far that is. Each range that was answered; how often it refused.
    fn ask(pages: &mut LogPages, logs_in: impl Fn(u64) -> u64, most: u64, suggests: bool) -> (Vec<(u64, u64)>, usize) {
        let (mut answered, mut refused) = (Vec::new(), 0);
        while let Some((start, end)) = pages.next() {
            let mut sum = 0;
            let too_much = (start..=end).find(|block| {
                sum += logs_in(*block);
                sum > most
            });
            match too_much {
                Some(block) if block > start => {
                    refused += 1;
                    let until = block - 1;
                    let range = if suggests {
                        format!(" Try with this block range [{start:#x}, {until:#x}].")
                    } else {
                        String::new()
                    };
                    assert!(pages.too_many(&format!("query returned more than {most} results.{range}")));
                }
                _ => {
                    answered.push((start, end));
                    pages.answered();
                }
            }
        }
        (answered, refused)
    }

    fn is_whole(answered: &[(u64, u64)], from: u64, to: u64) -> bool {
        let follows = answered.windows(2).all(|pair| pair[0].1 + 1 == pair[1].0);
        follows
            && answered.first().is_some_and(|first| first.0 == from)
            && answered.last().is_some_and(|last| last.1 == to)
    }

    #[test]
    fn the_range_that_the_error_names_is_asked_for() {
        // Ten logs a block, and 1,990 of 2,000 blocks fit.
        let (answered, refused) = ask(&mut LogPages::new(1, 10_000), |_| 10, 19_900, true);
        assert!(is_whole(&answered, 1, 10_000));
        assert_eq!(answered[0], (1, 1_990), "all that fit, and not half");
        assert!(answered.len() + refused <= 12, "{} answers, {refused} refusals", answered.len());
        let (halves, _) = ask(&mut LogPages::new(1, 10_000), |_| 10, 19_900, false);
        assert!(is_whole(&halves, 1, 10_000) && halves[0] == (1, 1_000), "a node that names none");
    }

    #[test]
    fn blocks_full_of_logs_do_not_slow_what_follows_them() {
        let (answered, refused) =
            ask(&mut LogPages::new(1, 20_000), |block| if block < 100 { 900 } else { 0 }, 1_000, true);
        assert!(is_whole(&answered, 1, 20_000));
        assert!(answered.len() + refused < 250, "{} answers, {refused} refusals", answered.len());
        assert_eq!(
            answered.last().expect("some").1 - answered[answered.len() - 2].1,
            20_000 - answered[answered.len() - 2].1
        );
    }

    #[test]
    fn a_range_that_makes_no_sense_is_not_believed() {
        for words in [
            "[0x1, 0x0]",
            "[0x2, 0x5]",
            "[0x1, 0xffff]",
            "[1, 2]",
            "[0x1 0x2]",
            "[",
            "]x[",
            "[0x1, 0xfffffffffffffffffff]",
        ] {
            let mut pages = LogPages::new(1, 100);
            assert!(pages.too_many(words));
            assert_eq!(pages.next(), Some((1, 50)), "{words}");
        }
        let mut one = LogPages::new(7, 7);
        assert!(!one.too_many("too many"), "there is no less than a block");
        let mut last = LogPages::new(u64::MAX, u64::MAX);
        assert_eq!(last.next(), Some((u64::MAX, u64::MAX)));
        assert!(!last.too_many(""));
        last.answered();
        assert_eq!(last.next(), None);
    }
}
