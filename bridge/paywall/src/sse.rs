//! Server-sent events (HTML, section 9.2), as they come: whole, so that a seller's can come between those of its upstream, and a payer finds them.

/// What the names of a seller's own events begin with: no upstream's may pass for one.
const OWN: &str = "payment-";

/// Bytes of the longest event.
pub const MOST_BYTES: usize = 1 << 20;

/// An answer, taken apart.
#[derive(Debug, Default)]
pub struct Events {
    waiting: Vec<u8>,
    looked_at: usize,
}

/// One event, or comments alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Empty where none is named.
    pub name: String,
    pub data: String,
    /// As it came, the empty line at its end included.
    pub bytes: Vec<u8>,
}

/// An event is longer than any that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event of the answer is longer than {MOST_BYTES} bytes")]
pub struct TooLong;

impl Events {
    /// Takes a part of the answer; returns the events that are whole now.
    ///
    /// # Errors
    ///
    /// `TooLong`.
    pub fn push(&mut self, part: &[u8]) -> Result<Vec<Event>, TooLong> {
        self.waiting.extend_from_slice(part);
        let (mut events, mut start) = (Vec::new(), 0);
        let mut at = self.looked_at;
        while let Some(end) = line_end(&self.waiting, at) {
            // An end of a line at once after another, or at the very beginning.
            match line_end_at(&self.waiting, end) {
                Some(end) => {
                    events.push(Event::read(&self.waiting[start..end]));
                    (start, at) = (end, end);
                }
                None => at = end,
            }
        }
        self.waiting.drain(..start);
        // An end of a line may be cut in two, and the one before it may be the first of both.
        self.looked_at = self.waiting.len().saturating_sub(4);
        if self.waiting.len() > MOST_BYTES { Err(TooLong) } else { Ok(events) }
    }

    /// What the answer ended with: no whole event, which clients do not look at.
    #[must_use]
    pub fn rest(self) -> Option<Event> {
        (!self.waiting.is_empty()).then(|| Event::read(&self.waiting))
    }
}

impl Event {
    /// Whether it is a seller's own.
    #[must_use]
    pub fn is_of_seller(&self) -> bool {
        self.name.starts_with(OWN)
    }

    /// Whether it is more than comments.
    #[must_use]
    pub fn is_one(&self) -> bool {
        !self.data.is_empty()
            || self.bytes.split(|byte| matches!(byte, b'\n' | b'\r')).any(|line| line.starts_with(b"data"))
    }

    fn read(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let (mut name, mut data) = (String::new(), Vec::new());
        for line in text.split(['\n', '\r']).filter(|line| !line.is_empty()) {
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => value.clone_into(&mut name),
                "data" => data.push(value),
                _ => {}
            }
        }
        Self { name, data: data.join("\n"), bytes: bytes.to_vec() }
    }
}

/// An event of a seller's own.
#[must_use]
pub fn event(name: &str, data: &str) -> Vec<u8> {
    format!("event: {name}\ndata: {data}\n\n").into_bytes()
}

/// Behind the first end of a line at or after `from`.
fn line_end(bytes: &[u8], from: usize) -> Option<usize> {
    (from..bytes.len()).find_map(|at| line_end_at(bytes, at))
}

/// Behind the end of a line that is at `at`: \n, \r\n or \r. A \r at the very end may be followed by its \n.
fn line_end_at(bytes: &[u8], at: usize) -> Option<usize> {
    match (bytes.get(at)?, bytes.get(at + 1)) {
        (b'\n', _) => Some(at + 1),
        (b'\r', Some(b'\n')) => Some(at + 2),
        (b'\r', Some(_)) => Some(at + 1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ANSWER: &[u8] =
        b"data: one\n\n: beat\n\nid: 1\rdata: two\r\ndata: more\r\n\r\nevent: x\rdata:three\r\rdata: torn";

    fn read(parts: &[&[u8]]) -> (Vec<(String, String, bool)>, Option<Event>) {
        let mut events = Events::default();
        let each = parts.iter().flat_map(|part| events.push(part).expect("short"));
        let each = each.map(|event| (event.name.clone(), event.data.clone(), event.is_one())).collect();
        (each, events.rest())
    }

    #[test]
    fn events_are_read_with_their_names_and_all_their_lines() {
        let event = |name: &str, data: &str, is_one| (name.to_owned(), data.to_owned(), is_one);
        let want =
            [event("", "one", true), event("", "", false), event("", "two\nmore", true), event("x", "three", true)];
        let (events, rest) = read(&[ANSWER]);
        assert_eq!((events, rest.map(|rest| rest.bytes)), (want.to_vec(), Some(b"data: torn".to_vec())));
        assert_eq!(Events::default().rest(), None);
    }

    #[test]
    fn a_sellers_own_events_are_told_from_those_of_its_upstream() {
        let mut events = Events::default();
        let own = event("payment-receipt", "{}");
        let both = events.push(&[own.as_slice(), b"event: tokens\ndata: 1\n\n"].concat()).expect("short");
        assert_eq!(both.iter().map(Event::is_of_seller).collect::<Vec<_>>(), [true, false]);
    }

    #[test]
    fn an_event_without_end_is_not_kept_for_ever() {
        let mut events = Events::default();
        events.push(&vec![b'x'; MOST_BYTES]).expect("as long as may be");
        assert_eq!(events.push(b"y"), Err(TooLong));
    }

    proptest! {
        #[test]
        fn however_it_is_cut_it_is_the_same(mut cuts in prop::collection::vec(0..ANSWER.len(), 0..20)) {
            cuts.sort_unstable();
            let ends = cuts.iter().copied().chain([ANSWER.len()]);
            let starts = [0].into_iter().chain(cuts.iter().copied());
            let parts: Vec<&[u8]> = starts.zip(ends).map(|(start, end)| &ANSWER[start..end]).collect();
            prop_assert_eq!(read(&parts), read(&[ANSWER]));
        }
    }
}
