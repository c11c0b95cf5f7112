// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IBridge} from "../interfaces/IBridge.sol";

/// Depth by what is at stake: coins minted for deposits whose funding can still be spent twice, summed over the last blocks. So many small deposits
/// are as deep as a large one, and the windows are measured in work, which blocks of minimum difficulty do not roll.
abstract contract Tiers {
    /// What a tier has minted in this window and the one before, which together are at least one window long.
    struct Bucket {
        uint64 currentSat;
        uint64 previousSat;
        /// Work of the best chain when this window began.
        uint128 since;
    }

    /// Two a slot: confirmations, and `upToSat` in the lower 64 bits of 128.
    mapping(uint256 pair => uint256) private _tiers;
    mapping(uint256 tier => Bucket) private _buckets;

    uint256 private immutable _count;

    constructor(IBridge.Tier[] memory tiers) {
        _count = tiers.length;
        for (uint256 i = 0; i < tiers.length; ++i) {
            _tiers[i / 2] |= (uint256(tiers[i].confirmations) << 64 | tiers[i].upToSat) << 128 * (i % 2);
        }
    }

    function _tier(uint256 tier) private view returns (uint256 confirmations, uint256 upToSat) {
        uint256 packed = _tiers[tier / 2] >> 128 * (tier % 2);
        return (uint32(packed >> 64), uint64(packed));
    }

    function _confirmations(uint256 tier) private view returns (uint256 confirmations) {
        (confirmations,) = _tier(tier);
    }

    /// Whether an amount may be minted at a depth; if so, it counts in all tiers that have not seen the end of it. `work` is the best chain's, `unit`
    /// that of one block.
    function _admit(uint64 amountSat, uint256 depth, uint256 work, uint256 unit) internal returns (bool) {
        if (depth < _confirmations(0)) return false;
        uint256 last = _count - 1;
        // Tiers ascend: from the first on whose end it has not seen.
        uint256 from = 0;
        while (from < last && depth >= _confirmations(from + 1)) {
            ++from;
        }
        for (uint256 i = from; i < last; ++i) {
            (, uint256 upToSat) = _tier(i);
            if (_used(i, work, unit) + amountSat > upToSat) return false;
        }
        for (uint256 i = from; i < last; ++i) {
            Bucket memory bucket = _rolled(i, work, unit);
            bucket.currentSat += amountSat;
            _buckets[i] = bucket;
        }
        return true;
    }

    /// Whether an amount could be minted at a depth if nothing else had been: a cheap question before the others.
    function _mayFit(uint64 amountSat, uint256 depth) internal view returns (bool) {
        for (uint256 i = _count; i != 0; --i) {
            (uint256 confirmations, uint256 upToSat) = _tier(i - 1);
            if (depth >= confirmations) return i == _count || amountSat <= upToSat;
        }
        return false;
    }

    function _tierCount() internal view returns (uint256) {
        return _count;
    }

    /// What counts in a tier now.
    function _used(uint256 tier, uint256 work, uint256 unit) internal view returns (uint256) {
        Bucket memory bucket = _rolled(tier, work, unit);
        return uint256(bucket.currentSat) + bucket.previousSat;
    }

    function _rolled(uint256 tier, uint256 work, uint256 unit) private view returns (Bucket memory bucket) {
        bucket = _buckets[tier];
        uint256 length = unit * _confirmations(tier + 1);
        if (work < bucket.since + length) return bucket;
        uint64 previous = work < bucket.since + 2 * length ? bucket.currentSat : 0;
        return Bucket(0, previous, uint128(work));
    }
}
