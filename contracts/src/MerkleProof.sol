// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IBitcoinLightClient} from "./interfaces/IBitcoinLightClient.sol";
import {Sha256} from "./Sha256.sol";

/// Inclusion of a transaction under a Merkle root, with what Bitcoin's tree leaves open closed:
/// - a 64-byte transaction can pose as an inner node (and an inner node as a transaction), so none is accepted;
/// - the depth is pinned by the block's coinbase, which cannot be an inner node;
/// - a node that stands right of an equal sibling is a padding copy (CVE-2012-2459), not a transaction's place.
library MerkleProof {
    uint256 private constant INNER_NODE_BYTES = 64;
    /// Up to the end of the null outpoint: version, input count, 32 zeros, 0xffffffff.
    uint256 private constant COINBASE_PREFIX_BYTES = 41;

    function requireIncluded(bytes calldata transaction, IBitcoinLightClient.InclusionProof calldata proof, bytes32 root) internal view returns (bytes32 txid) {
        if (transaction.length == INNER_NODE_BYTES || proof.coinbase.length == INNER_NODE_BYTES) revert IBitcoinLightClient.AmbiguousLength();
        if (!isCoinbase(proof.coinbase)) revert IBitcoinLightClient.NotACoinbase();
        if (proof.siblings.length != proof.coinbaseSiblings.length) {
            revert IBitcoinLightClient.WrongDepth(proof.siblings.length, proof.coinbaseSiblings.length);
        }
        if (proof.siblings.length < 32 && proof.index >> proof.siblings.length != 0) {
            revert IBitcoinLightClient.IndexBeyondTree(proof.index, proof.siblings.length);
        }

        bytes32 coinbaseRoot = _fold(Sha256.double(proof.coinbase), 0, proof.coinbaseSiblings);
        if (coinbaseRoot != root) revert IBitcoinLightClient.RootMismatch(coinbaseRoot, root);
        txid = Sha256.double(transaction);
        bytes32 transactionRoot = _fold(txid, proof.index, proof.siblings);
        if (transactionRoot != root) revert IBitcoinLightClient.RootMismatch(transactionRoot, root);
    }

    function isCoinbase(bytes calldata transaction) internal pure returns (bool) {
        return transaction.length > COINBASE_PREFIX_BYTES && transaction[4] == 0x01 && bytes32(transaction[5:37]) == 0
            && bytes4(transaction[37:41]) == 0xffffffff;
    }

    function _fold(bytes32 node, uint256 index, bytes32[] calldata siblings) private view returns (bytes32) {
        for (uint256 level = 0; level < siblings.length; ++level) {
            bytes32 sibling = siblings[level];
            if (index & 1 == 0) {
                // An equal right sibling is the padding of an odd level: legitimate.
                node = Sha256.doublePair(node, sibling);
            } else {
                if (sibling == node) revert IBitcoinLightClient.DuplicatedSibling(level);
                node = Sha256.doublePair(sibling, node);
            }
            index >>= 1;
        }
        return node;
    }
}
