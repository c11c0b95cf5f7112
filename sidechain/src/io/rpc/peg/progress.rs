//! Where a deposit or a withdrawal stands after a block, and which blocks may change that. A block is looked at only if a log of it may concern what is
//! followed: most blocks cost a subscription a look at a few addresses.

use alloy_primitives::{B256, Log, U256};
use api::peg::{self, DepositStatus, WithdrawalStatus};
use bitcoin::OutPoint;
use bitcoin::hashes::Hash as _;
use contracts::address::{BRIDGE, DEPOSITS, LIGHT_CLIENT, VAULT};

use super::super::context::Context;
use super::super::error;
use super::address::address;
use super::ledger::withdrawal;
use crate::block::Header;
use crate::chain::{Chain, Finalized};
use crate::execution::Stop;
use crate::io::NodeStore;
use crate::peg::{Deposits, DepositsOf, Newest, PegContracts, newest_deposits, paid_key, txid, whole};

/// Deposits to one address that are followed: the newest. An address is for one payment.
const MAX_FOLLOWED: usize = 16;

/// What is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Deposits to the address with this output key.
    Address(B256),
    Outpoint(OutPoint),
    Withdrawal(u64),
}

/// Where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    Deposits { address: Option<String>, deposits: Vec<peg::Deposit> },
    Withdrawal { withdrawal: Option<peg::Withdrawal>, confirmations: u32, is_final: bool },
}

impl Subject {
    /// Where it stands after the block of a header.
    pub fn standing(self, context: &Context, header: &Header, stop: &Stop) -> error::Result<Standing> {
        let contracts = PegContracts::at(context.chain(), header.clone(), stop);
        match self {
            Self::Address(key) => {
                let range = Newest { before: whole(header.number), most: MAX_FOLLOWED };
                let found = newest_deposits(context.chain(), DepositsOf::Address(key), range, stop);
                let (events, _) = found.map_err(error::simulate)?;
                let mut outpoints: Vec<OutPoint> = Vec::with_capacity(events.len());
                for event in events {
                    let outpoint = OutPoint::new(txid(event.txid), event.vout);
                    if !outpoints.contains(&outpoint) {
                        outpoints.push(outpoint);
                    }
                }
                outpoints.reverse();
                deposits(context, contracts, Some(key), &outpoints)
            }
            Self::Outpoint(outpoint) => {
                let key = paid_key(context.chain(), outpoint, header.number, stop).map_err(error::simulate)?;
                deposits(context, contracts, key, &[outpoint])
            }
            Self::Withdrawal(id) => withdrawn(context, &contracts, id, stop),
        }
    }
}

fn deposits(
    context: &Context,
    contracts: PegContracts<'_, Chain<NodeStore>>,
    key: Option<B256>,
    outpoints: &[OutPoint],
) -> error::Result<Standing> {
    let mut ledger = Deposits::new(contracts);
    let found = outpoints.iter().map(|outpoint| ledger.get(*outpoint).map_err(error::simulate));
    let found = found.collect::<error::Result<Vec<_>>>()?;
    let address = key.and_then(|key| address(key, context.bitcoin_network()));
    Ok(Standing::Deposits { address, deposits: found.into_iter().flatten().collect() })
}

fn withdrawn(
    context: &Context,
    contracts: &PegContracts<'_, Chain<NodeStore>>,
    id: u64,
    stop: &Stop,
) -> error::Result<Standing> {
    let withdrawal = withdrawal(context, contracts, id, stop)?;
    let paid_by = withdrawal.as_ref().and_then(|withdrawal| withdrawal.paid_by);
    let confirmations = match paid_by {
        None => 0,
        Some(number) => {
            let made = contracts.vault_transaction(number).map_err(error::simulate)?;
            contracts.confirmations_of(made.height, made.blockHead).map_err(error::simulate)?
        }
    };
    let is_final = confirmations >= context.chain().genesis().bridge.final_blocks;
    Ok(Standing::Withdrawal { withdrawal, confirmations, is_final })
}

impl Standing {
    /// Whether nothing changes it any more.
    pub fn has_ended(&self) -> bool {
        match self {
            // Coins that were made stay made, whatever becomes of the deposit.
            Self::Deposits { deposits, .. } => {
                let has_ended =
                    |deposit: &peg::Deposit| deposit.minted_sat.is_some() || deposit.status == DepositStatus::Gone;
                !deposits.is_empty() && deposits.iter().all(has_ended)
            }
            Self::Withdrawal { withdrawal: None, .. } => false,
            Self::Withdrawal { withdrawal: Some(withdrawal), is_final, .. } => match withdrawal.status {
                WithdrawalStatus::Cancelled | WithdrawalStatus::Refunded => true,
                WithdrawalStatus::Paid => *is_final,
                WithdrawalStatus::Queued | WithdrawalStatus::Tied => false,
            },
        }
    }

    /// Whether a block may change it, by what the ledger and the light client logged there.
    pub fn may_change(&self, subject: Subject, block: &Finalized) -> bool {
        block.receipts.iter().flat_map(|receipt| receipt.logs()).any(|log| self.is_about(subject, log))
    }

    fn is_about(&self, subject: Subject, log: &Log) -> bool {
        let names = |word: B256| log.topics().contains(&word);
        match self {
            Self::Deposits { deposits, .. } => match log.address {
                DEPOSITS => {
                    let of_it = match subject {
                        Subject::Address(key) => names(key),
                        // Its proof has no topic for it.
                        Subject::Outpoint(_) => deposits.is_empty(),
                        Subject::Withdrawal(_) => false,
                    };
                    of_it || deposits.iter().any(|deposit| is_of(log, deposit))
                }
                VAULT | LIGHT_CLIENT => !deposits.is_empty(),
                _ => false,
            },
            Self::Withdrawal { withdrawal, .. } => match log.address {
                BRIDGE => matches!(subject, Subject::Withdrawal(id) if names(U256::from(id).into())),
                VAULT | LIGHT_CLIENT => {
                    let status = withdrawal.as_ref().map(|withdrawal| withdrawal.status);
                    matches!(status, Some(WithdrawalStatus::Tied | WithdrawalStatus::Paid))
                }
                _ => false,
            },
        }
    }

    /// The message that tells it.
    pub fn message(&self, header: &Header) -> serde_json::Value {
        let block = peg::Head { number: header.number, hash: header.hash_slow(), timestamp: header.timestamp };
        let ended = self.has_ended();
        match self.clone() {
            Self::Deposits { address, deposits } => {
                serde_json::json!(peg::DepositProgress { block, ended, address, deposits })
            }
            Self::Withdrawal { withdrawal, confirmations, .. } => {
                serde_json::json!(peg::WithdrawalProgress { block, ended, withdrawal, confirmations })
            }
        }
    }
}

/// Logs of a deposit have its txid in a topic, or in the data of a proof, where its bytes are at a multiple of 32.
fn is_of(log: &Log, deposit: &peg::Deposit) -> bool {
    let txid = B256::from(deposit.txid.to_byte_array());
    log.topics().contains(&txid) || log.data.data.chunks(32).next() == Some(txid.as_slice())
}
