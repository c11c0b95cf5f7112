//! `causeway receipt`: a file that shows a deposit or a paid withdrawal to anybody who has the genesis file.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::str::FromStr;

use bitcoin::{BlockHash, OutPoint, Txid};
use bridge::io::sidechain::{Client, proven};
use contracts::IVault;
use contracts::alloy_sol_types::SolValue as _;
use eyre::{Result, WrapErr, bail, eyre};
use files::write_atomic;
use light::FinalHeader;
use light::branches::Place;
use light::facts::Wanted;
use light::receipt::{About, Payment, Receipt, VERSION};
use mainchain::io::rpc::BitcoinRpc;
use mainchain::proof::{InclusionProof, strip};
use serde::Serialize;
use sidechain::genesis::Genesis;

use super::witness::young;
use crate::context::Context;
use crate::genesis_file::read_genesis;
use crate::options::both_chains::BothChainsArgs;
use crate::progress::Progress;

/// Branches that a receipt may climb down. They are jumped over, so that thousands of them take some dozen.
const MOST_BRANCHES: usize = 256;

/// Write a receipt of a deposit or a paid withdrawal
///
/// The receipt joins the Bitcoin payment, the ledger's entry and the validators' signatures. Whoever has the genesis file checks it offline,
/// with `causeway verify`: keep it, or show it in a dispute. It is checked before it is written. Your bitcoind must have the block.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  causeway receipt 7 withdrawal-7.json --genesis genesis.json
  causeway receipt 4f2c...:1 deposit.json --genesis genesis.json")]
pub struct Args {
    /// A withdrawal's number, or the outpoint of a deposit (txid:vout)
    #[arg(value_name = "ID")]
    pub id: Id,
    /// Where to write it
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    #[command(flatten)]
    pub chains: BothChainsArgs,
}

/// What a receipt can be of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Id {
    Withdrawal(u64),
    Deposit(OutPoint),
}

impl FromStr for Id {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let withdrawal = text.parse().map(Self::Withdrawal);
        let id = withdrawal.or_else(|_| OutPoint::from_str(text).map(Self::Deposit));
        id.map_err(|_| "neither a withdrawal's number nor the outpoint of a deposit (txid:vout)".to_owned())
    }
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    file: String,
    block: u64,
}

/// Runs `causeway receipt`.
///
/// # Errors
///
/// There is nothing to show yet, a node does not answer, or what it shows is not proven.
pub fn run(args: Args, context: &Context) -> Result<()> {
    let genesis = read_genesis(&args.chains.genesis)?;
    let json = context.block_on(async {
        let client = args.chains.sidechain.client(Some(&genesis))?;
        let bitcoin = args.chains.bitcoin.connect(genesis.bitcoin.network).await?;
        let progress = Progress::new(context);
        let payment = async {
            match args.id {
                Id::Withdrawal(id) => withdrawal(&client, &bitcoin, id).await,
                Id::Deposit(outpoint) => deposit(&client, &bitcoin, outpoint).await,
            }
        };
        let mut about = progress.during("asking for the payment and its Bitcoin block", payment).await?;
        let proving = prove(&client, &genesis, &mut about);
        let (receipt, block) = progress.during("asking for proofs", proving).await?;
        Ok((serde_json::to_string(&receipt)? + "\n", block))
    });
    let (json, block) = json?;
    write_atomic(&args.file, json.as_bytes()).wrap_err_with(|| format!("cannot write {}", args.file.display()))?;
    let written = Written { file: args.file.display().to_string(), block };
    context.print(&written, || {
        println!("{} shows what was final in block {}: causeway verify checks it", written.file, written.block);
    });
    Ok(())
}

