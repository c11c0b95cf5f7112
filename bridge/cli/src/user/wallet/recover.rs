//! `causeway wallet recover`: every deposit to the wallet found again, from its words and what both chains tell (ADR 43).
//!
//! ```text
//!   reclaim keys 0, 1, ... of the wallet  ─┬─▶ proofs in the ledger that name one of them   any terms; swept or not
//!                                          └─▶ × epochs × steps of the maximum = addresses ─▶ bitcoind's unspent outputs
//!   until no deposit is found for the last GAP keys
//! ```
//! Nobody's word is needed for what is still on Bitcoin: an address follows from the words and the federation's key, which is proven, and
//! bitcoind tells what is there. A node that leaves proofs out hides only deposits that were swept, or that go to somebody else's account.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, B256};
use alloy_rpc_types_eth::Filter;
use alloy_sol_types::SolEvent as _;
use bitcoin::{Amount, OutPoint, ScriptBuf};
use bridge::amount;
use bridge::io::sidechain::proven;
use bridge::io::wallet::public::PublicWallet;
use bridge::peg::{Deposit, DepositStatus, Info};
use contracts::address::{DEPOSITS, FEDERATION};
use contracts::{Deposits, Federation};
use eyre::{Result, WrapErr, ensure};
use mainchain::io::rpc::{BitcoinRpc, Scan};
use serde::Serialize;

use crate::context::Context;
use crate::options::bitcoin::BitcoinArgs;
use crate::options::network::{KnownNetwork, NetworkArgs};
use crate::progress::Progress;
use crate::user::coins_scan;
use crate::user::deposit_record::{Receiver, ReclaimKey, Record, Records};
use crate::user::fee_steps::steps;
use crate::user::own_wallet::{self, GAP, missing};
use crate::user::payment_watch;
use crate::user::registration::register;
use crate::user::taken_back::is_taken_back;
use crate::user::wallet::overview::outpoint;

/// Keys that are tried at most: more deposits than that nobody makes by hand, and what is found ends the search long before.
const MOST_KEYS: u32 = 10_000;
/// Addresses of which records are written at most: a node could make up terms for keys that it was shown.
const MOST_FOUND: usize = 10_000;
/// The widest gap: with 55 maxima each, what bitcoind takes in one request.
const WIDEST_GAP: i64 = 1_000;

/// What is said of deposits that the words do not tell.
const OTHERS: &str = "One to another account than the wallet's that the ledger does not know yet is found by --to ACCOUNT, or by its record file";

/// With the genesis file as for `causeway peg-in`: the federation's key is a part of each address.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Keys in a row without a deposit after which the search ends
    #[arg(long, value_name = "N", default_value_t = GAP, value_parser = clap::value_parser!(u32).range(1..=WIDEST_GAP))]
    gap: u32,
    /// Look for deposits to this account, too, as `peg-in --to` made them: the words alone do not name it. Repeatable
    #[arg(long, value_name = "ADDRESS", value_parser = crate::options::address::parse)]
    to: Vec<Address>,
    /// Who can fetch what the code of each --to refuses, as `peg-in --claimant` named it
    #[arg(long, value_name = "ADDRESS", requires = "to", value_parser = crate::options::address::parse)]
    claimant: Option<Address>,
    #[command(flatten)]
    bitcoin: BitcoinArgs,
    #[command(flatten)]
    network: NetworkArgs,
}

/// What `--json` prints, one a line.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "camelCase", rename_all_fields = "camelCase")]
enum Event<'a> {
    Found {
        address: &'a str,
        index: u32,
        record: String,
        /// Confirmed and unspent on Bitcoin.
        unspent: Vec<Payment>,
        /// In the ledger, as the node tells.
        deposits: &'a [Deposit],
        /// Of those, what something that is no sweep spent, as bitcoind has it.
        taken_back: Vec<OutPoint>,
    },
    Recovered {
        addresses: usize,
        unspent_sat: u64,
        /// Keys that were tried.
        keys: u32,
    },
}

