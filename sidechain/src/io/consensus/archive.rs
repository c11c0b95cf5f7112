//! The engine's view of final blocks and certificates, which are in the chain's store and nowhere else.
//!
//! The engine puts a block here once it is final, waits until it is on disk, and delivers it for execution; the block then moves to its
//! final place in the batch of its state (see [`FinalBlocks`]). So a block is written ahead, once, and afterwards read from the same
//! rows that users read. Blocks and certificates that come together are written together, with one sync.

use std::sync::Arc;

use alloy_primitives::B256;
use commonware_codec::{Copying, Decode as _, Encode as _};
use commonware_consensus::{
    marshal::store::{Blocks, Certificates},
    simplex::types::Finalization,
    types::Height,
};
use commonware_cryptography::{certificate::Verifier as _, keccak256::Digest};
use commonware_runtime::{
    Error as RuntimeError, Handle, Metrics, Spawner,
    buffer::paged::{CacheRef, page_size},
};
use commonware_storage::archive::Identifier;
use commonware_utils::{NZUsize, sync::Mutex};

use super::{
    application::Application, archive_index::Index, blocking::blocking, error::ConsensusError, payload::Payload,
    scheme::Scheme,
};
use crate::chain::Ahead;

/// Blocks below the head whose certificates are looked up at start; the engine wants the newest of them. A block has none of its own
/// only where a later one's came first.
const RECENT: u64 = 4096;

/// Rows of blocks ahead of the state that are read at once at start.
const STEP: usize = 1024;

/// The engine's own files in the runtime's storage, and the memory for reading them.
pub(super) struct Files {
    /// Prefix of all names.
    partition: String,
    pub(super) page_cache: CacheRef,
}

impl Files {
    pub(super) fn new(partition: String) -> Self {
        // Pages that align with the file system's; 8 MiB in all.
        Self { partition, page_cache: CacheRef::new(page_size(4096), NZUsize!(2048)) }
    }

    /// The full name of a part of the storage.
    pub(super) fn name(&self, part: &str) -> String {
        format!("{}{part}", self.partition)
    }
}

/// The store of the chain does not do as it promised. The engine stops.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct ArchiveError(String);

/// Final blocks and certificates. Clones see the same.
pub(super) struct Archive<E, A> {
    runtime: Arc<E>,
    application: Arc<A>,
    index: Arc<Mutex<Index>>,
    /// One write at a time, in the order in which they were asked for.
    writing: Arc<Mutex<()>>,
}

impl<E, A> Clone for Archive<E, A> {
    fn clone(&self) -> Self {
        Self {
            runtime: self.runtime.clone(),
            application: self.application.clone(),
            index: self.index.clone(),
            writing: self.writing.clone(),
        }
    }
}

impl<E: Spawner + Metrics, A: Application> Archive<E, A> {
    /// Sees what there is.
    ///
    /// # Errors
    ///
    /// `Archive` when the disk is damaged.
    pub(super) async fn open(runtime: E, application: Arc<A>) -> Result<Self, ConsensusError> {
        let asked = application.clone();
        let index = blocking(&runtime, "open", move || load(&*asked)).await.ok_or(ConsensusError::Stopped)?;
        let index = index.map_err(|reason| ConsensusError::Archive { archive: "final blocks".to_owned(), reason })?;
        Ok(Self {
            runtime: Arc::new(runtime),
            application,
            index: Arc::new(Mutex::new(index)),
            writing: Arc::default(),
        })
    }

    /// The newest certificate of a block that is executed, for an engine that starts at the chain's head.
    pub(super) async fn newest_certificate(&self) -> Result<Option<Finalization<Scheme, Digest>>, ConsensusError> {
        let head = self.application.head();
        let newest = self.index.lock().certificates.from(0).into_iter().rfind(|(start, _)| *start <= head);
        let Some((_, end)) = newest else { return Ok(None) };
        let found = self.certificate(end.min(head)).await;
        found.map_err(|error| ConsensusError::Archive { archive: "certificates".to_owned(), reason: error.to_string() })
    }