/// The receipt of a payment, and the block in which what it shows was final.
async fn prove(client: &Client, genesis: &Genesis, about: &mut About) -> Result<(Receipt, u64)> {
    let (id, validators) = (genesis.build()?.hash, genesis.validators()?);
    let (finality, header) = proven::finality(client, "latest", &validators).await?;
    let header = young(header, client).wrap_err("no receipt is written")?;
    if let About::Deposit { payment, .. } | About::Withdrawal { payment, .. } = about {
        payment.branches = branches(client, &header, payment.inclusion.block_hash()).await?;
    }
    let (facts, proofs) = proven::facts_with_proofs(client, &header, &about.wanted()).await?;
    about.check(&facts).wrap_err("what the node and the bitcoind show is no receipt")?;
    let receipt = Receipt { version: VERSION, genesis: id, finality, about: about.clone(), proofs };
    Ok((receipt, header.header.number))
}

async fn withdrawal(client: &Client, bitcoin: &BitcoinRpc, id: u64) -> Result<About> {
    let found = client.withdrawal(id).await?.ok_or_else(|| eyre!("there is no withdrawal {id}"))?;
    let number = found.paid_by.ok_or_else(|| eyre!("withdrawal {id} is not paid yet: causeway status {id}"))?;
    let vault = client.vault_transaction(number).await?;
    let vault = vault.ok_or_else(|| eyre!("the node shows no vault transaction {number}, which it says pays"))?;
    let height = vault.height.ok_or_else(|| eyre!("vault transaction {number} is not settled yet"))?;
    let payment = payment(bitcoin, vault.txid, height).await?;
    let content = IVault::Content::from(&vault.content).abi_encode().into();
    Ok(About::Withdrawal { id, number, content, payment })
}

async fn deposit(client: &Client, bitcoin: &BitcoinRpc, outpoint: OutPoint) -> Result<About> {
    let report = client.deposit(&outpoint.to_string()).await?;
    let deposit =
        report.deposits.into_iter().find(|deposit| (deposit.txid, deposit.vout) == (outpoint.txid, outpoint.vout));
    let deposit = deposit.ok_or_else(|| eyre!("the ledger has no deposit {outpoint} yet"))?;
    Ok(About::Deposit { outpoint, payment: payment(bitcoin, outpoint.txid, deposit.height).await? })
}

/// The branches of the ledger's light client that show whether a block is in its best chain.
async fn branches(client: &Client, header: &FinalHeader, block: BlockHash) -> Result<BTreeSet<u32>> {
    let mut wanted = Wanted { blocks: [block].into(), branches: [0].into(), ..Wanted::default() };
    while wanted.branches.len() < MOST_BRANCHES {
        let facts = proven::facts(client, header, &wanted).await?;
        let place = facts.blocks.get(&block).copied().flatten().map(|known| facts.branches.place(known));
        match place {
            Some(Place::Unknown { branch }) => wanted.branches.insert(branch),
            _ => return Ok(wanted.branches),
        };
    }
    bail!("block {block} is below more than {MOST_BRANCHES} branches of the ledger's light client")
}

/// A transaction of the block at a height, with its Merkle branch.
async fn payment(bitcoin: &BitcoinRpc, txid: Txid, height: u32) -> Result<Payment> {
    let missing =
        || eyre!("the bitcoind at {} does not have block {height}: it is pruned, or of another chain", bitcoin.url());
    let hash: BlockHash = bitcoin.block_hash(height).await?.ok_or_else(missing)?;
    let block = bitcoin.block(hash).await?.ok_or_else(missing)?;
    let inclusion = InclusionProof::build(&block, txid).wrap_err_with(|| format!("{txid} cannot be shown"))?;
    let transaction = block.txdata.iter().find(|transaction| transaction.compute_txid() == txid);
    let transaction = transaction.ok_or_else(missing)?;
    Ok(Payment { transaction: strip(transaction).into(), inclusion, branches: BTreeSet::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_is_of_a_withdrawal_or_of_a_deposit_by_the_form_of_its_id() {
        assert_eq!("7".parse(), Ok(Id::Withdrawal(7)));
        let outpoint = format!("{}:1", "ab".repeat(32));
        assert_eq!(outpoint.parse(), Ok(Id::Deposit(outpoint.parse().expect("an outpoint"))));
        assert!("bcrt1q".parse::<Id>().is_err());
    }
}