/// A payment that can be taken back.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Payment {
    outpoint: OutPoint,
    value_sat: u64,
    /// Blocks until it can be reclaimed.
    wait: u32,
    /// Why the federation never sweeps it; none: it may.
    #[serde(skip_serializing_if = "Option::is_none")]
    unsweepable: Option<Unsweepable>,
}

/// What keeps a payment out of the bridge for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "camelCase", rename_all_fields = "camelCase")]
enum Unsweepable {
    /// It is less than the bridge takes.
    Minimum { min_deposit_sat: u64 },
    /// No relayer shows the ledger one so old.
    TooOld { confirmations: u32, most: u32 },
}

/// Runs `causeway wallet recover`.
///
/// # Errors
///
/// There is no wallet, the node or bitcoind does not answer, or a record cannot be written.
pub fn run(args: &Args, context: &Context) -> Result<()> {
    context.block_on(async {
        let network = args.network.connect_to_pay().await?;
        let wallet = own_wallet::find(&network.home, network.bitcoin)?;
        let wallet = wallet.ok_or_else(|| missing(&network.home, network.bitcoin))?;
        let bitcoin = args.bitcoin.connect(network.bitcoin).await?;
        let others = args.to.iter().map(|to| Receiver { recipient: *to, claimant: args.claimant.unwrap_or(*to) });
        let receivers = std::iter::once(Receiver::account(wallet.account())).chain(others).collect();
        let mut search = Search::start(&network, &bitcoin, wallet, receivers).await?;
        search.run(args.gap).await?;
        search.keep(context).await
    })
}

struct Search<'a> {
    network: &'a KnownNetwork,
    bitcoin: &'a BitcoinRpc,
    wallet: PublicWallet,
    /// Whom deposits go to that are looked for on Bitcoin.
    receivers: Vec<Receiver>,
    /// Of each epoch: what the node tells of the network, with that epoch and its proven key.
    epochs: Vec<Info>,
    /// What the ledger's proofs commit to.
    proven: Vec<contracts::IDeposits::Terms>,
    found: BTreeMap<String, Record>,
    keys: u32,
}

impl<'a> Search<'a> {
    async fn start(
        network: &'a KnownNetwork,
        bitcoin: &'a BitcoinRpc,
        wallet: PublicWallet,
        receivers: Vec<Receiver>,
    ) -> Result<Self> {
        let progress = Progress::of_this_command();
        let epochs = progress.during("asking for the federation's keys", epochs(network)).await?;
        ensure!(!epochs.is_empty(), "the federation has no key yet: nobody could have paid a deposit");
        let proven = match progress.during("asking for all proofs of deposits", proofs(network)).await {
            Ok(proven) => proven,
            Err(error) => {
                eprintln!(
                    "Warning: deposits that were swept are not found: the node does not tell its proofs ({error:#})"
                );
                Vec::new()
            }
        };
        Ok(Self { network, bitcoin, wallet, receivers, epochs, proven, found: BTreeMap::new(), keys: 0 })
    }

    /// Tries keys until the last `gap` of them have no deposit.
    async fn run(&mut self, gap: u32) -> Result<()> {
        let mut wanted = gap;
        while self.keys < wanted {
            ensure!(
                wanted <= MOST_KEYS,
                "deposits are found for more than {} keys: that is no wallet of a person",
                MOST_KEYS - gap
            );
            let fresh = self.keys..wanted;
            self.keys = wanted;
            let mut used = self.in_ledger(fresh.clone())?;
            used.extend(self.on_bitcoin(fresh).await?);
            ensure!(
                self.found.len() <= MOST_FOUND,
                "more than {MOST_FOUND} deposit addresses are found: that is no wallet of a person"
            );
            wanted = used.last().map_or(wanted, |last| wanted.max(last + 1 + gap));
        }
        Ok(())
    }

