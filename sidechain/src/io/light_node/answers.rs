//! What is answered to which method: proven, passed on, or refused.

use std::sync::Arc;

use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{Address, B256, Bytes, U64, U256, keccak256};
use api::peg;
use bitcoin::OutPoint;
use contracts::IVault;
use light::FinalHeader;
use serde_json::{Value, json};

use super::fault::Unproven;
use super::node::{LightNode, Word};
use super::params::Params;
use crate::execution::Stop;
use crate::io::rpc::{call_request::CallRequest, convert, error, numbers::Form, slot::Slot};
use crate::light_node::{Missing, View};
use crate::limits::MAX_TRANSACTION_GAS;
use crate::peg::{
    BoundAs, Deposits, MAX_DEPOSITS, MAX_VERSIONS, PegContracts, USUAL_LENGTH, at_rate, check_length, check_rate, info,
    is_content, is_spent_by_another, looked_from, outputs, txid, unsettled, vault_status, vault_transaction,
    withdrawal,
};
use crate::state::StateReader as _;

/// Gas of a call that is tried: as a node's.
const MAX_CALL_GAS: u64 = 60_000_000;
/// Slots in one `eth_getProof`: as a node's.
const MAX_PROOF_SLOTS: usize = 1_024;
/// Transactions that a node keeps of one sender: more are not believed to wait.
const MAX_WAITING: u64 = 4_096;

/// A result, or why there is none.
pub type Answer = Result<Value, Unproven>;

impl LightNode {
    /// Answers a request of JSON-RPC.
    ///
    /// # Errors
    ///
    /// See [`Unproven`].
    pub async fn answer(self: &Arc<Self>, method: &str, params: Vec<Value>) -> Answer {
        let passed = params.clone();
        let asked = &mut Params::new(params);
        match method {
            "eth_chainId" => Ok(json!(U64::from(self.rules.chain_id))),
            "net_version" => Ok(json!(self.rules.chain_id.to_string())),
            "web3_clientVersion" => Ok(json!(concat!("causeway-light/v", env!("CARGO_PKG_VERSION")))),
            "eth_accounts" => Ok(json!([])),
            "eth_syncing" | "net_listening" => Ok(json!(false)),

            "eth_blockNumber" => Ok(json!(U64::from(self.head().await?.header.number))),
            "eth_getBlockByNumber" => self.block_by_number(asked).await,
            "eth_getBlockByHash" => self.block_by_hash(asked).await,
            "eth_getBlockReceipts" => self.block_receipts(asked).await,
            "eth_getTransactionReceipt" => Ok(json!(self.receipt(asked.next("transaction hash")?).await?)),
            "eth_getTransactionByHash" => Ok(json!(self.transaction(asked.next("transaction hash")?).await?)),

            "eth_getBalance" => self.balance(asked).await,
            "eth_getTransactionCount" => self.transaction_count(asked).await,
            "eth_getCode" => self.code(asked).await,
            "eth_getStorageAt" => self.storage(asked).await,
            "eth_getProof" => self.proofs(asked).await,
            "eth_call" => self.call(asked).await,

            "peg_getFinality" => self.proof_of_finality(asked).await,
            "peg_getBlock" => self.peg_block(asked).await,
            "peg_getInfo" => self.info().await,
            "peg_getLimits" => self.limits().await,
            "peg_quote" => self.quote(asked).await,

            "eth_sendRawTransaction" => self.send(asked).await,
            "peg_registerDeposit" => self.upstream.hand_in(method, passed).await,
            "eth_estimateGas" => self.estimate(passed).await,
            "eth_gasPrice" | "eth_maxPriorityFeePerGas" | "eth_feeHistory" => self.pass_on(method, passed).await,
            "peg_getWithdrawal" if self.word == Word::PassedOn => self.withdrawal(asked).await,
            "peg_getVaultTransaction" if self.word == Word::PassedOn => self.vault_transaction(asked).await,
            "peg_getVault" if self.word == Word::PassedOn => self.vault().await,
            "peg_getDeposit" if self.word == Word::PassedOn => self.deposits(asked, passed).await,
            _ if self.word == Word::PassedOn => self.pass_on(method, passed).await,
            _ => Err(error::unproven(method).into()),
        }
    }

