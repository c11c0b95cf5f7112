//! Large messages in small parts, so that everything that waits on the validators' network is bounded in bytes.
//!
//! The network counts messages: its rates and its queues know nothing of sizes. So no message is larger than a part, and
//! what is larger travels in several. A rate is thereby one of bytes, and votes of a connection do not wait behind a whole block.
//!
//! ```text
//! part = message (4) | position (2) | parts (2) | bytes: PART_BYTES, fewer in the last        (all big endian)
//! ```
//!
//! The parts of a message arrive in order, or the message is given up: connections keep order, and full queues lose. Each recipient
//! has a queue of its own, whose messages follow one another: who takes much, or slowly, delays nobody else.

use std::{
    collections::{BTreeMap, VecDeque},
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::SystemTime,
};

use commonware_actor::{Feedback, Unreliable};
use commonware_cryptography::PublicKey;
use commonware_p2p::{CheckedSender, LimitedSender, Message, Receiver, Recipients};
use commonware_runtime::{Clock, IoBuf, IoBufs, Metrics, Spawner};
use commonware_utils::sync::Mutex;
use futures::{StreamExt as _, stream::FuturesUnordered};
use tokio::sync::mpsc;
use tracing::debug;

/// Bytes of a message in one part.
pub(crate) const PART_BYTES: usize = 64 << 10;

/// Message, position and number of parts.
pub(crate) const HEAD_BYTES: usize = 8;

/// Messages of one sender that are incomplete at the same time: one with priority overtakes one without.
const INCOMPLETE: usize = 2;

/// Parts that a message of so many bytes travels in.
pub(crate) const fn parts(bytes: usize) -> usize {
    if bytes == 0 { 1 } else { bytes.div_ceil(PART_BYTES) }
}

/// A channel that takes messages up to `max_bytes`, over one that takes parts. At most twice as many bytes wait for each recipient.
pub(crate) fn in_parts<E, S, R>(
    runtime: &E,
    max_bytes: usize,
    (sender, receiver): (S, R),
) -> (PartSender<S>, PartReceiver<R>)
where
    E: Clock + Spawner + Metrics,
    S: LimitedSender,
    R: Receiver,
{
    let sender = part_sender(runtime, max_bytes, sender);
    (sender, PartReceiver { inner: receiver, max_parts: parts(max_bytes), incomplete: BTreeMap::new() })
}

fn part_sender<E, S>(runtime: &E, max_bytes: usize, inner: S) -> PartSender<S>
where
    E: Clock + Spawner + Metrics,
    S: LimitedSender,
{
    let (queue, outgoing) = mpsc::unbounded_channel();
    let queued = Arc::new(Queued { max: 2 * max_bytes, bytes: Mutex::default() });
    let (clock, rest, waiting) = (runtime.child("parts"), inner.clone(), queued.clone());
    runtime.child("parts").spawn(move |_| send_rest(clock, rest, outgoing, waiting));
    PartSender { inner, queue, queued, next: Arc::new(AtomicU32::new(0)) }
}

/// The bytes of one part of a message.
fn part(message: u32, position: usize, whole: &IoBuf) -> IoBufs {
    let count = parts(whole.len());
    let mut head = Vec::with_capacity(HEAD_BYTES);
    head.extend_from_slice(&message.to_be_bytes());
    for number in [position, count] {
        head.extend_from_slice(&u16::try_from(number).expect("the caller bounds messages").to_be_bytes());
    }
    let start = position * PART_BYTES;
    let mut part = IoBufs::from(head);
    part.append(whole.slice(start..whole.len().min(start + PART_BYTES)));
    part
}

/// The parts of a message that are still to be sent.
#[derive(Clone)]
struct Outgoing<P: PublicKey> {
    recipients: Vec<P>,
    message: u32,
    whole: IoBuf,
    /// Position of the first of them.
    first: usize,
    priority: bool,
}

impl<P: PublicKey> std::fmt::Debug for Outgoing<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outgoing").field("message", &self.message).finish_non_exhaustive()
    }
}

/// How many bytes wait for each recipient.
#[derive(Debug)]
struct Queued<P> {
    max: usize,
    bytes: Mutex<BTreeMap<P, usize>>,
}

