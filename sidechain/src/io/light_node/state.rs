//! State by proofs, and calls that are run on it here.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use alloy_primitives::{Address, B256, Bytes, U64, U256, keccak256};
use alloy_rpc_types_eth::EIP1186AccountProofResponse;
use contracts::Contract;
use futures::{StreamExt as _, TryStreamExt as _};
use light::FinalHeader;
use serde_json::{Value, json};

use super::fault::Unproven;
use super::node::{LightNode, locked};
use crate::chain::SimulateError;
use crate::execution::Stop;
use crate::io::rpc::error;
use crate::light_node::{Missing, Rows, View};
use crate::peg::PegContracts;
use crate::state::{Account, StateReader as _};

/// States of which rows are kept: the newest that were asked for.
const MAX_STATES: usize = 4;
/// How often a request is run, and what is missing asked for.
const MAX_ROUNDS: usize = 64;
/// Accounts, slots and codes that are asked for on behalf of one request.
const MAX_QUESTIONS: usize = 8_192;
/// Slots in one question. A node proves 1,024 at most.
const SLOTS_AT_ONCE: usize = 256;
/// Questions at a time.
const QUESTIONS_AT_ONCE: usize = 8;
/// How long a request may take, all rounds together.
const DEADLINE: Duration = Duration::from_secs(30);

