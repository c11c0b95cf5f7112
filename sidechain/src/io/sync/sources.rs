//! The nodes that a snapshot is copied from.

use std::time::{Duration, Instant};

use alloy_primitives::{B256, Bytes};
use alloy_rlp::Decodable as _;
use api::{
    peg::{Finality, FollowedBlock},
    snapshot::{Offer, Part},
};
use futures::{StreamExt as _, stream::FuturesUnordered};
use jsonrpsee::{
    core::{ClientError, client::ClientT as _},
    http_client::{HttpClient, HttpClientBuilder},
    rpc_params,
};
use light::{FinalHeader, finality::Validators};
use tracing::{debug, warn};

use crate::block::{Block, Header};

/// Time for the first questions: whether a source is there, and what it offers.
const OFFER_TIMEOUT: Duration = Duration::from_secs(5);

/// Time for the others once a source has answered.
const OTHERS: Duration = Duration::from_secs(1);

/// Time for a part.
const PART_TIMEOUT: Duration = Duration::from_secs(30);

/// A source that needs longer for a part is left for another.
const SLOW: Duration = Duration::from_secs(5);

/// A source that is asked for so long and gives nothing is left for others, and for other snapshots: whoever offers one can refuse its
/// parts.
const PATIENCE: Duration = Duration::from_secs(30);

/// Pause before sources that all failed are asked again.
const RETRY: Duration = Duration::from_secs(2);

/// Bytes of an answer: a block with its receipts, in hex.
const MAX_RESPONSE_BYTES: u32 = 48 << 20;

/// Offers that one source may make.
const MAX_OFFERS: usize = 16;

/// EIP-1474: what was asked for is not there.
const NOT_FOUND: i32 = -32001;

/// The sources, and which of them is asked next.
#[derive(Debug)]
pub struct Sources {
    all: Vec<Source>,
    next: usize,
}

#[derive(Debug)]
struct Source {
    url: String,
    client: HttpClient,
    state: State,
    /// Since when it was asked for parts and gave none.
    silent_since: Option<Instant>,
    /// It gave nothing for too long: others come first.
    is_silent: bool,
    /// It is of another network.
    is_foreign: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Has the snapshot that is being copied, as far as is known.
    Good,
    /// Does not have it.
    Without,
    /// Lied. It is not asked again until this node starts again.
    Liar,
}

/// A snapshot that a source offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offered {
    /// Header of its block, which is final.
    pub header: Header,
    /// By this certificate of its own.
    pub certificate: Bytes,
}

/// Why there is no part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoPart {
    /// No source has the snapshot any more.
    Gone,
}

impl Sources {
    /// Sources by their http URLs.
    ///
    /// # Errors
    ///
    /// The URL that is none, and why.
    pub fn new(urls: &[String]) -> Result<Self, (String, String)> {
        let source = |url: &String| {
            let builder = HttpClientBuilder::default().request_timeout(PART_TIMEOUT);
            match builder.max_response_size(MAX_RESPONSE_BYTES).build(url) {
                Ok(client) => Ok(Source::new(url.clone(), client)),
                Err(error) => Err((url.clone(), error.to_string())),
            }
        };
        Ok(Self { all: urls.iter().map(source).collect::<Result<_, _>>()?, next: 0 })
    }

    /// The newest snapshot that any source offers and proves, all of them asked at once. From then on those that offer the same one are asked for its
    /// parts. `None` when some answered and none of them has one; `Err` when none answered.
    ///
    /// # Errors
    ///
    /// `NoAnswer`: no source answers; `preferred` is taken if it is offered at all.
    pub async fn newest(
        &mut self,
        genesis: B256,
        validators: &Validators,
        preferred: Option<u64>,
    ) -> Result<Option<Offered>, NoAnswer> {
        let mut answered = false;
        let mut offers = Vec::new();
        let heard = self.all.iter_mut().enumerate().filter(|(_, source)| source.state != State::Liar);
        let mut asked: FuturesUnordered<_> =
            heard.map(|(index, source)| async move { (index, source.offers(genesis).await) }).collect();
        // Each says by itself that it was too late.
        let mut end = tokio::time::Instant::now() + OFFER_TIMEOUT + OTHERS;
        while let Ok(Some((index, offered))) = tokio::time::timeout_at(end, asked.next()).await {
            if let Some(numbers) = offered {
                if !answered {
                    end = end.min(tokio::time::Instant::now() + OTHERS);
                }
                answered = true;
                offers.extend(numbers.into_iter().map(|number| (number, index)));
            }
        }
        drop(asked);
        // Of who gives parts, as far as is known; the preferred one; then the newest.
        offers.sort_by_key(|(number, index)| {
            std::cmp::Reverse((!self.all[*index].is_silent, preferred == Some(*number), *number))
        });
        for (number, index) in &offers {
            match self.all[*index].header(*number, validators).await {
                Some((header, certificate)) => {
                    self.choose(*number, &offers);
                    return Ok(Some(Offered { header, certificate }));
                }
                None => debug!(source = self.all[*index].url, number, "does not prove the block of its snapshot"),
            }
        }
        if answered { Ok(None) } else { Err(NoAnswer) }
    }

