// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IBitcoinLightClient} from "./interfaces/IBitcoinLightClient.sol";
import {ByteOrder} from "./ByteOrder.sol";
import {CompactTarget} from "./CompactTarget.sol";
import {MerkleProof} from "./MerkleProof.sol";
import {Sha256} from "./Sha256.sol";

/// Bitcoin's header chain from a trusted checkpoint on, by the rules of Bitcoin Core (pow.cpp, ContextualCheckBlockHeader). The chain
/// with the most work is the best; of equal ones the first seen.
///
/// A header costs three storage slots: its facts, its Merkle root, and its place in the height index. Its parent is read from the height
/// index while it is on the best chain; only headers off it keep their parent in a slot of their own.
contract BitcoinLightClient is IBitcoinLightClient {
    struct Stored {
        uint32 time;
        uint32 bits;
        uint32 height;
        /// Of the chain up to here; zero: unknown header. 160 bits outlast any chain: Bitcoin's work took 16 years to 2^97.
        uint160 work;
        bytes32 merkleRoot;
        /// The parent, kept for headers that are or were off the best chain, and for the checkpoint.
        bytes32 forkParent;
    }

    /// The facts about a header's ancestors that the rules need, carried along from header to header of one call.
    struct Ancestry {
        bytes32 hash;
        uint256 time;
        uint32 bits;
        uint256 height;
        uint256 work;
        /// Of the first block of this header's difficulty period.
        uint256 periodTime;
        uint32 periodBits;
        /// Times of the last headers, a ring; `timesSeen` counts all that were put in.
        uint256[11] times;
        uint256 timesSeen;
        /// Room for sorting them.
        uint256[11] sorted;
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
    /// Time and bits of the first block of the checkpoint's difficulty period.
    uint256 private immutable _checkpointPeriodTime;
    uint32 private immutable _checkpointBits;

    bytes32 private _tip;
    mapping(bytes32 hash => Stored) private _headers;
    mapping(uint256 height => bytes32 hash) private _best;

    /// @param parameters rules of the network.
    /// @param checkpoint 80 bytes, trusted apart from their own work.
    /// @param height of the checkpoint.
    /// @param work of the chain up to and including the checkpoint.
    /// @param epochTime time of the first block of the checkpoint's difficulty period.
    constructor(Parameters memory parameters, bytes memory checkpoint, uint32 height, uint256 work, uint32 epochTime) {
        if (checkpoint.length != HEADER_BYTES) revert BadLength(checkpoint.length);
        uint256 powLimit = CompactTarget.decode(parameters.powLimitBits);
        if (powLimit == 0) revert InvalidBits(parameters.powLimitBits);
        bytes32 hash = Sha256.doubleMemory(checkpoint);
        (bytes32 previous, bytes32 merkleRoot, uint32 time, uint32 bits) = _fieldsOfMemory(checkpoint);
        uint256 target = CompactTarget.decode(bits);
        if (target == 0 || target > powLimit) revert InvalidBits(bits);
        if (ByteOrder.reverse(uint256(hash)) > target) revert BadWork(hash, target);
        // Inside a period a minimum-difficulty block does not show the target that the period started with.
        bool hidden = parameters.minDifficulty && !parameters.noRetarget && height % PERIOD != 0;
        if (hidden && bits == parameters.powLimitBits) revert AmbiguousCheckpoint(height, bits);
        if (work < CompactTarget.work(target) || work > type(uint160).max) revert ImpossibleWork(work);
        if (height % PERIOD == 0 && epochTime != time) revert WrongEpochTime(epochTime, time);

        _noRetarget = parameters.noRetarget;
        _minDifficulty = parameters.minDifficulty;
        _bip94 = parameters.bip94;
        _powLimitBits = parameters.powLimitBits;
        _powLimit = powLimit;
        _checkpointHeight = height;
        _checkpointPeriodTime = epochTime;
        _checkpointBits = bits;

        _headers[hash] = Stored(time, bits, height, uint160(work), merkleRoot, previous);
        _best[height] = hash;
        _tip = hash;
        emit HeadersAdded(hash, height, work);
    }

    // ------------------------------------------------------------------ adding headers

    function submit(bytes calldata headers) external {
        if (headers.length == 0 || headers.length % HEADER_BYTES != 0) revert BadLength(headers.length);
        uint256 count = headers.length / HEADER_BYTES;

        uint256 first = 0;
        while (first < count && _headers[_hashOf(headers, first)].work != 0) {
            ++first;
        }
        if (first == count) revert NothingNew();

        Ancestry memory parent = _ancestry(headers, first);
        bytes32 forkedFrom = parent.hash;
        bytes32[] memory added = new bytes32[](count - first);
        for (uint256 i = first; i < count; ++i) {
            added[i - first] = _add(headers[i * HEADER_BYTES:(i + 1) * HEADER_BYTES], parent);
        }

        if (parent.work > _headers[_tip].work) {
            _makeBest(forkedFrom, added, parent.height);
        } else {
            _keepAside(forkedFrom, added);
        }
        Stored storage best = _headers[_tip];
        emit HeadersAdded(_tip, best.height, best.work);
    }

    /// Checks one header against all rules, stores it and makes it the ancestry's newest.
    function _add(bytes calldata raw, Ancestry memory parent) private returns (bytes32 hash) {
        hash = Sha256.double(raw);
        (bytes32 previous, bytes32 merkleRoot, uint32 time, uint32 bits) = _fields(raw);
        if (previous != parent.hash) revert Unconnected(hash, previous);

        uint32 wantBits = _requiredBits(parent, time);
        if (bits != wantBits) revert BadTarget(hash, bits, wantBits);
        uint256 target = CompactTarget.decode(bits);
        if (ByteOrder.reverse(uint256(hash)) > target) revert BadWork(hash, target);
        _requireTime(hash, time, parent);

        uint256 height = parent.height + 1;
        uint256 work = parent.work + CompactTarget.work(target);
        Stored storage stored = _headers[hash];
        (stored.time, stored.bits, stored.height, stored.work) = (time, bits, uint32(height), uint160(work));
        stored.merkleRoot = merkleRoot;

        (parent.hash, parent.time, parent.bits, parent.height, parent.work) = (hash, time, bits, height, work);
        if (height % PERIOD == 0) (parent.periodTime, parent.periodBits) = (time, bits);
        _remember(parent, time);
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

    /// Bitcoin Core: ContextualCheckBlockHeader.
    function _requireTime(bytes32 hash, uint32 time, Ancestry memory parent) private view {
        uint256 median = _medianTime(parent);
        if (time <= median) revert TooOld(hash, time, uint32(median));
        bool periodStarts = (parent.height + 1) % PERIOD == 0;
        if (_bip94 && periodStarts && time + MAX_TIMEWARP_SECONDS < parent.time) {
            revert Timewarp(hash, time, uint32(parent.time - MAX_TIMEWARP_SECONDS));
        }
        uint256 limit = block.timestamp + MAX_FUTURE_SECONDS;
        if (time > limit) revert TooNew(hash, time, limit);
    }

    // ------------------------------------------------------------------ a header's ancestors

    /// The parent of the header at place `index` in the call, with the last eleven times and the period's start.
    function _ancestry(bytes calldata headers, uint256 index) private view returns (Ancestry memory parent) {
        (bytes32 hash,,,) = _fields(headers[index * HEADER_BYTES:(index + 1) * HEADER_BYTES]);
        Stored storage stored = _headers[hash];
        if (stored.work == 0) revert Unconnected(_hashOf(headers, index), hash);
        (parent.hash, parent.time, parent.bits, parent.height, parent.work) =
        (hash, stored.time, stored.bits, stored.height, stored.work);

        // Blocks before the checkpoint count as time 0: so the median is never above the true one, and no valid header is refused
        // because of times that are not known.
        uint256 span = parent.height + 1 < MEDIAN_SPAN ? parent.height + 1 : MEDIAN_SPAN;
        uint256 known = parent.height - _checkpointHeight + 1;
        if (known > span) known = span;
        for (uint256 i = 0; i < known; ++i) {
            parent.times[span - 1 - i] = _headers[hash].time;
            if (i + 1 < known) hash = _parentOf(hash, parent.height - i);
        }
        parent.timesSeen = span;
        _loadPeriod(parent);
    }

    function _remember(Ancestry memory parent, uint256 time) private pure {
        parent.times[parent.timesSeen % MEDIAN_SPAN] = time;
        ++parent.timesSeen;
    }

    /// The middle of the sorted times, of an even number the later one.
    function _medianTime(Ancestry memory parent) private pure returns (uint256) {
        unchecked {
            uint256 count = parent.timesSeen < MEDIAN_SPAN ? parent.timesSeen : MEDIAN_SPAN;
            uint256[11] memory sorted = parent.sorted;
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
    }

    function _loadPeriod(Ancestry memory parent) private view {
        uint256 start = parent.height - parent.height % PERIOD;
        if (start < _checkpointHeight) {
            (parent.periodTime, parent.periodBits) = (_checkpointPeriodTime, _checkpointBits);
        } else {
            Stored storage first = _headers[_ancestorAt(parent.hash, parent.height, start)];
            (parent.periodTime, parent.periodBits) = (first.time, first.bits);
        }
    }

    function _ancestorAt(bytes32 hash, uint256 height, uint256 wanted) private view returns (bytes32) {
        while (height > wanted && _best[height] != hash) {
            hash = _headers[hash].forkParent;
            --height;
        }
        return height == wanted ? hash : _best[wanted];
    }

    function _parentOf(bytes32 hash, uint256 height) private view returns (bytes32) {
        bool onBest = _best[height] == hash && height > _checkpointHeight;
        return onBest ? _best[height - 1] : _headers[hash].forkParent;
    }

    // ------------------------------------------------------------------ choosing the best chain

    /// The new headers stay off the best chain: each keeps its parent.
    function _keepAside(bytes32 parent, bytes32[] memory added) private {
        for (uint256 i = 0; i < added.length; ++i) {
            _headers[added[i]].forkParent = parent;
            parent = added[i];
        }
    }

    /// Rewrites the height index so that it leads through `parent` to the last of the new headers, at `height`.
    function _makeBest(bytes32 parent, bytes32[] memory added, uint256 height) private {
        bytes32 oldTip = _tip;
        bytes32 newTip = added[added.length - 1];
        uint256 parentHeight = height - added.length;
        if (parent != oldTip) {
            uint256 forkHeight = _disconnect(parent, parentHeight, height);
            for (uint256 place = parentHeight; place > forkHeight; --place) {
                _best[place] = parent;
                parent = _headers[parent].forkParent;
            }
            emit Reorganised(oldTip, newTip, uint32(forkHeight));
        }
        for (uint256 i = 0; i < added.length; ++i) {
            _best[parentHeight + 1 + i] = added[i];
        }
        _tip = newTip;
    }

    /// Gives every header above the fork its parent back and clears the index above the new tip.
    function _disconnect(bytes32 branch, uint256 branchHeight, uint256 newHeight) private returns (uint256 forkHeight) {
        forkHeight = branchHeight;
        while (_best[forkHeight] != branch) {
            branch = _headers[branch].forkParent;
            --forkHeight;
        }
        for (uint256 place = _headers[_tip].height; place > forkHeight; --place) {
            _headers[_best[place]].forkParent = _best[place - 1];
            if (place > newHeight) delete _best[place];
        }
    }

    // ------------------------------------------------------------------ answers

    function tip() external view returns (bytes32 hash, uint32 height, uint256 work) {
        Stored storage stored = _headers[_tip];
        return (_tip, stored.height, stored.work);
    }

    function header(bytes32 hash) external view returns (Header memory) {
        Stored storage stored = _headers[hash];
        if (stored.work == 0) revert UnknownHeader(hash);
        return Header(_parentOf(hash, stored.height), stored.merkleRoot, stored.time, stored.bits, stored.height, stored.work);
    }

    function hashAt(uint32 height) external view returns (bytes32) {
        return _best[height];
    }

    function confirmations(bytes32 hash) public view returns (uint32) {
        Stored storage stored = _headers[hash];
        if (stored.work == 0 || _best[stored.height] != hash) return 0;
        return _headers[_tip].height - stored.height + 1;
    }

    function requireIncluded(bytes calldata strippedTransaction, InclusionProof calldata proof)
        external
        view
        returns (bytes32 txid)
    {
        if (_headers[proof.blockHash].work == 0) revert UnknownHeader(proof.blockHash);
        if (confirmations(proof.blockHash) == 0) revert NotOnBestChain(proof.blockHash);
        return MerkleProof.requireIncluded(strippedTransaction, proof, _headers[proof.blockHash].merkleRoot);
    }

    // ------------------------------------------------------------------ reading headers

    function _hashOf(bytes calldata headers, uint256 index) private view returns (bytes32) {
        return Sha256.double(headers[index * HEADER_BYTES:(index + 1) * HEADER_BYTES]);
    }

    /// Layout: version 4, previous 32, merkle root 32, time 4, bits 4, nonce 4; numbers in little endian.
    function _fields(bytes calldata raw) private pure returns (bytes32 previous, bytes32 merkleRoot, uint32 time, uint32 bits) {
        (time, bits) = _numbers(bytes32(raw[48:80]));
        return (bytes32(raw[4:36]), bytes32(raw[36:68]), time, bits);
    }

    function _fieldsOfMemory(bytes memory raw)
        private
        pure
        returns (bytes32 previous, bytes32 merkleRoot, uint32 time, uint32 bits)
    {
        bytes32 last;
        assembly ("memory-safe") {
            previous := mload(add(raw, 36))
            merkleRoot := mload(add(raw, 68))
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