    /// A node's word. Whoever asks for it bounds it, or shows it as that.
    async fn pass_on(&self, method: &str, params: Vec<Value>) -> Answer {
        self.upstream.ask(method, params, Ok::<Value, String>).await
    }

    /// The header that the next parameter means; the head when it is missing.
    async fn asked_header(&self, asked: &mut Params) -> Result<Arc<FinalHeader>, Unproven> {
        self.header_of(asked.block()?).await
    }
}

/// Blocks.
impl LightNode {
    async fn block_by_number(&self, asked: &mut Params) -> Answer {
        let tag: BlockNumberOrTag = asked.next_as(Form::Number, "block number")?;
        let full = asked.optional("full transactions")?.unwrap_or(false);
        let head = self.head().await?.header.number;
        if tag.as_number().is_some_and(|number| number > head) {
            return Ok(Value::Null);
        }
        let header = self.header_of(tag.into()).await?;
        Ok(json!(self.rpc_block(&header, full).await?))
    }

    async fn block_by_hash(&self, asked: &mut Params) -> Answer {
        let header = self.header_by_hash(asked.next("block hash")?).await?;
        let full = asked.optional("full transactions")?.unwrap_or(false);
        match header {
            Some(header) => Ok(json!(self.rpc_block(&header, full).await?)),
            None => Ok(Value::Null),
        }
    }

    async fn block_receipts(&self, asked: &mut Params) -> Answer {
        let header = self.asked_header(asked).await?;
        Ok(json!(self.receipts(&header).await?))
    }

    async fn proof_of_finality(&self, asked: &mut Params) -> Answer {
        let header = self.asked_header(asked).await?;
        Ok(json!(self.finality(header.header.number).await?.0))
    }

    async fn peg_block(&self, asked: &mut Params) -> Answer {
        let number: u64 = asked.next("number")?;
        if number > self.head().await?.header.number {
            return Ok(Value::Null);
        }
        let header = self.header_at(number).await?;
        let stored = self.block(&header).await?;
        let finality = if number == 0 { None } else { Some(self.finality(number).await?.0) };
        Ok(json!(peg::FollowedBlock { block: alloy_rlp::encode(&stored.block).into(), finality }))
    }
}

/// State.
impl LightNode {
    async fn balance(self: &Arc<Self>, asked: &mut Params) -> Answer {
        let address = asked.next("address")?;
        let header = self.asked_header(asked).await?;
        Ok(json!(self.account(header, address).await?.balance))
    }

    /// With `pending` a node's word about what waits, within what a node keeps.
    async fn transaction_count(self: &Arc<Self>, asked: &mut Params) -> Answer {
        let address: Address = asked.next("address")?;
        let block = asked.block()?;
        let nonce = self.account(self.header_of(block).await?, address).await?.nonce;
        if block != BlockId::pending() {
            return Ok(json!(U64::from(nonce)));
        }
        let told = self.upstream.ask("eth_getTransactionCount", vec![json!(address), json!("pending")], Ok::<U64, _>);
        Ok(json!(U64::from(told.await?.to::<u64>().clamp(nonce, nonce.saturating_add(MAX_WAITING)))))
    }

    async fn code(self: &Arc<Self>, asked: &mut Params) -> Answer {
        let address: Address = asked.next("address")?;
        let header = self.asked_header(asked).await?;
        let read = move |view: &View, _: &Stop| {
            let hash = view.account(address)?.unwrap_or_default().code_hash;
            view.code(hash)
        };
        let code = self.run(header, Missing::default(), read).await?;
        Ok(json!(code.map_err(|error| error::store(&error))?.unwrap_or_default()))
    }

    async fn storage(self: &Arc<Self>, asked: &mut Params) -> Answer {
        let (address, Slot(slot)): (Address, Slot) = (asked.next("address")?, asked.next("slot")?);
        let header = self.asked_header(asked).await?;
        let read = move |view: &View, _: &Stop| view.storage(address, slot);
        let value = self.run(header, Missing::default(), read).await?;
        Ok(json!(B256::from(value.map_err(|error| error::store(&error))?)))
    }

