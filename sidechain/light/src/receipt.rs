//! Receipts: what the chain had made final about a deposit, a withdrawal or the reserves, in one file that anybody can check without a node.
//!
//! ```text
//!   genesis file --> validators' keys --> certificate --> header --> state root --proofs--> entry of the ledger
//!                                                                         '------proof---> block in the best chain of the ledger's light client
//!   bytes of a Bitcoin transaction --hash--> txid of the entry            --Merkle branch--> that block
//! ```
//! A receipt is of its block: it says what was so then. It does not say what is so now, and a vault output that was live may have been spent since.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_rpc_types_eth::EIP1186AccountProofResponse;
use alloy_sol_types::SolValue as _;
use api::peg::Finality;
use bitcoin::hashes::{Hash as _, sha256d};
use bitcoin::{BlockHash, OutPoint, ScriptBuf, TxOut, Txid};
use contracts::{Books, IVault};
use mainchain::proof::{self, InclusionProof};
use serde::{Deserialize, Serialize};

use crate::branches::Place;
use crate::facts::{Facts, FactsError, Wanted};
use crate::finality::Validators;
use crate::ledger::{Deposit, VaultTransaction, Withdrawal};
use crate::reserves::{self, ReservesError, Sums};
use crate::{FinalHeader, HeaderError};

/// The form of receipts that this library makes and reads.
pub const VERSION: u32 = 2;

/// What the chain had made final about something, with all that shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Receipt {
    /// Form of the receipt: [`VERSION`].
    pub version: u32,
    /// Hash of the genesis block: which network it is of.
    pub genesis: B256,
    /// The block that it is of, with what makes it final.
    pub finality: Finality,
    pub about: About,
    /// Answers of `eth_getProof` in the state of that block, to [`About::wanted`]'s questions in their order.
    pub proofs: Vec<EIP1186AccountProofResponse>,
}

/// What a receipt is about, with the parts of Bitcoin that belong to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "kind", deny_unknown_fields)]
pub enum About {
    /// A deposit, by the output that pays it.
    Deposit { outpoint: OutPoint, payment: Payment },
    /// A withdrawal that is paid.
    Withdrawal {
        id: u64,
        /// The vault transaction that pays it.
        number: u32,
        /// What that was bound to do: `abi.encode(IVault.Content)`.
        content: Bytes,
        payment: Payment,
    },
    /// All vault outputs, and the books.
    Reserves {
        /// Bytes of every vault transaction without witness, from number 1 on.
        transactions: Vec<Bytes>,
        epochs: BTreeSet<u32>,
    },
}

/// A Bitcoin transaction in a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Payment {
    /// Without witness.
    pub transaction: Bytes,
    pub inclusion: InclusionProof,
    /// Branches of the ledger's light client, from the one that ends its best chain down to the block's.
    pub branches: BTreeSet<u32>,
}

/// What a receipt shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    pub header: FinalHeader,
    pub what: What,
}

/// What a receipt shows, without the block that it is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    Deposit { outpoint: OutPoint, deposit: Deposit, paid: Paid },
    Withdrawal { id: u64, withdrawal: Withdrawal, number: u32, paid: Paid },
    Reserves { supply_wei: U256, books: Books, sums: Sums, outputs: BTreeMap<u32, (OutPoint, u64)> },
}

/// An output of a transaction that a block of Bitcoin holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paid {
    pub outpoint: OutPoint,
    pub output: TxOut,
    pub block: BlockHash,
    pub height: u32,
}

