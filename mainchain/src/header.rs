//! The rules of one block header, given the facts about its ancestors.
//!
//! A [`Tip`] is the end of some chain of headers together with everything the rules ask about that chain: the last eleven
//! times, the period's first time and target, the work. It never looks back further, so checking a header costs two hashes
//! and a few comparisons, wherever it stands; [`crate::chain`] keeps one tip a header, [`crate::verify`] a single one.
//!
//! Rules, in the order in which they are checked (Bitcoin Core, `ContextualCheckBlockHeader`, `GetNextWorkRequired`):
//! 1. it builds on the tip;
//! 2. its target is the one wanted;
//! 3. its hash meets it;
//! 4. its time is after the median of the last eleven;
//! 5. on BIP94 networks the first time of a period is not far before its parent;
//! 6. its version is one still allowed;
//! 7. its time is at most two hours ahead of the clock.

use bitcoin::block::Header;
use bitcoin::hashes::{Hash, sha256d};
use bitcoin::{BlockHash, CompactTarget, Target, Work};

use crate::params::{MAX_FUTURE_SECONDS, MAX_TIMEWARP_SECONDS, MIN_DIFFICULTY_SECONDS, PERIOD, PERIOD_SECONDS, Params};

/// Seconds since 1970, as in a header.
pub type UnixTime = u32;

/// Blocks up from genesis, which is 0.
pub type Height = u32;

/// Times that the median-time-past rule looks at.
const MEDIAN_SPAN: usize = 11;

/// The rule that a header breaks, with the value seen and the value wanted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// Its parent is not known here. Ask for earlier headers.
    #[error("previous block {previous} is unknown")]
    Unconnected { previous: BlockHash },
    /// It forks off below the headers that are kept. Only a deeper start of the chain could judge it.
    #[error("forks off at height {height}, below the oldest header kept at {oldest}")]
    TooDeep { height: Height, oldest: Height },
    #[error("target {got:#010x} at height {height}, expected {want:#010x}")]
    BadTarget { height: Height, got: CompactTarget, want: CompactTarget },
    #[error("hash {hash} at height {height} is above its target {target:064x}")]
    BadWork { height: Height, hash: BlockHash, target: Target },
    #[error("time {time} at height {height} is not after {median}, the median of the blocks before")]
    TooOld { height: Height, time: UnixTime, median: UnixTime },
    #[error("time {time} at height {height} starts a period more than 600 s before its previous block at {previous}")]
    Timewarp { height: Height, time: UnixTime, previous: UnixTime },
    #[error("version {got} at height {height}, expected at least {want}")]
    BadVersion { height: Height, got: i32, want: i32 },
    /// Not yet acceptable; may be later.
    #[error("time {time} at height {height} is more than two hours ahead of the clock at {now}")]
    TooNew { height: Height, time: UnixTime, now: UnixTime },
    /// The chain starts inside a period, and its first time was not given.
    #[error("the target at height {height} depends on the time of block {first}, which was not given")]
    PeriodTimeUnknown { height: Height, first: Height },
}

impl HeaderError {
    /// Whether the same header may be accepted later, without it changing.
    pub fn may_pass_later(&self) -> bool {
        matches!(self, Self::Unconnected { .. } | Self::TooNew { .. })
    }

    /// Whether whoever sent the header has broken a rule of Bitcoin.
    pub fn blames_sender(&self) -> bool {
        match self {
            Self::BadTarget { .. }
            | Self::BadWork { .. }
            | Self::TooOld { .. }
            | Self::Timewarp { .. }
            | Self::BadVersion { .. } => true,
            Self::Unconnected { .. } | Self::TooDeep { .. } | Self::TooNew { .. } | Self::PeriodTimeUnknown { .. } => {
                false
            }
        }
    }
}

/// The 80 bytes of a header, as hashed.
pub fn to_bytes(header: &Header) -> [u8; 80] {
    let mut bytes = [0; 80];
    bytes[..4].copy_from_slice(&header.version.to_consensus().to_le_bytes());
    bytes[4..36].copy_from_slice(header.prev_blockhash.as_byte_array());
    bytes[36..68].copy_from_slice(header.merkle_root.as_byte_array());
    bytes[68..72].copy_from_slice(&header.time.to_le_bytes());
    bytes[72..76].copy_from_slice(&header.bits.to_consensus().to_le_bytes());
    bytes[76..].copy_from_slice(&header.nonce.to_le_bytes());
    bytes
}

