// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IBitcoinLightClient} from "./interfaces/IBitcoinLightClient.sol";
import {Sha256} from "./Sha256.sol";

/// Inclusion of a transaction under a Merkle root, hardened against the ambiguities of Bitcoin's tree:
/// - a 64-byte transaction can pose as an inner node (and an inner node as a transaction), so none is accepted;
/// - the depth is pinned by the block's coinbase, which cannot be an inner node;
/// - a node that stands right of an equal sibling is a padding copy (CVE-2012-2459), not a transaction's place.
library MerkleProof {
    uint256 private constant INNER_NODE_BYTES = 64;
    /// Up to the end of the null outpoint: version, input count, 32 zeros, 0xffffffff.
    uint256 private constant COINBASE_PREFIX_BYTES = 41;
    /// 4,000,000 weight units.
    uint256 private constant MAX_TRANSACTION_BYTES = 1_000_000;
    /// 1,000,000 stripped bytes hold at most 16,666 transactions of 60 bytes.
    uint256 private constant MAX_DEPTH = 15;

    /// Checks the proof of `transaction` (without witness) against a block's root; answers its txid. Reverts with the errors of
    /// IBitcoinLightClient that name the fault.
    function requireIncluded(bytes calldata transaction, IBitcoinLightClient.InclusionProof calldata proof, bytes32 root)
        internal
        view
        returns (bytes32 txid)
    {
        uint256 depth = proof.coinbaseSiblings.length;
        if (depth > MAX_DEPTH) revert IBitcoinLightClient.TooDeep(depth, MAX_DEPTH);
        if (proof.siblings.length != depth) revert IBitcoinLightClient.WrongDepth(proof.siblings.length, depth);
        if (proof.index >> depth != 0) revert IBitcoinLightClient.IndexBeyondTree(proof.index, depth);
        _requireSize(proof.coinbase);
        _requireSize(transaction);
        if (!isCoinbase(proof.coinbase)) revert IBitcoinLightClient.NotACoinbase();

        // The coinbase is never the last of a level that has siblings, so none of its siblings is padding.
        _requireUnder(root, _climb(Sha256.double(proof.coinbase), 0, proof.coinbaseSiblings, true));
        txid = Sha256.double(transaction);
        _requireUnder(root, _climb(txid, proof.index, proof.siblings, false));
    }

    /// Whether the transaction (without witness) spends the null outpoint, as a block's first one does.
    function isCoinbase(bytes calldata transaction) internal pure returns (bool) {
        return transaction.length > COINBASE_PREFIX_BYTES && transaction[4] == 0x01 && bytes32(transaction[5:37]) == 0
            && bytes4(transaction[37:41]) == 0xffffffff;
    }

    function _requireSize(bytes calldata transaction) private pure {
        uint256 size = transaction.length;
        if (size == INNER_NODE_BYTES) revert IBitcoinLightClient.AmbiguousLength();
        if (size > MAX_TRANSACTION_BYTES) revert IBitcoinLightClient.TransactionTooLarge(size, MAX_TRANSACTION_BYTES);
    }

    function _requireUnder(bytes32 root, bytes32 got) private pure {
        if (got != root) revert IBitcoinLightClient.RootMismatch(got, root);
    }

    /// From a leaf to the root. An equal sibling on the right is how an odd level is padded, honest unless `unpadded`; one on the left
    /// makes the node itself the padding, a place where no transaction is.
    function _climb(bytes32 node, uint256 index, bytes32[] calldata siblings, bool unpadded) private view returns (bytes32) {
        for (uint256 level = 0; level < siblings.length; ++level) {
            bytes32 sibling = siblings[level];
            bool right = (index >> level) & 1 == 1;
            if (sibling == node && (right || unpadded)) revert IBitcoinLightClient.DuplicatedSibling(level);
            node = right ? Sha256.doublePair(sibling, node) : Sha256.doublePair(node, sibling);
        }
        return node;
    }
}
