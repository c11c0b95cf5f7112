// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ByteOrder} from "./ByteOrder.sol";

/// Appends to a buffer of known capacity, without copying it.
library ByteWriter {
    struct Writer {
        bytes buffer;
        /// Bytes written so far.
        uint256 length;
        /// Bytes that may be written.
        uint256 capacity;
    }

    /// An empty writer for at most `capacity` bytes.
    function create(uint256 capacity) internal pure returns (Writer memory) {
        // One word of slack: every write stores a whole word.
        return Writer(new bytes(capacity + 32), 0, capacity);
    }

    /// Appends the first `size` bytes of `word`. This and the other functions panic when the capacity is exceeded.
    function put(Writer memory writer, bytes32 word, uint256 size) internal pure {
        uint256 start = writer.length;
        assert(size <= 32 && start + size <= writer.capacity);
        bytes memory buffer = writer.buffer;
        assembly ("memory-safe") {
            mstore(add(add(buffer, 32), start), word)
        }
        writer.length = start + size;
    }

    /// Appends `value` in `size` bytes, little endian.
    function putNumber(Writer memory writer, uint256 value, uint256 size) internal pure {
        assert(size == 32 || value >> (8 * size) == 0);
        put(writer, bytes32(ByteOrder.reverse(value)), size);
    }

    /// Appends a count of up to 65535 as Bitcoin's CompactSize.
    function putCount(Writer memory writer, uint256 count) internal pure {
        if (count >= 0xfd) put(writer, bytes1(0xfd), 1);
        putNumber(writer, count, count >= 0xfd ? 2 : 1);
    }

    /// Appends `data`.
    function putBytes(Writer memory writer, bytes memory data) internal pure {
        for (uint256 start = 0; start < data.length; start += 32) {
            bytes32 word;
            assembly ("memory-safe") {
                word := mload(add(add(data, 32), start))
            }
            uint256 left = data.length - start;
            put(writer, word, left < 32 ? left : 32);
        }
    }

    /// The bytes written; the writer must not be used any more.
    function finish(Writer memory writer) internal pure returns (bytes memory written) {
        written = writer.buffer;
        uint256 length = writer.length;
        assembly ("memory-safe") {
            mstore(written, length)
        }
    }
}
