//! Asks for one part after another, checks it, and writes it.

use std::sync::Arc;

use alloy_primitives::Bytes;
use api::snapshot::Part;

use super::sources::{NoPart, Sources};
use crate::{
    chain::snapshot::{Restore, RestoreError, Want},
    state::store::{Store, StoreError},
};

/// Why a snapshot was not copied to its end.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// No source has it any more: begin with another.
    #[error("no source keeps the snapshot of block {0} any more")]
    Gone(u64),
    /// Fatal: look at the disk.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Copies until everything is in the store; what is there already is not asked for. `report` hears how far it is after each
/// part.
///
/// # Errors
///
/// `Gone`, `Store`. Everything else is waited out, or the fault of a source, which is then left.
pub async fn copy<S: Store>(
    sources: &mut Sources,
    store: Arc<S>,
    mut restore: Restore,
    chain_id: u64,
    report: impl Fn(&Restore),
) -> Result<Restore, CopyError> {
    let number = restore.header().number;
    loop {
        let (store, part) = (store.clone(), {
            let asked = store.clone();
            let (next, want) = blocking(move || {
                let want = restore.next(&*asked);
                (restore, want)
            })
            .await;
            restore = next;
            match want? {
                Want::Part(part) => part,
                Want::Finish => return Ok(restore),
            }
        });
        let (source, answer) = match sources.part(number, &part).await {
            Ok(answered) => answered,
            Err(NoPart::Gone) => return Err(CopyError::Gone(number)),
        };
        let (next, taken) = blocking(move || take(restore, &*store, chain_id, &part, &answer)).await;
        restore = next;
        match taken {
            Ok(()) => report(&restore),
            Err(RestoreError::Store(error)) => return Err(error.into()),
            Err(lie) => sources.refuse(source, &lie.to_string()),
        }
    }
}

fn take<S: Store>(
    mut restore: Restore,
    store: &S,
    chain_id: u64,
    part: &Part,
    answer: &Bytes,
) -> (Restore, Result<(), RestoreError>) {
    let taken = restore.take(store, chain_id, part, answer);
    let written = taken.and_then(|batch| store.write(batch).map_err(RestoreError::from));
    (restore, written)
}

/// Runs what works or waits for the disk on a thread that may.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
}
