//! `causeway audit`: every satoshi on the sidechain matched with an output on Bitcoin, trusting neither node.
//!
//! ```text
//! genesis file --> validators' keys --> finality certificate --> header --> state root
//!                                                                             | eth_getProof
//!                                   Bridge's balance and ledger slot, Federation's vault keys
//! vault transactions (raw, hashed here) --> outputs --> own bitcoind's gettxout, all at one tip
//! ```
//! The sidechain node only supplies what is then checked: a certificate, Merkle proofs, raw transactions. bitcoind is the
//! auditor's own, and is believed.
//!
//! A vault output may be spent by a vault transaction that bitcoind has confirmed and the ledger has not settled yet: then
//! what came of it counts in its place. Both sides of that transaction balance, because Bitcoin checked it.

use mainchain::header::Height;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use alloy_primitives::{B256, Bytes, U256};
use bitcoin::{Amount, OutPoint, ScriptBuf, Transaction, Txid};
use bridge::io::sidechain::{Client, proven};
use bridge::peg::{VaultStatus, VaultTransaction};
use contracts::coin::{self, GENESIS_COINS_WEI};
use contracts::{Ledger, address};
use eyre::{Result, WrapErr, bail, ensure, eyre};
use light::FinalHeader;
use mainchain::io::rpc::BitcoinRpc;
use serde::Serialize;

use crate::context::Context;
use crate::genesis_file::read_genesis;
use crate::options::bitcoin::BitcoinArgs;
use crate::options::sidechain::SidechainArgs;
use bridge::amount;

/// How often the audit starts anew because a block came in between.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(300);

/// Every satoshi on the sidechain matched with an output on Bitcoin
///
/// Trusts the genesis file and your own bitcoind, and nothing else. Exit status 1 if a satoshi is missing.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  causeway audit --genesis genesis.json --rpc http://127.0.0.1:8545 --bitcoin http://127.0.0.1:8332")]
pub struct Args {
    /// The network's genesis file: whose signatures make a block final
    #[arg(long, env = "CAUSEWAY_GENESIS", value_name = "FILE")]
    pub genesis: PathBuf,
    #[command(flatten)]
    pub sidechain: SidechainArgs,
    #[command(flatten)]
    pub bitcoin: BitcoinArgs,
}

/// What was found; also what `--json` prints.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    pub block: u64,
    pub block_hash: B256,
    pub signers: usize,
    pub validators: usize,
    pub bitcoin_height: Height,
    pub bitcoin_tip: bitcoin::BlockHash,
    /// Coins outside the Bridge.
    pub supply_wei: U256,
    pub owed_sat: u64,
    pub held_sat: u64,
    pub deficit_sat: u64,
    /// The ledger's vault.
    pub vault_sat: u64,
    /// In the vault beyond what anybody can claim: coins that somebody gave away.
    pub surplus_wei: U256,
    pub outputs: Vec<Output>,
    /// Vault outputs that were looked for and not found.
    pub missing_sat: u64,
    /// Supply, owed and held are covered by outputs on Bitcoin.
    pub covered: bool,
}

/// A vault output that the ledger counts.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    pub number: u64,
    pub outpoint: OutPoint,
    pub amount_sat: u64,
    pub found: Found,
}

/// What bitcoind says of a vault output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "state", rename_all_fields = "camelCase")]
pub enum Found {
    Unspent {
        confirmations: u32,
    },
    /// Spent by a vault transaction that has confirmed and is not settled yet.
    Moved {
        number: u64,
        txid: Txid,
    },
    Missing,
}

pub fn run(args: Args, context: &Context) -> Result<()> {
    let report = context.block_on(audit(&args))?;
    context.print(&report, || show(&report));
    match (report.missing_sat, report.covered) {
        (0, true) => Ok(()),
        (0, false) => bail!("the coins outside the bridge are more than the vault holds"),
        (missing, _) => bail!("{} of the vault are missing on Bitcoin", amount::show(Amount::from_sat(missing))),
    }
}

/// Audits. Starts anew when a block came in between: the node's list of vault transactions is newer than the proven state
/// then, or bitcoind's answers are not all of one tip.
pub async fn audit(args: &Args) -> Result<Report> {
    let genesis = read_genesis(&args.genesis)?;
    let client = args.sidechain.client()?;
    let bitcoin = args.bitcoin.connect(genesis.bitcoin.network).await?;
    let validators = genesis.validators()?;
    let mut last = Err(eyre!("a new Bitcoin block came in between, {ATTEMPTS} times: try again"));
    for _ in 0..ATTEMPTS {
        let tip = bitcoin.best_tip().await?;
        let header = proven::latest(&client, &validators).await?;
        match Balances::read(&client, header).await {
            Ok(balances) => {
                let outputs = find(&bitcoin, &balances).await?;
                if bitcoin.best_tip().await? == tip {
                    return Ok(balances.report(tip, outputs));
                }
            }
            Err(error) => last = Err(error),
        }
        tokio::time::sleep(PAUSE).await;
    }
    last
}