/// The header in 80 bytes; any 80 bytes are one.
pub fn from_bytes(bytes: &[u8; 80]) -> Header {
    let word = |at: usize| [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
    let hash = |at: usize| -> [u8; 32] { bytes[at..at + 32].try_into().expect("32 bytes were sliced") };
    Header {
        version: bitcoin::block::Version::from_consensus(i32::from_le_bytes(word(0))),
        prev_blockhash: BlockHash::from_byte_array(hash(4)),
        merkle_root: bitcoin::TxMerkleNode::from_byte_array(hash(36)),
        time: u32::from_le_bytes(word(68)),
        bits: CompactTarget::from_consensus(u32::from_le_bytes(word(72))),
        nonce: u32::from_le_bytes(word(76)),
    }
}

/// The block hash of 80 header bytes.
pub fn hash_bytes(bytes: &[u8; 80]) -> BlockHash {
    BlockHash::from_raw_hash(sha256d::Hash::hash(bytes))
}

/// A target with its compact form and the work of one block that meets it: computed once, not for every header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Difficulty {
    bits: CompactTarget,
    target: Target,
    work: Work,
}

impl Difficulty {
    /// Reads compact bits as consensus does: nothing negative, zero, overflowing or above the network's limit.
    pub fn from_bits(bits: CompactTarget, params: &Params) -> Option<Self> {
        let target = target_from_bits(bits)?;
        let limit = target_from_bits(params.pow_limit())?;
        (target <= limit).then(|| Self { bits, target, work: target.to_work() })
    }

    pub fn bits(&self) -> CompactTarget {
        self.bits
    }

    pub fn target(&self) -> Target {
        self.target
    }

    /// Expected hashes to meet the target.
    pub fn work(&self) -> Work {
        self.work
    }
}

/// `arith_uint256::SetCompact`; none for a value that it flags as negative or overflowing, and for zero.
fn target_from_bits(bits: CompactTarget) -> Option<Target> {
    let bits = bits.to_consensus();
    let (size, word) = (bits >> 24, bits & 0x007f_ffff);
    let negative = bits & 0x0080_0000 != 0;
    let overflows = size > 34 || (size > 33 && word > 0xff) || (size > 32 && word > 0xffff);
    if negative || overflows {
        return None;
    }
    let target = Target::from_compact(CompactTarget::from_consensus(bits));
    (target != Target::ZERO).then_some(target)
}

/// The compact target after a period that began with `bits` and lasted `seconds` from its first to its last block.
///
/// Times need not rise, so the span is signed; it counts as at least a quarter and at most four times two weeks. The
/// product is computed in 288 bits, so it cannot overflow whatever the network's limit is.
pub fn retarget(bits: CompactTarget, seconds: i64, params: &Params) -> CompactTarget {
    let wanted = i64::from(PERIOD_SECONDS);
    let span = seconds.clamp(wanted / 4, wanted * 4) as u64;

    let bytes = Target::from_compact(bits).to_le_bytes();
    let mut limbs = [0u32; 9];
    let mut carry = 0u64;
    for (limb, bytes) in limbs.iter_mut().zip(bytes.chunks_exact(4)) {
        let word = u32::from_le_bytes(bytes.try_into().expect("chunks of 4 bytes"));
        let product = u64::from(word) * span + carry;
        *limb = product as u32;
        carry = product >> 32;
    }
    limbs[8] = carry as u32; // below 2^23, as the span is

    let mut remainder = 0u64;
    for limb in limbs.iter_mut().rev() {
        let dividend = remainder << 32 | u64::from(*limb);
        *limb = (dividend / u64::from(PERIOD_SECONDS)) as u32;
        remainder = dividend % u64::from(PERIOD_SECONDS);
    }

    let mut bytes = [0; 32];
    for (bytes, limb) in bytes.chunks_exact_mut(4).zip(limbs) {
        bytes.copy_from_slice(&limb.to_le_bytes());
    }
    let target = Target::from_le_bytes(bytes);
    let limit = Target::from_compact(params.pow_limit());
    if limbs[8] != 0 || target > limit { params.pow_limit() } else { target.to_compact_lossy() }
}

