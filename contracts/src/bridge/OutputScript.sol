// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IBridge} from "../interfaces/IBridge.sol";

/// The script templates that Bitcoin Core relays (IsStandard) and that somebody can own.
library OutputScript {
    /// Bitcoin Core, GetDustThreshold at DUST_RELAY_TX_FEE (3 sat/vB): the cost of the output and of the input that spends it.
    uint256 private constant DUST_RATE = 3;
    uint256 private constant OUTPUT_BYTES = 9;
    uint256 private constant LEGACY_INPUT_VBYTES = 148;
    uint256 private constant WITNESS_INPUT_VBYTES = 67;

    /// The smallest amount in satoshi that is relayed to this script. Reverts with ScriptNotStandard.
    function dust(bytes calldata script) internal pure returns (uint64) {
        uint256 input;
        if (_isKeyHash(script) || _isScriptHash(script)) input = LEGACY_INPUT_VBYTES;
        else if (_isWitness(script)) input = WITNESS_INPUT_VBYTES;
        else revert IBridge.ScriptNotStandard(script);
        return uint64(DUST_RATE * (OUTPUT_BYTES + script.length + input));
    }

    /// DUP HASH160 <20> EQUALVERIFY CHECKSIG
    function _isKeyHash(bytes calldata script) private pure returns (bool) {
        return script.length == 25 && bytes3(script[0:3]) == 0x76a914 && bytes2(script[23:25]) == 0x88ac;
    }

    /// HASH160 <20> EQUAL
    function _isScriptHash(bytes calldata script) private pure returns (bool) {
        return script.length == 23 && bytes2(script[0:2]) == 0xa914 && script[22] == 0x87;
    }

    /// BIP141: a version and one push of 2 to 40 bytes. Version 0 has 20 or 32 of them, version 1 (taproot) 32.
    function _isWitness(bytes calldata script) private pure returns (bool) {
        if (script.length < 4 || script.length > 42 || uint8(script[1]) != script.length - 2) return false;
        uint256 pushed = script.length - 2;
        if (script[0] == 0x00) return pushed == 20 || pushed == 32;
        if (script[0] == 0x51) return pushed == 32;
        return script[0] >= 0x52 && script[0] <= 0x60;
    }
}
