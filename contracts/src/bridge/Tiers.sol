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

    IBridge.Tier[] private _tiers;
    mapping(uint256 tier => Bucket) private _buckets;

    constructor(IBridge.Tier[] memory tiers) {
        for (uint256 i = 0; i < tiers.length; ++i) {
            _tiers.push(tiers[i]);
        }
    }

    /// Whether an amount may be minted at a depth; if so, it counts in all tiers that have not seen the end of it. `work` is the best chain's, `unit`
    /// that of one block.
    function _admit(uint64 amountSat, uint256 depth, uint256 work, uint256 unit) internal returns (bool) {
        if (depth < _tiers[0].confirmations) return false;
        uint256 last = _tiers.length - 1;
        for (uint256 i = 0; i < last; ++i) {
            if (depth < _tiers[i + 1].confirmations && _used(i, work, unit) + amountSat > _tiers[i].upToSat) return false;
        }
        for (uint256 i = 0; i < last; ++i) {
            if (depth >= _tiers[i + 1].confirmations) continue;
            Bucket memory bucket = _rolled(i, work, unit);
            bucket.currentSat += amountSat;
            _buckets[i] = bucket;
        }
        return true;
    }

    /// Whether an amount could be minted at a depth if nothing else had been: a cheap question before the others.
    function _mayFit(uint64 amountSat, uint256 depth) internal view returns (bool) {
        uint256 last = _tiers.length - 1;
        for (uint256 i = last; i != 0; --i) {
            if (depth >= _tiers[i].confirmations) return i == last || amountSat <= _tiers[i].upToSat;
        }
        return depth >= _tiers[0].confirmations && amountSat <= _tiers[0].upToSat;
    }

    function _tierCount() internal view returns (uint256) {
        return _tiers.length;
    }

    /// What counts in a tier now.
    function _used(uint256 tier, uint256 work, uint256 unit) internal view returns (uint256) {
        Bucket memory bucket = _rolled(tier, work, unit);
        return uint256(bucket.currentSat) + bucket.previousSat;
    }

    function _rolled(uint256 tier, uint256 work, uint256 unit) private view returns (Bucket memory bucket) {
        bucket = _buckets[tier];
        uint256 length = unit * _tiers[tier + 1].confirmations;
        if (work < bucket.since + length) return bucket;
        uint64 previous = work < bucket.since + 2 * length ? bucket.currentSat : 0;
        return Bucket(0, previous, uint128(work));
    }
}
