// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// Bitcoin's compact form of a 256-bit target: 1 byte of exponent (in bytes), 3 bytes of mantissa, of which the top bit is a sign.
library CompactTarget {
    /// The target that a compact form stands for; zero for a form that is negative, overflows, or is zero.
    function decode(uint32 bits) internal pure returns (uint256 target) {
        uint256 exponent = bits >> 24;
        uint256 mantissa = bits & 0x7fffff;
        if (bits & 0x800000 != 0) return 0;
        if (exponent <= 3) return mantissa >> (8 * (3 - exponent));
        // Core: overflow when bytes of the mantissa would leave the 32.
        if (exponent > 34 || (exponent > 33 && mantissa > 0xff) || (exponent > 32 && mantissa > 0xffff)) return 0;
        return mantissa << (8 * (exponent - 3));
    }

    /// The compact form of a target, rounded down to what three bytes of mantissa hold.
    function encode(uint256 target) internal pure returns (uint32) {
        uint256 exponent = 0;
        for (uint256 rest = target; rest != 0; rest >>= 8) {
            ++exponent;
        }
        uint256 mantissa = exponent <= 3 ? target << (8 * (3 - exponent)) : target >> (8 * (exponent - 3));
        // The mantissa's top bit is its sign.
        if (mantissa & 0x800000 != 0) {
            mantissa >>= 8;
            ++exponent;
        }
        return uint32((exponent << 24) | mantissa);
    }

    /// Expected number of hashes: 2^256 / (target + 1).
    function work(uint256 target) internal pure returns (uint256) {
        return ~target / (target + 1) + 1;
    }
}