/// The sidechain's side: proven amounts, and vault transactions that add up to them.
struct Balances {
    header: FinalHeader,
    supply_wei: U256,
    ledger: Ledger,
    vault_keys: BTreeMap<u32, B256>,
    vault: BTreeMap<u64, VaultTransaction>,
}

impl Balances {
    async fn read(client: &Client, header: FinalHeader) -> Result<Self> {
        let bridge = proven::account(client, &header, address::BRIDGE, &[Ledger::SLOT]).await?;
        // More than at genesis: coins were given to the Bridge by force. None are outside then.
        let supply_wei = GENESIS_COINS_WEI.saturating_sub(bridge.balance);
        let vault = vault_transactions(client).await?;
        let epochs: BTreeSet<u32> = vault.values().map(|vault| vault.epoch).collect();
        let vault_keys = vault_keys(client, &header, &epochs).await?;
        let balances = Self { header, supply_wei, ledger: Ledger::from_slot(bridge.slots[0]), vault_keys, vault };
        balances.check()?;
        Ok(balances)
    }

    /// What the node listed must be what the proven ledger counts.
    fn check(&self) -> Result<()> {
        for vault in self.vault.values() {
            check_raw(vault, self.vault_keys[&vault.epoch])
                .wrap_err_with(|| format!("the node shows a vault transaction {} that cannot be", vault.number))?;
        }
        let listed = self.counted().try_fold(0u64, |sum, vault| sum.checked_add(vault.change_sat));
        ensure!(
            listed == Some(self.ledger.vault_sat),
            "the node lists vault outputs of {} sat, the ledger proves {} sat: it hides or invents some (or a block was final in between: try again)",
            listed.map_or("too many".into(), |sum| sum.to_string()),
            self.ledger.vault_sat
        );
        Ok(())
    }

    /// Vault transactions whose output 0 the ledger counts: settled, and not spent by one that was ever settled.
    fn counted(&self) -> impl Iterator<Item = &VaultTransaction> {
        let ever_settled = |vault: &&VaultTransaction| vault.status != VaultStatus::Proposed;
        let spent: BTreeSet<_> = self
            .vault
            .values()
            .filter(ever_settled)
            .flat_map(|vault| &vault.inputs)
            .map(|input| (input.txid, input.vout))
            .collect();
        self.vault
            .values()
            .filter(move |vault| vault.status == VaultStatus::Settled && !spent.contains(&(vault.txid, 0)))
    }

    /// The proposed vault transaction that spends this output, if there is one.
    fn spender(&self, outpoint: OutPoint) -> Option<&VaultTransaction> {
        let spends = |vault: &&VaultTransaction| {
            vault.inputs.iter().any(|input| OutPoint::new(input.txid, input.vout) == outpoint)
        };
        self.vault.values().filter(|vault| vault.status == VaultStatus::Proposed).find(spends)
    }

    fn script(&self, vault: &VaultTransaction) -> ScriptBuf {
        vault_script(self.vault_keys[&vault.epoch])
    }

    fn report(self, (bitcoin_height, bitcoin_tip): (u32, bitcoin::BlockHash), outputs: Vec<Output>) -> Report {
        let missing_sat =
            outputs.iter().filter(|output| output.found == Found::Missing).map(|output| output.amount_sat).sum();
        let on_bitcoin = self.ledger.vault_sat - missing_sat;
        let claims = self.supply_wei + coin::wei(self.ledger.owed_sat) + coin::wei(self.ledger.held_sat);
        Report {
            block: self.header.header.number,
            block_hash: self.header.hash,
            signers: self.header.signers,
            validators: self.header.validators,
            bitcoin_height,
            bitcoin_tip,
            supply_wei: self.supply_wei,
            owed_sat: self.ledger.owed_sat,
            held_sat: self.ledger.held_sat,
            deficit_sat: self.ledger.deficit_sat,
            vault_sat: self.ledger.vault_sat,
            surplus_wei: coin::wei(on_bitcoin).saturating_sub(claims),
            outputs,
            missing_sat,
            covered: claims <= coin::wei(on_bitcoin),
        }
    }
}

