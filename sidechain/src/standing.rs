//! How a node stands to its network: how far behind it is, whom it reaches, and whether it is well. Facts in, verdict out.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::Address;
use serde::Serialize;

use crate::{
    block::Header,
    clocks::{Clocks, Doubt},
    rejoin::ProvenHead,
};

/// Blocks that a node may be behind and still count as caught up: they are on their way.
pub const MAX_LAG: u64 = 4;

/// Age of the head beyond which a node is not well, at least. A new block comes with every heartbeat.
const MIN_HEAD_AGE_MS: u64 = 30_000;

/// Heartbeats that may pass without a block: a dead leader costs one time-out.
const MISSED_HEARTBEATS: u64 = 10;

/// Room on the disk below which a node is not well, in bytes: some minutes of full blocks, and what the database needs to tidy up.
pub const MIN_DISK: u64 = 256 << 20;

/// What the parts of a node tell of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The highest block that is known to be final anywhere.
    pub highest: u64,
    /// The head when this node was first seen behind; none while it is not.
    pub behind_since: Option<u64>,
    /// Validators, by their p2p keys, that said what their last block is.
    pub announced: BTreeSet<[u8; 32]>,
    /// How many of them it has to hear before it can know that it is not behind.
    pub needed_words: usize,
    /// The latest block that any of them proved to be final.
    pub best: Option<ProvenHead>,
    /// Validators, or for a follower followed nodes, that it is in touch with.
    pub peers: usize,
    /// How many it needs.
    pub needed_peers: usize,
    /// Validators that it is not in touch with, as its log names them.
    pub away: BTreeSet<String>,
    /// What other clocks show.
    pub clocks: Clocks,
    /// Who gets the fees of the blocks that this node makes; `None` when it makes none.
    pub proposer: Option<Address>,
    /// Nothing more can be written.
    pub disk_full: bool,
    /// Bytes that are left on the disk, as far as the system says.
    pub disk_free: Option<u64>,
    /// A snapshot is being copied.
    pub copying: Option<Copying>,
    /// What it waits for before it does its work.
    pub waits_for: Option<String>,
}

/// How far the copy of a snapshot is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copying {
    /// The snapshot's block.
    pub number: u64,
    /// Thousandths that are done.
    pub done: u64,
}

/// `eth_syncing` of a node that is behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Behind {
    pub starting: u64,
    pub current: u64,
    pub highest: u64,
}

/// Why a node is not well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "reason")]
pub enum Ill {
    #[error("copies the snapshot of block {number}, {} % is done", done / 10)]
    Copying { number: u64, done: u64 },
    #[error("the head is block {head}, and block {highest} is final")]
    Behind { head: u64, highest: u64 },
    #[error("the head is {age_ms} ms old, at most {most_ms} are expected")]
    OldHead { age_ms: u64, most_ms: u64 },
    #[error("in touch with {peers} peers, needs {needed}")]
    Peers { peers: usize, needed: usize },
    #[error("has heard from {heard} other validators which block is their last, needs {needed}")]
    Unheard { heard: usize, needed: usize },
    #[error("{message}")]
    Clock { message: String },
    #[error("the disk is full")]
    Disk,
    #[error("{} MB are left on the disk, at least {} MB are wanted", free >> 20, want >> 20)]
    DiskLow { free: u64, want: u64 },
    #[error("waits for {for_what}")]
    Waits { for_what: String },
}

impl Ill {
    /// All names.
    pub const NAMES: [&'static str; 9] =
        ["copying", "behind", "oldHead", "peers", "unheard", "clock", "disk", "diskLow", "waits"];

    /// Its name, of a fixed set.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Copying { .. } => "copying",
            Self::Behind { .. } => "behind",
            Self::OldHead { .. } => "oldHead",
            Self::Peers { .. } => "peers",
            Self::Unheard { .. } => "unheard",
            Self::Clock { .. } => "clock",
            Self::Disk => "disk",
            Self::DiskLow { .. } => "diskLow",
            Self::Waits { .. } => "waits",
        }
    }
}

