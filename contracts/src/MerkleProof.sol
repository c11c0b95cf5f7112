// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IBitcoinLightClient} from "./interfaces/IBitcoinLightClient.sol";
import {Sha256} from "./Sha256.sol";

/// Inclusion of a transaction under a Merkle root, hardened against the ambiguities of Bitcoin's tree (docs/adr/0024 has the argument):
/// - an inner node is no transaction: it has 64 bytes, and no transaction of 64 bytes is accepted;
/// - a transaction of 64 bytes is no inner node: a path through 64 bytes that could be a transaction has to show the tree's depth too,
///   by the path of the block's first transaction, a coinbase, which cannot be an inner node;
/// - a node that stands right of an equal sibling is a padding copy (CVE-2012-2459), not a transaction's place.
/// The size of a proof depends on the depth of the tree alone, not on any transaction in the block.
library MerkleProof {
    uint256 private constant INNER_NODE_BYTES = 64;
    /// Up to the end of the null outpoint: version, input count, 32 zeros, 0xffffffff.
    uint256 private constant COINBASE_PREFIX_BYTES = 41;
    /// 4,000,000 weight units.
    uint256 private constant MAX_TRANSACTION_BYTES = 1_000_000;
    /// 1,000,000 stripped bytes hold at most 16,666 transactions of 60 bytes.
    uint256 private constant MAX_DEPTH = 15;
    /// A transaction of one input and one output has 60 bytes and its two scripts.
    uint256 private constant SCRIPT_BYTES = 4;

    /// Checks the proof of `transaction` (without witness) against a block's root; answers its txid. Reverts with the errors of
    /// IBitcoinLightClient that name the fault.
    function requireIncluded(bytes calldata transaction, IBitcoinLightClient.InclusionProof calldata proof, bytes32 root)
        internal
        view
        returns (bytes32 txid)
    {
        uint256 depth = proof.siblings.length;
        if (depth > MAX_DEPTH) revert IBitcoinLightClient.TooDeep(depth, MAX_DEPTH);
        if (proof.index >> depth != 0) revert IBitcoinLightClient.IndexBeyondTree(proof.index, depth);
        uint256 size = transaction.length;
        if (size == INNER_NODE_BYTES) revert IBitcoinLightClient.AmbiguousLength();
        if (size > MAX_TRANSACTION_BYTES) revert IBitcoinLightClient.TransactionTooLarge(size, MAX_TRANSACTION_BYTES);

        // The path of the first transaction shows the depth itself.
        bool deepEnough = proof.index == 0 || proof.leftmost.length != 0;
        if (proof.leftmost.length != 0) _requireDepth(proof);
        txid = Sha256.double(transaction);
        bytes32 got = _climb(txid, proof, deepEnough);
        if (got != root) revert IBitcoinLightClient.RootMismatch(got, root);
    }

    /// Whether the transaction (without witness) spends the null outpoint, as a block's first one does.
    function isCoinbase(bytes calldata transaction) internal pure returns (bool) {
        return transaction.length > COINBASE_PREFIX_BYTES && transaction[4] == 0x01 && bytes32(transaction[5:37]) == 0
            && bytes4(transaction[37:41]) == 0xffffffff;
    }

    /// Whether 64 bytes, in two halves, could be a transaction: one input, one output, scripts of 4 bytes together, and an amount below
    /// 2^51 sat. All that Bitcoin allows of this size are among these; of random nodes one in 2^43 is.
    function couldBeTransaction(bytes32 left, bytes32 right) internal pure returns (bool) {
        if (left[4] != 0x01) return false;
        // The input's script begins at byte 42 of 64; outputs are counted 4 bytes behind its end.
        uint256 script = uint8(right[9]);
        if (script > SCRIPT_BYTES || right[14 + script] != 0x01) return false;
        return uint8(right[23 + script]) == SCRIPT_BYTES - script && right[22 + script] == 0 && uint8(right[21 + script]) < 8;
    }

    /// From a leaf to the root. An equal sibling on the right is how an odd level is padded; one on the left makes the node itself the
    /// padding, a place where no transaction is.
    function _climb(bytes32 node, IBitcoinLightClient.InclusionProof calldata proof, bool deepEnough)
        private
        view
        returns (bytes32)
    {
        uint256 index = proof.index;
        for (uint256 level = 0; level < proof.siblings.length; ++level) {
            bytes32 sibling = proof.siblings[level];
            bool right = (index >> level) & 1 == 1;
            if (right && sibling == node) revert IBitcoinLightClient.DuplicatedSibling(level);
            (bytes32 first, bytes32 second) = right ? (sibling, node) : (node, sibling);
            if (!deepEnough && couldBeTransaction(first, second)) revert IBitcoinLightClient.AmbiguousNode(level);
            node = Sha256.doublePair(first, second);
        }
        return node;
    }

    /// The block's first transaction is as deep as the proven one: its path joins the other where that turns right for the last time.
    function _requireDepth(IBitcoinLightClient.InclusionProof calldata proof) private view {
        uint256 joint = 0;
        while (proof.index >> (joint + 1) != 0) {
            ++joint;
        }
        uint256 want = proof.index == 0 ? 0 : joint + 1;
        if (proof.leftmost.length != want) revert IBitcoinLightClient.WrongDepth(proof.leftmost.length, want);
        bytes32 node = proof.leftmost[0];
        // Half of a coinbase of 64 bytes, which has 27 zeros here, would make the tree a level deeper; no hash has them.
        if (uint256(node) << 40 == 0) revert IBitcoinLightClient.NotATransaction(node);
        for (uint256 level = 0; level < joint; ++level) {
            node = Sha256.doublePair(node, proof.leftmost[level + 1]);
        }
        if (node != proof.siblings[joint]) revert IBitcoinLightClient.LeftmostMismatch(node, proof.siblings[joint]);
    }
}