/// Why a header cannot be the start of a chain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    #[error("target {bits:#010x} is not one of this network")]
    BadTarget { bits: CompactTarget },
    #[error("hash {hash} is above its target {target:064x}")]
    BadWork { hash: BlockHash, target: Target },
    #[error("the header at height {height} starts a difficulty period at {time}, but that time was given as {given}")]
    PeriodTime { height: Height, time: UnixTime, given: UnixTime },
    /// On networks with the 20-minute rule such a header does not show its period's target.
    #[error(
        "the header at height {height} has minimum difficulty inside a period; start at one that has not, or at {first}"
    )]
    MinimumDifficulty { height: Height, first: Height },
}

/// The last header of a chain, with the facts that the rules need about its ancestors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tip {
    hash: BlockHash,
    height: Height,
    time: UnixTime,
    difficulty: Difficulty,
    work: Work,
    /// Time of the first block of this header's difficulty period.
    period_time: Option<UnixTime>,
    /// The period's difficulty without the 20-minute rule: that of its first block.
    period: Difficulty,
    /// Times of the last eleven blocks, each at its height modulo eleven. Blocks before the start count as time 0: so the
    /// median is never above the true one, and no valid header is refused for lack of knowledge.
    times: [UnixTime; MEDIAN_SPAN],
}

impl Tip {
    /// Starts a chain at a header that is trusted apart from its own work. `work` includes it. `period_time` is the time
    /// of the first block of its period, needed for the next retarget and not where the header is that block.
    ///
    /// # Errors
    ///
    /// The header does not meet its own target, or cannot be a start (see [`StartError`]).
    pub fn start(
        params: &Params,
        header: &Header,
        height: Height,
        work: Work,
        period_time: Option<UnixTime>,
    ) -> Result<Self, StartError> {
        let hash = hash_bytes(&to_bytes(header));
        let difficulty =
            Difficulty::from_bits(header.bits, params).ok_or(StartError::BadTarget { bits: header.bits })?;
        if !difficulty.target.is_met_by(hash) {
            return Err(StartError::BadWork { hash, target: difficulty.target });
        }
        let begins_period = height.is_multiple_of(PERIOD);
        let hides_period = params.min_difficulty && !params.no_retarget && header.bits == params.pow_limit();
        if !begins_period && hides_period {
            return Err(StartError::MinimumDifficulty { height, first: height - height % PERIOD });
        }
        let period_time = match period_time {
            Some(given) if begins_period && given != header.time => {
                return Err(StartError::PeriodTime { height, time: header.time, given });
            }
            None if begins_period => Some(header.time),
            given => given,
        };
        let mut times = [0; MEDIAN_SPAN];
        times[height as usize % MEDIAN_SPAN] = header.time;
        Ok(Self { hash, height, time: header.time, difficulty, work, period_time, period: difficulty, times })
    }

    pub fn hash(&self) -> BlockHash {
        self.hash
    }

    pub fn height(&self) -> Height {
        self.height
    }

    pub fn time(&self) -> UnixTime {
        self.time
    }

    /// Work of the whole chain up to and with this header.
    pub fn work(&self) -> Work {
        self.work
    }

    pub fn difficulty(&self) -> Difficulty {
        self.difficulty
    }

    /// What this header's difficulty period asks for without the 20-minute rule.
    pub fn period(&self) -> Difficulty {
        self.period
    }

    /// Time of the first block of this header's difficulty period, if it is known.
    pub fn period_time(&self) -> Option<UnixTime> {
        self.period_time
    }

    /// The median of the last eleven times, this header's among them: the next one has to be after it.
    pub fn median_time_past(&self) -> UnixTime {
        let mut times = self.times;
        times.sort_unstable();
        times[MEDIAN_SPAN - self.known_span() + self.known_span() / 2]
    }