impl Facts {
    /// Takes note of a block that is final somewhere, while the head here is `head`.
    pub fn hear(&mut self, number: u64, head: u64) {
        self.highest = self.highest.max(number);
        match self.behind(head) {
            Some(_) => self.behind_since = Some(self.behind_since.unwrap_or(head)),
            None => self.behind_since = None,
        }
    }

    /// Whether to doubt this machine's clock, which shows `now_ms`. As many others as make a quorum with this node have to say so.
    pub fn clock_doubt(&self, now_ms: u64) -> Option<Doubt> {
        self.clocks.doubt(self.needed_peers, now_ms)
    }

    /// How far behind the node is; none when it has caught up.
    pub fn behind(&self, head: u64) -> Option<Behind> {
        let highest = self.highest.max(self.copying.map_or(0, |copying| copying.number));
        let caught_up = self.copying.is_none() && highest <= head.saturating_add(MAX_LAG);
        let starting = self.behind_since.unwrap_or(head).min(head);
        (!caught_up).then_some(Behind { starting, current: head, highest: highest.max(head) })
    }

    /// What its log is to tell, words by name: what is wrong, but for what is told by who does it, and each validator that is away.
    pub fn troubles(&self, head: &Header, heartbeat_ms: u64, now_ms: u64) -> BTreeMap<String, String> {
        let is_told = |ill: &Ill| matches!(ill, Ill::Copying { .. } | Ill::Clock { .. } | Ill::Waits { .. });
        let ills = self.ills(head, heartbeat_ms, now_ms).into_iter().filter(|ill| !is_told(ill));
        let ills = ills.map(|ill| (ill.name().to_owned(), ill.to_string()));
        let away = self.away.iter().map(|who| (format!("away {who}"), format!("no connection to {who}")));
        ills.chain(away).collect()
    }

