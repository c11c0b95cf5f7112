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
    uint8 private constant KEY_HASH = 1;
    uint8 private constant SCRIPT_HASH = 2;
    /// And the version added.
    uint8 private constant WITNESS = 3;

    /// A script in two words: what it pays to, up to 40 bytes, apart from its template.
    struct Packed {
        uint8 kind;
        /// Bytes of the program.
        uint8 length;
        /// Its first 32 bytes, and those behind.
        bytes32 program;
        bytes8 tail;
    }

    /// The smallest amount in satoshi that is relayed to this script. Reverts with ScriptNotStandard.
    function dust(bytes calldata script) internal pure returns (uint64) {
        uint256 input;
        if (_isKeyHash(script) || _isScriptHash(script)) input = LEGACY_INPUT_VBYTES;
        else if (_isWitness(script)) input = WITNESS_INPUT_VBYTES;
        else revert IBridge.ScriptNotStandard(script);
        return uint64(DUST_RATE * (OUTPUT_BYTES + script.length + input));
    }

    /// Takes a script apart that `dust` accepts.
    function pack(bytes calldata script) internal pure returns (Packed memory packed) {
        (uint256 start, uint256 end) = (2, script.length);
        if (_isKeyHash(script)) (packed.kind, start, end) = (KEY_HASH, 3, 23);
        else if (_isScriptHash(script)) (packed.kind, end) = (SCRIPT_HASH, 22);
        else packed.kind = WITNESS + (script[0] == 0x00 ? 0 : uint8(script[0]) - 0x50);
        packed.length = uint8(end - start);
        packed.program = bytes32(script[start:end > start + 32 ? start + 32 : end]);
        if (end > start + 32) packed.tail = bytes8(script[start + 32:end]);
    }

    /// The script again.
    function unpack(Packed memory packed) internal pure returns (bytes memory script) {
        if (packed.kind == KEY_HASH) return abi.encodePacked(hex"76a914", bytes20(packed.program), hex"88ac");
        if (packed.kind == SCRIPT_HASH) return abi.encodePacked(hex"a914", bytes20(packed.program), hex"87");
        uint8 version = packed.kind - WITNESS;
        script = abi.encodePacked(version == 0 ? 0 : 0x50 + version, packed.length, packed.program, packed.tail);
        uint256 total = 2 + uint256(packed.length);
        assembly ("memory-safe") {
            mstore(script, total)
        }
    }

    /// As `dust`, of a script taken apart.
    function dustOf(uint8 kind, uint8 length) internal pure returns (uint64) {
        uint256 input = kind < WITNESS ? LEGACY_INPUT_VBYTES : WITNESS_INPUT_VBYTES;
        return uint64(DUST_RATE * (OUTPUT_BYTES + size(kind, length) + input));
    }

    /// Bytes of the script.
    function size(uint8 kind, uint8 length) internal pure returns (uint256) {
        return kind == KEY_HASH ? 25 : kind == SCRIPT_HASH ? 23 : 2 + uint256(length);
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