    /// The compact target that a block at `time` on top of this one must have.
    ///
    /// # Errors
    ///
    /// `PeriodTimeUnknown`, when a retarget is due and the chain started inside the period without its first time.
    pub fn next_bits(&self, params: &Params, time: UnixTime) -> Result<CompactTarget, HeaderError> {
        let height = self.height + 1;
        if !height.is_multiple_of(PERIOD) {
            let late = u64::from(time) > u64::from(self.time) + u64::from(MIN_DIFFICULTY_SECONDS);
            return Ok(if params.min_difficulty && late { params.pow_limit() } else { self.period.bits });
        }
        if params.no_retarget {
            return Ok(self.difficulty.bits);
        }
        let first = height - PERIOD;
        let period_time = self.period_time.ok_or(HeaderError::PeriodTimeUnknown { height, first })?;
        // BIP94: from the first block's bits, as the last one's may be those of the 20-minute rule.
        let bits = if params.bip94 { self.period.bits } else { self.difficulty.bits };
        Ok(retarget(bits, i64::from(self.time) - i64::from(period_time), params))
    }

    /// Checks `header`, whose hash is `hash`, on top of this one, and returns the chain with it.
    ///
    /// # Errors
    ///
    /// The first rule it breaks, in the order of the module's list.
    pub fn next(&self, params: &Params, header: &Header, hash: BlockHash, now: UnixTime) -> Result<Self, HeaderError> {
        let (height, time) = (self.height + 1, header.time);
        if header.prev_blockhash != self.hash {
            return Err(HeaderError::Unconnected { previous: header.prev_blockhash });
        }
        let difficulty = self.check_work(params, header, hash)?;
        self.check_time(params, time)?;
        check_version(params, header, height)?;
        if u64::from(time) > u64::from(now) + u64::from(MAX_FUTURE_SECONDS) {
            return Err(HeaderError::TooNew { height, time, now });
        }

        let begins_period = height.is_multiple_of(PERIOD);
        let mut times = self.times;
        times[height as usize % MEDIAN_SPAN] = time;
        Ok(Self {
            hash,
            height,
            time,
            difficulty,
            work: self.work + difficulty.work,
            period_time: if begins_period { Some(time) } else { self.period_time },
            period: if begins_period { difficulty } else { self.period },
            times,
        })
    }

    /// Rules 2 and 3: the target is the one wanted, the hash meets it.
    fn check_work(&self, params: &Params, header: &Header, hash: BlockHash) -> Result<Difficulty, HeaderError> {
        let (height, got) = (self.height + 1, header.bits);
        let want = self.next_bits(params, header.time)?;
        if got != want {
            return Err(HeaderError::BadTarget { height, got, want });
        }
        let no_target = HeaderError::BadTarget { height, got, want: params.pow_limit() };
        let difficulty = self.difficulty_of(want, params).ok_or(no_target)?;
        if !difficulty.target.is_met_by(hash) {
            return Err(HeaderError::BadWork { height, hash, target: difficulty.target });
        }
        Ok(difficulty)
    }

    /// Rules 4 and 5: the time is after the median, and not far before the parent's where BIP94 limits that.
    fn check_time(&self, params: &Params, time: UnixTime) -> Result<(), HeaderError> {
        let height = self.height + 1;
        if !self.median_is_before(time) {
            return Err(HeaderError::TooOld { height, time, median: self.median_time_past() });
        }
        let earliest = self.time.saturating_sub(MAX_TIMEWARP_SECONDS);
        if params.bip94 && height.is_multiple_of(PERIOD) && time < earliest {
            return Err(HeaderError::Timewarp { height, time, previous: self.time });
        }
        Ok(())
    }

    /// Avoids the division for the work wherever the target is one already seen.
    fn difficulty_of(&self, bits: CompactTarget, params: &Params) -> Option<Difficulty> {
        [self.difficulty, self.period]
            .into_iter()
            .find(|known| known.bits == bits)
            .or_else(|| Difficulty::from_bits(bits, params))
    }

    /// The median lies before `time` exactly if enough of the times do; no need to sort them for every header.
    fn median_is_before(&self, time: UnixTime) -> bool {
        let span = self.known_span();
        let before = self.times.iter().filter(|&&past| past < time).count();
        before > MEDIAN_SPAN - span + span / 2
    }

    /// Blocks that the median is taken of: eleven, fewer only near genesis.
    fn known_span(&self) -> usize {
        MEDIAN_SPAN.min(self.height as usize + 1)
    }
}

/// Rule 6: the version is one that the network still allows at this height.
fn check_version(params: &Params, header: &Header, height: Height) -> Result<(), HeaderError> {
    let got = header.version.to_consensus();
    match params.least_version(height) {
        Some(want) if got < want => Err(HeaderError::BadVersion { height, got, want }),
        _ => Ok(()),
    }
}