    /// What is wrong; nothing when the node is well. `now_ms` is Unix time.
    pub fn ills(&self, head: &Header, heartbeat_ms: u64, now_ms: u64) -> Vec<Ill> {
        let mut ills = Vec::new();
        if let Some(Copying { number, done }) = self.copying {
            ills.push(Ill::Copying { number, done });
        } else if let Some(Behind { current: head, highest, .. }) = self.behind(head.number) {
            ills.push(Ill::Behind { head, highest });
        }
        let age_ms = now_ms.saturating_sub(head.timestamp.saturating_mul(1000));
        let most_ms = heartbeat_ms.saturating_mul(MISSED_HEARTBEATS).max(MIN_HEAD_AGE_MS);
        if age_ms > most_ms {
            ills.push(Ill::OldHead { age_ms, most_ms });
        }
        let (peers, needed) = (self.peers, self.needed_peers);
        if peers < needed {
            ills.push(Ill::Peers { peers, needed });
        }
        let (heard, needed) = (self.announced.len(), self.needed_words);
        if heard < needed {
            ills.push(Ill::Unheard { heard, needed });
        }
        if let Some(doubt) = self.clock_doubt(now_ms) {
            ills.push(Ill::Clock { message: doubt.to_string() });
        }
        match self.disk_free {
            _ if self.disk_full => ills.push(Ill::Disk),
            Some(free) if free < MIN_DISK => ills.push(Ill::DiskLow { free, want: MIN_DISK }),
            _ => {}
        }
        if let Some(for_what) = self.waits_for.clone() {
            ills.push(Ill::Waits { for_what });
        }
        ills
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(number: u64, timestamp: u64) -> Header {
        Header { number, timestamp, ..Header::default() }
    }

    #[test]
    fn a_node_has_caught_up_only_when_nothing_it_heard_of_is_missing() {
        let mut facts = Facts::default();
        assert_eq!(facts.behind(7), None);
        facts.hear(7 + MAX_LAG, 7);
        assert_eq!(facts.behind(7), None, "they are on their way");
        facts.hear(100, 7);
        assert_eq!(facts.behind(7), Some(Behind { starting: 7, current: 7, highest: 100 }));
        facts.hear(90, 50);
        assert_eq!(
            facts.behind(50),
            Some(Behind { starting: 7, current: 50, highest: 100 }),
            "an older word changes nothing"
        );
        facts.hear(101, 99);
        assert_eq!(facts.behind(99), None);
        facts.hear(200, 101);
        assert_eq!(facts.behind(101).map(|behind| behind.starting), Some(101), "it is behind anew");
    }

    #[test]
    fn what_is_wrong_has_the_same_name_in_metrics_and_in_json() {
        let ills = [
            Ill::Copying { number: 1, done: 1 },
            Ill::Behind { head: 1, highest: 9 },
            Ill::OldHead { age_ms: 2, most_ms: 1 },
            Ill::Peers { peers: 0, needed: 1 },
            Ill::Unheard { heard: 0, needed: 1 },
            Ill::Clock { message: String::new() },
            Ill::Disk,
            Ill::DiskLow { free: 0, want: 1 },
            Ill::Waits { for_what: String::new() },
        ];
        for ill in ills {
            assert_eq!(serde_json::json!(ill)["reason"], ill.name());
            assert!(Ill::NAMES.contains(&ill.name()));
        }
    }

    #[test]
    fn a_node_that_copies_a_snapshot_is_behind_whatever_its_head() {
        let facts = Facts { copying: Some(Copying { number: 50, done: 420 }), ..Facts::default() };
        assert_eq!(facts.behind(0), Some(Behind { starting: 0, current: 0, highest: 50 }));
        let ills = facts.ills(&head(0, 1_000), 2_000, 1_000_000);
        assert_eq!(ills[0].to_string(), "copies the snapshot of block 50, 42 % is done");
    }

    #[test]
    fn a_node_is_well_only_when_its_head_is_young_its_peers_are_enough_and_its_disk_takes_writes() {
        let well = Facts { peers: 2, needed_peers: 2, ..Facts::default() };
        assert_eq!(well.ills(&head(9, 1_000), 2_000, 1_030_000), []);
        let old = well.ills(&head(9, 1_000), 2_000, 1_030_001);
        assert_eq!(old, [Ill::OldHead { age_ms: 30_001, most_ms: 30_000 }]);
        assert_eq!(well.ills(&head(9, 1_000), 5_000, 1_050_000), [], "heartbeats are slow");
        // After a start: it is in touch, and does not know yet where they are.
        let started = Facts { announced: BTreeSet::from([[1; 32]]), needed_words: 2, ..well.clone() };
        assert_eq!(started.ills(&head(9, 1_000), 2_000, 1_000_000), [Ill::Unheard { heard: 1, needed: 2 }]);
        let alone = Facts { peers: 1, disk_full: true, waits_for: Some("a vote".to_owned()), ..well.clone() };
        let waits = Ill::Waits { for_what: "a vote".to_owned() };
        assert_eq!(
            alone.ills(&head(9, 1_000), 2_000, 1_000_000),
            [Ill::Peers { peers: 1, needed: 2 }, Ill::Disk, waits]
        );
        let low = Facts { disk_free: Some(MIN_DISK - 1), ..well.clone() };
        assert_eq!(low.ills(&head(9, 1_000), 2_000, 1_000_000), [Ill::DiskLow { free: MIN_DISK - 1, want: MIN_DISK }]);
        // The clock is told by who stops voting; a validator that is away, by its name.
        let away = BTreeSet::from(["bob at bob.example:1".to_owned()]);
        let told = Facts { away, ..alone }.troubles(&head(9, 1_000), 2_000, 1_000_000);
        assert_eq!(told.keys().collect::<Vec<_>>(), ["away bob at bob.example:1", "disk", "peers"]);
        let mut late = well;
        late.hear(20, 9);
        assert_eq!(late.ills(&head(9, 1_000), 2_000, 1_000_000), [Ill::Behind { head: 9, highest: 20 }]);
        assert_eq!(late.ills(&head(9, u64::MAX), u64::MAX, 0).len(), 1, "nothing overflows");
    }
}
