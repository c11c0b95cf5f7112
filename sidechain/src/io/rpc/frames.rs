//! Messages of a WebSocket as they arrive (RFC 6455, section 5).
//!
//! A frame's head says how long it is, and nothing is believed of that: memory is taken as bytes come, each counts for its client from then on, and
//! a message that began must be whole in time. Pings and pongs may stand between its frames.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use jsonrpsee::types::error::{OVERSIZED_REQUEST_CODE, OVERSIZED_REQUEST_MSG};
use jsonrpsee::types::{ErrorCode, ErrorObjectOwned};
use soketto::Parsing;
use soketto::base::{Codec, Header, OpCode};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader};
use tokio::time::{Instant, timeout_at};

use super::shares::{Hold, Resource, Shares};
use crate::access::Client;

/// Bytes of the longest head: two, a length of eight, a mask of four.
const MAX_HEAD_BYTES: usize = 14;

/// Work of the server for a frame: to read it, and to answer a ping.
const COST_OF_A_FRAME: Duration = Duration::from_micros(10);

/// How long the next frame of a client waits that has no work left. Pings are answered in time, and refusals too.
const PAUSE: Duration = Duration::from_millis(50);

/// What arrived as a whole.
#[derive(Debug)]
pub enum Arrived {
    /// A text or binary message, and its place among the bytes that its client has on their way in.
    Message(Vec<u8>, Hold),
    /// One that was not kept, and why.
    Refused(ErrorObjectOwned),
    /// To be answered with the same bytes.
    Ping(Vec<u8>),
    Pong,
    /// To be answered with the same, and nothing after it.
    Close,
}

/// Why nothing more arrives.
#[derive(Debug, thiserror::Error)]
pub enum Ended {
    #[error("connection: {0}")]
    Connection(#[from] io::Error),
    #[error("frame: {0}")]
    Frame(#[from] soketto::base::Error),
    /// RFC 6455, section 5.1.
    #[error("a client's frame is not masked")]
    Unmasked,
    /// RFC 6455, section 5.4.
    #[error("a frame begins or continues a message out of order")]
    Order,
    #[error("a message was not whole in time")]
    Slow,
}

/// The bounds of one message.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub bytes: usize,
    /// From its first frame to its last byte.
    pub time: Duration,
}

/// The reading end of a WebSocket.
pub struct Frames<R> {
    reader: BufReader<R>,
    codec: Codec,
    shares: Arc<Shares>,
    client: Client,
    bounds: Bounds,
    partial: Option<Partial>,
}

/// A message that is not whole yet.
struct Partial {
    until: Instant,
    kept: Result<(Vec<u8>, Hold), ErrorObjectOwned>,
}

impl<R: AsyncRead + Unpin> Frames<R> {
    pub fn new(reader: R, shares: Arc<Shares>, client: Client, bounds: Bounds) -> Self {
        Self { reader: BufReader::new(reader), codec: Codec::new(), shares, client, bounds, partial: None }
    }

    /// The next of what arrives. Not to be asked again after an error, or when it was dropped before its end.
    pub async fn receive(&mut self) -> Result<Arrived, Ended> {
        loop {
            let header = within(self.deadline(), self.head()).await?;
            within(self.deadline(), self.pay()).await?;
            if header.opcode().is_control() {
                return within(self.deadline(), self.control(&header)).await;
            }
            let mut partial = self.begin(header.opcode())?;
            within(Some(partial.until), self.payload(&header, &mut partial)).await?;
            if header.is_fin() {
                return Ok(partial.kept.map_or_else(Arrived::Refused, |(bytes, hold)| Arrived::Message(bytes, hold)));
            }
            self.partial = Some(partial);
        }
    }

