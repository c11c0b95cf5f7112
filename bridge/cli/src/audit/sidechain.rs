//! The sidechain's side: proven sums, and vault transactions whose live outputs add up to them.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{B256, Bytes, U256};
use bitcoin::{OutPoint, ScriptBuf, Transaction};
use bridge::io::sidechain::{Client, proven};
use bridge::peg::{OutputStatus, VaultStatus, VaultTransaction};
use contracts::coin::GENESIS_COINS_WEI;
use contracts::{Books, address};
use eyre::{Result, WrapErr, ensure, eyre};
use light::FinalHeader;

/// What the sidechain proves, and the vault transactions that it counts.
pub struct Ledger {
    pub header: FinalHeader,
    /// Coins outside the Bridge.
    pub supply_wei: U256,
    pub books: Books,
    /// By number.
    pub vault: BTreeMap<u32, Vault>,
}

/// A vault transaction whose bytes were checked.
pub struct Vault {
    pub told: VaultTransaction,
    pub transaction: Transaction,
    /// What output 0 has to be, if it goes back to the vault.
    pub script: ScriptBuf,
}

impl Ledger {
    /// Reads and checks everything, as of a final header.
    ///
    /// # Errors
    ///
    /// The node does not answer, does not prove what it says, or lists vault transactions that do not add up to what is proven.
    pub async fn read(client: &Client, header: FinalHeader) -> Result<Self> {
        let bridge = proven::account(client, &header, address::BRIDGE, &Books::slots()).await?;
        // More than at genesis: coins were given to the Bridge by force. None are outside then.
        let supply_wei = GENESIS_COINS_WEI.saturating_sub(bridge.balance);
        let books = Books::from_slots([bridge.slots[0], bridge.slots[1]]);
        let told = vault_transactions(client).await?;
        let epochs: BTreeSet<u32> = told.iter().map(|vault| vault.epoch).collect();
        let keys = vault_keys(client, &header, &epochs).await?;
        let mut vault = BTreeMap::new();
        for told in told {
            let number = told.number;
            let checked = Vault::check(told, &keys)
                .wrap_err_with(|| format!("the node shows a vault transaction {number} that cannot be"))?;
            vault.insert(number, checked);
        }
        let ledger = Self { header, supply_wei, books, vault };
        ledger.check()?;
        Ok(ledger)
    }

    /// What the node calls live must add up to what the proven books count.
    fn check(&self) -> Result<()> {
        let listed = self.live().try_fold(0u64, |sum, vault| sum.checked_add(vault.told.change_sat));
        ensure!(
            listed == Some(self.books.vault_sat),
            "the node lists vault outputs of {} sat, the ledger proves {} sat: it hides or invents some (or a block was final in between: try again)",
            listed.map_or("too many".into(), |sum| sum.to_string()),
            self.books.vault_sat
        );
        Ok(())
    }

    /// Vault transactions whose output 0 the ledger counts.
    pub fn live(&self) -> impl Iterator<Item = &Vault> {
        self.vault.values().filter(|vault| vault.told.output == OutputStatus::Live)
    }

    /// Bound vault transactions that spend this output: at most one of them confirms.
    pub fn spenders(&self, outpoint: OutPoint) -> impl Iterator<Item = &Vault> {
        let spends =
            move |vault: &&Vault| vault.transaction.input.iter().any(|input| input.previous_output == outpoint);
        self.vault.values().filter(|vault| vault.told.status == VaultStatus::Bound).filter(spends)
    }
}

impl Vault {
    /// The raw transaction hashes to its txid, and its output 0 pays the vault what the ledger says, if it is the vault's.
    fn check(told: VaultTransaction, keys: &BTreeMap<u32, B256>) -> Result<Self> {
        let transaction = decode(&told.transaction)?;
        let (got, want) = (transaction.compute_txid(), told.txid);
        ensure!(got == want, "it has the txid {got}, not {want}");
        let script = vault_script(keys[&told.epoch]);
        let vault = Self { told, transaction, script };
        // Without change, output 0 is a payout.
        if vault.told.change_sat > 0 {
            vault.check_change()?;
        }
        Ok(vault)
    }

    fn check_change(&self) -> Result<()> {
        let output = self.transaction.output.first().ok_or_else(|| eyre!("it has no outputs"))?;
        let (got, want) = (output.value.to_sat(), self.told.change_sat);
        ensure!(got == want, "its output 0 has {got} sat, not {want}");
        ensure!(
            output.script_pubkey == self.script,
            "its output 0 does not pay the vault of epoch {}",
            self.told.epoch
        );
        Ok(())
    }

    /// Output 0.
    pub fn outpoint(&self) -> OutPoint {
        OutPoint::new(self.told.txid, 0)
    }
}

async fn vault_transactions(client: &Client) -> Result<Vec<VaultTransaction>> {
    let mut all = Vec::new();
    for number in 1.. {
        let Some(vault) = client.vault_transaction(number).await? else { break };
        ensure!(vault.number == number, "asked for vault transaction {number}, the node shows {}", vault.number);
        all.push(vault);
    }
    Ok(all)
}

/// Proven vault keys of these epochs.
async fn vault_keys(client: &Client, header: &FinalHeader, epochs: &BTreeSet<u32>) -> Result<BTreeMap<u32, B256>> {
    let mut keys = BTreeMap::new();
    for epoch in epochs {
        keys.insert(*epoch, proven::federation_keys(client, header, *epoch).await?.vault);
    }
    Ok(keys)
}

fn decode(raw: &Bytes) -> Result<Transaction> {
    bitcoin::consensus::deserialize(raw).wrap_err("it is not a Bitcoin transaction")
}

fn vault_script(key: B256) -> ScriptBuf {
    let program = bitcoin::WitnessProgram::new(bitcoin::WitnessVersion::V1, key.as_slice())
        .expect("32 bytes are a taproot program");
    ScriptBuf::new_witness_program(&program)
}