    /// Those that the ledger knows, whatever their terms; by which keys.
    fn in_ledger(&mut self, keys: std::ops::Range<u32>) -> Result<BTreeSet<u32>> {
        let mut indices = BTreeMap::new();
        for index in keys {
            indices.insert(B256::from(self.wallet.reclaim_key(index)?.serialize()), index);
        }
        let mut used = BTreeSet::new();
        for terms in &self.proven {
            let Some(index) = indices.get(&terms.reclaimKey).copied() else { continue };
            let Some(epoch) = self.epochs.iter().find(|info| info.epoch == terms.epoch) else { continue };
            let to = Receiver { recipient: terms.recipient, claimant: terms.claimant };
            let key = ReclaimKey::Wallet { key: self.wallet.reclaim_key(index)?, index };
            let max_fee = Amount::from_sat(terms.maxFeeSat);
            let record = Record::with_data(epoch, self.network.bitcoin, to, max_fee, key, terms.dataHash)?;
            self.found.insert(record.address.clone(), record);
            used.insert(index);
        }
        Ok(used)
    }

    /// Those to the receivers that bitcoind has, proven to the ledger or not; by which keys.
    async fn on_bitcoin(&mut self, keys: std::ops::Range<u32>) -> Result<BTreeSet<u32>> {
        let mut used = BTreeSet::new();
        for to in self.receivers.clone() {
            used.extend(self.of_receiver(to, keys.clone()).await?);
        }
        Ok(used)
    }

    /// Of one receiver: no more addresses than bitcoind takes in a request.
    async fn of_receiver(&mut self, to: Receiver, keys: std::ops::Range<u32>) -> Result<BTreeSet<u32>> {
        let mut candidates = BTreeMap::new();
        for index in keys {
            let key = self.wallet.reclaim_key(index)?;
            for (epoch, max_fee) in self.epochs.iter().flat_map(|epoch| steps().map(move |step| (epoch, step))) {
                let key = ReclaimKey::Wallet { key, index };
                let record = Record::new(epoch, self.network.bitcoin, to, max_fee, key)?;
                candidates.insert(record.output()?.script_pubkey(), record);
            }
        }
        eprintln!("Asking bitcoind for {} addresses; on a large chain this takes minutes", candidates.len());
        let scan = scan(self.bitcoin, candidates.keys()).await?;
        let mut used = BTreeSet::new();
        for unspent in &scan.unspents {
            let Some(record) = candidates.get(&unspent.script_pubkey) else { continue };
            used.extend(record.reclaim_index);
            self.found.insert(record.address.clone(), record.clone());
        }
        Ok(used)
    }

    /// Writes the records, tells the node of what it may sweep, and shows what there is.
    async fn keep(&self, context: &Context) -> Result<()> {
        let records = Records::in_home(&self.network.home);
        let mut scripts = Vec::new();
        for record in self.found.values() {
            scripts.push(record.output()?.script_pubkey());
        }
        let scan = if scripts.is_empty() { None } else { Some(scan(self.bitcoin, scripts.iter()).await?) };
        let mut unspent_sat = 0;
        for (record, script) in self.found.values().zip(&scripts) {
            let path = records.keep(record)?;
            let mut unspent = scan.as_ref().map(|scan| payments(scan, script, record)).unwrap_or_default();
            unspent_sat += unspent.iter().map(|payment| payment.value_sat).sum::<u64>();
            if !unspent.is_empty()
                && let Err(error) = register(&self.network.client, record).await
            {
                eprintln!("Warning: {error:#}; `causeway register {}` tries again", record.address);
            }
            let report = self.network.client.deposit(&record.address).await?;
            let in_ledger: BTreeSet<OutPoint> = report.deposits.iter().map(outpoint).collect();
            for payment in unspent.iter_mut().filter(|payment| !in_ledger.contains(&payment.outpoint)) {
                let min_deposit_sat = self.network.info.parameters.min_deposit_sat;
                payment.unsweepable = unsweepable(payment, min_deposit_sat, record.reclaim_delay.get());
            }
            let mut taken_back = Vec::new();
            for deposit in &report.deposits {
                let is_taken = is_taken_back(Some(self.bitcoin), deposit).await;
                taken_back.extend(is_taken.then(|| outpoint(deposit)));
            }
            let index = record.reclaim_index.unwrap_or_default();
            let (address, record, deposits) = (record.address.as_str(), path.display().to_string(), &report.deposits);
            let event = Event::Found { address, index, record, unspent, deposits, taken_back };
            context.print(&event, || show(&event));
        }
        self.tell_status(scan.as_ref()).await;
        let recovered = Event::Recovered { addresses: self.found.len(), unspent_sat, keys: self.keys };
        context.print(&recovered, || show(&recovered));
        Ok(())
    }
}