    async fn proofs(&self, asked: &mut Params) -> Answer {
        let (address, slots): (Address, Vec<Slot>) = (asked.next("address")?, asked.next("slots")?);
        let slots: Vec<U256> = slots.into_iter().map(|Slot(slot)| slot).collect();
        if slots.len() > MAX_PROOF_SLOTS {
            return Err(error::limit(format!("too many slots: {}, at most {MAX_PROOF_SLOTS}", slots.len())).into());
        }
        let header = self.asked_header(asked).await?;
        Ok(json!(self.proof(&header, address, &slots).await?.0))
    }

    async fn call(self: &Arc<Self>, asked: &mut Params) -> Answer {
        let CallRequest(request) = asked.next_as(Form::Anything, "transaction")?;
        let header = self.asked_header(asked).await?;
        convert::refuse_overrides([asked.optional("state overrides")?, asked.optional("block overrides")?])?;
        let call = convert::call(request, MAX_CALL_GAS, &self.rules)?;
        let gas = call.gas;
        let outcome = self.run(header, Missing::default(), move |view, stop| view.call(&call, stop)).await?;
        let outcome = outcome.map_err(|error| error::call(error, gas))?;
        if outcome.success { Ok(json!(outcome.output)) } else { Err(error::failed(&outcome).into()) }
    }
}

/// The peg.
impl LightNode {
    async fn info(self: &Arc<Self>) -> Answer {
        let (header, genesis) = (self.head().await?, self.genesis.clone());
        Ok(json!(self.contracts(header, move |contracts| info(&genesis, contracts)).await?))
    }

    async fn limits(self: &Arc<Self>) -> Answer {
        let header = self.head().await?;
        Ok(json!(self.contracts(header, |contracts| contracts.limits().map(peg::Limits::from)).await?))
    }

    /// Without a rate that of a node, if a vault transaction may have it: the contracts remember none.
    async fn quote(self: &Arc<Self>, asked: &mut Params) -> Answer {
        let length = asked.optional("scriptLength")?.unwrap_or(USUAL_LENGTH);
        check_length(length).map_err(error::invalid)?;
        let genesis = self.genesis.clone();
        let rate = match asked.optional("rate")? {
            Some(rate) => check_rate(&genesis.bridge, rate).map_err(error::invalid)?,
            None => {
                let check = |told: peg::Quote| {
                    check_rate(&genesis.bridge, told.rate).map_err(|why| format!("says what cannot be: {why}"))
                };
                self.upstream.ask("peg_quote", vec![json!(length)], check).await?
            }
        };
        let header = self.head().await?;
        Ok(json!(self.contracts(header, move |contracts| at_rate(&genesis.bridge, contracts, length, rate)).await?))
    }
}

/// What is a node's word in part: that is corrected by the state.
impl LightNode {
    /// Which vault transactions pay it is a node's word, what they are and the rest is the state's.
    async fn withdrawal(self: &Arc<Self>, asked: &mut Params) -> Answer {
        let id: u64 = asked.next("id")?;
        let told = |told: Option<peg::Withdrawal>| Ok(told.map(|told| told.versions).unwrap_or_default());
        let told = self.upstream.ask("peg_getWithdrawal", vec![json!(id)], told).await?;
        let told: Vec<_> =
            told.iter().rev().take(MAX_VERSIONS).rev().map(|told| (told.number, told.charge_sat)).collect();
        let header = self.head().await?;
        Ok(json!(self.contracts(header, move |contracts| withdrawal(contracts, id, || Ok(told.clone()))).await?))
    }

