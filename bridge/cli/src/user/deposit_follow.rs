//! Following what is paid to an address until its coins are there: what is seen is shown at once, each change once, and that nothing changed
//! once a minute.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use bitcoin::OutPoint;
use bridge::io::sidechain::Client;
use bridge::peg::DepositStatus;
use eyre::{Result, ensure};
use mainchain::header::Height;
use mainchain::io::rpc::BitcoinRpc;
use serde::Serialize;

use super::deposit::{Progress, describe, expect_of, progress};
use super::deposit_record::Record;
use super::deposit_waits::Wait;
use super::outlook::Lookout;
use super::payment::{Awaited, Terms, Unseen, about};
use super::payment_watch::Watch;
use super::registration::register;
use crate::context::Context;
use crate::options::network::KnownNetwork;
use crate::options::sidechain::is_temporary;
use crate::progress::Progress as ShownProgress;

/// How often the node is asked how far a deposit is.
const POLL: Duration = Duration::from_millis(500);
/// How often bitcoind is asked for new transactions and blocks.
const WATCH_EVERY: Duration = Duration::from_secs(2);
/// Time between two tries to register an address that the node let go.
const REGISTER_AGAIN: Duration = Duration::from_secs(10);
/// After so long without a change it is said that there was none.
const SILENCE: Duration = Duration::from_secs(60);

