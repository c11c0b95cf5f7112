//! A payment to a deposit address that the ledger does not have yet: as one's own bitcoind sees it, what it waits for, and what keeps it out
//! (which ones relayers show: `bridge/src/relay/proving.rs`). Pure.

use bitcoin::{Amount, OutPoint};
use bridge::amount::show;
use bridge::io::sidechain::WaitedFor;
use bridge::relay::confirmations::COINBASE_MATURITY;
use mainchain::Network;
use mainchain::header::Height;
use serde::Serialize;

use super::charge::of_deposit;
use super::deposit_record::Record;
use super::outlook::{Outlook, Rate};
use super::withdrawal_waits::waits_for_member;

/// Confirmations within which a payment is usually in the ledger; nothing is wrong before.
const SOON_BLOCKS: u32 = 3;
/// What Bitcoin aims at, in seconds (its consensus).
const BLOCK_S: u64 = 600;

/// A payment that one's own bitcoind sees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Payment {
    pub outpoint: OutPoint,
    pub address: String,
    pub amount_sat: u64,
    /// None: in the mempool.
    pub height: Option<Height>,
    pub confirmations: u32,
    pub coinbase: bool,
}

/// What keeps it out of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Wait {
    /// It is less than the bridge takes: it never will.
    Minimum { min_deposit_sat: u64 },
    /// Its maximum is less than what a sweep costs now.
    Maximum { max_fee_sat: u64, charge_sat: u64, rate: Rate },
    /// In no block yet.
    Unconfirmed,
    /// A miner's reward, which Bitcoin lets nobody spend before.
    Immature { confirmations: u32, required: u32 },
    /// No relayer shows one so old: it could be reclaimed before its sweep confirms.
    TooOld { confirmations: u32, most: u32 },
    /// The ledger does not know its block yet.
    Headers { ledger_height: Height },
    /// The ledger refuses it.
    Refused { by_reason: String },
    /// A member keeps the others waiting.
    Member(WaitedFor),
    /// Nothing that can be seen stops it: the federation shows it to the ledger.
    Proof { confirmations: u32 },
}

/// A payment with what it waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Awaited {
    #[serde(flatten)]
    pub payment: Payment,
    pub waits_for: Vec<Wait>,
    /// The first Bitcoin block in which its owner can take it back.
    pub reclaimable_from: Option<Height>,
    /// About how many seconds until then; none on regtest, whose blocks come when somebody wants them.
    pub reclaimable_in_s: Option<u64>,
}

/// An address to which no payment was seen: who was asked, and what would be kept out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Unseen {
    pub address: String,
    pub min_deposit_sat: u64,
    pub max_fee_sat: u64,
    pub charge_sat: u64,
    pub rate: Rate,
    pub reclaim_delay: u16,
    /// Up to which block the ledger knows Bitcoin.
    pub ledger_height: Height,
    /// The first and the last block that one's own bitcoind was asked for; none without one.
    pub bitcoind_blocks: Option<(Height, Height)>,
    /// Blocks before those that are not read yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bitcoind_unread: Option<(Height, Height)>,
    pub waited_for: Vec<WaitedFor>,
}

/// Blocks that one's own bitcoind was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocks {
    /// The first and the last of those that were read.
    pub read: (Height, Height),
    /// Those before them that the next looks read.
    pub unread: Option<(Height, Height)>,
}

/// What the address allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    pub max_fee_sat: u64,
    pub reclaim_delay: u16,
}

impl Terms {
    pub fn of(record: &Record) -> Self {
        Self { max_fee_sat: record.max_fee_sat, reclaim_delay: record.reclaim_delay.get() }
    }
}

impl Awaited {
    /// Why the ledger does not have it. `refused`: what the ledger says when it is shown.
    pub fn new(payment: Payment, terms: Terms, outlook: &Outlook, refused: Option<String>) -> Self {
        let waits_for = waits(&payment, terms, outlook, refused);
        let reclaimable_from = payment.height.map(|height| height.saturating_add(terms.reclaim_delay.into()));
        let left = u32::from(terms.reclaim_delay).saturating_sub(payment.confirmations);
        let reclaimable_in_s = reclaimable_from.and_then(|_| about_seconds(left, outlook.info.bitcoin_network));
        Self { payment, waits_for, reclaimable_from, reclaimable_in_s }
    }

    /// Whether it may still become a deposit, as far as can be seen.
    pub fn may_come(&self) -> bool {
        !self.waits_for.iter().any(|wait| matches!(wait, Wait::Minimum { .. } | Wait::TooOld { .. }))
    }