impl<P: PublicKey> Queued<P> {
    /// Counts a message for those recipients who have room for it. Returns these, and whether nothing else waits for any of all.
    fn add(&self, recipients: Vec<P>, bytes: usize) -> (Vec<P>, bool) {
        let mut queued = self.bytes.lock();
        let is_first = recipients.iter().all(|recipient| !queued.contains_key(recipient));
        let (room, full): (Vec<_>, Vec<_>) = recipients
            .into_iter()
            .partition(|recipient| queued.get(recipient).copied().unwrap_or(0) + bytes <= self.max);
        if !full.is_empty() {
            debug!(bytes, ?full, "a message is dropped: too many wait to be sent");
        }
        room.iter().for_each(|recipient| *queued.entry(recipient.clone()).or_default() += bytes);
        (room, is_first && full.is_empty())
    }

    fn remove(&self, recipient: &P, bytes: usize) {
        let mut queued = self.bytes.lock();
        if let Some(left) = queued.get_mut(recipient) {
            *left = left.saturating_sub(bytes);
            if *left == 0 {
                queued.remove(recipient);
            }
        }
    }
}

/// Sends messages in parts: the first at once when nothing else waits, the others as the rate of the channel allows.
#[derive(Clone, Debug)]
pub(crate) struct PartSender<S: LimitedSender> {
    inner: S,
    /// Bounded by `queued`, in bytes.
    queue: mpsc::UnboundedSender<Outgoing<S::PublicKey>>,
    queued: Arc<Queued<S::PublicKey>>,
    next: Arc<AtomicU32>,
}

impl<S: LimitedSender> PartSender<S> {
    /// Bytes that wait for a recipient.
    pub(crate) fn waiting_for(&self, recipient: &S::PublicKey) -> usize {
        self.queued.bytes.lock().get(recipient).copied().unwrap_or(0)
    }

    /// Sends a message after all that waits for its recipient, also when the rate allows nothing now. Returns whether there was room.
    pub(crate) fn enqueue(&self, recipient: S::PublicKey, whole: IoBuf) -> bool {
        let (recipients, _) = self.queued.add(vec![recipient], whole.len());
        let has_room = !recipients.is_empty();
        if has_room {
            let message = self.next.fetch_add(1, Ordering::Relaxed);
            // Closed when the node stops.
            let _ = self.queue.send(Outgoing { recipients, message, whole, first: 0, priority: false });
        }
        has_room
    }
}

impl<S: LimitedSender> LimitedSender for PartSender<S> {
    type PublicKey = S::PublicKey;
    type Checked<'a> = CheckedParts<'a, S>;

    fn check(&mut self, recipients: Recipients<S::PublicKey>) -> Result<Self::Checked<'_>, SystemTime> {
        let Self { inner, queue, queued, next } = self;
        let inner = inner.check(recipients)?;
        Ok(CheckedParts { inner, queue, queued, next })
    }
}

/// A sender for recipients that may be sent to now.
pub(crate) struct CheckedParts<'a, S: LimitedSender + 'a> {
    inner: S::Checked<'a>,
    queue: &'a mpsc::UnboundedSender<Outgoing<S::PublicKey>>,
    queued: &'a Queued<S::PublicKey>,
    next: &'a AtomicU32,
}

impl<S: LimitedSender> CheckedSender for CheckedParts<'_, S> {
    type PublicKey = S::PublicKey;

    fn recipients(&self) -> Vec<S::PublicKey> {
        self.inner.recipients()
    }

    fn send(self, message: impl Into<IoBufs> + Send, priority: bool) -> Unreliable<Feedback> {
        let whole = message.into().coalesce();
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        if whole.len() <= PART_BYTES {
            return self.inner.send(part(number, 0, &whole), priority);
        }
        let (recipients, is_first) = self.queued.add(self.inner.recipients(), whole.len());
        if recipients.is_empty() {
            return Unreliable::Rejected;
        }
        // A receiver keeps few incomplete messages, so a later one does not begin before the earlier ones are sent.
        let sent = if is_first {
            self.inner.send(part(number, 0, &whole), priority)
        } else {
            Unreliable::Outcome(Feedback::Backoff)
        };
        // Closed when the node stops.
        let _ =
            self.queue.send(Outgoing { recipients, message: number, whole, first: usize::from(is_first), priority });
        sent
    }
}