impl LightNode {
    /// What `work` finds in the state of a header. It may be run several times, on what is proven by then, and counts when nothing was
    /// missing. `first` is asked for before.
    pub(super) async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        header: Arc<FinalHeader>,
        first: Missing,
        work: impl Fn(&View, &Stop) -> T + Send + Sync + 'static,
    ) -> Result<T, Unproven> {
        let stop = StopOnDrop(Stop::default());
        let rounds = self.rounds(header, first, Arc::new(work), &stop.0);
        let late = |_| error::limit(format!("no proof within {} s: ask for less, or later", DEADLINE.as_secs()));
        tokio::time::timeout(DEADLINE, rounds).await.map_err(late)?
    }

    async fn rounds<T: Send + 'static>(
        self: &Arc<Self>,
        header: Arc<FinalHeader>,
        first: Missing,
        work: Arc<impl Fn(&View, &Stop) -> T + Send + Sync + 'static>,
        stop: &Stop,
    ) -> Result<T, Unproven> {
        let rows = self.rows(header.header.number);
        let (mut missing, mut questions) = (unknown(first, &rows), 0);
        for _ in 0..MAX_ROUNDS {
            questions += missing.len();
            if questions > MAX_QUESTIONS {
                return Err(error::limit(format!("it reads more than {MAX_QUESTIONS} accounts and slots")).into());
            }
            self.fetch(&header, &rows, missing).await?;
            let view =
                View::new(header.clone(), self.rules.clone(), rows.clone(), self.codes.clone(), self.analysed.clone());
            let (work, stop) = (work.clone(), stop.clone());
            let _turn = self.runs.acquire().await.map_err(|_| Unproven::Down("the light node stops".to_owned()))?;
            let run = tokio::task::spawn_blocking(move || (work(&view, &stop), view.missing()));
            let (found, lacks) = run.await.map_err(|_| error::server("internal error"))?;
            if lacks.is_empty() {
                return Ok(found);
            }
            missing = lacks;
        }
        Err(error::limit(format!("what it reads depends on what it reads, more than {MAX_ROUNDS} times")).into())
    }

    /// Rows of the state after a block, which are shared by all who read it.
    fn rows(&self, number: u64) -> Arc<Mutex<Rows>> {
        let mut states = locked(&self.states);
        let rows = states.entry(number).or_default().clone();
        while states.len() > MAX_STATES {
            states.pop_first();
        }
        rows
    }

    /// Asks for what is missing, and keeps it once it is proven.
    async fn fetch(&self, header: &FinalHeader, rows: &Mutex<Rows>, missing: Missing) -> Result<(), Unproven> {
        let questions = missing.accounts.into_iter().flat_map(|(address, slots)| {
            let slots: Vec<U256> = slots.into_iter().collect();
            let mut pages: Vec<Vec<U256>> = slots.chunks(SLOTS_AT_ONCE).map(<[U256]>::to_vec).collect();
            if pages.is_empty() {
                pages.push(Vec::new());
            }
            pages.into_iter().map(move |slots| (address, slots))
        });
        let questions: Vec<_> = questions.collect();
        let ask = |(address, slots): (Address, Vec<U256>)| async move {
            let (_, account, values) = self.proof(header, address, &slots).await?;
            locked(rows).put(address, account, &slots, &values);
            Ok::<(), Unproven>(())
        };
        futures::stream::iter(questions.into_iter().map(ask))
            .buffer_unordered(QUESTIONS_AT_ONCE)
            .try_collect::<()>()
            .await?;
        for hash in missing.codes {
            self.fetch_code(header, rows, hash).await?;
        }
        Ok(())
    }

    /// An account and slots with the answer that proves them.
    pub(super) async fn proof(
        &self,
        header: &FinalHeader,
        address: Address,
        slots: &[U256],
    ) -> Result<(EIP1186AccountProofResponse, Option<Account>, Vec<U256>), Unproven> {
        let number = header.header.number;
        let check = |answer: EIP1186AccountProofResponse| {
            let proven = header.verify_state(&answer, address, slots);
            let (account, values) = proven
                .map_err(|error| format!("does not prove what it says of {address} in block {number}: {error}"))?;
            Ok((answer, account, values))
        };
        let keys: Vec<B256> = slots.iter().map(|slot| B256::from(*slot)).collect();
        let params: Vec<Value> = vec![json!(address), json!(keys), json!(U64::from(number))];
        self.upstream.ask("eth_getProof", params, check).await
    }

    async fn fetch_code(&self, header: &FinalHeader, rows: &Mutex<Rows>, hash: B256) -> Result<(), Unproven> {
        let Some(address) = locked(rows).with_code(hash) else { return Ok(()) };
        let check = |code: Bytes| {
            let got = keccak256(&code);
            let wrong = || format!("shows code of {address} with the hash {got}, the state proves {hash}");
            if got == hash { Ok(code) } else { Err(wrong()) }
        };
        let params = vec![json!(address), json!(U64::from(header.header.number))];
        let code = self.upstream.ask("eth_getCode", params, check).await?;
        locked(&self.codes).put(hash, code);
        Ok(())
    }

    /// An account in the state of a header; an empty one where there is none.
    pub(super) async fn account(
        self: &Arc<Self>,
        header: Arc<FinalHeader>,
        address: Address,
    ) -> Result<Account, Unproven> {
        let first = accounts([address]);
        let read = move |view: &View, _: &Stop| view.account(address).ok().flatten().unwrap_or_default();
        self.run(header, first, read).await
    }

    /// What the peg's contracts say in the state of a header.
    pub(super) async fn contracts<T: Send + 'static>(
        self: &Arc<Self>,
        header: Arc<FinalHeader>,
        ask: impl Fn(&PegContracts<'_, View>) -> Result<T, SimulateError> + Send + Sync + 'static,
    ) -> Result<T, Unproven> {
        let first = accounts(Contract::ALL.map(Contract::address));
        let work = move |view: &View, stop: &Stop| ask(&PegContracts::at(view, view.header().clone(), stop));
        Ok(self.run(header, first, work).await?.map_err(error::simulate)?)
    }
}

fn accounts(addresses: impl IntoIterator<Item = Address>) -> Missing {
    Missing {
        accounts: addresses.into_iter().map(|address| (address, BTreeSet::new())).collect(),
        ..Missing::default()
    }
}

/// Without the accounts that are there already.
fn unknown(mut missing: Missing, rows: &Mutex<Rows>) -> Missing {
    let rows = locked(rows);
    missing.accounts.retain(|address, slots| !slots.is_empty() || rows.account(*address).is_none());
    missing
}

/// Whoever waits for a run and goes away ends it.
struct StopOnDrop(Stop);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.stop();
    }
}