    /// Whether it should be in the ledger by now.
    pub fn is_late(&self) -> bool {
        self.waits_for.iter().any(|wait| matches!(wait, Wait::Proof { confirmations } if *confirmations >= SOON_BLOCKS))
    }

    /// In lines.
    pub fn describe(&self) -> Vec<String> {
        let Payment { outpoint, address, amount_sat, height, .. } = &self.payment;
        let place = match height {
            Some(height) => format!("in Bitcoin block {height}"),
            None => "in no Bitcoin block yet".to_owned(),
        };
        let mut lines = vec![format!("{outpoint}: {} paid, {place}, not in the ledger yet", sat(*amount_sat))];
        lines.extend(self.waits_for.iter().map(|wait| format!("  waits      {}", wait.advice(address))));
        let verb = if self.may_come() { "or else" } else { "instead" };
        lines.extend(self.reclaimable_from.map(|block| {
            let when = self.reclaimable_in_s.map(|seconds| format!(" (in {})", about(seconds))).unwrap_or_default();
            format!("  {verb:<10} its owner takes it back from block {block} on{when}: causeway reclaim {address}")
        }));
        lines
    }
}

impl Unseen {
    /// What there is to say of an address that nobody paid.
    pub fn new(address: &str, terms: Terms, outlook: &Outlook, blocks: Option<Blocks>) -> Self {
        let (parameters, rate) = (outlook.parameters(), outlook.rate);
        Self {
            address: address.to_owned(),
            min_deposit_sat: parameters.min_deposit_sat,
            max_fee_sat: terms.max_fee_sat,
            charge_sat: of_deposit(rate.sat_per_kvb, parameters).to_sat(),
            rate,
            reclaim_delay: terms.reclaim_delay,
            ledger_height: outlook.info.bitcoin_tip.height,
            bitcoind_blocks: blocks.map(|blocks| blocks.read),
            bitcoind_unread: blocks.and_then(|blocks| blocks.unread),
            waited_for: outlook.waited_for.clone(),
        }
    }

    /// In lines.
    pub fn describe(&self) -> Vec<String> {
        let mut lines = vec![format!("Seen nothing yet: waiting for a payment to {}", self.address)];
        let unread = self
            .bitcoind_unread
            .map(|(first, last)| format!(", and not yet {first} to {last}, of which the next looks read some each"));
        lines.push(match self.bitcoind_blocks {
            Some((first, last)) => format!(
                "  asked      your bitcoind (mempool, and blocks {first} to {last}{}; for an earlier payment: causeway status {} --prove) and the ledger (Bitcoin block {})",
                unread.unwrap_or_default(),
                self.address,
                self.ledger_height
            ),
            None => format!(
                "  asked      the ledger alone (Bitcoin block {}): a payment shows once it is in a block and the federation has proven it; with a bitcoind of yours (--bitcoin) at once",
                self.ledger_height
            ),
        });
        lines.push(format!("  kept out   payments below {}", sat(self.min_deposit_sat)));
        if self.charge_sat > self.max_fee_sat {
            lines.push(format!(
                "  kept out   any, while a sweep costs {} at {}: this address allows {}",
                sat(self.charge_sat),
                self.rate.shown(),
                sat(self.max_fee_sat)
            ));
        }
        lines.extend(
            self.waited_for
                .iter()
                .map(|member| format!("  meanwhile  the federation waits {}", waits_for_member(member))),
        );
        lines.push(format!(
            "  or else    what is not swept is yours again {} blocks after its payment: causeway reclaim {}",
            self.reclaim_delay, self.address
        ));
        lines
    }
}

fn waits(payment: &Payment, terms: Terms, outlook: &Outlook, refused: Option<String>) -> Vec<Wait> {
    let (parameters, rate) = (outlook.parameters(), outlook.rate);
    let Payment { amount_sat, height, confirmations, coinbase, .. } = *payment;
    let (min_deposit_sat, most) = (parameters.min_deposit_sat, u32::from(terms.reclaim_delay) / 2);
    if amount_sat < min_deposit_sat {
        return vec![Wait::Minimum { min_deposit_sat }];
    }
    if confirmations > most {
        return vec![Wait::TooOld { confirmations, most }];
    }
    let charge_sat = of_deposit(rate.sat_per_kvb, parameters).to_sat();
    let max_fee_sat = terms.max_fee_sat;
    let mut waits: Vec<Wait> =
        (charge_sat > max_fee_sat).then_some(Wait::Maximum { max_fee_sat, charge_sat, rate }).into_iter().collect();
    let ledger_height = outlook.info.bitcoin_tip.height;
    match height {
        None => waits.push(Wait::Unconfirmed),
        Some(_) if coinbase && confirmations < COINBASE_MATURITY => {
            waits.push(Wait::Immature { confirmations, required: COINBASE_MATURITY });
        }
        Some(height) if height > ledger_height => waits.push(Wait::Headers { ledger_height }),
        Some(_) => match refused {
            Some(by_reason) => waits.push(Wait::Refused { by_reason }),
            None => waits.push(Wait::Proof { confirmations }),
        },
    }
    waits.extend(outlook.waited_for.iter().cloned().map(Wait::Member));
    waits
}

