// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ByteOrder} from "../ByteOrder.sol";
import {ByteWriter} from "../ByteWriter.sol";
import {IDeposits} from "../interfaces/IDeposits.sol";
import {IVault} from "../interfaces/IVault.sol";

/// Reads and writes Bitcoin transactions without witness. Layout, with sizes in bytes: version (4), inputs (outpoint 36, script, sequence 4),
/// outputs (amount 8, script), locktime (4); counts and lengths as CompactSize.
library BitcoinTransaction {
    using ByteWriter for ByteWriter.Writer;

    uint256 private constant OUTPOINT_BYTES = 36;
    /// With an empty script.
    uint256 internal constant INPUT_BYTES = 41;
    uint256 private constant INPUT_WITNESS_BYTES = 66;
    /// BIP431 (TRUC): always replaceable, and at most one unconfirmed child, so it cannot be pinned.
    uint256 private constant VERSION = 3;
    /// BIP431: the limit of a version 3 transaction, in virtual bytes.
    uint256 internal constant MAX_VSIZE = 10_000;
    /// Replaceable, no relative timelock.
    uint256 private constant SEQUENCE = 0xfffffffd;
    /// Pay-to-anchor: anybody can bump the fee through it.
    bytes internal constant ANCHOR_SCRIPT = hex"51024e73";
    uint64 internal constant ANCHOR_SAT = 240;

    // ------------------------------------------------------------------ reading

    /// Amount and script of an output. Reverts with NoSuchOutput or Malformed.
    function output(bytes calldata transaction, uint32 vout) internal pure returns (uint64 amountSat, bytes calldata script) {
        uint256 inputs;
        uint256 outputs;
        uint256 size;
        uint256 cursor = 4;
        (inputs, cursor) = _compactSize(transaction, cursor);
        for (uint256 i = 0; i < inputs; ++i) {
            cursor = _behindInput(transaction, cursor);
        }
        (outputs, cursor) = _compactSize(transaction, cursor);
        if (vout >= outputs) revert IDeposits.NoSuchOutput(vout, outputs);
        for (uint256 i = 0; i < vout; ++i) {
            (size, cursor) = _compactSize(transaction, cursor + 8);
            cursor += size;
        }
        amountSat = uint64(_number(transaction, cursor, 8));
        (size, cursor) = _compactSize(transaction, cursor + 8);
        if (cursor + size > transaction.length) revert IDeposits.Malformed("transaction ends within an output");
        script = transaction[cursor:cursor + size];
    }

    /// The outpoint that input `index` spends. Reverts with Malformed, also when there is no such input.
    function outpoint(bytes calldata transaction, uint256 index) internal pure returns (bytes32 txid, uint32 vout) {
        (uint256 inputs, uint256 cursor) = _compactSize(transaction, 4);
        if (index >= inputs) revert IDeposits.Malformed("no such input");
        for (uint256 i = 0; i < index; ++i) {
            cursor = _behindInput(transaction, cursor);
        }
        return _outpointAt(transaction, cursor);
    }

    /// Whether an input spends this outpoint.
    function spends(bytes calldata transaction, bytes32 txid, uint32 vout) internal pure returns (bool) {
        return _spends(transaction, txid, vout, false);
    }

    /// Whether an input spends any output of that transaction.
    function spendsAny(bytes calldata transaction, bytes32 txid) internal pure returns (bool) {
        return _spends(transaction, txid, 0, true);
    }

    function _spends(bytes calldata transaction, bytes32 txid, uint32 vout, bool any) private pure returns (bool) {
        (uint256 inputs, uint256 cursor) = _compactSize(transaction, 4);
        for (uint256 i = 0; i < inputs; ++i) {
            (bytes32 spentTxid, uint32 spentVout) = _outpointAt(transaction, cursor);
            if (spentTxid == txid && (any || spentVout == vout)) return true;
            cursor = _behindInput(transaction, cursor);
        }
        return false;
    }

    function _outpointAt(bytes calldata transaction, uint256 cursor) private pure returns (bytes32 txid, uint32 vout) {
        vout = uint32(_number(transaction, cursor + 32, 4));
        return (bytes32(transaction[cursor:cursor + 32]), vout);
    }

    function _behindInput(bytes calldata transaction, uint256 cursor) private pure returns (uint256) {
        (uint256 size, uint256 next) = _compactSize(transaction, cursor + OUTPOINT_BYTES);
        return next + size + 4;
    }

    function _compactSize(bytes calldata data, uint256 cursor) private pure returns (uint256 value, uint256 next) {
        uint256 first = _number(data, cursor, 1);
        if (first < 0xfd) return (first, cursor + 1);
        uint256 size = first == 0xfd ? 2 : first == 0xfe ? 4 : 8;
        return (_number(data, cursor + 1, size), cursor + 1 + size);
    }

    function _number(bytes calldata data, uint256 cursor, uint256 size) private pure returns (uint256) {
        if (cursor + size > data.length) revert IDeposits.Malformed("transaction ends too early");
        return ByteOrder.reverse(uint256(bytes32(data[cursor:cursor + size])));
    }

    // ------------------------------------------------------------------ writing

    /// Size of a transaction without witness, of which the outputs take `outputBytes`.
    function strippedSize(uint256 inputs, uint256 outputs, uint256 outputBytes) internal pure returns (uint256) {
        return 4 + _compactSizeBytes(inputs) + inputs * INPUT_BYTES + _compactSizeBytes(outputs) + outputBytes + 4;
    }

    /// Virtual size once every input has its one 64-byte signature.
    function vsize(uint256 stripped, uint256 inputs) internal pure returns (uint256) {
        return (4 * stripped + 2 + INPUT_WITNESS_BYTES * inputs + 3) / 4;
    }

    /// Begins a transaction of `stripped` bytes: version and inputs. The caller then appends the count of outputs and each output.
    function start(uint256 stripped, IVault.Outpoint[] memory inputs) internal pure returns (ByteWriter.Writer memory writer) {
        writer = ByteWriter.create(stripped);
        writer.putNumber(VERSION, 4);
        writer.putCount(inputs.length);
        for (uint256 i = 0; i < inputs.length; ++i) {
            writer.put(inputs[i].txid, 32);
            writer.putNumber(inputs[i].vout, 4);
            writer.putCount(0);
            writer.putNumber(SEQUENCE, 4);
        }
    }

    /// Appends an output.
    function putOutput(ByteWriter.Writer memory writer, uint64 amountSat, bytes memory script) internal pure {
        writer.putNumber(amountSat, 8);
        writer.putCount(script.length);
        writer.putBytes(script);
    }

    /// Appends the locktime (0) and answers the transaction.
    function finish(ByteWriter.Writer memory writer) internal pure returns (bytes memory) {
        writer.putNumber(0, 4);
        return writer.finish();
    }

    function _compactSizeBytes(uint256 count) private pure returns (uint256) {
        return count < 0xfd ? 1 : 3;
    }
}
