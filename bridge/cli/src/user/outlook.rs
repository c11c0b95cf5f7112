//! How the peg stands, as far as everybody can ask: limits, books, coins of the vault, open proposals, whom the federation waits for, and the rate
//! that Bitcoin wants. What waits for something is explained by it.

use std::time::{Duration, Instant};

use bitcoin::FeeRate;
use bridge::io::sidechain::{Client, Proposal, WaitedFor};
use bridge::peg::{Info, Limits, Parameters, Vault};
use bridge::relay::fees::CONFIRM_WITHIN;
use eyre::Result;
use mainchain::io::rpc::BitcoinRpc;
use serde::Serialize;

use super::charge::{last_rate, rate_shown};
use crate::evidence::witness::Witness;

/// For how long one look is good: what is followed twice a second need not have all of it asked each time.
const GOOD_FOR: Duration = Duration::from_secs(5);
/// Seconds after which a proposal that nothing was made of says nothing of the present rate.
const YOUNG_S: u64 = 600;

/// How the peg stands.
#[derive(Clone, Debug)]
pub struct Outlook {
    pub info: Info,
    pub limits: Limits,
    pub vault: Vault,
    /// The newest last.
    pub proposals: Vec<Proposal>,
    pub waited_for: Vec<WaitedFor>,
    pub rate: Rate,
}

/// What a vault transaction has to pay now, in satoshis per 1,000 vB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rate {
    pub sat_per_kvb: u64,
    pub told_by: Source,
}

/// Who says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Source {
    /// The user's own bitcoind: its estimate for as many blocks as the federation's relayers want.
    Bitcoind,
    /// A proposal that more members approved than could all be lying.
    Proposal,
    /// The last vault transaction that was bound: old news, if fees have changed since.
    LastBound,
}

impl Outlook {
    pub fn parameters(&self) -> &Parameters {
        &self.info.parameters
    }

    /// Time of the last block, in seconds since 1970.
    pub fn now(&self) -> u64 {
        self.info.head.timestamp
    }

    pub fn reserve_sat(&self) -> i64 {
        self.info.books.reserve_sat
    }
}

impl Rate {
    /// For people.
    pub fn shown(&self) -> String {
        let by = match self.told_by {
            Source::Bitcoind => "your bitcoind's estimate",
            Source::Proposal => "the federation's newest proposal",
            Source::LastBound => "as the last vault transaction paid; --bitcoin asks a bitcoind for the rate of now",
        };
        format!("{} sat/vB ({by})", rate_shown(self.sat_per_kvb))
    }
}

/// A user's bitcoind first, since the user trusts that; then what most members agree on; else what was last paid.
fn rate(estimate: Option<FeeRate>, proposals: &[Proposal], last: u64, info: &Info) -> Rate {
    let may_lie = info.members.len().saturating_sub(info.threshold.into());
    let is_backed = |proposal: &&Proposal| {
        proposal.approvals.len() > may_lie && info.head.timestamp.saturating_sub(proposal.opened_at) <= YOUNG_S
    };
    let proposed = proposals.iter().rev().find(is_backed).map(|proposal| proposal.content.rate);
    let (sat_per_kvb, told_by) = match (estimate, proposed) {
        (Some(estimate), _) => (estimate.to_sat_per_kwu().saturating_mul(4), Source::Bitcoind),
        (None, Some(proposed)) => (proposed, Source::Proposal),
        (None, None) => (last, Source::LastBound),
    };
    let parameters = &info.parameters;
    Rate { sat_per_kvb: sat_per_kvb.clamp(parameters.min_rate, parameters.max_rate), told_by }
}

/// Looks again and again, and asks no more than it has to.
pub struct Lookout<'a> {
    pub client: &'a Client,
    pub bitcoin: Option<BitcoinRpc>,
    /// By whom what is done is proven; none on a network that nobody named: the node's word counts.
    pub witness: Option<Witness>,
    last: Option<(Instant, Outlook)>,
}

impl<'a> Lookout<'a> {
    pub fn new(client: &'a Client, bitcoin: Option<BitcoinRpc>, witness: Option<Witness>) -> Self {
        Self { client, bitcoin, witness, last: None }
    }

    /// How the peg stands, some seconds ago at most.
    ///
    /// # Errors
    ///
    /// The node does not answer, or contradicts the parameters. A bitcoind that does not answer is done without.
    pub async fn look(&mut self) -> Result<&Outlook> {
        let is_good = self.last.as_ref().is_some_and(|(at, _)| at.elapsed() < GOOD_FOR);
        let outlook = match self.last.take() {
            Some(last) if is_good => last,
            _ => (Instant::now(), self.ask().await?),
        };
        Ok(&self.last.insert(outlook).1)
    }