    /// Counts a frame as work, whatever is in it, and puts off the next of a client that has used up its own.
    async fn pay(&mut self) -> Result<(), Ended> {
        self.shares.spend(self.client, COST_OF_A_FRAME);
        if self.shares.may_work(self.client).is_err() {
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    /// When the message that began must be whole.
    fn deadline(&self) -> Option<Instant> {
        self.partial.as_ref().map(|partial| partial.until)
    }

    async fn head(&mut self) -> Result<Header, Ended> {
        let mut bytes = [0; MAX_HEAD_BYTES];
        let mut length = 0;
        loop {
            match self.codec.decode_header(&bytes[..length])? {
                Parsing::Done { value, .. } if !value.is_masked() => return Err(Ended::Unmasked),
                Parsing::Done { value, .. } => return Ok(value),
                Parsing::NeedMore(more) => {
                    let end = (length + more).min(MAX_HEAD_BYTES);
                    self.reader.read_exact(&mut bytes[length..end]).await?;
                    length = end;
                }
            }
        }
    }

    /// The codec lets no such frame have more than 125 bytes.
    async fn control(&mut self, header: &Header) -> Result<Arrived, Ended> {
        let mut payload = vec![0; header.payload_len()];
        self.reader.read_exact(&mut payload).await?;
        Codec::apply_mask(header, &mut payload);
        Ok(match header.opcode() {
            OpCode::Ping => Arrived::Ping(payload),
            OpCode::Close => Arrived::Close,
            _ => Arrived::Pong,
        })
    }

    /// The message that a frame belongs to.
    fn begin(&mut self, opcode: OpCode) -> Result<Partial, Ended> {
        match (self.partial.take(), opcode) {
            (Some(partial), OpCode::Continue) => Ok(partial),
            (None, OpCode::Text | OpCode::Binary) => {
                let hold = self.shares.hold(self.client, Resource::IncomingBytes, 0).map_err(Into::into);
                Ok(Partial { until: Instant::now() + self.bounds.time, kept: hold.map(|hold| (Vec::new(), hold)) })
            }
            _ => Err(Ended::Order),
        }
    }

    async fn payload(&mut self, header: &Header, partial: &mut Partial) -> Result<(), Ended> {
        let begun = partial.kept.as_ref().map_or(0, |(bytes, _)| bytes.len());
        let mut left = header.payload_len();
        while left > 0 {
            let arrived = self.reader.fill_buf().await?;
            if arrived.is_empty() {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            let count = arrived.len().min(left);
            partial.add(&arrived[..count], &self.shares, self.bounds.bytes);
            self.reader.consume(count);
            left -= count;
        }
        if let Ok((bytes, _)) = &mut partial.kept {
            Codec::apply_mask(header, &mut bytes[begun..]);
        }
        Ok(())
    }
}

impl Partial {
    /// Keeps some bytes more; or nothing of this message any more, when it is too long or its client has no room.
    fn add(&mut self, more: &[u8], shares: &Shares, most: usize) {
        let kept = std::mem::replace(&mut self.kept, Err(ErrorCode::InternalError.into()));
        self.kept = kept.and_then(|(mut bytes, hold)| {
            if bytes.len() + more.len() > most {
                let data = format!("Exceeded max limit of {most}");
                return Err(ErrorObjectOwned::owned(OVERSIZED_REQUEST_CODE, OVERSIZED_REQUEST_MSG, Some(data)));
            }
            let hold = shares.grow(hold, more.len() as u64)?;
            bytes.extend_from_slice(more);
            Ok((bytes, hold))
        });
    }
}

async fn within<T>(deadline: Option<Instant>, arriving: impl Future<Output = Result<T, Ended>>) -> Result<T, Ended> {
    match deadline {
        Some(at) => timeout_at(at, arriving).await.unwrap_or(Err(Ended::Slow)),
        None => arriving.await,
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncWriteExt as _, DuplexStream, duplex};

    use super::*;
    use crate::access::Source;
    use crate::io::rpc::Settings;

    const MASK: [u8; 4] = [1, 2, 3, 4];
    const BOUNDS: Bounds = Bounds { bytes: 100_000, time: Duration::from_millis(300) };

    /// A client's frame: its first byte, and `claimed` as its length.
    fn frame(first: u8, claimed: usize, payload: &[u8]) -> Vec<u8> {
        let masked = payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask);
        let length = (claimed as u64).to_be_bytes();
        let head =
            if first & 8 == 0 { [&[first, 0x80 | 127][..], &length].concat() } else { vec![first, 0x80 | length[7]] };
        head.into_iter().chain(MASK).chain(masked).collect()
    }

    struct Line {
        client: DuplexStream,
        frames: Frames<DuplexStream>,
        shares: Arc<Shares>,
    }

    impl Line {
        fn new() -> Self {
            let mut rules = Settings::new(([127, 0, 0, 1], 0).into()).rules;
            rules.by_address.incoming_bytes = 150_000;
            let shares = Shares::new(rules);
            let client = Client { source: Source::V4(std::net::Ipv4Addr::LOCALHOST), limited: true };
            let (ours, theirs) = duplex(1 << 20);
            Self { client: theirs, frames: Frames::new(ours, shares.clone(), client, BOUNDS), shares }
        }

        async fn sends(&mut self, frames: &[Vec<u8>]) {
            self.client.write_all(&frames.concat()).await.unwrap();
        }

        fn held(&self) -> u64 {
            self.shares.count(Resource::IncomingBytes).1
        }
    }

    // text "ab", ping "!", continuation "c" and its end "d"; then a message of its own
    #[tokio::test]
    async fn a_message_in_parts_is_put_together_whatever_stands_between_them() {
        let mut line = Line::new();
        line.sends(&[frame(0x01, 2, b"ab"), frame(0x89, 1, b"!"), frame(0x00, 1, b"c"), frame(0x80, 1, b"d")]).await;
        line.sends(&[frame(0x82, 3, b"own"), frame(0x8a, 0, b""), frame(0x88, 2, &[3, 232])]).await;
        assert!(matches!(line.frames.receive().await.unwrap(), Arrived::Ping(payload) if payload == b"!"));
        let Arrived::Message(text, hold) = line.frames.receive().await.unwrap() else { panic!("a message") };
        assert_eq!((text.as_slice(), line.held()), (&b"abcd"[..], 4));
        drop(hold);
        assert!(matches!(line.frames.receive().await.unwrap(), Arrived::Message(text, _) if text == b"own"));
        assert!(matches!(line.frames.receive().await.unwrap(), Arrived::Pong));
        assert!(matches!(line.frames.receive().await.unwrap(), Arrived::Close));
        assert_eq!(line.held(), 0);
    }

    // The attack: a head that names 90,000 bytes, ten of them, and then silence; or a byte now and then, or pings.
    #[tokio::test]
    async fn what_did_not_arrive_takes_no_room_and_must_arrive_in_time() {
        let mut line = Line::new();
        line.sends(&[frame(0x81, 90_000, &[7; 10])]).await;
        let begun = Instant::now();
        assert!(matches!(line.frames.receive().await, Err(Ended::Slow)));
        assert!(begun.elapsed() < Duration::from_secs(5));
        drop(line);

        let mut line = Line::new();
        line.sends(&[frame(0x01, 5, b"begun")]).await;
        let (mut client, mut frames) = (line.client, line.frames);
        let held = tokio::spawn(async move {
            loop {
                match frames.receive().await {
                    Ok(Arrived::Ping(_)) => {}
                    other => return (other.map(|_| ()), frames.partial.is_some()),
                }
            }
        });
        for _ in 0..1_000 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            if client.write_all(&frame(0x89, 1, b"?")).await.is_err() {
                break;
            }
        }
        assert!(matches!(held.await.unwrap(), (Err(Ended::Slow), _)), "pings do not keep a message waiting");
    }

    #[tokio::test]
    async fn what_is_too_long_or_more_than_its_client_may_send_is_read_over_and_answered() {
        let mut line = Line::new();
        line.sends(&[frame(0x81, 100_000, &[b' '; 100_000])]).await;
        let Arrived::Message(_, first) = line.frames.receive().await.unwrap() else { panic!("as long as may be") };
        line.sends(&[frame(0x81, 60_000, &[b' '; 60_000]), frame(0x81, 1, b"x")]).await;
        let Arrived::Refused(error) = line.frames.receive().await.unwrap() else { panic!("no room") };
        assert!(error.message().contains("bytes of requests"), "{error:?}");
        assert!(matches!(line.frames.receive().await.unwrap(), Arrived::Message(text, _) if text == b"x"));
        drop(first);
        line.sends(&[frame(0x01, 60_000, &[b' '; 60_000]), frame(0x80, 40_001, &[b' '; 40_001])]).await;
        let Arrived::Refused(error) = line.frames.receive().await.unwrap() else { panic!("too long") };
        assert!(error.code() == OVERSIZED_REQUEST_CODE && line.held() == 0, "{error:?}");
    }

    #[tokio::test]
    async fn frames_that_no_client_may_send_end_the_connection() {
        let unmasked = vec![0x81, 1, b'x'];
        let alone = frame(0x80, 1, b"x");
        let twice = [frame(0x01, 1, b"x"), frame(0x81, 1, b"x")].concat();
        let reserved = frame(0x83, 1, b"x");
        let (long_ping, huge) =
            (vec![0x89, 0x80 | 126, 1, 0], vec![0x81, 0xff, 0x7f, 255, 255, 255, 255, 255, 255, 255]);
        for wrong in [unmasked, alone, twice, reserved, long_ping, huge] {
            let mut line = Line::new();
            line.sends(&[wrong.clone(), vec![0; 20]]).await;
            let ended = line.frames.receive().await;
            assert!(ended.is_err() && line.held() == 0, "{wrong:?}: {ended:?}");
        }
    }
}
