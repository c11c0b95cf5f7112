//! One's own deposits and withdrawals, as commands in this home folder made them, each with what it waits for; and the bridge in a line.

use std::collections::BTreeSet;
use std::path::Path;

use alloy_primitives::Address;
use bitcoin::OutPoint;
use contracts::address;
use eyre::Result;
use mainchain::header::Height;
use serde::Serialize;

use super::bridge_waits::{Now, now, payable, stopped};
use super::deposit::{self, Progress, expect_of};
use super::deposit_follow::{news_of, news_of_payment, outpoints};
use super::deposit_record::{Record, Records};
use super::outlook::Lookout;
use super::payment::{Awaited, Terms, Unseen};
use super::payment_watch::Watch;
use super::registration::{Unregistered, register};
use super::withdrawal;
use super::withdrawal_record::WithdrawnRecords;
use super::withdrawal_waits::Wait;
use crate::options::network::KnownNetwork;

/// Of each kind, the newest that are looked at without `--all`: each is a question or more to a node.
const MOST: usize = 20;

/// Everything of one's own that is shown.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Own {
    deposits: Vec<OwnAddress>,
    withdrawals: Vec<withdrawal::Progress>,
    /// Those that are done, and are not shown.
    done: usize,
    /// Those that were not looked at, being older.
    older: usize,
    bridge: Now,
    bitcoin_height: Height,
}

/// A deposit address of one's own, with what was paid to it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct OwnAddress {
    address: String,
    recipient: Address,
    deposits: Vec<Progress>,
    payments: Vec<Awaited>,
    /// The node does not take the address.
    #[serde(skip_serializing_if = "Option::is_none")]
    unregistered: Option<Unregistered>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unseen: Option<Unseen>,
}

impl Own {
    /// Looks at the newest; with `all` at every one, those that are done too.
    ///
    /// # Errors
    ///
    /// The node does not answer or prove what it says, or the records cannot be read.
    pub async fn look(
        lookout: &mut Lookout<'_>,
        network: &KnownNetwork,
        watch: &mut Option<Watch>,
        all: bool,
    ) -> Result<Self> {
        let most = if all { usize::MAX } else { MOST };
        let (records, older_addresses) = Records::in_home(&network.home).newest(network.network_id, most)?;
        let (ids, older_withdrawals) = WithdrawnRecords::in_home(&network.home, network.network_id).newest(most)?;
        let mut addresses = Vec::new();
        for record in &records {
            addresses.push(paid_to(lookout, network, record).await?);
        }
        let known: BTreeSet<OutPoint> = addresses.iter().flat_map(|address| outpoints(&address.deposits)).collect();
        let payments = payments(lookout, watch, &network.home, &records, &known).await?;
        for (address, record) in addresses.iter_mut().zip(&records) {
            let to_it = payments.iter().filter(|awaited| awaited.payment.address == record.address);
            address.payments = to_it.cloned().collect();
            if address.unregistered.is_none() && address.deposits.is_empty() && address.payments.is_empty() {
                let blocks = watch.as_ref().and_then(|watch| watch.asked(&record.address));
                let outlook = lookout.look().await?;
                address.unseen = Some(Unseen::new(&record.address, Terms::of(record), outlook, blocks));
            }
        }
        let mut withdrawals = Vec::new();
        for id in ids {
            withdrawals.extend(withdrawal::progress(lookout, &network.info.parameters, id).await?);
        }
        let counted = addresses.len() + withdrawals.len();
        if !all {
            addresses.retain(|address| !address.is_done());
            withdrawals.retain(|progress| !withdrawal::has_ended(progress.withdrawal.status));
        }
        let outlook = lookout.look().await?;
        Ok(Self {
            done: counted - addresses.len() - withdrawals.len(),
            older: older_addresses + older_withdrawals,
            deposits: addresses,
            withdrawals,
            bridge: now(outlook),
            bitcoin_height: outlook.info.bitcoin_tip.height,
        })
    }

    /// Nothing of one's own is under way.
    pub fn has_ended(&self) -> bool {
        let deposits = self.deposits.iter().all(OwnAddress::is_done);
        deposits && self.withdrawals.iter().all(|progress| withdrawal::has_ended(progress.withdrawal.status))
    }

    /// What is worth another look at the list: another status, another reason to wait; not each block.
    pub fn news(&self) -> Vec<String> {
        let addresses = self.deposits.iter().map(OwnAddress::news);
        let withdrawals = self
            .withdrawals
            .iter()
            .map(|progress| format!("{} {:?}", progress.withdrawal.id, withdrawal::news(progress)));
        let stopped: Vec<_> = self.bridge.stopped_by.iter().map(Wait::name).collect();
        let bridge = format!("{} {stopped:?} {} {}", self.bridge.payable_sat > 0, self.done, self.older);
        addresses.chain(withdrawals).chain([bridge]).collect()
    }

    /// In lines.
    pub fn describe(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for address in &self.deposits {
            lines.extend(address.describe());
        }
        for progress in &self.withdrawals {
            lines.extend(withdrawal::describe(progress));
        }
        if lines.is_empty() && self.done + self.older == 0 {
            lines.push(
                "You have no deposits or withdrawals here yet: causeway peg-in --to 0xYou makes an address to pay"
                    .into(),
            );
        } else if lines.is_empty() {
            lines.push("Nothing of yours is under way".into());
        }
        if self.done + self.older > 0 {
            let (done, older) = (self.done, self.older);
            lines.push(format!("{done} done and {older} older are not shown: causeway status --all"));
        }
        lines.push(format!("Bridge: {}; {}", payable(&self.bridge), self.bridge.rate.shown()));
        lines.extend(self.bridge.stopped_by.iter().map(|wait| format!("  {:<10} {}", wait.name(), stopped(wait))));
        lines.push("  causeway status bridge shows all of it".to_owned());
        lines
    }
}

