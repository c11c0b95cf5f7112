//! Before a validator votes: whether it knows how it voted before, and if not, from which round on it may vote
//! ([`crate::rejoin`]).

use std::{path::PathBuf, time::Duration};

use commonware_runtime::Clock;
use files::{read_optional, write_atomic};
use tracing::{info, warn};

use super::{config::NodeConfig, error::NodeError};
use crate::{
    io::{clock::unix_ms, consensus::VOTES, node_state::NodeState},
    rejoin::{Known, Verdict, judge},
};

/// Time between two looks at what the others say.
const LOOK: Duration = Duration::from_millis(250);

/// The certificate of a block behind whose round alone this validator may vote; none where its journal, or its being new, says
/// that it may vote in any round that comes.
pub(super) async fn floor<E: Clock>(
    runtime: &E,
    config: &NodeConfig,
    state: &NodeState,
    quorum: usize,
) -> Result<Option<Vec<u8>>, NodeError> {
    if has_journal(config) {
        // In case that the process died before the engine noted it in its journal; a later place in the journal wins.
        return read_optional(&note(config)).map_err(NodeError::Rejoin);
    }
    if config.never_voted {
        return Ok(None);
    }
    let started_ms = unix_ms(runtime.current());
    let own_head = state.chain.head().number;
    let mut said = None;
    let floor = loop {
        let verdict = {
            let facts = state.facts();
            let (announced, best) = (facts.announced.len(), facts.best.as_ref());
            judge(&Known { own_head, announced, quorum, best, started_ms, now_ms: unix_ms(runtime.current()) })
        };
        match verdict {
            Verdict::FromGenesis => break None,
            Verdict::Behind(block) => {
                info!(
                    number = block.number,
                    "votes in the rounds after this block's: the journal of earlier votes is gone"
                );
                write_atomic(&note(config), &block.certificate).map_err(NodeError::Rejoin)?;
                break Some(block.certificate);
            }
            Verdict::Wait(wait) if said != Some(wait) => {
                warn!(%wait, "does not vote yet: waits for");
                state.facts().waits_for = Some(wait.to_string());
                said = Some(wait);
            }
            Verdict::Wait(_) => {}
        }
        runtime.sleep(LOOK).await;
    };
    state.facts().waits_for = None;
    Ok(floor)
}

/// Where the block is noted behind whose round this validator votes. It goes when the engine's files go.
fn note(config: &NodeConfig) -> PathBuf {
    config.engine_dir().join("rejoin")
}

/// Whether the engine has its journal of votes.
fn has_journal(config: &NodeConfig) -> bool {
    let entries = std::fs::read_dir(config.engine_dir().join(VOTES));
    entries.is_ok_and(|mut entries| entries.next().is_some())
}