impl Wait {
    /// One word, as in JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Minimum { .. } => "minimum",
            Self::Maximum { .. } => "maximum",
            Self::Unconfirmed => "unconfirmed",
            Self::Immature { .. } => "immature",
            Self::TooOld { .. } => "tooOld",
            Self::Headers { .. } => "headers",
            Self::Refused { .. } => "refused",
            Self::Member(_) => "member",
            Self::Proof { .. } => "proof",
        }
    }

    /// For people.
    pub fn advice(&self, address: &str) -> String {
        match self {
            Self::Minimum { min_deposit_sat } => {
                format!(
                    "for nothing: it is below the smallest deposit, {}, and the bridge never takes it",
                    sat(*min_deposit_sat)
                )
            }
            Self::Maximum { max_fee_sat, charge_sat, rate } => format!(
                "its maximum is {}, which nobody can raise, and a sweep costs {} at {}: for a lower rate",
                sat(*max_fee_sat),
                sat(*charge_sat),
                rate.shown()
            ),
            Self::Unconfirmed => "for a Bitcoin block with it".into(),
            Self::Immature { confirmations, required } => {
                format!("a miner's reward is taken when it can be spent: {confirmations} of {required} confirmations")
            }
            Self::TooOld { confirmations, most } => format!(
                "for nothing: it has {confirmations} confirmations, and no relayer shows the ledger what has more than {most}, since it could be taken back before its sweep confirms"
            ),
            Self::Headers { ledger_height } => {
                format!(
                    "for a relayer to bring its block's header: the ledger knows Bitcoin up to block {ledger_height}"
                )
            }
            Self::Refused { by_reason } => format!("the ledger refuses it: {by_reason}"),
            Self::Member(waited_for) => waits_for_member(waited_for),
            Self::Proof { confirmations } if *confirmations <= SOON_BLOCKS => {
                "for the federation to prove it to the ledger".into()
            }
            Self::Proof { confirmations } => format!(
                "for the federation to prove it to the ledger: {confirmations} confirmations, and nothing stops it. A node that was full may have forgotten the address: causeway status {address} --prove"
            ),
        }
    }
}

/// About how long so many more blocks take; none on regtest, whose blocks come when somebody wants them.
pub fn about_seconds(blocks: u32, network: Network) -> Option<u64> {
    (network != Network::Regtest).then(|| u64::from(blocks) * BLOCK_S)
}

/// A time of which nobody knows the seconds, for people.
pub fn about(seconds: u64) -> String {
    const MINUTE: u64 = 60;
    let rounded = if seconds < 2 * 24 * 60 * MINUTE {
        seconds.div_ceil(MINUTE) * MINUTE
    } else {
        seconds.div_ceil(3_600) * 3_600
    };
    format!("about {}", humantime::format_duration(std::time::Duration::from_secs(rounded)))
}