impl OwnAddress {
    /// Something was paid, and all of it has ended.
    fn is_done(&self) -> bool {
        let none_comes = !self.payments.iter().any(Awaited::may_come);
        none_comes && !self.deposits.is_empty() && self.deposits.iter().all(Progress::has_ended)
    }

    fn news(&self) -> String {
        let payments: Vec<_> = self.payments.iter().map(news_of_payment).collect();
        let deposits: Vec<_> = self.deposits.iter().map(news_of).collect();
        format!("{} {:?} {payments:?} {deposits:?}", self.address, self.unregistered)
    }

    fn describe(&self) -> Vec<String> {
        let payments = self.payments.iter().flat_map(Awaited::describe);
        let deposits = self.deposits.iter().flat_map(|progress| deposit::describe(progress, Some(&self.address)));
        let paid: Vec<String> = payments.chain(deposits).collect();
        let unseen = self.unseen.iter().flat_map(|unseen| unseen.describe().into_iter().take(2));
        let whose = match self.recipient {
            address::BRIDGE => "the reserve".to_owned(),
            recipient => recipient.to_string(),
        };
        let heading = format!("Deposit address {} for {whose}", self.address);
        let refused = self.unregistered.iter().flat_map(|refusal| refusal.describe(&self.address));
        let inner = refused.chain(paid).chain(unseen).map(|line| format!("  {line}"));
        std::iter::once(heading).chain(inner).collect()
    }
}

/// What the ledger has of payments to one's own address. Should the node have let it go, it is told again.
async fn paid_to(lookout: &mut Lookout<'_>, network: &KnownNetwork, record: &Record) -> Result<OwnAddress> {
    let client = lookout.client;
    let mut report = client.deposit(&record.address).await?;
    let mut unregistered = None;
    if report.registered == Some(false) {
        match register(client, record).await {
            Ok(()) => report = client.deposit(&record.address).await?,
            // The others are looked at all the same.
            Err(error) => match Unregistered::by(error) {
                Ok(refusal) => unregistered = Some(refusal),
                Err(error) => tracing::warn!("{error:#}"),
            },
        }
    }
    expect_of(client, record, &report.deposits)?;
    let deposits = deposit::progress(lookout, &network.info.parameters, report.deposits).await?;
    let (address, recipient) = (record.address.clone(), record.recipient);
    Ok(OwnAddress { address, recipient, deposits, payments: Vec::new(), unregistered, unseen: None })
}

/// Payments to these addresses that the ledger does not have, by one's own bitcoind.
///
/// # Errors
///
/// The node does not answer, or a record is damaged.
pub async fn payments(
    lookout: &mut Lookout<'_>,
    watch: &mut Option<Watch>,
    home: &Path,
    records: &[Record],
    in_ledger: &BTreeSet<OutPoint>,
) -> Result<Vec<Awaited>> {
    let Some(bitcoin) = lookout.bitcoin.clone().filter(|_| !records.is_empty()) else { return Ok(Vec::new()) };
    let watch = match watch {
        Some(watch) => watch,
        None => watch.insert(Watch::new(bitcoin, home, records)?),
    };
    watch.awaited(lookout, records, in_ledger).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::user::bridge_waits::now;
    use crate::user::outlook::tests::outlook;
    use crate::user::payment::{Blocks, Payment};

    fn own(height: Height) -> Own {
        let mut outlook = outlook();
        outlook.info.bitcoin_tip.height = height;
        let terms = Terms { max_fee_sat: 5_000, reclaim_delay: 1_008 };
        let blocks = Some(Blocks { read: (height - 6, height), unread: None });
        let address = OwnAddress {
            address: "bcrt1q".into(),
            recipient: Address::repeat_byte(1),
            deposits: Vec::new(),
            payments: Vec::new(),
            unregistered: None,
            unseen: Some(Unseen::new("bcrt1q", terms, &outlook, blocks)),
        };
        let bridge = now(&outlook);
        Own { deposits: vec![address], withdrawals: vec![], done: 0, older: 0, bridge, bitcoin_height: height }
    }

    #[test]
    fn a_block_in_which_nothing_happened_shows_no_list_again_and_a_payment_does() {
        let (before, mut after) = (own(500), own(502));
        assert_ne!(before.describe(), after.describe(), "the lines name heights");
        assert_eq!(before.news(), after.news());
        let outpoint = OutPoint::null();
        let payment = Payment {
            outpoint,
            address: "bcrt1q".into(),
            amount_sat: 1_000_000,
            height: None,
            confirmations: 0,
            coinbase: false,
        };
        let terms = Terms { max_fee_sat: 5_000, reclaim_delay: 1_008 };
        let paid = |height| Awaited::new(Payment { height, ..payment.clone() }, terms, &outlook(), None);
        after.deposits[0].payments = vec![paid(None)];
        let unconfirmed = after.news();
        assert_ne!(before.news(), unconfirmed);
        after.deposits[0].payments = vec![paid(Some(500))];
        assert_ne!(after.news(), unconfirmed, "a block with it is news");
    }
}
