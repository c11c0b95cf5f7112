//! What the bridge is, and where it stands, as its contracts say.

use api::peg;
use bitcoin::hashes::Hash;
use contracts::{Books, IFederation};

use super::contracts::{Balances, PegContracts, States};
use crate::block::Header;
use crate::chain::SimulateError;
use crate::genesis::Genesis;

/// What `peg_getInfo` answers at the contracts' block.
///
/// # Errors
///
/// Those of [`PegContracts`].
pub fn info<C: States>(genesis: &Genesis, contracts: &PegContracts<'_, C>) -> Result<peg::Info, SimulateError> {
    let (parameters, epoch) = (contracts.parameters()?, contracts.epoch()?);
    let (tip, height) = contracts.bitcoin_tip()?;
    let time = contracts.bitcoin_time(tip)?;
    Ok(peg::Info {
        chain_id: genesis.chain_id,
        network_id: genesis.network_id(),
        bitcoin_network: genesis.bitcoin.network,
        contracts: peg::Contracts::GENESIS,
        epoch,
        group_key: contracts.group_key(epoch)?,
        vault_key: contracts.vault_key(epoch)?,
        threshold: contracts.threshold()?,
        members: members(contracts.members()?),
        parameters: parameters.into(),
        bitcoin_tip: peg::BitcoinTip {
            hash: bitcoin::BlockHash::from_byte_array(tip.0),
            height,
            time,
            lag_seconds: contracts.header.timestamp.saturating_sub(time),
        },
        books: books(&contracts.balances()?),
        head: head(&contracts.header),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    })
}

fn members(members: Vec<IFederation::Member>) -> Vec<peg::Member> {
    let numbered = (1..).zip(members);
    numbered.map(|(index, member)| peg::Member { index, name: member.name, account: member.account }).collect()
}

fn books(balances: &Balances) -> peg::Books {
    let Books { vault_sat, owed_sat, unminted_sat, unswept_sat, lost_sat, reserve_sat, unclaimed_sat, covered_sat } =
        balances.books;
    peg::Books {
        vault_sat,
        owed_sat,
        unminted_sat,
        unswept_sat,
        lost_sat,
        reserve_sat,
        unclaimed_sat,
        covered_sat,
        supply_sat: balances.supply_sat,
    }
}

fn head(header: &Header) -> peg::Head {
    peg::Head { number: header.number, hash: header.hash_slow(), timestamp: header.timestamp }
}