impl Search<'_> {
    /// `status` reads new blocks only, and would know nothing of what was found. Without it the deposits are recovered all the same.
    async fn tell_status(&self, scan: Option<&Scan>) {
        let Some(scan) = scan else { return };
        let found: Vec<Record> = self.found.values().cloned().collect();
        if let Err(error) = payment_watch::remember(self.bitcoin, &self.network.home, scan, &found).await {
            eprintln!("Warning: `causeway status` does not know of these payments: {error:#}");
        }
    }
}

/// What each epoch's addresses are made of; epochs without a key are left out.
async fn epochs(network: &KnownNetwork) -> Result<Vec<Info>> {
    let (client, info, header) = (&network.client, &network.info, network.final_header().await?);
    let mut epochs = Vec::new();
    for epoch in 1..=info.epoch {
        let key = match &header {
            Some(header) => proven::federation_keys(client, header, epoch).await?.group,
            None => client.call(FEDERATION, &Federation::groupKeyCall { epoch_: epoch }).await?,
        };
        if !key.is_zero() {
            epochs.push(Info { epoch, group_key: Some(key), ..info.clone() });
        }
    }
    Ok(epochs)
}

/// What all deposits commit to that were proven to the ledger.
async fn proofs(network: &KnownNetwork) -> Result<Vec<contracts::IDeposits::Terms>> {
    let filter = Filter::new().address(DEPOSITS).event_signature(Deposits::DepositProven::SIGNATURE_HASH);
    let logs = network.client.logs(&filter, 0, network.client.block_number().await?).await?;
    // One that does not decode is no proof of ours.
    let decoded = logs.iter().filter_map(|log| Deposits::DepositProven::decode_log(&log.inner).ok());
    Ok(decoded.map(|event| event.data.terms).collect())
}

async fn scan<'a>(bitcoin: &BitcoinRpc, scripts: impl Iterator<Item = &'a ScriptBuf>) -> Result<Scan> {
    let scripts: Vec<ScriptBuf> = scripts.cloned().collect();
    coins_scan::scan(bitcoin, &scripts).await.wrap_err("bitcoind cannot look for deposits")
}

fn payments(scan: &Scan, script: &ScriptBuf, record: &Record) -> Vec<Payment> {
    let delay = u32::from(record.reclaim_delay.get());
    let own = scan.unspents.iter().filter(|unspent| unspent.script_pubkey == *script);
    own.map(|unspent| Payment {
        outpoint: unspent.outpoint,
        value_sat: unspent.value.to_sat(),
        wait: delay.saturating_sub(unspent.confirmations),
        unsweepable: None,
    })
    .collect()
}

/// Whether a payment that the ledger does not have can still come into it, as `causeway status` says it.
fn unsweepable(payment: &Payment, min_deposit_sat: u64, reclaim_delay: u16) -> Option<Unsweepable> {
    let delay = u32::from(reclaim_delay);
    let (confirmations, most) = (delay.saturating_sub(payment.wait), delay / 2);
    if payment.value_sat < min_deposit_sat {
        Some(Unsweepable::Minimum { min_deposit_sat })
    } else if confirmations > most {
        Some(Unsweepable::TooOld { confirmations, most })
    } else {
        None
    }
}