    /// Asks the chain, off the async threads. When the runtime stops the answer never comes, and nobody waits for it.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&A) -> Result<T, String> + Send + 'static,
    ) -> Result<T, ArchiveError> {
        let application = self.application.clone();
        match blocking(&*self.runtime, "final_blocks", move || question(&application)).await {
            Some(answer) => answer.map_err(ArchiveError),
            None => std::future::pending().await,
        }
    }

    /// A final block as others are told of it, after its own certificate if they ask for that; none when it is not here.
    pub(super) async fn told(&self, height: u64, certified: bool) -> Result<Option<Vec<u8>>, ArchiveError> {
        let mut told = Vec::new();
        if certified {
            let Some(certificate) = self.certificate(height).await? else { return Ok(None) };
            told = certificate.encode().to_vec();
        }
        let Some(block) = self.block(height).await? else { return Ok(None) };
        told.extend_from_slice(&block.encode());
        Ok(Some(told))
    }

    /// Height of a final block.
    pub(super) async fn height(&self, id: Identifier<'_, Digest>) -> Result<Option<u64>, ArchiveError> {
        let hash = match id {
            Identifier::Index(height) => return Ok(Some(height)),
            Identifier::Key(digest) => B256::from(digest.0),
        };
        let known = self.index.lock().heights.get(&hash).copied();
        match known {
            Some(height) => Ok(Some(height)),
            None => self.ask(move |chain| chain.number_of(hash)).await,
        }
    }

    async fn block(&self, height: u64) -> Result<Option<Arc<Payload>>, ArchiveError> {
        let waiting = self.index.lock().waiting.get(&height).and_then(|waiting| waiting.block.clone());
        match waiting {
            Some(block) => Ok(Some(block)),
            None => {
                self.ask(move |chain| Ok(chain.final_block(height)?.map(|block| Arc::new(Payload::new(block))))).await
            }
        }
    }

    async fn certificate(&self, height: u64) -> Result<Option<Finalization<Scheme, Digest>>, ArchiveError> {
        let waiting = self.index.lock().waiting.get(&height).and_then(|waiting| waiting.certificate.clone());
        let bytes = match waiting {
            Some(bytes) => Some(bytes),
            None => self.ask(move |chain| chain.certificate(height)).await?,
        };
        let Some(bytes) = bytes else { return Ok(None) };
        let decoded = Finalization::decode_cfg(Copying(&bytes), &Scheme::certificate_codec_config_unbounded());
        decoded.map(Some).map_err(|error| ArchiveError(format!("the certificate of block {height}: {error}")))
    }

    /// Writes what waits: on disk when the handle resolves. What another write is about to bring to disk is waited for.
    fn write(&self) -> Handle<()> {
        let archive = self.clone();
        Handle::from_future(async move {
            let runtime = archive.runtime.clone();
            match blocking(&*runtime, "keep", move || archive.write_now()).await {
                Some(Ok(())) => Ok(()),
                Some(Err(reason)) => {
                    tracing::error!(reason, "cannot keep a final block");
                    Err(RuntimeError::WriteFailed)
                }
                None => Err(RuntimeError::Closed),
            }
        })
    }

    fn write_now(&self) -> Result<(), String> {
        let _one_at_a_time = self.writing.lock();
        let waiting = self.index.lock().waiting.clone();
        if waiting.is_empty() {
            return Ok(());
        }
        let kept = waiting.iter().map(|(number, waiting)| Ahead {
            number: *number,
            hash: waiting.hash,
            block: waiting.block.as_ref().map(|block| block.rlp().to_vec()),
            certificate: waiting.certificate.clone(),
        });
        self.application.keep(kept.collect())?;
        let mut index = self.index.lock();
        for (number, written) in waiting {
            let Some(now) = index.waiting.get_mut(&number) else { continue };
            // What came while it was written waits for the next write.
            now.block.take_if(|_| written.block.is_some());
            now.certificate.take_if(|_| written.certificate.is_some());
            if now.block.is_none() && now.certificate.is_none() {
                index.waiting.remove(&number);
            }
        }
        index.forget(self.application.head());
        Ok(())
    }

    async fn sync(self) -> Result<Self, ArchiveError> {
        match self.write().await {
            Ok(()) => Ok(self),
            Err(RuntimeError::Closed | RuntimeError::Aborted) => std::future::pending().await,
            Err(error) => Err(ArchiveError(error.to_string())),
        }
    }
}