    /// Which deposits an address has is a node's word, each of them is the state's. One that is asked for by its outpoint cannot be kept back.
    async fn deposits(self: &Arc<Self>, asked: &mut Params, passed: Vec<Value>) -> Answer {
        let text: String = asked.next("address or outpoint")?;
        let mut report = self.upstream.ask("peg_getDeposit", passed, Ok::<peg::DepositReport, String>).await?;
        let outpoints: Vec<OutPoint> = match text.parse() {
            Ok(outpoint) => vec![outpoint],
            Err(_) => {
                report.deposits.iter().map(|told| OutPoint::new(told.txid, told.vout)).take(MAX_DEPOSITS).collect()
            }
        };
        let header = self.head().await?;
        let read = move |view: &View, stop: &Stop| {
            let mut deposits = Deposits::new(PegContracts::at(view, view.header().clone(), stop));
            let found = outpoints.iter().map(|outpoint| deposits.get(*outpoint)).collect::<Result<Vec<_>, _>>()?;
            Ok(found.into_iter().flatten().collect::<Vec<_>>())
        };
        report.deposits = self.run(header, Missing::default(), read).await?.map_err(error::simulate)?;
        Ok(json!(report))
    }
}

/// What the ledger has as a hash, and a node has to show.
impl LightNode {
    /// Only the amounts of its inputs are a node's word, and with them the fee; and which others spend its inputs.
    async fn vault_transaction(self: &Arc<Self>, asked: &mut Params) -> Answer {
        let number: u32 = asked.next("number")?;
        let header = self.head().await?;
        let made = self.contracts(header.clone(), move |contracts| contracts.vault_transaction(number)).await?;
        if vault_status(&made).is_none() {
            return Ok(Value::Null);
        }
        let check = |told: Option<peg::VaultTransaction>| {
            let Some(told) = told else { return Ok(None) };
            let versions: Vec<u32> = told.versions.iter().map(|told| told.number).take(MAX_VERSIONS).collect();
            let bound = BoundAs::new(told.content, told.amounts_sat, told.transaction)?;
            let other = || format!("shows another vault transaction {number} than the ledger has");
            if bound.is_of(&made) { Ok(Some((bound, versions))) } else { Err(other()) }
        };
        let bound = self.upstream.find("peg_getVaultTransaction", vec![json!(number)], check).await?;
        let hidden = || error::server(format!("no node shows vault transaction {number}, which the ledger has"));
        let (bound, versions) = bound.ok_or_else(hidden)?;
        let read =
            move |contracts: &PegContracts<'_, View>| vault_transaction(contracts, number, bound.clone(), &versions);
        Ok(json!(self.contracts(header, read).await?))
    }

    /// Of what waits, when it was bound is a node's word. What no node shows the content of is left out, as by a node whose history begins later.
    async fn vault(self: &Arc<Self>) -> Answer {
        let told = self.upstream.ask("peg_getVault", vec![], Ok::<peg::Vault, String>).await?.pending;
        let pending = move |(number, made): (u32, IVault::VaultTransaction)| {
            let told = told.iter().find(|told| told.number == number && is_content(&made, &told.content))?;
            let (txid, change_sat) = (txid(made.txid), made.changeSat);
            Some(peg::Pending { number, txid, bound_at: told.bound_at, change_sat, content: told.content.clone() })
        };
        let read = move |contracts: &PegContracts<'_, View>| {
            let count = contracts.vault_transaction_count()?;
            let (outputs, looked_from) = (outputs(contracts, count)?, looked_from(count));
            let mut waiting = Vec::new();
            for pending in unsettled(contracts, count)?.into_iter().filter_map(&pending) {
                if !is_spent_by_another(contracts, &pending.content)? {
                    waiting.push(pending);
                }
            }
            let pending = waiting;
            Ok(peg::Vault { outputs, pending, looked_from })
        };
        let header = self.head().await?;
        Ok(json!(self.contracts(header, read).await?))
    }
}

/// Wishes.
impl LightNode {
    async fn send(&self, asked: &mut Params) -> Answer {
        let raw: Bytes = asked.next("transaction")?;
        self.upstream.hand_in("eth_sendRawTransaction", vec![json!(raw)]).await?;
        Ok(json!(keccak256(&raw)))
    }

    async fn estimate(&self, params: Vec<Value>) -> Answer {
        let check = |gas: U64| match gas.to::<u64>() {
            gas if gas <= MAX_TRANSACTION_GAS => Ok(gas),
            gas => Err(format!("says that it takes {gas} gas, a transaction may have {MAX_TRANSACTION_GAS}")),
        };
        Ok(json!(U64::from(self.upstream.ask("eth_estimateGas", params, check).await?)))
    }
}