    async fn ask(&self) -> Result<Outlook> {
        let client = self.client;
        let info = client.info().await?;
        let (limits, vault) = (client.limits().await?, client.vault().await?);
        let proposals = client.proposals(&info).await?;
        let waited_for = client.waited_for(&info, &proposals, &vault.pending).await?;
        let estimate = match &self.bitcoin {
            Some(bitcoin) => bitcoin.fee_rate(CONFIRM_WITHIN).await.unwrap_or_else(|error| {
                tracing::warn!("bitcoind's estimate is done without: {error}");
                None
            }),
            None => None,
        };
        let rate = rate(estimate, &proposals, last_rate(client, &info.parameters).await?, &info);
        Ok(Outlook { info, limits, vault, proposals, waited_for, rate })
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::user::charge::tests::parameters;
    use bridge::peg::{Content, LiveOutput, Pending};
    use serde_json::json;

    pub const NOW: u64 = 1_700_000_000;

    /// Nothing stops anything: 10 BTC in one rooted output, a reserve of 0.01 BTC, 2 sat/vB.
    pub fn outlook() -> Outlook {
        let members: Vec<_> = (1..=4)
            .map(|index| json!({ "index": index, "name": format!("member {index}"), "account": format!("0x{index:040x}") }))
            .collect();
        let info = json!({
            "chainId": 1, "networkId": format!("0x{:064x}", 1), "bitcoinNetwork": "regtest",
            "contracts": bridge::peg::Contracts::GENESIS, "epoch": 1,
            "groupKey": "0x4d4b6cd1361032ca9bd2aeb9d900aa4d45d9ead80ac9423374c451a7254d0766",
            "vaultKey": "0x4d4b6cd1361032ca9bd2aeb9d900aa4d45d9ead80ac9423374c451a7254d0766",
            "threshold": 3, "members": members, "parameters": parameters(),
            "bitcoinTip": { "hash": "00".repeat(32), "height": 500 },
            "books": { "vaultSat": 1_000_000_000, "owedSat": 0, "unmintedSat": 0, "unsweptSat": 0, "lostSat": 0,
                "reserveSat": 1_000_000, "unclaimedSat": 0, "coveredSat": 0, "supplySat": 999_000_000 },
            "head": { "number": 9, "hash": format!("0x{:064x}", 9), "timestamp": NOW }, "version": "0"
        });
        let limits = json!({
            "capSat": 10_000_000_000_u64, "capUsedSat": 0, "windowSat": 200_000_000, "windowLeftSat": 200_000_000, "windowSeconds": 1_000,
            "pausedUntil": NOW, "pauseAllowedFrom": 0, "pauseNumber": 0, "liftVotes": 0, "alarmed": false, "missingSat": 0,
            "stopSat": 1_000, "stopped": false, "maxInputs": 64, "maxPayouts": 220, "tierUsedSat": [0, 0]
        });
        let outputs = vec![output(1, 1_000_000_000)];
        Outlook {
            info: serde_json::from_value(info).expect("all of its fields"),
            limits: serde_json::from_value(limits).expect("all of its fields"),
            vault: Vault { outputs, pending: Vec::new(), looked_from: 1 },
            proposals: Vec::new(),
            waited_for: Vec::new(),
            rate: Rate { sat_per_kvb: 2_000, told_by: Source::Bitcoind },
        }
    }

    pub fn output(number: u32, amount_sat: u64) -> LiveOutput {
        let txid = txid(number);
        LiveOutput { number, txid, amount_sat, epoch: 1, rooted: true }
    }

    pub fn txid(number: u32) -> bitcoin::Txid {
        use bitcoin::hashes::Hash as _;
        bitcoin::Txid::hash(&number.to_le_bytes())
    }

    /// A vault transaction that waits for Bitcoin since a minute.
    pub fn pending(number: u32, content: Content) -> Pending {
        Pending { number, txid: txid(number), bound_at: NOW - 60, change_sat: 700, content }
    }

    pub fn proposal(number: u64, approvals: &[u16], content: Content) -> Proposal {
        let approvals = approvals.iter().copied().collect();
        Proposal { number, member: 1, content, approvals, opened_at: NOW - 40, bound: false }
    }

    #[test]
    fn the_rate_is_ones_own_bitcoinds_else_what_most_members_agree_on_else_the_last_that_was_paid() {
        let info = outlook().info;
        let at = |rate| Content { rate, ..Content::default() };
        let proposals = [proposal(1, &[1, 2], at(9_000)), proposal(2, &[1], at(900_000))];
        let own = Some(FeeRate::from_sat_per_vb_u32(50));
        let told = |estimate, proposals: &[Proposal]| {
            let rate = rate(estimate, proposals, 3_000, &info);
            (rate.sat_per_kvb, rate.told_by)
        };
        assert_eq!(told(own, &proposals), (50_000, Source::Bitcoind));
        assert_eq!(told(None, &proposals), (9_000, Source::Proposal), "one member alone may propose anything");
        assert_eq!(told(None, &proposals[1..]), (3_000, Source::LastBound));
        let old = Proposal { opened_at: NOW - 601, ..proposals[0].clone() };
        assert_eq!(told(None, &[old]), (3_000, Source::LastBound));
        let most = Some(FeeRate::from_sat_per_vb_u32(1_000_000));
        assert_eq!(told(most, &[]), (info.parameters.max_rate, Source::Bitcoind), "the ledger takes no higher one");
    }
}
