// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ByteOrder} from "../src/ByteOrder.sol";
import {CompactTarget} from "../src/CompactTarget.sol";
import {IBitcoinLightClient} from "../src/interfaces/IBitcoinLightClient.sol";
import {Base} from "./Base.sol";

/// Blocks as a miner makes them: transactions, Merkle trees and proof of work.
abstract contract Bitcoin is Base {
    struct Block {
        bytes raw;
        bytes32 hash;
        uint32 time;
        uint32 height;
        /// The coinbase first.
        bytes[] transactions;
    }

    struct TxOut {
        uint64 amountSat;
        bytes script;
    }

    uint32 internal constant REGTEST_BITS = 0x207fffff;
    /// When chains begin here, in seconds since 1970.
    uint32 internal constant START = 1_700_000_000;
    uint256 private _unique;

    // ------------------------------------------------------------------ transactions

    function le(uint256 number, uint256 size) internal pure returns (bytes memory data) {
        data = new bytes(size);
        for (uint256 i = 0; i < size; ++i) {
            data[i] = bytes1(uint8(number >> (8 * i)));
        }
    }

    function compactSize(uint256 count) internal pure returns (bytes memory) {
        return count < 0xfd ? le(count, 1) : bytes.concat(hex"fd", le(count, 2));
    }

    function hash256(bytes memory data) internal pure returns (bytes32) {
        return sha256(bytes.concat(sha256(data)));
    }

    function coinbase(uint256 extra) internal pure returns (bytes memory) {
        return bytes.concat(
            hex"0200000001",
            bytes32(0),
            hex"ffffffff",
            hex"08",
            le(extra, 8),
            hex"ffffffff",
            hex"01",
            le(50e8, 8),
            hex"0151",
            hex"00000000"
        );
    }

    /// Spends some outpoint, which no other transaction of this test spends.
    function payment(TxOut[] memory outputs) internal returns (bytes memory transaction) {
        bytes32 previous = keccak256(abi.encode("outpoint", ++_unique));
        transaction = bytes.concat(hex"0200000001", previous, hex"00000000", hex"00", hex"fdffffff", compactSize(outputs.length));
        for (uint256 i = 0; i < outputs.length; ++i) {
            transaction =
                bytes.concat(transaction, le(outputs[i].amountSat, 8), compactSize(outputs[i].script.length), outputs[i].script);
        }
        return bytes.concat(transaction, hex"00000000");
    }

    /// Spends these outpoints (txid and place), and pays a little to somebody. No two calls give the same transaction.
    function spending(bytes32[] memory txids, uint32[] memory vouts) internal returns (bytes memory transaction) {
        transaction = bytes.concat(hex"02000000", compactSize(txids.length));
        for (uint256 i = 0; i < txids.length; ++i) {
            transaction = bytes.concat(transaction, txids[i], le(vouts[i], 4), hex"00", hex"fdffffff");
        }
        return bytes.concat(transaction, hex"01", le(1000 + ++_unique, 8), hex"160014", bytes20(0), hex"00000000");
    }

    function spending(bytes32 txid, uint32 vout) internal returns (bytes memory) {
        (bytes32[] memory txids, uint32[] memory vouts) = (new bytes32[](1), new uint32[](1));
        (txids[0], vouts[0]) = (txid, vout);
        return spending(txids, vouts);
    }

    function payment(uint64 amountSat, bytes memory script) internal returns (bytes memory) {
        TxOut[] memory outputs = new TxOut[](1);
        outputs[0] = TxOut(amountSat, script);
        return payment(outputs);
    }

    // ------------------------------------------------------------------ blocks

    function mineOn(bytes32 previous, uint32 height, uint32 time, uint32 bits, bytes[] memory transactions)
        internal
        returns (Block memory mined)
    {
        bytes[] memory all = new bytes[](transactions.length + 1);
        all[0] = coinbase(++_unique);
        for (uint256 i = 0; i < transactions.length; ++i) {
            all[i + 1] = transactions[i];
        }
        mined.transactions = all;
        (mined.time, mined.height) = (time, height);
        (mined.raw, mined.hash) = header(previous, merkleRoot(all), time, bits);
    }

    function mineOn(Block memory parent, bytes[] memory transactions) internal returns (Block memory) {
        return mineOn(parent.hash, parent.height + 1, parent.time + 600, REGTEST_BITS, transactions);
    }

    function mineOn(Block memory parent) internal returns (Block memory) {
        return mineOn(parent, new bytes[](0));
    }

    /// A header with its work, and its hash.
    function header(bytes32 previous, bytes32 root, uint32 time, uint32 bits) internal view returns (bytes memory, bytes32) {
        return grind(bytes.concat(hex"00000020", previous, root, le(time, 4), le(bits, 4), hex"00000000"));
    }

    /// Finds the nonce that gives a header its work.
    function grind(bytes memory raw) internal view returns (bytes memory, bytes32 hash) {
        uint32 bits;
        assembly ("memory-safe") {
            bits := shr(224, mload(add(raw, 104)))
        }
        uint256 target = CompactTarget.decode(uint32(ByteOrder.reverse(uint256(bits)) >> 224));
        for (uint256 nonce = 0;; ++nonce) {
            assembly ("memory-safe") {
                // Four little endian bytes of nonce at the end; the top one is enough left zero.
                mstore8(add(raw, 108), nonce)
                mstore8(add(raw, 109), shr(8, nonce))
                mstore8(add(raw, 110), shr(16, nonce))
                pop(staticcall(gas(), 2, add(raw, 32), 80, 0, 32))
                pop(staticcall(gas(), 2, 0, 32, 0, 32))
                hash := mload(0)
            }
            if (ByteOrder.reverse(uint256(hash)) <= target) return (raw, hash);
        }
        revert("not reached");
    }

    /// A header that misses its target.
    function spoil(bytes memory raw) internal pure returns (bytes memory) {
        for (uint256 nonce = 0;; ++nonce) {
            raw[76] = bytes1(uint8(nonce));
            if (ByteOrder.reverse(uint256(hash256(raw))) > CompactTarget.decode(REGTEST_BITS)) return raw;
        }
        revert("not reached");
    }

    function join(Block[] memory blocks) internal pure returns (bytes memory headers) {
        headers = new bytes(blocks.length * 80);
        for (uint256 i = 0; i < blocks.length; ++i) {
            bytes memory raw = blocks[i].raw;
            for (uint256 j = 0; j < 80; ++j) {
                headers[i * 80 + j] = raw[j];
            }
        }
    }

    // ------------------------------------------------------------------ Merkle trees

    function merkleRoot(bytes[] memory transactions) internal pure returns (bytes32) {
        bytes32[] memory level = leaves(transactions);
        while (level.length > 1) {
            level = parents(level);
        }
        return level[0];
    }

    function leaves(bytes[] memory transactions) internal pure returns (bytes32[] memory level) {
        level = new bytes32[](transactions.length);
        for (uint256 i = 0; i < level.length; ++i) {
            level[i] = hash256(transactions[i]);
        }
    }

    function parents(bytes32[] memory level) internal pure returns (bytes32[] memory above) {
        above = new bytes32[]((level.length + 1) / 2);
        for (uint256 i = 0; i < above.length; ++i) {
            bytes32 left = level[2 * i];
            bytes32 right = 2 * i + 1 < level.length ? level[2 * i + 1] : left;
            above[i] = hash256(bytes.concat(left, right));
        }
    }

    function branch(bytes[] memory transactions, uint256 index) internal pure returns (bytes32[] memory siblings) {
        bytes32[] memory level = leaves(transactions);
        bytes32[] memory path = new bytes32[](32);
        uint256 depth = 0;
        for (; level.length > 1; ++depth) {
            uint256 sibling = index ^ 1;
            path[depth] = sibling < level.length ? level[sibling] : level[index];
            level = parents(level);
            index >>= 1;
        }
        siblings = new bytes32[](depth);
        for (uint256 i = 0; i < depth; ++i) {
            siblings[i] = path[i];
        }
    }

    /// Without the path of the first transaction: no node of blocks made here looks like a transaction.
    function prove(Block memory mined, uint256 index) internal pure returns (IBitcoinLightClient.InclusionProof memory) {
        return IBitcoinLightClient.InclusionProof(mined.raw, uint32(index), branch(mined.transactions, index), new bytes32[](0));
    }

    /// With it.
    function proveWithDepth(Block memory mined, uint256 index)
        internal
        pure
        returns (IBitcoinLightClient.InclusionProof memory proof)
    {
        proof = prove(mined, index);
        bytes32[] memory first = branch(mined.transactions, 0);
        uint256 count = 0;
        while (index >> count != 0) {
            ++count;
        }
        proof.leftmost = new bytes32[](count);
        for (uint256 i = 0; i < count; ++i) {
            proof.leftmost[i] = i == 0 ? hash256(mined.transactions[0]) : first[i - 1];
        }
    }
}
