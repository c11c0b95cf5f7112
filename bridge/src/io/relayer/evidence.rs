//! The facts that a policy wants besides the ledger's logs, asked in tasks of their own: while one hangs, all else goes on.

use std::collections::BTreeMap;
use std::sync::Arc;

use bitcoin::hashes::Hash as _;
use bitcoin::{OutPoint, TxOut, Txid};
use light::facts::{Facts, Wanted};
use light::ledger::VaultTransaction;
use tokio::task::JoinSet;

use super::bitcoind::Bitcoind;
use super::error::RoundError;
use super::gather_ledger::txid_of;
use super::member::Member;
use super::node::Node;
use crate::policy::proven::has_ended;

/// What was found out about one proposal, or bound vault transaction.
pub struct Evidence {
    /// Those of the inputs that its own bitcoind has unspent in its best chain.
    pub own_outputs: BTreeMap<OutPoint, TxOut>,
    /// What the ledger has, by proofs under the node's latest final header.
    pub facts: Facts,
    /// Those of the doubted outputs that have ended.
    pub ended: Vec<OutPoint>,
}

/// What is to be found out.
pub struct Inquiry {
    pub inputs: Vec<OutPoint>,
    /// What of the ledger is to be proven.
    pub wanted: Wanted,
    pub doubted: Vec<OutPoint>,
}

/// Inquiries under way, by what they are about.
pub struct Gathering<K>(JoinSet<(K, Option<Evidence>)>);

impl<K: Copy + std::fmt::Debug + Send + 'static> Gathering<K> {
    pub fn new() -> Self {
        Self(JoinSet::new())
    }

    /// Begins to ask.
    pub fn begin<N: Node, B: Bitcoind>(
        &mut self,
        about: K,
        inquiry: Inquiry,
        member: &Arc<Member<N>>,
        bitcoind: &Arc<B>,
    ) {
        let (member, bitcoind) = (Arc::clone(member), Arc::clone(bitcoind));
        self.0.spawn(async move {
            let evidence = find_out(&member, &*bitcoind, inquiry).await;
            let evidence =
                evidence.inspect_err(|error| tracing::debug!(?about, %error, "its inputs are not known yet"));
            (about, evidence.ok())
        });
    }

    /// Waits for the next answer; none when nobody answered. Never ends while nothing is asked.
    pub async fn next(&mut self) -> (K, Option<Evidence>) {
        match self.0.join_next().await {
            Some(Ok(gathered)) => gathered,
            Some(Err(error)) => std::panic::resume_unwind(error.into_panic()),
            None => std::future::pending().await,
        }
    }
}

async fn find_out<N: Node, B: Bitcoind>(
    member: &Member<N>,
    bitcoind: &B,
    inquiry: Inquiry,
) -> Result<Evidence, RoundError> {
    let mut own_outputs = BTreeMap::new();
    for outpoint in inquiry.inputs {
        if let Some(unspent) = bitcoind.unspent(outpoint, false).await? {
            own_outputs.insert(outpoint, TxOut { value: unspent.value, script_pubkey: unspent.script_pubkey });
        }
    }
    let facts = member.node.proven(&member.validators, &inquiry.wanted).await?;
    let ended = ended(member, bitcoind, &inquiry.doubted).await?;
    Ok(Evidence { own_outputs, facts, ended })
}

/// Those of these vault outputs that have ended for good: by proofs of the ledger, and by how deep its own bitcoind has what spends them.
async fn ended<N: Node, B: Bitcoind>(
    member: &Member<N>,
    bitcoind: &B,
    outpoints: &[OutPoint],
) -> Result<Vec<OutPoint>, RoundError> {
    let mut ended = Vec::new();
    for outpoint in outpoints {
        let Some(found) = proven_entry(member, outpoint.txid).await? else { continue };
        let depth = match found.spent_by {
            Some(spender) => depth(member, bitcoind, spender).await?,
            None => None,
        };
        if has_ended(*outpoint, &found, depth, member.parameters.final_blocks) {
            ended.push(*outpoint);
        }
    }
    Ok(ended)
}

async fn proven_entry<N: Node>(member: &Member<N>, txid: Txid) -> Result<Option<VaultTransaction>, RoundError> {
    let wanted = Wanted { vault: [txid].into(), ..Wanted::default() };
    let mut facts = member.node.proven(&member.validators, &wanted).await?;
    Ok(facts.vault.remove(&txid).flatten())
}

/// Confirmations of a settled vault transaction's block in its own bitcoind; none if it is not in the best chain there.
async fn depth<N: Node, B: Bitcoind>(member: &Member<N>, bitcoind: &B, number: u32) -> Result<Option<u32>, RoundError> {
    // Its txid is its node's word: it proves what is there.
    let txid = txid_of(&*member.node, number).await?;
    let found = proven_entry(member, txid).await?.filter(|found| found.number == number && found.is_settled);
    let Some(found) = found else { return Ok(None) };
    let best = bitcoind.block_hash(found.height).await?;
    let is_best = best.is_some_and(|hash| hash.as_byte_array().starts_with(found.block_head.as_slice()));
    let tip = bitcoind.chain_info().await?.height;
    Ok(is_best.then(|| (tip + 1).saturating_sub(found.height)))
}
