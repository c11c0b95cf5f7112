//! Where the engine keeps final blocks and their certificates, for itself after a restart and for peers that are behind.

use commonware_codec::CodecShared;
use commonware_cryptography::keccak256::Digest;
use commonware_runtime::{
    Clock, Metrics, Storage,
    buffer::paged::{CacheRef, page_size},
};
use commonware_storage::archive::immutable;
use commonware_utils::{NZU64, NZUsize};

use super::error::ConsensusError;

/// The engine's files in the runtime's storage, and the memory for reading them.
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

    /// Opens or creates an archive of values that are found by height and by digest of their block.
    ///
    /// # Errors
    ///
    /// `Archive` when the disk is damaged or full.
    pub(super) async fn open<E, V>(
        &self,
        runtime: &E,
        part: &'static str,
        codec_config: V::Cfg,
    ) -> Result<immutable::Archive<E, Digest, V>, ConsensusError>
    where
        E: Storage + Clock + Metrics,
        V: CodecShared,
    {
        let name = self.name(part);
        let opened = immutable::Archive::init(runtime.child(part), self.archive(&name, codec_config)).await;
        opened.map_err(|error| ConsensusError::Archive { archive: name, reason: error.to_string() })
    }

    fn archive<C>(&self, name: &str, codec_config: C) -> immutable::Config<C> {
        immutable::Config {
            metadata_partition: format!("{name}-metadata"),
            freezer_table_partition: format!("{name}-table"),
            freezer_table_initial_size: 1 << 14,
            freezer_table_resize_frequency: 4,
            freezer_table_resize_chunk_size: 1 << 12,
            freezer_key_partition: format!("{name}-keys"),
            freezer_key_page_cache: self.page_cache.clone(),
            freezer_value_partition: format!("{name}-values"),
            freezer_value_target_size: 1 << 28,
            freezer_value_compression: Some(3),
            ordinal_partition: format!("{name}-ordinal"),
            items_per_section: NZU64!(1 << 16),
            freezer_key_write_buffer: NZUsize!(1 << 16),
            freezer_value_write_buffer: NZUsize!(1 << 18),
            ordinal_write_buffer: NZUsize!(1 << 16),
            replay_buffer: NZUsize!(1 << 20),
            codec_config,
        }
    }
}
