// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// BIP341 hashes, and the check of a tweaked key without elliptic curve arithmetic.
///
/// ecrecover(h, v, r, s) returns the address of (s*R - h*G) / r, where R has x = r and the parity of v. With r = s = P.x,
/// R is P itself (even y, as BIP340 lifts it), and with h = -t*P.x the result is the address of P + t*G.
library Taproot {
    /// Order of secp256k1.
    uint256 internal constant ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;
    /// sha256("TapTweak"), sha256("TapLeaf")
    bytes32 internal constant TWEAK_TAG = 0xe80fe1639c9ca050e3af1b39c143c63e429cbceb15d940fbb5c5a1f4af57c5e9;
    bytes32 internal constant LEAF_TAG = 0xaeea8fdc4208983105734b58081d1e2638d35f1cb54008d4d357ca03be78e9ee;
    bytes1 internal constant LEAF_VERSION = 0xc0;

    /// Hash of a leaf with a script shorter than 253 bytes.
    function leafHash(bytes memory script) internal pure returns (bytes32) {
        assert(script.length < 0xfd);
        return sha256(bytes.concat(LEAF_TAG, LEAF_TAG, LEAF_VERSION, bytes1(uint8(script.length)), script));
    }

    /// Whether (x, y) is the x-only key `internalKey` tweaked by the tree `merkleRoot`.
    function isTweaked(bytes32 internalKey, bytes32 merkleRoot, bytes32 x, bytes32 y) internal pure returns (bool) {
        uint256 tweak = uint256(sha256(bytes.concat(TWEAK_TAG, TWEAK_TAG, internalKey, merkleRoot)));
        uint256 p = uint256(internalKey);
        if (tweak >= ORDER || p == 0 || p >= ORDER) return false;
        uint256 h = ORDER - mulmod(tweak, p, ORDER);
        address tweaked = ecrecover(bytes32(h), 27, internalKey, internalKey);
        return tweaked != address(0) && tweaked == address(uint160(uint256(keccak256(bytes.concat(x, y)))));
    }
}