/// Sends what is queued, to each recipient message after message, until the channel ends.
async fn send_rest<E: Clock, S: LimitedSender>(
    clock: E,
    sender: S,
    mut outgoing: mpsc::UnboundedReceiver<Outgoing<S::PublicKey>>,
    queued: Arc<Queued<S::PublicKey>>,
) {
    // Of those recipients to whom a message is being sent, the ones after it.
    let mut waiting = BTreeMap::<S::PublicKey, VecDeque<Outgoing<S::PublicKey>>>::new();
    let mut sending = FuturesUnordered::new();
    let send = |recipient, message| send_parts(&clock, sender.clone(), recipient, message, &queued);
    loop {
        tokio::select! {
            message = outgoing.recv() => {
                let Some(mut message) = message else { return };
                for recipient in std::mem::take(&mut message.recipients) {
                    match waiting.get_mut(&recipient) {
                        Some(after) => after.push_back(message.clone()),
                        None => {
                            waiting.insert(recipient.clone(), VecDeque::new());
                            sending.push(send(recipient, message.clone()));
                        }
                    }
                }
            }
            Some(recipient) = sending.next() => match waiting.get_mut(&recipient).and_then(VecDeque::pop_front) {
                Some(message) => sending.push(send(recipient, message)),
                None => drop(waiting.remove(&recipient)),
            },
        }
    }
}

/// Sends the parts of a message to one recipient, and says to whom.
async fn send_parts<E: Clock, S: LimitedSender>(
    clock: &E,
    mut sender: S,
    recipient: S::PublicKey,
    Outgoing { message, whole, first, priority, .. }: Outgoing<S::PublicKey>,
    queued: &Queued<S::PublicKey>,
) -> S::PublicKey {
    for position in first..parts(whole.len()) {
        loop {
            match sender.check(Recipients::One(recipient.clone())) {
                Ok(checked) => {
                    // Lost when the connection's queue is full; the receiver gives the message up.
                    let _ = checked.send(part(message, position, &whole), priority);
                    break;
                }
                Err(until) => clock.sleep_until(until).await,
            }
        }
    }
    queued.remove(&recipient, whole.len());
    recipient
}

/// Puts messages together from their parts. What a sender can make it keep is bounded: [`INCOMPLETE`] messages.
#[derive(Debug)]
pub(crate) struct PartReceiver<R: Receiver> {
    inner: R,
    max_parts: usize,
    incomplete: BTreeMap<R::PublicKey, VecDeque<Incomplete>>,
}

/// A message of which the first parts have arrived.
#[derive(Debug, PartialEq, Eq)]
struct Incomplete {
    message: u32,
    count: usize,
    arrived: usize,
    bytes: Vec<u8>,
}

impl<R: Receiver> Receiver for PartReceiver<R> {
    type Error = R::Error;
    type PublicKey = R::PublicKey;

    async fn recv(&mut self) -> Result<Message<R::PublicKey>, R::Error> {
        loop {
            let (peer, part) = self.inner.recv().await?;
            let of_peer = self.incomplete.entry(peer.clone()).or_default();
            if let Some(whole) = add(of_peer, &part, self.max_parts) {
                return Ok((peer, whole));
            }
        }
    }

    fn capacity(&self) -> NonZeroUsize {
        self.inner.capacity()
    }
}