/// What `--json` prints, one a line.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "camelCase", rename_all_fields = "camelCase")]
enum Event<'a> {
    Unseen {
        #[serde(flatten)]
        unseen: &'a Unseen,
    },
    Payment {
        #[serde(flatten)]
        awaited: &'a Awaited,
    },
    Deposit {
        #[serde(flatten)]
        progress: &'a Progress,
    },
    /// Nothing has changed for a minute.
    Waiting { address: &'a str, for_seconds: u64, bitcoin_height: Height, waits_for: &'a [&'static str] },
}

/// What is worth another line: another status, another reason to wait, another confirmation of those that are awaited.
pub type News = (OutPoint, Option<DepositStatus>, Vec<(&'static str, u32)>);

/// What one look found.
struct Look {
    payments: Vec<Awaited>,
    deposits: Vec<Progress>,
    bitcoin_height: Height,
}

struct Follower<'a> {
    record: &'a Record,
    context: &'a Context,
    lookout: Lookout<'a>,
    watch: Option<Watch>,
    /// What bitcoind showed last, and when it is asked again.
    seen: Vec<Awaited>,
    watch_from: Instant,
    register_from: Instant,
    shown: Vec<News>,
    spoke: Instant,
    began: Instant,
    progress: ShownProgress,
}

/// Waits until the deposits to the address of `record` are minted, showing each change. Should the node let the address go meanwhile,
/// it is told again.
///
/// # Errors
///
/// The node gives an answer that asking again does not mend, or what was paid was spent by something else.
pub async fn follow(
    network: &KnownNetwork,
    record: &Record,
    bitcoin: Option<BitcoinRpc>,
    context: &Context,
) -> Result<()> {
    let now = Instant::now();
    let watch = bitcoin.clone().map(|bitcoin| Watch::new(bitcoin, &network.home, [record])).transpose()?;
    let lookout = Lookout::new(&network.client, bitcoin, network.witness()?);
    let mut follower = Follower {
        record,
        context,
        lookout,
        watch,
        seen: Vec::new(),
        watch_from: now,
        register_from: now,
        shown: Vec::new(),
        spoke: now,
        began: now,
        progress: ShownProgress::new(context),
    };
    let mut is_first = true;
    loop {
        match follower.look(network).await {
            Ok(look) => {
                if std::mem::take(&mut is_first) && look.deposits.is_empty() && look.payments.is_empty() {
                    follower.show_unseen().await?;
                }
                follower.show(&look);
                follower.show_depth(&look);
                if look.has_ended() {
                    follower.progress.clear();
                    return ended(&look.deposits);
                }
            }
            Err(error) if is_temporary(&error) => tracing::warn!("asking again: {error:#}"),
            Err(error) => return Err(error),
        }
        tokio::time::sleep(POLL).await;
    }
}

impl Follower<'_> {
    async fn look(&mut self, network: &KnownNetwork) -> Result<Look> {
        let client = self.lookout.client;
        let report = client.deposit(&self.record.address).await?;
        if report.registered == Some(false) && Instant::now() >= self.register_from {
            again(client, self.record).await;
            self.register_from = Instant::now() + REGISTER_AGAIN;
        }
        expect_of(client, self.record, &report.deposits)?;
        let deposits = progress(&mut self.lookout, &network.info.parameters, report.deposits).await?;
        let in_ledger = outpoints(&deposits);
        if let (Some(watch), true) = (&mut self.watch, Instant::now() >= self.watch_from) {
            self.seen = watch.awaited(&mut self.lookout, std::slice::from_ref(self.record), &in_ledger).await?;
            self.watch_from = Instant::now() + WATCH_EVERY;
        }
        let is_new = |awaited: &&Awaited| !in_ledger.contains(&awaited.payment.outpoint);
        let payments = self.seen.iter().filter(is_new).cloned().collect();
        let bitcoin_height = self.lookout.look().await?.info.bitcoin_tip.height;
        Ok(Look { payments, deposits, bitcoin_height })
    }

    async fn show_unseen(&mut self) -> Result<()> {
        let blocks = self.watch.as_ref().and_then(|watch| watch.asked(&self.record.address));
        let unseen = Unseen::new(&self.record.address, Terms::of(self.record), self.lookout.look().await?, blocks);
        self.context.print(&Event::Unseen { unseen: &unseen }, || {
            unseen.describe().iter().for_each(|line| println!("{line}"));
            println!("(Ctrl-C stops waiting, nothing is lost: causeway status {} --follow)", self.record.address);
        });
        self.spoke = Instant::now();
        Ok(())
    }

    fn show(&mut self, look: &Look) {
        for awaited in &look.payments {
            if self.is_news(news_of_payment(awaited)) {
                self.context.print(&Event::Payment { awaited }, || {
                    awaited.describe().iter().for_each(|line| println!("{line}"));
                });
            }
        }
        for progress in &look.deposits {
            if self.is_news(news_of(progress)) {
                self.context.print(&Event::Deposit { progress }, || {
                    describe(progress, Some(&self.record.address)).iter().for_each(|line| println!("{line}"));
                });
            }
        }
        if self.spoke.elapsed() >= SILENCE {
            self.show_waiting(look);
        }
    }

    /// Whether it is told for the first time.
    fn is_news(&mut self, news: News) -> bool {
        let is_new = !self.shown.contains(&news);
        if is_new {
            self.progress.clear();
            self.shown.retain(|shown| shown.0 != news.0);
            self.shown.push(news);
            self.spoke = Instant::now();
        }
        is_new
    }

    /// How many of the confirmations are there, for people.
    fn show_depth(&self, look: &Look) {
        let waits = look.deposits.iter().flat_map(|progress| &progress.waits_for);
        let depth = waits.filter_map(|wait| match wait {
            Wait::Depth { confirmations, required, about_seconds } => Some((*confirmations, *required, *about_seconds)),
            _ => None,
        });
        match depth.max_by_key(|(confirmations, required, _)| required.saturating_sub(*confirmations)) {
            Some((confirmations, required, seconds)) => self.progress.waiting(
                "confirmations",
                confirmations.into(),
                required.into(),
                seconds.map(|seconds| about(seconds) + " more"),
            ),
            None => self.progress.clear(),
        }
    }

    fn show_waiting(&mut self, look: &Look) {
        self.progress.clear();
        let of_deposits = look.deposits.iter().flat_map(|progress| &progress.waits_for).map(Wait::name);
        let of_payments = look.payments.iter().flat_map(|awaited| &awaited.waits_for).map(super::payment::Wait::name);
        let mut waits_for: Vec<&'static str> = of_deposits.chain(of_payments).collect();
        if waits_for.is_empty() {
            waits_for.push("payment");
        }
        let (address, for_seconds, bitcoin_height) =
            (self.record.address.as_str(), self.began.elapsed().as_secs(), look.bitcoin_height);
        let event = Event::Waiting { address, for_seconds, bitcoin_height, waits_for: &waits_for };
        self.context.print(&event, || {
            let waited = humantime::format_duration(Duration::from_secs(for_seconds));
            println!("still waiting after {waited}, Bitcoin block {bitcoin_height}: {}", look.first_reason(address));
        });
        self.spoke = Instant::now();
    }
}

impl Look {
    fn has_ended(&self) -> bool {
        let none_comes = !self.payments.iter().any(Awaited::may_come);
        none_comes && !self.deposits.is_empty() && self.deposits.iter().all(Progress::has_ended)
    }

    fn first_reason(&self, address: &str) -> String {
        let of_deposits = self.deposits.iter().flat_map(|progress| &progress.waits_for).map(Wait::advice);
        let of_payments = self.payments.iter().flat_map(|awaited| &awaited.waits_for).map(|wait| wait.advice(address));
        of_deposits.chain(of_payments).next().unwrap_or_else(|| "seen nothing yet".to_owned())
    }
}

/// Where deposits are in the ledger.
pub fn outpoints(deposits: &[Progress]) -> BTreeSet<OutPoint> {
    deposits.iter().map(|progress| OutPoint::new(progress.deposit.txid, progress.deposit.vout)).collect()
}

fn ended(deposits: &[Progress]) -> Result<()> {
    let minted = deposits.iter().any(|progress| progress.deposit.minted_sat.is_some());
    ensure!(minted, "what was paid was spent by something else: no coins come of it");
    Ok(())
}

/// Registers an address that the node let go. A node that is busy is asked again at the next look.
async fn again(client: &Client, record: &Record) {
    match register(client, record).await {
        Ok(()) => tracing::info!(address = record.address, "registered again"),
        Err(error) => tracing::warn!("{error:#}"),
    }
}

/// Of a payment: in a block or not, and why it waits.
pub fn news_of_payment(awaited: &Awaited) -> News {
    let waits = awaited.waits_for.iter().map(|wait| (wait.name(), 0));
    let height = ("height", awaited.payment.height.unwrap_or_default());
    (awaited.payment.outpoint, None, waits.chain([height]).collect())
}

/// Of a deposit.
pub fn news_of(progress: &Progress) -> News {
    let deposit = &progress.deposit;
    let detail = |wait: &Wait| match wait {
        Wait::Depth { confirmations, .. } => *confirmations,
        _ => 0,
    };
    let waits = progress.waits_for.iter().map(|wait| (wait.name(), detail(wait))).collect();
    (OutPoint::new(deposit.txid, deposit.vout), Some(deposit.status), waits)
}