    fn choose(&mut self, number: u64, offers: &[(u64, usize)]) {
        for (index, source) in self.all.iter_mut().enumerate().filter(|(_, source)| source.state != State::Liar) {
            source.silent_since = None;
            source.state = if offers.contains(&(number, index)) { State::Good } else { State::Without };
        }
    }

    /// Whether a source said that it is of another network.
    pub fn is_foreign(&self, url: &str) -> bool {
        self.all.iter().any(|source| source.url == url && source.is_foreign)
    }

    /// A part, and which source gave it. Waits while those that have the snapshot do not answer.
    pub(super) async fn part(&mut self, number: u64, part: &Part) -> Result<(usize, Bytes), NoPart> {
        loop {
            let mut asked = 0;
            for _ in 0..self.all.len() {
                let index = self.next % self.all.len();
                if self.all[index].state == State::Good {
                    asked += 1;
                    let started = Instant::now();
                    let answer = self.all[index].part(number, part).await;
                    if started.elapsed() > SLOW || answer.is_none() {
                        self.next += 1;
                    }
                    self.all[index].note(answer.is_some(), started);
                    if let Some(answer) = answer {
                        return Ok((index, answer));
                    }
                } else {
                    self.next += 1;
                }
            }
            if asked == 0 || !self.all.iter().any(|source| source.state == State::Good) {
                return Err(NoPart::Gone);
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Leaves a source that lied.
    pub(super) fn refuse(&mut self, index: usize, lie: &str) {
        let source = &mut self.all[index];
        source.state = State::Liar;
        warn!(source = source.url, lie, "a source of the snapshot lies, and is not asked again");
    }
}

/// No source answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoAnswer;

impl Source {
    const fn new(url: String, client: HttpClient) -> Self {
        Self { url, client, state: State::Good, silent_since: None, is_silent: false, is_foreign: false }
    }

    /// Takes note of whether it gave a part when it was asked at `asked`. One that gives none for too long is left.
    fn note(&mut self, gave: bool, asked: Instant) {
        if gave {
            (self.silent_since, self.is_silent) = (None, false);
        } else if self.silent_since.get_or_insert(asked).elapsed() > PATIENCE && self.state == State::Good {
            warn!(source = self.url, "a source offers a snapshot and gives nothing of it: it is left for others");
            (self.state, self.is_silent) = (State::Without, true);
        }
    }

    /// Blocks of the snapshots that it offers; `None` when it does not answer, or is of another network.
    async fn offers(&mut self, genesis: B256) -> Option<Vec<u64>> {
        let asked = tokio::time::timeout(OFFER_TIMEOUT, self.ask_offers(genesis)).await;
        match asked {
            Ok(Ok(offers)) => offers,
            Ok(Err(error)) => {
                warn!(source = self.url, %error, "a source of snapshots does not answer");
                None
            }
            Err(_) => {
                warn!(source = self.url, "a source of snapshots does not answer in time");
                None
            }
        }
    }

    async fn ask_offers(&mut self, genesis: B256) -> Result<Option<Vec<u64>>, ClientError> {
        let first: Option<FollowedBlock> = self.client.request("peg_getBlock", rpc_params![0]).await?;
        let first = first.and_then(|first| Block::decode(&mut first.block.as_ref()).ok());
        let got = first.map(|first| first.hash());
        self.is_foreign = got != Some(genesis);
        if self.is_foreign {
            warn!(source = self.url, ?got, want = %genesis, "a source of snapshots is of another network");
            return Ok(None);
        }
        let offers: Vec<Offer> = self.client.request("peg_getSnapshots", rpc_params![]).await?;
        Ok(Some(offers.into_iter().rev().take(MAX_OFFERS).map(|offer| offer.number).collect()))
    }

    /// The header of a block and its certificate, if it is proved to be final.
    async fn header(&self, number: u64, validators: &Validators) -> Option<(Header, Bytes)> {
        let asked = self.client.request::<Finality, _>("peg_getFinality", rpc_params![format!("{number:#x}")]);
        let Ok(asked) = tokio::time::timeout(OFFER_TIMEOUT, asked).await else {
            warn!(source = self.url, "the proof of a snapshot does not come in time");
            return None;
        };
        let proof = asked.inspect_err(|error| warn!(source = self.url, %error, "a snapshot has no proof")).ok()?;
        match FinalHeader::verify(&proof, validators) {
            Ok(FinalHeader { header, .. }) if header.number == number && proof.descendants.is_empty() => {
                Some((header, proof.certificate))
            }
            Ok(FinalHeader { header, .. }) => {
                let links = proof.descendants.len();
                warn!(source = self.url, got = header.number, want = number, links, "a proof is of another block");
                None
            }
            Err(lie) => {
                warn!(source = self.url, %lie, "the block of a snapshot is not final");
                None
            }
        }
    }

    /// A part, if it has one for us now.
    async fn part(&mut self, number: u64, part: &Part) -> Option<Bytes> {
        match self.client.request("peg_getSnapshotPart", rpc_params![number, part]).await {
            Ok(answer) => Some(answer),
            Err(ClientError::Call(error)) if error.code() == NOT_FOUND => {
                warn!(source = self.url, number, "a source does not keep the snapshot any more");
                self.state = State::Without;
                None
            }
            Err(error) => {
                debug!(source = self.url, %error, "a source gives no part now");
                None
            }
        }
    }
}
