//! The chain, from now on: what changes of the channels, and what to claim of them.

use std::sync::Weak;
use std::time::Duration;

use alloy_primitives::{B256, U256};
use alloy_rpc_types_eth::Filter;
use alloy_sol_types::SolEvent as _;
use bridge::channel_calls;
use bridge::io::sidechain::Call;
use contracts::MicroChannel;
use contracts::address::MICRO_CHANNEL;
use payments::payee::claim_gas;
use payments::payee::claims::{Claim, ClaimRules, Due};
use payments::voucher::SignedVoucher;

use super::super::desk::now;
use super::fund;
use super::state::{CLAIM_GAS, Sessions, lock};
use crate::refusal::Refusal;

/// How often the chain is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Blocks whose logs are read at a time.
const MOST_BLOCKS: u64 = 5_000;
/// Channels that are read again each time whether or not a log names them: a node that withholds logs keeps nothing back for long.
const READ_AGAIN: usize = 8;
/// Channels that are read together.
const AT_ONCE: usize = 64;
/// How often it is looked whether a claim is seen.
const MOST_LOOKS: u32 = 10;
/// The same for each further one of a transaction.
const NEXT_CLAIM_GAS: u64 = 80_000;
/// Gas of a claim of ticks: a hash each, at most 1,024.
const STREAM_GAS: u64 = 1_200_000;

/// Looks at the chain for as long as there are sessions.
pub async fn watch(sessions: Weak<Sessions>) {
    let (mut place, mut is_short) = (0, false);
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let Some(sessions) = sessions.upgrade() else { return };
        if let Err(refusal) = sessions.catch_up(&mut place).await {
            tracing::warn!(%refusal, "channels are not looked at");
            continue;
        }
        sessions.expire_trust();
        let was_short = std::mem::replace(&mut is_short, sessions.can_claim() == Err(Refusal::NoGas));
        match (was_short, is_short) {
            (false, true) => tracing::error!(
                account = %sessions.chain.sender(),
                "the account cannot pay for a claim: nothing is given for sessions until it has more coins"
            ),
            (true, false) => tracing::info!("the account can pay for claims again"),
            _ => {}
        }
        sessions.claim_due().await;
    }
}

/// Reads all channels that are known from before.
///
/// # Errors
///
/// The chain does not answer.
pub async fn read_all(sessions: &Sessions) -> Result<(), Refusal> {
    sessions.read_all().await
}

impl Sessions {
    async fn read_all(&self) -> Result<(), Refusal> {
        let at = self.observe(&[]).await?;
        for some in self.payee.channels().chunks(AT_ONCE) {
            self.observe(some).await?;
        }
        // What was spent on them is not kept: each counts as opened at this payee's cost.
        let gas_wei = self.chain.usual_cost(fund::USUAL_OPEN_GAS)?;
        self.known().values_mut().for_each(|known| known.gas_wei = known.gas_wei.max(gas_wei));
        self.recall_openings();
        self.payee.advance(at).map_err(|_| Refusal::NotKept)?;
        *lock(&self.read_up_to) = at.block;
        Ok(())
    }

    /// Reads what changed since it was done last, and some that did not.
    async fn catch_up(&self, place: &mut usize) -> Result<(), Refusal> {
        let head = self.observe(&[]).await?;
        let from = lock(&self.read_up_to).saturating_add(1);
        // In the order of their ids.
        let known = self.payee.channels();
        self.known().retain(|id, _| known.binary_search(id).is_ok());
        let mut changed: Vec<B256> = (0..READ_AGAIN.min(known.len()))
            .filter_map(|step| known.get((*place + step) % known.len()).copied())
            .collect();
        *place = place.wrapping_add(READ_AGAIN);
        if from <= head.block {
            if head.block - from < MOST_BLOCKS {
                changed.extend(
                    self.changed(from, head.block).await?.into_iter().filter(|id| known.binary_search(id).is_ok()),
                );
            } else {
                // After a long absence all are read.
                changed.clone_from(&known);
            }
        }
        changed.sort_unstable();
        changed.dedup();
        for some in changed.chunks(AT_ONCE) {
            self.observe(some).await?;
        }
        self.payee.advance(head).map_err(|_| Refusal::NotKept)?;
        *lock(&self.read_up_to) = head.block;
        Ok(())
    }