/// Why a receipt shows nothing.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    #[error("it has the form {got}, this program reads {VERSION}")]
    Version { got: u32 },
    #[error("it is of the network whose genesis block is {got}, not {want}")]
    OtherNetwork { got: B256, want: B256 },
    #[error("its block is not shown to be final")]
    Header(#[from] HeaderError),
    #[error("its state is not proven")]
    Facts(#[from] FactsError),
    #[error("the ledger has no such {0}")]
    Absent(&'static str),
    #[error("its Bitcoin transaction is not shown to be in the block")]
    Inclusion(#[from] proof::ProofError),
    #[error("the ledger's light client does not know block {0}")]
    UnknownBlock(BlockHash),
    #[error("block {0} is in no chain that the ledger's light client follows: it left the best chain")]
    LeftBestChain(BlockHash),
    #[error(
        "whether block {block} is in the best chain is not shown without branch {branch} of the ledger's light client"
    )]
    NotPlaced { block: BlockHash, branch: u32 },
    #[error("it calls the block {number} ({hash}) final, and shows another")]
    OtherFinality { number: u64, hash: B256 },
    #[error("it calls a proof one of {account}, and shows another account or other slots")]
    OtherProof { account: Address },
    #[error("the block {got} is not the one in which the ledger has it, at height {height}")]
    OtherBlock { got: BlockHash, height: u32 },
    #[error("the transaction shown is {got}, not {want}")]
    OtherTransaction { got: Txid, want: Txid },
    #[error("withdrawal {id} is not paid by vault transaction {number} in the ledger")]
    NotPaid { id: u64, number: u32 },
    #[error("what is shown as the vault transaction's content is not what was bound")]
    OtherContent,
    #[error("output {vout} of the transaction shown is {got:?}, expected {want}")]
    OtherOutput { vout: u32, got: Option<TxOut>, want: String },
    #[error(transparent)]
    Reserves(#[from] ReservesError),
}

impl About {
    /// What of the ledger a receipt has to prove.
    #[must_use]
    pub fn wanted(&self) -> Wanted {
        let of = |payment: &Payment| BTreeSet::from([payment.inclusion.block_hash()]);
        match self {
            Self::Deposit { outpoint, payment } => {
                let deposits = BTreeSet::from([*outpoint]);
                Wanted { deposits, blocks: of(payment), branches: payment.branches.clone(), ..Wanted::default() }
            }
            Self::Withdrawal { id, payment, .. } => Wanted {
                withdrawals: BTreeSet::from([*id]),
                vault: BTreeSet::from([payment.txid()]),
                blocks: of(payment),
                branches: payment.branches.clone(),
                ..Wanted::default()
            },
            Self::Reserves { transactions, epochs } => {
                Wanted { vault: reserves::txids(transactions), epochs: epochs.clone(), ..Wanted::default() }
            }
        }
    }

    /// What it shows, by facts that are proven.
    ///
    /// # Errors
    ///
    /// The parts of Bitcoin are not those that the ledger has.
    pub fn check(&self, facts: &Facts) -> Result<What, ReceiptError> {
        match self {
            Self::Deposit { outpoint, payment } => deposit(facts, *outpoint, payment),
            Self::Withdrawal { id, number, content, payment } => withdrawal(facts, *id, *number, content, payment),
            Self::Reserves { transactions, .. } => {
                let shown = reserves::vault_transactions(facts, transactions)?;
                let live = shown.iter().filter(|(_, shown)| shown.entry.is_live());
                let output = |(number, shown): (&u32, &reserves::Shown)| {
                    (*number, (OutPoint { txid: shown.entry.txid, vout: 0 }, shown.entry.change_sat))
                };
                let (supply_wei, books) = (facts.supply_wei, facts.books);
                let sums = Sums::of(supply_wei, &books);
                Ok(What::Reserves { supply_wei, books, sums, outputs: live.map(output).collect() })
            }
        }
    }
}

impl Receipt {
    /// What it shows, given the keys of the genesis file and the genesis block's hash.
    ///
    /// # Errors
    ///
    /// It shows nothing.
    pub fn verify(&self, genesis: B256, validators: &Validators) -> Result<Shown, ReceiptError> {
        if self.version != VERSION {
            return Err(ReceiptError::Version { got: self.version });
        }
        if self.genesis != genesis {
            return Err(ReceiptError::OtherNetwork { got: self.genesis, want: genesis });
        }
        let header = FinalHeader::verify(&self.finality, validators)?;
        self.require_names(&header)?;
        let facts = self.facts(header)?;
        let what = self.about.check(&facts)?;
        Ok(Shown { header: facts.header, what })
    }

    /// What it says of itself beside what is signed and proven: nothing in a receipt can be another.
    fn require_names(&self, header: &FinalHeader) -> Result<(), ReceiptError> {
        let Finality { number, hash, certified, ref descendants, .. } = self.finality;
        let last = descendants.last().map_or(header.hash, keccak256);
        let later = u64::try_from(descendants.len()).unwrap_or(u64::MAX);
        if (number, hash) != (header.header.number, header.hash) {
            return Err(ReceiptError::OtherFinality { number, hash });
        }
        if (certified.number, certified.hash) != (number.saturating_add(later), last) {
            return Err(ReceiptError::OtherFinality { number: certified.number, hash: certified.hash });
        }
        for (question, answer) in self.about.wanted().questions().iter().zip(&self.proofs) {
            let asked = question.slots.iter().map(|slot| B256::from(*slot));
            let shown = answer.storage_proof.iter().map(|proof| proof.key.as_b256());
            if answer.address != question.account || !asked.eq(shown) {
                return Err(ReceiptError::OtherProof { account: answer.address });
            }
        }
        Ok(())
    }

    /// What is proven in the state of its header, which was verified.
    ///
    /// # Errors
    ///
    /// The proofs are of another state, or of something else.
    pub fn facts(&self, header: FinalHeader) -> Result<Facts, FactsError> {
        Facts::read(header, &self.about.wanted(), &self.proofs)
    }
}

fn deposit(facts: &Facts, outpoint: OutPoint, payment: &Payment) -> Result<What, ReceiptError> {
    let deposit = facts.deposits.get(&outpoint).cloned().flatten().ok_or(ReceiptError::Absent("deposit"))?;
    let paid = payment.output(facts, outpoint)?;
    let (got, want) = (payment.inclusion.block_hash(), (deposit.height, deposit.block_head.0));
    require_block(got, paid.height, want)?;
    if paid.output.value.to_sat() != deposit.amount_sat {
        let want = format!("{} sat", deposit.amount_sat);
        return Err(ReceiptError::OtherOutput { vout: outpoint.vout, got: Some(paid.output), want });
    }
    Ok(What::Deposit { outpoint, deposit, paid })
}

fn withdrawal(facts: &Facts, id: u64, number: u32, content: &[u8], payment: &Payment) -> Result<What, ReceiptError> {
    let withdrawal = facts.withdrawals.get(&id).cloned().flatten().ok_or(ReceiptError::Absent("withdrawal"))?;
    let vault = facts.vault_transaction(number, payment.txid()).ok_or(ReceiptError::Absent("vault transaction"))?;
    let not_paid = ReceiptError::NotPaid { id, number };
    if withdrawal.paid_by != Some(number) || !vault.is_settled {
        return Err(not_paid);
    }
    let place = place_of(id, vault, content)?.ok_or(not_paid)?;
    let vout = place + u32::from(vault.change_sat != 0);
    let paid = payment.output(facts, OutPoint { txid: vault.txid, vout })?;
    require_block(paid.block, paid.height, (vault.height, vault.block_head.0))?;
    let least = withdrawal.amount_sat.saturating_sub(withdrawal.max_fee_sat);
    let script = ScriptBuf::from_bytes(withdrawal.script.to_vec());
    let is_paid = (least..=withdrawal.amount_sat).contains(&paid.output.value.to_sat());
    if !is_paid || paid.output.script_pubkey != script {
        let want = format!("{least} to {} sat to {script}", withdrawal.amount_sat);
        return Err(ReceiptError::OtherOutput { vout, got: Some(paid.output), want });
    }
    Ok(What::Withdrawal { id, withdrawal, number, paid })
}

/// The place of a withdrawal among those that a vault transaction pays.
fn place_of(id: u64, vault: &VaultTransaction, content: &[u8]) -> Result<Option<u32>, ReceiptError> {
    if keccak256(content) != vault.content {
        return Err(ReceiptError::OtherContent);
    }
    let content = IVault::Content::abi_decode(content).map_err(|_| ReceiptError::OtherContent)?;
    let place = content.withdrawals.iter().position(|paid| *paid == id);
    Ok(place.and_then(|place| u32::try_from(place).ok()))
}

/// The ledger keeps the height and the first bytes of a block's hash; the light client has shown that it knows the whole of it.
fn require_block(got: BlockHash, height: u32, want: (u32, [u8; 8])) -> Result<(), ReceiptError> {
    let is_it = height == want.0 && got.as_byte_array().starts_with(&want.1);
    if is_it { Ok(()) } else { Err(ReceiptError::OtherBlock { got, height: want.0 }) }
}

impl Payment {
    /// Of its bytes, which are without witness.
    fn txid(&self) -> Txid {
        Txid::from_raw_hash(sha256d::Hash::hash(&self.transaction))
    }

    /// An output of it, which a block holds that is in the best chain of the ledger's light client.
    fn output(&self, facts: &Facts, want: OutPoint) -> Result<Paid, ReceiptError> {
        let got = self.inclusion.verify(&self.transaction)?;
        if got != want.txid {
            return Err(ReceiptError::OtherTransaction { got, want: want.txid });
        }
        let block = self.inclusion.block_hash();
        let known = facts.blocks.get(&block).copied().flatten().ok_or(ReceiptError::UnknownBlock(block))?;
        match facts.branches.place(known) {
            Place::Best => {}
            Place::Left => return Err(ReceiptError::LeftBestChain(block)),
            Place::Unknown { branch } => return Err(ReceiptError::NotPlaced { block, branch }),
        }
        let height = known.height;
        let transaction = proof::parse_stripped(&self.transaction)?;
        let output = usize::try_from(want.vout).ok().and_then(|vout| transaction.output.get(vout)).cloned();
        let output = output.ok_or_else(|| ReceiptError::OtherOutput {
            vout: want.vout,
            got: None,
            want: "an output".to_owned(),
        })?;
        Ok(Paid { outpoint: want, output, block, height })
    }
}