fn sat(sat: u64) -> String {
    show(Amount::from_sat(sat))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::user::outlook::tests::{outlook, txid};

    const TERMS: Terms = Terms { max_fee_sat: 5_000, reclaim_delay: 1_008 };

    fn payment(height: Option<Height>) -> Payment {
        let confirmations = height.map_or(0, |height| 501 - height);
        let outpoint = OutPoint::new(txid(90), 1);
        Payment { outpoint, address: "bcrt1q".into(), amount_sat: 1_000_000, height, confirmations, coinbase: false }
    }

    fn told(payment: Payment, outlook: &Outlook) -> Awaited {
        Awaited::new(payment, TERMS, outlook, None)
    }

    fn names(awaited: &Awaited) -> Vec<&'static str> {
        awaited.waits_for.iter().map(Wait::name).collect()
    }

    #[test]
    fn a_payment_waits_for_a_block_for_its_header_and_to_be_proven() {
        let outlook = outlook();
        let unconfirmed = told(payment(None), &outlook);
        assert_eq!((names(&unconfirmed), unconfirmed.reclaimable_from), (vec!["unconfirmed"], None));
        assert_eq!(unconfirmed.describe()[1], "  waits      for a Bitcoin block with it");
        let ahead = told(Payment { height: Some(501), confirmations: 1, ..payment(None) }, &outlook);
        assert_eq!(ahead.waits_for, [Wait::Headers { ledger_height: 500 }]);
        let fresh = told(payment(Some(500)), &outlook);
        assert_eq!(fresh.describe()[1], "  waits      for the federation to prove it to the ledger");
        assert_eq!(
            fresh.describe()[2],
            "  or else    its owner takes it back from block 1508 on: causeway reclaim bcrt1q"
        );
        let forgotten = told(payment(Some(490)), &outlook);
        assert!(forgotten.describe()[1].contains("causeway status bcrt1q --prove"), "{forgotten:?}");
    }

    #[test]
    fn what_the_bridge_never_takes_is_its_owners_again_and_nobody_waits_for_it() {
        let outlook = outlook();
        let small = told(Payment { amount_sat: 2_999, ..payment(Some(500)) }, &outlook);
        assert_eq!((names(&small), small.may_come()), (vec!["minimum"], false));
        assert!(small.describe()[1].contains("0.00003 BTC"), "{small:?}");
        assert!(small.describe()[2].starts_with("  instead    its owner takes it back from block 1508"), "{small:?}");
        let old = told(Payment { confirmations: 505, ..payment(Some(1)) }, &outlook);
        assert_eq!(
            (old.waits_for.clone(), old.may_come()),
            (vec![Wait::TooOld { confirmations: 505, most: 504 }], false)
        );
    }

    #[test]
    fn a_sweep_that_costs_more_than_the_address_allows_is_told_with_the_present_price() {
        let mut outlook = outlook();
        outlook.rate.sat_per_kvb = 80_000;
        let awaited = told(payment(Some(500)), &outlook);
        assert_eq!(names(&awaited), ["maximum", "proof"]);
        let advice = &awaited.describe()[1];
        assert!(advice.contains("0.00005 BTC") && advice.contains("80 sat/vB"), "{advice}");
    }

    #[test]
    fn an_address_that_nobody_paid_says_who_was_asked_and_what_would_be_kept_out() {
        let mut outlook = outlook();
        let alone = Unseen::new("bcrt1q", TERMS, &outlook, None).describe();
        assert_eq!(alone[0], "Seen nothing yet: waiting for a payment to bcrt1q");
        assert!(
            alone[1].contains("the ledger alone (Bitcoin block 500)") && alone[1].contains("--bitcoin"),
            "{alone:?}"
        );
        assert_eq!(alone.len(), 4);
        outlook.rate.sat_per_kvb = 80_000;
        let blocks = |unread| Some(Blocks { read: (495, 501), unread });
        let both = Unseen::new("bcrt1q", TERMS, &outlook, blocks(None)).describe();
        assert!(both[1].contains("blocks 495 to 501; for"), "{both:?}");
        let behind = Unseen::new("bcrt1q", TERMS, &outlook, blocks(Some((100, 494)))).describe();
        assert!(behind[1].contains("blocks 495 to 501, and not yet 100 to 494"), "{behind:?}");
        assert!(both[3].contains("this address allows 0.00005 BTC"), "{both:?}");
    }

    #[test]
    fn a_miners_reward_waits_until_it_can_be_spent_and_a_refusal_is_told_with_its_reason() {
        let outlook = outlook();
        let reward = told(Payment { coinbase: true, ..payment(Some(460)) }, &outlook);
        assert_eq!(reward.waits_for, [Wait::Immature { confirmations: 41, required: 100 }]);
        let refused = Awaited::new(payment(Some(460)), TERMS, &outlook, Some("no group key of epoch 9".into()));
        assert!(refused.describe()[1].ends_with("the ledger refuses it: no group key of epoch 9"), "{refused:?}");
    }

    #[test]
    fn times_are_told_where_blocks_come_by_themselves() {
        let mut outlook = outlook();
        outlook.info.bitcoin_network = Network::Mainnet;
        let lines = told(payment(Some(499)), &outlook).describe();
        assert!(
            lines[2].contains("block 1507 on (in about 6days 23h 40m)") || lines[2].contains("in about 7days"),
            "{lines:?}"
        );
        assert_eq!(about(40 * 60), "about 40m");
        assert_eq!(about_seconds(4, Network::Regtest), None);
    }

    #[test]
    fn a_member_that_keeps_the_others_waiting_is_named() {
        let mut outlook = outlook();
        let what = "its approval of proposal 7".into();
        outlook.waited_for = vec![WaitedFor { member: 2, name: "bob".into(), what }];
        let awaited = told(payment(Some(500)), &outlook);
        assert_eq!(names(&awaited), ["proof", "member"]);
    }
}
