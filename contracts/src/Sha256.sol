// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// Bitcoin's double SHA-256, through the precompile at address 2 and without growing memory.
library Sha256 {
    /// The precompile ran out of gas.
    error PrecompileFailed();

    /// Double SHA-256 of two 32-byte nodes side by side.
    function doublePair(bytes32 left, bytes32 right) internal view returns (bytes32 hash) {
        bool ok;
        assembly ("memory-safe") {
            mstore(0x00, left)
            mstore(0x20, right)
            ok := staticcall(gas(), 2, 0x00, 0x40, 0x00, 0x20)
            ok := and(ok, staticcall(gas(), 2, 0x00, 0x20, 0x00, 0x20))
            hash := mload(0x00)
        }
        if (!ok) revert PrecompileFailed();
    }

    /// Double SHA-256 of calldata.
    function double(bytes calldata data) internal view returns (bytes32 hash) {
        bool ok;
        assembly ("memory-safe") {
            // Memory behind the free pointer is used and given back.
            let buffer := mload(0x40)
            calldatacopy(buffer, data.offset, data.length)
            ok := staticcall(gas(), 2, buffer, data.length, 0x00, 0x20)
            ok := and(ok, staticcall(gas(), 2, 0x00, 0x20, 0x00, 0x20))
            hash := mload(0x00)
        }
        if (!ok) revert PrecompileFailed();
    }

    /// Double SHA-256 of memory.
    function doubleMemory(bytes memory data) internal pure returns (bytes32) {
        return sha256(bytes.concat(sha256(data)));
    }
}