fn load<A: Application>(application: &A) -> Result<Index, String> {
    let mut index = Index::default();
    let head = application.head();
    // After the genesis block there may be none until a copied state's block.
    index.blocks.insert(0, 0);
    if head > 0 {
        index.blocks.insert(application.first_block().clamp(1, head), head);
    }
    let recent = application.certified(head.saturating_sub(RECENT), RECENT as usize + 1)?;
    recent.into_iter().filter(|number| *number <= head).for_each(|number| index.certificates.insert(number, number));
    let mut next = head + 1;
    loop {
        let kept = application.kept(next, STEP)?;
        let Some(last) = kept.last() else { return Ok(index) };
        // A page may end between a block and its certificate: the last one is read again, unless it is alone.
        let last = last.number;
        let whole = kept.len() == 1;
        for ahead in kept.into_iter().filter(|ahead| whole || ahead.number < last) {
            index.heights.insert(ahead.hash, ahead.number);
            if ahead.block.is_some() {
                index.blocks.insert(ahead.number, ahead.number);
            }
            if ahead.certificate.is_some() {
                index.certificates.insert(ahead.number, ahead.number);
            }
        }
        next = if whole { last + 1 } else { last };
    }
}

/// Final blocks.
pub(super) struct BlockArchive<E, A>(pub(super) Archive<E, A>);

impl<E: Spawner + Metrics + Sync, A: Application> Blocks for BlockArchive<E, A> {
    type Block = Arc<Payload>;
    type Error = ArchiveError;

    async fn put(self, digest: Digest, block: &Arc<Payload>) -> Result<Self, ArchiveError> {
        self.0.index.lock().add_block(block.block().number(), B256::from(digest.0), block);
        Ok(self)
    }

    async fn sync(self) -> Result<Self, ArchiveError> {
        self.0.sync().await.map(Self)
    }

    async fn start_sync(self) -> Result<(Self, Handle<()>), ArchiveError> {
        let handle = self.0.write();
        Ok((self, handle))
    }

    async fn get(&self, id: Identifier<'_, Digest>) -> Result<Option<Arc<Payload>>, ArchiveError> {
        match self.0.height(id).await? {
            Some(height) => self.0.block(height).await,
            None => Ok(None),
        }
    }

    // What is kept, and how long, is the chain's to say.
    async fn prune(self, _: Height) -> Result<Self, ArchiveError> {
        Ok(self)
    }

    fn missing_items(&self, start: Height, max: usize) -> Vec<Height> {
        self.0.index.lock().blocks.missing(start.get(), max).into_iter().map(Height::new).collect()
    }

    fn next_gap(&self, value: Height) -> (Option<Height>, Option<Height>) {
        let (end, next) = self.0.index.lock().blocks.next_gap(value.get());
        (end.map(Height::new), next.map(Height::new))
    }

    fn last_index(&self) -> Option<Height> {
        self.0.index.lock().blocks.last().map(Height::new)
    }
}

/// Certificates of final blocks.
pub(super) struct CertificateArchive<E, A>(pub(super) Archive<E, A>);

impl<E: Spawner + Metrics + Sync, A: Application> Certificates for CertificateArchive<E, A> {
    type BlockDigest = Digest;
    type Commitment = Digest;
    type Scheme = Scheme;
    type Error = ArchiveError;

    async fn put(
        self,
        height: Height,
        digest: Digest,
        finalization: &Finalization<Scheme, Digest>,
    ) -> Result<Self, ArchiveError> {
        self.0.index.lock().add_certificate(height.get(), B256::from(digest.0), finalization.encode().to_vec());
        Ok(self)
    }

    async fn sync(self) -> Result<Self, ArchiveError> {
        self.0.sync().await.map(Self)
    }

    async fn start_sync(self) -> Result<(Self, Handle<()>), ArchiveError> {
        let handle = self.0.write();
        Ok((self, handle))
    }

    async fn get(&self, id: Identifier<'_, Digest>) -> Result<Option<Finalization<Scheme, Digest>>, ArchiveError> {
        match self.0.height(id).await? {
            Some(height) => self.0.certificate(height).await,
            None => Ok(None),
        }
    }

    async fn has(&self, height: Height) -> Result<bool, ArchiveError> {
        let height = height.get();
        if self.0.index.lock().certificates.contains(height) {
            return Ok(true);
        }
        self.0.ask(move |chain| Ok(chain.certificate(height)?.is_some())).await
    }

    async fn prune(self, _: Height) -> Result<Self, ArchiveError> {
        Ok(self)
    }

    fn last_index(&self) -> Option<Height> {
        self.0.index.lock().certificates.last().map(Height::new)
    }

    // Those long before the head are left out: the engine wants the newest at or below it.
    fn ranges_from(&self, from: Height) -> impl Iterator<Item = (Height, Height)> {
        let ranges = self.0.index.lock().certificates.from(from.get());
        ranges.into_iter().map(|(start, end)| (Height::new(start), Height::new(end)))
    }
}
