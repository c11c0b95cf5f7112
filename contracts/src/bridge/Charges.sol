// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// What a vault transaction costs, and what each participant pays: by the rate (satoshi per 1000 vB) and its own size alone, so that it can be quoted to
/// the satoshi, and leaving one out changes nothing for the others. The reserve has the difference.
library Charges {
    /// Amount and script length of an output.
    uint256 private constant OUTPUT_BYTES = 9;
    /// A participant's part of the bytes that all share: overhead, change, anchor, and a payout's input.
    uint256 private constant SHARED_VBYTES = 35;
    /// 41 bytes of input and 66 of witness, 57.5 vB, and the shared part: in halves of a vB.
    uint256 private constant DEPOSIT_HALF_VBYTES = 115 + 2 * SHARED_VBYTES;
    /// The anchor's.
    uint256 internal constant ANCHOR_SAT = 240;

    /// A withdrawal's, of which `fixedSat` is for the reserve.
    function withdrawal(uint256 scriptLength, uint256 rate, uint256 fixedSat) internal pure returns (uint256) {
        return _up(rate * (OUTPUT_BYTES + scriptLength + SHARED_VBYTES), 1000) + fixedSat;
    }

    /// A deposit's, of which `fixedSat` is for the reserve.
    function deposit(uint256 rate, uint256 fixedSat) internal pure returns (uint256) {
        return _up(rate * DEPOSIT_HALF_VBYTES, 2000) + fixedSat;
    }

    /// What is left of a deposit: its charge is at most its maximum, and its amount.
    function brings(uint256 amountSat, uint256 maxFeeSat, uint256 chargeSat) internal pure returns (uint256) {
        if (chargeSat > maxFeeSat) chargeSat = maxFeeSat;
        return chargeSat < amountSat ? amountSat - chargeSat : 0;
    }

    /// Miners' fee and anchor of a transaction.
    function cost(uint256 vsize, uint256 rate) internal pure returns (uint256) {
        return _up(rate * vsize, 1000) + ANCHOR_SAT;
    }

    function _up(uint256 dividend, uint256 divisor) private pure returns (uint256) {
        return (dividend + divisor - 1) / divisor;
    }
}
