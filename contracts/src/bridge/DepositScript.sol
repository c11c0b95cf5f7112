// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IDeposits} from "../interfaces/IDeposits.sol";
import {Taproot} from "../Taproot.sol";

/// The one leaf of a deposit address: `<d> DROP <delay> CSV DROP <reclaim key> CHECKSIG`, where d commits to this network, its bridge and the terms.
library DepositScript {
    /// sha256("causeway/deposit")
    bytes32 internal constant TAG = 0xc3ab43e2acaa25bba5e802a167b8ab6f805cf5d7d424f9ca94865334d01d60a2;

    /// d: a tagged hash (as BIP340's) of network id, bridge, recipient, the most that the sweep may cost in satoshi (8 bytes, big endian), claimant, and
    /// hash of data for the recipient.
    function commitment(bytes32 networkId, address bridge, IDeposits.Terms memory terms) internal pure returns (bytes32) {
        return
            sha256(
                abi.encodePacked(TAG, TAG, networkId, bridge, terms.recipient, terms.maxFeeSat, terms.claimant, terms.dataHash)
            );
    }

    /// The leaf's script; the delay is in blocks.
    function leaf(bytes32 committed, uint16 reclaimDelay, bytes32 reclaimKey) internal pure returns (bytes memory) {
        return abi.encodePacked(hex"20", committed, hex"75", push(reclaimDelay), hex"b275", hex"20", reclaimKey, hex"ac");
    }

    /// Hash of the leaf.
    function leafHash(bytes32 networkId, address bridge, IDeposits.Terms memory terms, uint16 reclaimDelay)
        internal
        pure
        returns (bytes32)
    {
        return Taproot.leafHash(leaf(commitment(networkId, bridge, terms), reclaimDelay, terms.reclaimKey));
    }

    /// The minimal push of a number (1..16 have opcodes of their own; else little endian, the top bit is the sign).
    function push(uint16 number) internal pure returns (bytes memory) {
        bytes1 low = bytes1(uint8(number));
        bytes1 high = bytes1(uint8(number >> 8));
        if (number == 0) return hex"00";
        if (number <= 16) return abi.encodePacked(uint8(0x50 + number));
        if (number <= 0x7f) return abi.encodePacked(hex"01", low);
        if (number <= 0x7fff) return abi.encodePacked(hex"02", low, high);
        return abi.encodePacked(hex"03", low, high, hex"00");
    }
}