/// Adds a part to what is incomplete of its sender. Returns the message when it is whole; ignores what nobody honest sends.
fn add(incomplete: &mut VecDeque<Incomplete>, part: &IoBuf, max_parts: usize) -> Option<IoBuf> {
    let (head, _) = part.as_ref().split_at_checked(HEAD_BYTES)?;
    let message = u32::from_be_bytes(head[..4].try_into().ok()?);
    let position = usize::from(u16::from_be_bytes(head[4..6].try_into().ok()?));
    let count = usize::from(u16::from_be_bytes(head[6..].try_into().ok()?));
    let body = part.slice(HEAD_BYTES..);
    let is_last = position + 1 == count;
    if position >= count || count > max_parts || body.len() > PART_BYTES || (!is_last && body.len() < PART_BYTES) {
        return None;
    }
    if count == 1 {
        return Some(body);
    }
    if position == 0 {
        if incomplete.len() == INCOMPLETE {
            incomplete.pop_front();
        }
        incomplete.push_back(Incomplete { message, count, arrived: 0, bytes: Vec::new() });
    }
    let index = incomplete.iter().position(|begun| (begun.message, begun.count) == (message, count))?;
    let begun = &mut incomplete[index];
    if begun.arrived != position {
        incomplete.remove(index);
        return None;
    }
    begun.arrived += 1;
    begun.bytes.extend_from_slice(body.as_ref());
    if !is_last {
        return None;
    }
    incomplete.remove(index).map(|whole| IoBuf::from(whole.bytes))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use commonware_cryptography::{
        Signer as _,
        ed25519::{PrivateKey, PublicKey},
    };
    use commonware_runtime::{Runner as _, deterministic};

    use super::*;

    type Sent = Arc<Mutex<Vec<(PublicKey, IoBuf)>>>;

    /// A network whose rate allows one peer nothing more, for years.
    #[derive(Clone, Debug)]
    struct Wire {
        stuck: PublicKey,
        sent: Sent,
    }

    struct Checked {
        recipients: Vec<PublicKey>,
        sent: Sent,
    }

    impl LimitedSender for Wire {
        type PublicKey = PublicKey;
        type Checked<'a> = Checked;

        fn check(&mut self, recipients: Recipients<PublicKey>) -> Result<Checked, SystemTime> {
            let recipients = match recipients {
                Recipients::One(peer) if peer == self.stuck => {
                    return Err(UNIX_EPOCH + Duration::from_secs(1 << 32));
                }
                Recipients::One(peer) => vec![peer],
                Recipients::Some(peers) => peers,
                Recipients::All => Vec::new(),
            };
            Ok(Checked { recipients, sent: self.sent.clone() })
        }
    }

    impl CheckedSender for Checked {
        type PublicKey = PublicKey;

        fn recipients(&self) -> Vec<PublicKey> {
            self.recipients.clone()
        }

        fn send(self, message: impl Into<IoBufs> + Send, _: bool) -> Unreliable<Feedback> {
            let message = message.into().coalesce();
            self.sent.lock().extend(self.recipients.into_iter().map(|peer| (peer, message.clone())));
            Unreliable::Outcome(Feedback::Ok)
        }
    }

    fn peer(seed: u64) -> PublicKey {
        PrivateKey::from_seed(seed).public_key()
    }

    /// The whole messages of a peer.
    fn arrived(sent: &Sent, peer: &PublicKey) -> Vec<IoBuf> {
        let mut incomplete = VecDeque::new();
        let sent = sent.lock();
        sent.iter().filter(|(to, _)| to == peer).filter_map(|(_, part)| add(&mut incomplete, part, 8)).collect()
    }

    #[test]
    fn who_takes_no_more_delays_no_other_recipient() {
        deterministic::Runner::timed(Duration::from_secs(60)).start(|runtime| async move {
            let (stuck, other, sent) = (peer(1), peer(2), Sent::default());
            let largest = message(8 * PART_BYTES);
            let mut sender = part_sender(&runtime, largest.len(), Wire { stuck: stuck.clone(), sent: sent.clone() });
            for number in 1..=20 {
                let both = sender.check(Recipients::Some(vec![stuck.clone(), other.clone()])).expect("allowed");
                assert!(matches!(both.send(largest.clone(), true), Unreliable::Outcome(_)));
                assert!(!sender.enqueue(stuck.clone(), largest.clone()) || number < 3);
                runtime.sleep(Duration::from_millis(10)).await;
                assert_eq!(arrived(&sent, &other).len(), number);
                assert_eq!(sender.waiting_for(&other), 0);
                assert!(sender.waiting_for(&stuck) <= 2 * largest.len());
            }
            assert!(arrived(&sent, &stuck).is_empty());
        });
    }

    #[test]
    fn many_messages_at_once_arrive_whole() {
        deterministic::Runner::timed(Duration::from_secs(60)).start(|runtime| async move {
            let (other, sent) = (peer(2), Sent::default());
            let whole: Vec<_> = (0..10).map(|number| message(2 * PART_BYTES + number)).collect();
            let mut sender = part_sender(&runtime, 20 * PART_BYTES, Wire { stuck: peer(1), sent: sent.clone() });
            for message in &whole {
                let checked = sender.check(Recipients::One(other.clone())).expect("allowed");
                assert!(matches!(checked.send(message.clone(), false), Unreliable::Outcome(_)));
            }
            runtime.sleep(Duration::from_millis(10)).await;
            assert_eq!(arrived(&sent, &other), whole);
        });
    }

    /// A message of as many bytes, no two parts of it alike.
    fn message(bytes: usize) -> IoBuf {
        IoBuf::from((0..bytes).map(|i| (i / PART_BYTES + i) as u8).collect::<Vec<_>>())
    }

    fn in_order(number: u32, whole: &IoBuf) -> Vec<IoBuf> {
        (0..parts(whole.len())).map(|position| part(number, position, whole).coalesce()).collect()
    }

    #[test]
    fn a_message_is_put_together_from_its_parts() {
        for bytes in [0, 1, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 5 * PART_BYTES] {
            let (whole, mut incomplete) = (message(bytes), VecDeque::new());
            let mut arrived = in_order(7, &whole).into_iter().filter_map(|part| add(&mut incomplete, &part, 5));
            assert_eq!(arrived.next(), Some(whole), "{bytes}");
            assert_eq!(arrived.next(), None);
            assert!(incomplete.is_empty());
        }
    }

    #[test]
    fn a_message_overtakes_another() {
        let (slow, fast, mut incomplete) = (message(3 * PART_BYTES), message(2 * PART_BYTES + 9), VecDeque::new());
        let [slow_parts, fast_parts] = [in_order(1, &slow), in_order(2, &fast)];
        let order = [&slow_parts[..1], &fast_parts[..], &slow_parts[1..]].concat();
        let whole: Vec<_> = order.iter().filter_map(|part| add(&mut incomplete, part, 9)).collect();
        assert_eq!(whole, [fast, slow]);
    }

    #[test]
    fn a_message_with_a_part_lost_doubled_or_out_of_order_is_given_up() {
        let parts = in_order(1, &message(4 * PART_BYTES));
        for order in [&[0, 2, 3][..], &[0, 1, 1, 2, 3], &[1, 2, 3], &[3, 2, 1, 0], &[0, 1, 3]] {
            let mut incomplete = VecDeque::new();
            let whole = order.iter().find_map(|index| add(&mut incomplete, &parts[*index], 9));
            assert_eq!(whole, None, "{order:?}");
        }
    }

    #[test]
    fn a_sender_makes_nobody_keep_more_than_two_messages() {
        let (mut incomplete, largest) = (VecDeque::new(), message(8 * PART_BYTES));
        for number in 0..1000u32 {
            for part in &in_order(number, &largest)[..7] {
                assert_eq!(add(&mut incomplete, part, 8), None);
            }
            assert!(incomplete.len() <= INCOMPLETE);
            let kept: usize = incomplete.iter().map(|begun| begun.bytes.len()).sum();
            assert!(kept <= INCOMPLETE * largest.len());
        }
        assert_eq!(add(&mut incomplete, &in_order(1, &message(9 * PART_BYTES))[0], 8), None, "too large to begin with");
    }

    #[test]
    fn any_bytes_are_taken_or_ignored() {
        let whole = message(3 * PART_BYTES);
        let mut incomplete = VecDeque::new();
        for position in [0, 1, 2, 3, u16::MAX] {
            for count in [0, 1, 2, 3, u16::MAX] {
                for body in [0, 1, PART_BYTES, PART_BYTES + 1] {
                    let head = [&u32::MAX.to_be_bytes()[..], &position.to_be_bytes(), &count.to_be_bytes()].concat();
                    let part = IoBuf::from([&head[..], &whole.as_ref()[..body]].concat());
                    let taken = add(&mut incomplete, &part, 3);
                    assert!(taken.is_none_or(|taken| taken.len() <= 3 * PART_BYTES));
                }
            }
        }
        (0..HEAD_BYTES).for_each(|length| assert_eq!(add(&mut incomplete, &whole.slice(..length), 3), None));
    }
}