    /// Channels that logs of these blocks name.
    async fn changed(&self, from: u64, to: u64) -> Result<Vec<B256>, Refusal> {
        let kinds = vec![
            MicroChannel::CloseRequested::SIGNATURE_HASH,
            MicroChannel::CloseCancelled::SIGNATURE_HASH,
            MicroChannel::ChannelClosed::SIGNATURE_HASH,
            MicroChannel::ToppedUp::SIGNATURE_HASH,
            MicroChannel::Settled::SIGNATURE_HASH,
        ];
        let filter = Filter::new().address(MICRO_CHANNEL).event_signature(kinds);
        let logs = self.chain.logs(&filter, from, to).await?;
        Ok(logs.iter().filter_map(|log| log.topics().get(1).copied()).collect())
    }

    /// Claims what is worth it now, or goes away soon.
    async fn claim_due(&self) {
        let Ok(cost) = self.chain.usual_cost(claim_gas::PLAIN) else { return };
        let rules = ClaimRules {
            cost,
            worth: self.settings.claim_at.max(cost.saturating_mul(2)),
            wait_s: self.settings.claim_after.as_secs(),
        };
        let due = self.payee.due(&rules, now());
        let (mut vouchers, mut others) = (Vec::new(), Vec::new());
        for Due { claim, amount, .. } in due {
            match claim {
                Claim::Voucher(voucher) => vouchers.push((voucher, amount)),
                other => others.push((other, amount)),
            }
        }
        if !vouchers.is_empty() {
            self.claim_vouchers(&rules, &vouchers).await;
        }
        for (claim, amount) in others {
            let total = match &claim {
                Claim::Stream { stream, ticks, .. } => stream.terms.total(*ticks),
                Claim::Voucher(_) | Claim::Locked { .. } => None,
            };
            let call = Call { to: Some(MICRO_CHANNEL), value: U256::ZERO, input: channel_calls::claim(&claim) };
            let of = [(channel_of(&claim), total.unwrap_or_default())];
            self.claim(&rules, &of, call, STREAM_GAS, amount).await;
        }
    }

    async fn claim_vouchers(&self, rules: &ClaimRules, vouchers: &[(SignedVoucher, u128)]) {
        let signed: Vec<SignedVoucher> = vouchers.iter().map(|(signed, _)| signed.clone()).collect();
        let amount = vouchers.iter().fold(0u128, |sum, (_, amount)| sum.saturating_add(*amount));
        let totals: Vec<_> =
            signed.iter().map(|signed| (signed.voucher.channel_id, signed.voucher.cumulative_amount)).collect();
        let more = u64::try_from(signed.len()).unwrap_or(u64::MAX).saturating_sub(1);
        let gas = CLAIM_GAS.saturating_add(NEXT_CLAIM_GAS.saturating_mul(more));
        let call = Call { to: Some(MICRO_CHANNEL), value: U256::ZERO, input: channel_calls::claim_many(&signed) };
        self.claim(rules, &totals, call, gas.min(bridge::io::sidechain::MAX_GAS), amount).await;
    }

    /// Brings claims to the chain, once it is on disk that they are public.
    async fn claim(&self, rules: &ClaimRules, totals: &[(B256, u128)], call: Call, gas: u64, amount: u128) {
        for (id, total) in totals {
            let Ok(ticket) = self.payee.publish(*id, *total) else { return };
            if ticket.await.is_err() {
                return;
            }
        }
        match self.chain.transact(&call, gas).await {
            Ok(receipt) => {
                self.count(|counters| {
                    counters.claims += 1;
                    counters.claimed_wei = counters.claimed_wei.saturating_add(amount);
                });
                tracing::info!(channels = totals.len(), amount, transaction = %receipt.transaction_hash, "claimed");
            }
            Err(error) => tracing::warn!(?error, "a claim is not made, and tried again"),
        }
        let ids: Vec<B256> = totals.iter().map(|(id, _)| *id).collect();
        // A node proves a block a moment after it has it; what is not seen to be claimed would be claimed again.
        for _ in 0..MOST_LOOKS {
            for some in ids.chunks(AT_ONCE) {
                if let Err(refusal) = self.observe(some).await {
                    tracing::warn!(%refusal, "channels are not read after a claim");
                }
            }
            if !self.payee.due(rules, now()).iter().any(|due| ids.contains(&channel_of(&due.claim))) {
                return;
            }
            tokio::time::sleep(LOOK_EVERY / 2).await;
        }
    }
}

fn channel_of(claim: &Claim) -> B256 {
    match claim {
        Claim::Voucher(voucher) => voucher.voucher.channel_id,
        Claim::Locked { voucher, .. } => voucher.voucher.channel_id,
        Claim::Stream { stream, .. } => stream.terms.channel_id,
    }
}
