// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IBitcoinLightClient} from "./interfaces/IBitcoinLightClient.sol";
import {IFederation} from "./interfaces/IFederation.sol";
import {ByteOrder} from "./ByteOrder.sol";
import {CompactTarget} from "./CompactTarget.sol";
import {MerkleProof} from "./MerkleProof.sol";
import {Sha256} from "./Sha256.sol";

/// Bitcoin's header chain from a trusted checkpoint on, by the rules of Bitcoin Core (pow.cpp, ContextualCheckBlockHeader). The chain
/// with the most work is the best; of equal ones the first seen.
///
/// Headers are kept by branch. A header whose parent ends a branch makes it longer, any other begins a branch of its own; which chain is
/// the best is one number, that of the branch that ends it. So a reorganisation of any depth writes as much as one of a single block
/// (docs/adr/0024), and a header costs two storage slots: its facts, and its place in its branch. Its Merkle root comes with a proof.
///
///     branch 0    0 - 1 - 2 - 3          best 0: the chain is 0 1 2 3
///     branch 1         \ 2' - 3' - 4'    best 1: the chain is 0 1 2' 3' 4'
contract BitcoinLightClient is IBitcoinLightClient {
    struct Stored {
        uint32 time;
        uint32 bits;
        uint32 height;
        uint32 branch;
        /// Of the chain up to here; zero: unknown header. 128 bits outlast any chain: Bitcoin's work took 16 years to 2^97.
        uint128 work;
    }

    struct Branch {
        /// The branch that it grew from; its own number for the first one.
        uint32 parent;
        /// A branch further down, so that n branches are climbed in about 2 log n steps (Myers, "An applicative random-access stack").
        uint32 jump;
        /// Branches below it.
        uint32 depth;
        /// Height of its first header.
        uint32 first;
        /// Height of its last header.
        uint32 last;
        /// Time and bits of the first block of the difficulty period that it began in, if that block is below this branch.
        uint32 periodTime;
        uint32 periodBits;
    }

    /// The facts about a header's ancestors that the rules need, carried along from header to header of one call.
    struct Ancestry {
        bytes32 hash;
        uint256 time;
        uint32 bits;
        uint256 height;
        uint256 work;
        uint256 branch;
        /// Of the first block of this header's difficulty period.
        uint256 periodTime;
        uint32 periodBits;
        /// Times of the last headers, a ring; `timesSeen` counts all that were put in.
        uint256[11] times;
        uint256 timesSeen;
        /// What the last target that was looked at decodes to, and the work of one block at it.
        uint32 knownBits;
        uint256 knownTarget;
        uint256 knownWork;
    }

    uint256 private constant HEADER_BYTES = 80;
    /// Bitcoin Core: DifficultyAdjustmentInterval, nPowTargetTimespan, 2 * nPowTargetSpacing.
    uint256 private constant PERIOD = 2016;
    int256 private constant PERIOD_SECONDS = 1_209_600;
    uint256 private constant MIN_DIFFICULTY_SECONDS = 1200;
    /// Bitcoin Core: nMedianTimeSpan, MAX_FUTURE_BLOCK_TIME, MAX_TIMEWARP.
    uint256 private constant MEDIAN_SPAN = 11;
    uint256 private constant MAX_FUTURE_SECONDS = 7200;
    uint256 private constant MAX_TIMEWARP_SECONDS = 600;

    bool private immutable _noRetarget;
    bool private immutable _minDifficulty;
    bool private immutable _bip94;
    uint32 private immutable _powLimitBits;
    uint256 private immutable _powLimit;
    uint256 private immutable _checkpointHeight;
    bytes32 private immutable _checkpointPrevious;
    /// Whose members alone submit headers; zero: anyone does.
    IFederation private immutable _federation;

    /// The branch that ends the best chain.
    uint256 private _best;
    Branch[] private _branches;
    mapping(bytes32 hash => Stored) private _headers;
    mapping(uint256 place => bytes32 hash) private _hashes;

    /// @param parameters rules of the network.
    /// @param checkpoint 80 bytes, trusted apart from their own work.
    /// @param height of the checkpoint.
    /// @param work of the chain up to and including the checkpoint.
    /// @param epochTime time of the first block of the checkpoint's difficulty period.
    /// @param federation whose members submit headers where blocks are signed; not asked elsewhere.
    constructor(
        Parameters memory parameters,
        bytes memory checkpoint,
        uint32 height,
        uint256 work,
        uint32 epochTime,
        IFederation federation
    ) {
        if (checkpoint.length != HEADER_BYTES) revert BadLength(checkpoint.length);
        uint256 powLimit = CompactTarget.decode(parameters.powLimitBits);
        if (powLimit == 0) revert InvalidBits(parameters.powLimitBits);
        bytes32 hash = Sha256.doubleMemory(checkpoint);
        (bytes32 previous, uint32 time, uint32 bits) = _fieldsOfMemory(checkpoint);
        uint256 target = CompactTarget.decode(bits);
        if (target == 0 || target > powLimit) revert InvalidBits(bits);
        if (ByteOrder.reverse(uint256(hash)) > target) revert BadWork(hash, target);
        // Inside a period a minimum-difficulty block does not show the target that the period started with.
        bool hidden = parameters.minDifficulty && !parameters.noRetarget && height % PERIOD != 0;
        if (hidden && bits == parameters.powLimitBits) revert AmbiguousCheckpoint(height, bits);
        if (work < CompactTarget.work(target) || work > type(uint128).max) revert ImpossibleWork(work);
        if (height % PERIOD == 0 && epochTime != time) revert WrongEpochTime(epochTime, time);
        if (parameters.signedBlocks && address(federation) == address(0)) revert NobodyToTrust();

        _noRetarget = parameters.noRetarget;
        _minDifficulty = parameters.minDifficulty;
        _bip94 = parameters.bip94;
        _powLimitBits = parameters.powLimitBits;
        _powLimit = powLimit;
        _checkpointHeight = height;
        _checkpointPrevious = previous;
        _federation = parameters.signedBlocks ? federation : IFederation(address(0));

        _branches.push(Branch(0, 0, 0, height, height, epochTime, bits));
        _headers[hash] = Stored(time, bits, height, 0, uint128(work));
        _hashes[_place(0, height)] = hash;
        emit HeadersAdded(hash, height, work);
    }

    // ------------------------------------------------------------------ adding headers

    function submit(bytes calldata headers) external {
        if (address(_federation) != address(0) && _federation.indexOf(msg.sender) == 0) revert NotAMember(msg.sender);
        if (headers.length == 0 || headers.length % HEADER_BYTES != 0) revert BadLength(headers.length);
        uint256 count = headers.length / HEADER_BYTES;

        uint256 first = 0;
        while (first < count && _headers[_hashOf(headers, first)].work != 0) {
            ++first;
        }
        if (first == count) revert NothingNew();

        Ancestry memory parent = _ancestry(headers, first);
        parent.branch = _branchOn(parent);
        uint256 limit = block.timestamp + MAX_FUTURE_SECONDS;
        for (uint256 i = first; i < count; ++i) {
            (bytes32 hash, uint32 time, uint32 bits) = _check(headers[i * HEADER_BYTES:(i + 1) * HEADER_BYTES], parent);
            if (time > limit) {
                if (i == first) revert TooNew(hash, time, limit);
                break;
            }
            _store(hash, time, bits, parent);
        }
        _branches[parent.branch].last = uint32(parent.height);
        _chooseBest(parent);
    }

    /// Checks one header against all rules but the clock's.
    function _check(bytes calldata raw, Ancestry memory parent) private view returns (bytes32 hash, uint32 time, uint32 bits) {
        hash = Sha256.double(raw);
        bytes32 previous;
        (previous, time, bits) = _fields(raw);
        if (previous != parent.hash) revert Unconnected(hash, previous);

        uint32 wantBits = _requiredBits(parent, time);
        if (bits != wantBits) revert BadTarget(hash, bits, wantBits);
        if (bits != parent.knownBits) _know(bits, parent);
        if (ByteOrder.reverse(uint256(hash)) > parent.knownTarget) revert BadWork(hash, parent.knownTarget);
        _requireTime(hash, time, parent);
    }

    /// Stores a header that was checked and makes it the ancestry's newest.
    function _store(bytes32 hash, uint32 time, uint32 bits, Ancestry memory parent) private {
        uint256 height = parent.height + 1;
        uint256 work = parent.work + parent.knownWork;
        // Takes as many hashes as it says, so nobody sees this happen.
        if (work > type(uint128).max) revert ImpossibleWork(work);
        _headers[hash] = Stored(time, bits, uint32(height), uint32(parent.branch), uint128(work));
        _hashes[_place(parent.branch, height)] = hash;

        (parent.hash, parent.time, parent.bits, parent.height, parent.work) = (hash, time, bits, height, work);
        if (height % PERIOD == 0) (parent.periodTime, parent.periodBits) = (time, bits);
        parent.times[parent.timesSeen % MEDIAN_SPAN] = time;
        ++parent.timesSeen;
    }

    /// Decodes a target once for all headers of a call that have it.
    function _know(uint32 bits, Ancestry memory parent) private pure {
        parent.knownBits = bits;
        parent.knownTarget = CompactTarget.decode(bits);
        parent.knownWork = CompactTarget.work(parent.knownTarget);
    }

    /// Bitcoin Core: GetNextWorkRequired.
    function _requiredBits(Ancestry memory parent, uint256 time) private view returns (uint32) {
        if ((parent.height + 1) % PERIOD != 0) {
            if (!_minDifficulty) return parent.bits;
            if (time > parent.time + MIN_DIFFICULTY_SECONDS) return _powLimitBits;
            // Core walks back over minimum-difficulty blocks, at most to the period's first block. All other blocks of a period
            // have the first one's bits, so the walk always ends with these.
            return parent.periodBits;
        }
        if (_noRetarget) return parent.bits;
        int256 span = int256(parent.time) - int256(parent.periodTime);
        if (span < PERIOD_SECONDS / 4) span = PERIOD_SECONDS / 4;
        if (span > PERIOD_SECONDS * 4) span = PERIOD_SECONDS * 4;
        uint256 target = _scale(CompactTarget.decode(_bip94 ? parent.periodBits : parent.bits), uint256(span));
        return CompactTarget.encode(target < _powLimit ? target : _powLimit);
    }

    /// old * span / PERIOD_SECONDS, or the greatest number where that overflows.
    function _scale(uint256 old, uint256 span) private pure returns (uint256) {
        (uint256 quotient, uint256 rest) = (old / uint256(PERIOD_SECONDS), old % uint256(PERIOD_SECONDS));
        if (quotient >= type(uint256).max / span) return type(uint256).max;
        return quotient * span + rest * span / uint256(PERIOD_SECONDS);
    }

    /// Bitcoin Core: ContextualCheckBlockHeader, apart from the clock.
    function _requireTime(bytes32 hash, uint32 time, Ancestry memory parent) private view {
        if (!_isAfterMedian(time, parent)) revert TooOld(hash, time, uint32(_medianTime(parent)));
        bool periodStarts = (parent.height + 1) % PERIOD == 0;
        if (_bip94 && periodStarts && time + MAX_TIMEWARP_SECONDS < parent.time) {
            revert Timewarp(hash, time, uint32(parent.time - MAX_TIMEWARP_SECONDS));
        }
    }

    // ------------------------------------------------------------------ a header's ancestors

    /// The parent of the header at place `index` in the call, with the last eleven times and the period's start.
    function _ancestry(bytes calldata headers, uint256 index) private view returns (Ancestry memory parent) {
        (bytes32 hash,,) = _fields(headers[index * HEADER_BYTES:(index + 1) * HEADER_BYTES]);
        Stored storage stored = _headers[hash];
        if (stored.work == 0) revert Unconnected(_hashOf(headers, index), hash);
        (parent.hash, parent.time, parent.bits, parent.height, parent.work) =
        (hash, stored.time, stored.bits, stored.height, stored.work);
        parent.branch = stored.branch;
        _know(parent.bits, parent);
        (parent.periodTime, parent.periodBits) = _period(parent.branch, parent.height);
        _loadTimes(parent);
    }

    /// Blocks before the checkpoint count as time 0: so the median is never above the true one, and no valid header is refused because of
    /// times that are not known.
    function _loadTimes(Ancestry memory parent) private view {
        uint256 height = parent.height;
        uint256 span = height + 1 < MEDIAN_SPAN ? height + 1 : MEDIAN_SPAN;
        uint256 known = height - _checkpointHeight + 1;
        if (known > span) known = span;
        parent.times[span - 1] = parent.time;
        uint256 branch = parent.branch;
        for (uint256 i = 1; i < known; ++i) {
            branch = _branchAt(branch, height - i);
            parent.times[span - 1 - i] = _headers[_hashes[_place(branch, height - i)]].time;
        }
        parent.timesSeen = span;
    }

    /// Whether more of the last times are before this one than the later half.
    function _isAfterMedian(uint256 time, Ancestry memory parent) private pure returns (bool) {
        unchecked {
            uint256 count = parent.timesSeen < MEDIAN_SPAN ? parent.timesSeen : MEDIAN_SPAN;
            uint256 before = 0;
            for (uint256 i = 0; i < count; ++i) {
                if (parent.times[i] < time) ++before;
            }
            return before > count / 2;
        }
    }

    /// The middle of the sorted times, of an even number the later one.
    function _medianTime(Ancestry memory parent) private pure returns (uint256) {
        uint256 count = parent.timesSeen < MEDIAN_SPAN ? parent.timesSeen : MEDIAN_SPAN;
        uint256[11] memory sorted;
        for (uint256 i = 0; i < count; ++i) {
            uint256 time = parent.times[i];
            uint256 place = i;
            for (; place != 0 && sorted[place - 1] > time; --place) {
                sorted[place] = sorted[place - 1];
            }
            sorted[place] = time;
        }
        return sorted[count / 2];
    }

    /// Time and bits of the first block of the difficulty period that the header at `height` of a branch is in.
    function _period(uint256 branch, uint256 height) private view returns (uint256 time, uint32 bits) {
        uint256 start = height - height % PERIOD;
        Branch storage own = _branches[branch];
        if (start < own.first) return (own.periodTime, own.periodBits);
        Stored storage first = _headers[_hashes[_place(branch, start)]];
        return (first.time, first.bits);
    }

    // ------------------------------------------------------------------ branches

    /// The branch for headers on top of `parent`: the one that it ends, or a new one.
    function _branchOn(Ancestry memory parent) private returns (uint256) {
        uint256 below = parent.branch;
        Branch storage own = _branches[below];
        if (own.last == parent.height) return below;
        uint256 jump = own.jump;
        Branch storage further = _branches[jump];
        bool even = own.depth - further.depth == further.depth - _branches[further.jump].depth;
        uint32 first = uint32(parent.height + 1);
        _branches.push(
            Branch(
                uint32(below),
                even ? further.jump : uint32(below),
                own.depth + 1,
                first,
                first,
                uint32(parent.periodTime),
                parent.periodBits
            )
        );
        return _branches.length - 1;
    }

    /// The branch that holds the header at `height` of the chain that ends with `branch`; `height` is not below the checkpoint's.
    function _branchAt(uint256 branch, uint256 height) private view returns (uint256) {
        while (_branches[branch].first > height) {
            uint256 jump = _branches[branch].jump;
            branch = _branches[jump].first > height ? jump : _branches[branch].parent;
        }
        return branch;
    }

    /// Makes the branch of the newest headers the best one's end, if it has more work.
    function _chooseBest(Ancestry memory newest) private {
        uint256 best = _best;
        bytes32 tipHash = newest.hash;
        if (newest.branch != best) {
            tipHash = _tipOf(best);
            if (newest.work > _headers[tipHash].work) {
                _best = newest.branch;
                emit Reorganised(tipHash, newest.hash, uint32(_forkHeight(best, newest.branch)));
                tipHash = newest.hash;
            }
        }
        Stored storage stored = _headers[tipHash];
        emit HeadersAdded(tipHash, stored.height, stored.work);
    }

    /// The greatest height at which two chains are the same.
    function _forkHeight(uint256 left, uint256 right) private view returns (uint256 low) {
        low = _checkpointHeight;
        (uint256 high, uint256 other) = (_branches[left].last, _branches[right].last);
        if (other < high) high = other;
        while (low < high) {
            uint256 middle = (low + high + 1) / 2;
            if (_branchAt(left, middle) == _branchAt(right, middle)) low = middle;
            else high = middle - 1;
        }
    }

    function _place(uint256 branch, uint256 height) private pure returns (uint256) {
        return (branch << 32) | height;
    }

    function _tipOf(uint256 branch) private view returns (bytes32) {
        return _hashes[_place(branch, _branches[branch].last)];
    }

    function _isBest(Stored storage stored) private view returns (bool) {
        return stored.work != 0 && _branchAt(_best, stored.height) == stored.branch;
    }

    // ------------------------------------------------------------------ answers

    function tip() external view returns (bytes32 hash, uint32 height, uint256 work) {
        hash = _tipOf(_best);
        Stored storage stored = _headers[hash];
        return (hash, stored.height, stored.work);
    }

    function tipWork() external view returns (uint32 height, uint256 work, uint256 unit) {
        Stored storage stored = _headers[_tipOf(_best)];
        (, uint32 periodBits) = _period(stored.branch, stored.height);
        return (stored.height, stored.work, _workOf(periodBits));
    }

    function header(bytes32 hash) external view returns (Header memory) {
        Stored storage stored = _headers[hash];
        if (stored.work == 0) revert UnknownHeader(hash);
        uint256 height = stored.height;
        bytes32 previous =
            height == _checkpointHeight ? _checkpointPrevious : _hashes[_place(_branchAt(stored.branch, height - 1), height - 1)];
        return Header(previous, stored.time, stored.bits, stored.height, stored.work);
    }

    function hashAt(uint32 height) public view returns (bytes32) {
        if (height < _checkpointHeight || height > _branches[_best].last) return 0;
        return _hashes[_place(_branchAt(_best, height), height)];
    }

    function confirmations(bytes32 hash) public view returns (uint32) {
        Stored storage stored = _headers[hash];
        if (!_isBest(stored)) return 0;
        return _branches[_best].last - stored.height + 1;
    }

    function confirmationsInWork(bytes32 hash) external view returns (uint32) {
        Stored storage stored = _headers[hash];
        return _isBest(stored) ? _blocksAbove(stored) : 0;
    }

    function depthAt(uint32 height) external view returns (bytes32 hash, uint32 blocks) {
        hash = hashAt(height);
        if (hash == 0) return (0, 0);
        blocks = _blocksAbove(_headers[hash]);
        uint32 counted = _branches[_best].last - height + 1;
        if (counted < blocks) blocks = counted;
    }

    /// Work from a header of the best chain to its tip, in blocks of its period's target.
    function _blocksAbove(Stored storage stored) private view returns (uint32) {
        uint32 bits = stored.bits;
        uint256 work = _headers[_tipOf(_best)].work - stored.work + _workOf(bits);
        (, uint32 periodBits) = _period(stored.branch, stored.height);
        uint256 blocks = work / _workOf(periodBits);
        return blocks < type(uint32).max ? uint32(blocks) : type(uint32).max;
    }

    function _workOf(uint32 bits) private pure returns (uint256) {
        return CompactTarget.work(CompactTarget.decode(bits));
    }

    function requireIncluded(bytes calldata strippedTransaction, InclusionProof calldata proof)
        external
        view
        returns (bytes32 txid, bytes32 blockHash, uint32 height)
    {
        if (proof.header.length != HEADER_BYTES) revert BadLength(proof.header.length);
        blockHash = Sha256.double(proof.header);
        Stored storage stored = _headers[blockHash];
        if (stored.work == 0) revert UnknownHeader(blockHash);
        if (!_isBest(stored)) revert NotOnBestChain(blockHash);
        height = stored.height;
        txid = MerkleProof.requireIncluded(strippedTransaction, proof, bytes32(proof.header[36:68]));
    }

    // ------------------------------------------------------------------ reading headers

    function _hashOf(bytes calldata headers, uint256 index) private view returns (bytes32) {
        return Sha256.double(headers[index * HEADER_BYTES:(index + 1) * HEADER_BYTES]);
    }

    /// Layout: version 4, previous 32, merkle root 32, time 4, bits 4, nonce 4; numbers in little endian.
    function _fields(bytes calldata raw) private pure returns (bytes32 previous, uint32 time, uint32 bits) {
        (time, bits) = _numbers(bytes32(raw[48:80]));
        return (bytes32(raw[4:36]), time, bits);
    }

    function _fieldsOfMemory(bytes memory raw) private pure returns (bytes32 previous, uint32 time, uint32 bits) {
        bytes32 last;
        assembly ("memory-safe") {
            previous := mload(add(raw, 36))
            last := mload(add(raw, 80))
        }
        (time, bits) = _numbers(last);
    }

    /// From a header's last 32 bytes.
    function _numbers(bytes32 last) private pure returns (uint32 time, uint32 bits) {
        uint256 reversed = ByteOrder.reverse(uint256(last));
        return (uint32(reversed >> 160), uint32(reversed >> 192));
    }
}