async fn vault_transactions(client: &Client) -> Result<BTreeMap<u64, VaultTransaction>> {
    let mut all = BTreeMap::new();
    for number in 1.. {
        let Some(vault) = client.vault_transaction(number).await? else {
            break;
        };
        all.insert(number, vault);
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

/// The raw transaction hashes to its txid, and its output 0 pays the vault what the ledger says.
fn check_raw(vault: &VaultTransaction, vault_key: B256) -> Result<()> {
    let transaction = decode(&vault.transaction)?;
    ensure!(
        transaction.compute_txid() == vault.txid,
        "it has the txid {}, not {}",
        transaction.compute_txid(),
        vault.txid
    );
    let output = transaction.output.first().ok_or_else(|| eyre!("it has no outputs"))?;
    ensure!(
        output.value.to_sat() == vault.change_sat,
        "its output 0 has {} sat, not {}",
        output.value.to_sat(),
        vault.change_sat
    );
    ensure!(
        output.script_pubkey == vault_script(vault_key),
        "its output 0 does not pay the vault of epoch {}",
        vault.epoch
    );
    let listed: Vec<_> = vault.inputs.iter().map(|input| OutPoint::new(input.txid, input.vout)).collect();
    let spent: Vec<_> = transaction.input.iter().map(|input| input.previous_output).collect();
    ensure!(listed == spent, "its inputs are not those the node lists");
    Ok(())
}

fn decode(raw: &Bytes) -> Result<Transaction> {
    bitcoin::consensus::deserialize(raw).wrap_err("it is not a Bitcoin transaction")
}

fn vault_script(key: B256) -> ScriptBuf {
    let program = bitcoin::WitnessProgram::new(bitcoin::WitnessVersion::V1, key.as_slice())
        .expect("32 bytes are a taproot program");
    ScriptBuf::new_witness_program(&program)
}

/// Looks for each output that the ledger counts.
async fn find(bitcoin: &BitcoinRpc, balances: &Balances) -> Result<Vec<Output>> {
    let mut outputs = Vec::new();
    for vault in balances.counted() {
        let outpoint = OutPoint::new(vault.txid, 0);
        let mut found = match unspent(bitcoin, balances, vault).await? {
            Some(confirmations) => Found::Unspent { confirmations },
            None => Found::Missing,
        };
        if let (Found::Missing, Some(spender)) = (&found, balances.spender(outpoint))
            && unspent(bitcoin, balances, spender).await?.is_some()
        {
            found = Found::Moved { number: spender.number, txid: spender.txid };
        }
        outputs.push(Output { number: vault.number, outpoint, amount_sat: vault.change_sat, found });
    }
    Ok(outputs)
}

/// Confirmations of a vault transaction's output 0, while it is unspent and as it should be.
async fn unspent(bitcoin: &BitcoinRpc, balances: &Balances, vault: &VaultTransaction) -> Result<Option<u32>> {
    let coin = bitcoin.unspent(OutPoint::new(vault.txid, 0), false).await?;
    let right =
        coin.filter(|coin| coin.value.to_sat() == vault.change_sat && coin.script_pubkey == balances.script(vault));
    Ok(right.map(|coin| coin.confirmations))
}

pub fn show(report: &Report) {
    let sat = |sat| amount::show(Amount::from_sat(sat));
    println!(
        "Sidechain block {} ({}), final by {} of {} validators",
        report.block, report.block_hash, report.signers, report.validators
    );
    println!("Bitcoin block   {} ({})\n", report.bitcoin_height, report.bitcoin_tip);
    println!("  {:<44} {:>20}", "coins outside the bridge", amount::show_wei(report.supply_wei));
    println!("  {:<44} {:>20}", "owed to withdrawals on their way", sat(report.owed_sat));
    println!("  {:<44} {:>20}", "held for fees", sat(report.held_sat));
    println!("  {:<44} {:>20}", "vault, by the ledger", sat(report.vault_sat));
    if !report.surplus_wei.is_zero() {
        println!("  {:<44} {:>20}", "more than anybody can claim", amount::show_wei(report.surplus_wei));
    }
    println!("\n  vault outputs on Bitcoin");
    for output in &report.outputs {
        let state = match &output.found {
            Found::Unspent { confirmations } => format!("unspent, {confirmations} confirmations"),
            Found::Moved { number, txid } => {
                format!("moved by vault transaction {number} ({txid}), not settled yet")
            }
            Found::Missing => "MISSING".into(),
        };
        println!("  {} {:>20}  {state}", output.outpoint, sat(output.amount_sat));
    }
    if report.deficit_sat > 0 {
        println!("\n  deficit recorded by the ledger: {}", sat(report.deficit_sat));
    }
    if report.missing_sat == 0 && report.covered {
        println!("\nEvery satoshi is there.");
    }
}
