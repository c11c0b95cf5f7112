// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IBitcoinLightClient} from "../interfaces/IBitcoinLightClient.sol";

/// What the ledger asks about blocks. It remembers a block by its height and the first eight bytes of its hash, those that work does not zero: another
/// block with the same costs 2^64 blocks.
///
/// Confirmations are work: what lies on top of a block, itself included, in blocks of the target that its difficulty period asks for. So blocks of
/// minimum difficulty (testnet4) confirm nothing. They are never more than the headers counted.
library BestChain {
    /// Whether the best chain has this block.
    function holds(IBitcoinLightClient client, uint32 height, bytes8 head) internal view returns (bool) {
        return _is(client.hashAt(height), head);
    }

    /// Confirmations, in work, of the block of the best chain at a height.
    function depth(IBitcoinLightClient client, uint32 height) internal view returns (uint256 blocks) {
        (, blocks) = client.depthAt(height);
    }

    /// Whether the best chain has this block, and its confirmations, in work; 0 when not.
    function find(IBitcoinLightClient client, uint32 height, bytes8 head) internal view returns (bool there, uint256 blocks) {
        bytes32 hash;
        (hash, blocks) = client.depthAt(height);
        there = _is(hash, head);
        if (!there) blocks = 0;
    }

    /// Whether the best chain has this block with at least so many confirmations, in work.
    function isDeep(IBitcoinLightClient client, uint32 height, bytes8 head, uint32 want) internal view returns (bool) {
        (bool there, uint256 blocks) = find(client, height, head);
        return there && blocks >= want;
    }

    function _is(bytes32 hash, bytes8 head) private pure returns (bool) {
        return hash != 0 && bytes8(hash) == head;
    }
}