/// What becomes of a payment to an address.
fn what_comes(address: &str, payment: &Payment) -> String {
    let when = match payment.wait {
        0 => return format!("can be taken back: causeway reclaim {address} --to ..."),
        wait => format!("can be taken back in {wait} blocks"),
    };
    match payment.unsweepable {
        None => format!("the federation may sweep it; {when}"),
        Some(Unsweepable::Minimum { min_deposit_sat }) => format!(
            "it is below the smallest deposit, {}, and the bridge never takes it; {when}",
            amount::show(Amount::from_sat(min_deposit_sat))
        ),
        Some(Unsweepable::TooOld { confirmations, most }) => format!(
            "it has {confirmations} confirmations, and no relayer shows the ledger what has more than {most}; {when}"
        ),
    }
}

/// What the ledger made of a payment, or bitcoind has of it.
fn what_became(deposit: &Deposit, is_taken_back: bool) -> String {
    let outpoint = outpoint(deposit);
    let gross = amount::show(Amount::from_sat(deposit.amount_sat));
    match (deposit.minted_sat, deposit.swept_by) {
        (Some(minted), _) => {
            format!("{} minted to {} for {outpoint}", amount::show(Amount::from_sat(minted)), deposit.recipient)
        }
        (None, Some(number)) => format!("{outpoint} swept by vault transaction {number}, not deep enough yet"),
        (None, None) if is_taken_back => {
            format!("{gross} taken back at {outpoint}: it is spent, and no sweep was bound")
        }
        (None, None) if deposit.status == DepositStatus::Gone => {
            format!("{gross} gone at {outpoint}: taken back, or spent by something else that is no sweep")
        }
        (None, None) => format!("{outpoint} proven to the ledger, not swept"),
    }
}

fn show(event: &Event<'_>) {
    let sat = |sat| amount::show(Amount::from_sat(sat));
    match event {
        Event::Found { address, unspent, deposits, taken_back, .. } => {
            println!("{address}");
            for payment in unspent {
                let then = what_comes(address, payment);
                println!("  {} unspent at {}: {then}", sat(payment.value_sat), payment.outpoint);
            }
            for deposit in *deposits {
                println!("  {}", what_became(deposit, taken_back.contains(&outpoint(deposit))));
            }
        }
        Event::Recovered { addresses: 0, keys, .. } => println!(
            "No deposit was found with {keys} keys. One that is not in a block yet is found later; --gap looks further. {OTHERS}"
        ),
        Event::Recovered { addresses, unspent_sat, keys } => println!(
            "{addresses} deposit addresses found with {keys} keys, their records are written; {} on them. {OTHERS}",
            sat(*unspent_sat)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payment(value_sat: u64, wait: u32) -> Payment {
        Payment { outpoint: OutPoint::null(), value_sat, wait, unsweepable: None }
    }

    #[test]
    fn what_the_federation_never_sweeps_is_not_said_to_be_swept() {
        let told = |value_sat, wait| {
            let mut payment = payment(value_sat, wait);
            payment.unsweepable = unsweepable(&payment, 50_000, 1008);
            what_comes("bcrt1p", &payment)
        };
        assert_eq!(told(50_000, 1007), "the federation may sweep it; can be taken back in 1007 blocks");
        assert_eq!(
            told(49_999, 1007),
            "it is below the smallest deposit, 0.0005 BTC, and the bridge never takes it; can be taken back in 1007 blocks"
        );
        assert!(told(50_000, 504).starts_with("the federation may sweep it"));
        assert!(told(50_000, 503).contains("505 confirmations, and no relayer"), "{}", told(50_000, 503));
        assert_eq!(told(49_999, 0), "can be taken back: causeway reclaim bcrt1p --to ...");
    }
}
