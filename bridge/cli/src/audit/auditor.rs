//! One audit: both chains read so that one can be judged by the other.
//!
//! ```text
//!   tip of bitcoind, first seen at t --> ledger under a final header --> outputs looked for --> the same tip still?   else all anew
//!                                                                              | one is not there
//!                                            header made after t? --yes--> MISSING        --no--> again; in the end, nobody can judge
//! ```
//! A vault transaction is in the ledger before it can be signed. So the ledger after t knows whatever the chain up to that tip has; one of before
//! t may not, and then what is not there need not be stolen.

use std::future::Future;
use std::time::Duration;

use alloy_primitives::B256;
use bitcoin::BlockHash;
use bridge::io::sidechain::Client;
use eyre::{Report as Error, Result, eyre};
use light::finality::Validators;
use mainchain::io::rpc::BitcoinRpc;
use tokio::time::{Instant, sleep, timeout_at};

use super::failure::{Fault, TooSlow};
use super::findings::{Limits, Moment};
use super::options::{Args, Rules};
use super::outputs::find;
use super::report::Report;
use super::sidechain::Ledger;
use crate::clock::now;
use crate::genesis_file::read_genesis;
use crate::progress::Progress;

/// How often the audit starts anew because a node failed, or a block came in between.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(300);
/// How long a node may take to show a header that was made after an output was not found. Blocks take two seconds at most.
const PATIENCE: Duration = Duration::from_secs(20);
/// Blocks behind the last tier of confirmations in which a deposit gets its coins.
const MINTING_BLOCKS: u32 = 6;

/// Whom to ask, and by what to check the answers.
pub struct Auditor {
    client: Client,
    bitcoin: BitcoinRpc,
    validators: Validators,
    genesis: B256,
    rules: Rules,
    limits: Limits,
    progress: Progress,
}

/// A tip of bitcoind, and when it was first seen, in seconds since 1970.
#[derive(Clone, Copy)]
struct Tip {
    hash: BlockHash,
    since: u64,
}

/// How one look at both chains went.
enum Look {
    Done(Report, Ledger),
    /// Something is not there, under a header from before it was looked for.
    Unjudged(Report, Ledger),
    /// A block of Bitcoin came in between: not all of bitcoind's answers are of one tip.
    Moved,
}

impl Auditor {
    /// Asks nobody yet.
    ///
    /// # Errors
    ///
    /// The genesis file cannot be read, or an address is none.
    pub fn new(args: &Args) -> Result<Self> {
        let genesis = read_genesis(&args.chains.genesis)?;
        let deposit_confirmations = genesis.bridge.final_blocks.saturating_add(MINTING_BLOCKS);
        let Rules { max_age, deadline, .. } = args.rules;
        Ok(Self {
            client: args.chains.sidechain.client(Some(&genesis))?,
            bitcoin: args.chains.bitcoin.rpc(genesis.bitcoin.network)?,
            validators: genesis.validators()?,
            genesis: genesis.build()?.hash,
            rules: args.rules,
            limits: Limits { max_age_s: max_age.as_secs(), withdrawal_s: deadline.as_secs(), deposit_confirmations },
            progress: Progress::hidden(),
        })
    }

    /// The same, and shows how far each audit is.
    pub fn showing(self, progress: Progress) -> Self {
        Self { progress, ..self }
    }

    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Audits once.
    ///
    /// # Errors
    ///
    /// One of the nodes does not answer in time, or the sidechain's does not prove what it says.
    pub async fn audit(&self) -> Result<(Report, Ledger)> {
        let until = Instant::now() + self.rules.timeout;
        let (mut tip, mut failed, mut doubt) = (None, 0, None);
        loop {
            let last = match self.look(&mut tip, until).await {
                Ok(Look::Done(report, ledger)) => return Ok((report, ledger)),
                Ok(Look::Unjudged(report, ledger)) => {
                    if *doubt.get_or_insert_with(|| Instant::now() + PATIENCE) <= Instant::now() {
                        return Ok((report, ledger));
                    }
                    None
                }
                Ok(Look::Moved) => Some(eyre!("a new Bitcoin block came in between, {ATTEMPTS} times: try again")),
                Err(error) if error.downcast_ref::<TooSlow>().is_some() => return Err(error),
                Err(error) => Some(error),
            };
            if let Some(error) = last {
                failed += 1;
                if failed >= ATTEMPTS {
                    return Err(error);
                }
            }
            sleep(PAUSE).await;
        }
    }

    async fn look(&self, known: &mut Option<Tip>, until: Instant) -> Result<Look> {
        let (height, hash) = self.bitcoind(until, self.bitcoin.best_tip()).await?;
        let first = known.filter(|known| known.hash == hash).map(|known| known.since);
        let tip = Tip { hash, since: first.map_or_else(now, Ok)? };
        *known = Some(tip);
        let read = Ledger::read(&self.client, self.genesis, &self.validators, self.limits.max_age_s, &self.progress);
        let ledger = within(until, Fault::Node, self.client.url(), read).await?;
        let outputs = self.bitcoind(until, find(&self.bitcoin, &ledger, height, &self.progress)).await?;
        if self.bitcoind(until, self.bitcoin.best_tip()).await?.1 != hash {
            return Ok(Look::Moved);
        }
        let moment = Moment { now: now()?, bitcoin_height: height, bitcoin_tip: hash, bitcoin_since: tip.since };
        let report = Report::new(&ledger, moment, outputs, self.limits);
        Ok(if report.is_unjudged() { Look::Unjudged(report, ledger) } else { Look::Done(report, ledger) })
    }

    async fn bitcoind<T, E: Into<Error>>(&self, until: Instant, ask: impl Future<Output = Result<T, E>>) -> Result<T> {
        within(until, Fault::Bitcoin, self.bitcoin.url(), ask).await
    }
}

async fn within<T, E: Into<Error>>(
    until: Instant,
    fault: Fault,
    url: &str,
    ask: impl Future<Output = Result<T, E>>,
) -> Result<T> {
    let late = |_| {
        let words = format!("the audit was not done in time (--timeout), and then waited for the node at {url}");
        TooSlow { fault, words }
    };
    timeout_at(until, ask).await.map_err(late)?.map_err(Into::into)
}
