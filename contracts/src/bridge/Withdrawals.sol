// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ByteWriter} from "../ByteWriter.sol";
import {BitcoinTransaction} from "./BitcoinTransaction.sol";
import {Charges} from "./Charges.sol";
import {Bounds} from "./Bounds.sol";
import {OutputScript} from "./OutputScript.sol";
import {IVault} from "../interfaces/IVault.sol";

/// The queue of withdrawals. A withdrawal is tied to one vault output when it is first bound, and whatever pays it spends that output: so it is paid at
/// most once. The tie ends when the output is finally spent by something else, or can never exist.
abstract contract Withdrawals is Bounds {
    using BitcoinTransaction for ByteWriter.Writer;

    /// Three slots; a settlement touches the second alone.
    struct Record {
        address owner;
        uint8 kind;
        uint8 length;
        bytes8 tail;
        /// The vault output it is tied to; 0: none.
        uint32 tie;
        /// The settled vault transaction that pays it; 0: none.
        uint32 paidBy;
        uint64 amountSat;
        uint64 maxFeeSat;
        uint40 askedAt;
        /// None while it is open; else Cancelled or Refunded.
        WithdrawalStatus closed;
        bytes32 program;
    }

    /// While a payout is bound.
    struct Tying {
        uint32 number;
        uint64 rate;
        /// Left of the payout window; 0 while first ties are stopped.
        uint256 leftSat;
        uint256 feeSat;
        uint256 grossSat;
        uint256 chargesSat;
        uint256 shortSat;
        /// Of the outputs, so many are tied to.
        uint256 needed;
        uint256 count;
        ByteWriter.Writer writer;
    }

    /// Amount, script length, and a script of 42 bytes.
    uint256 private constant MAX_OUTPUT_BYTES = 51;

    mapping(uint256 id => Record) private _records;

    uint64 private immutable _minWithdrawalSat;
    uint64 private immutable _pegOutFeeSat;
    uint64 private immutable _floorRate;
    uint32 private immutable _refundAfter;

    constructor(Parameters memory parameters_) {
        (_minWithdrawalSat, _pegOutFeeSat) = (parameters_.minWithdrawalSat, parameters_.pegOutFeeSat);
        (_floorRate, _refundAfter) = (parameters_.floorRate, parameters_.refundAfter);
    }

    // ------------------------------------------------------------------ owners

    function withdraw(bytes calldata script, uint64 maxFeeSat) external payable nonReentrant returns (uint256 id) {
        return _queue(msg.sender, script, maxFeeSat);
    }

    function withdrawFor(address owner, bytes calldata script, uint64 maxFeeSat)
        external
        payable
        nonReentrant
        returns (uint256 id)
    {
        // Neither could ever take the coins back.
        if (owner == address(0) || owner == address(this)) revert BadOwner(owner);
        return _queue(owner, script, maxFeeSat);
    }

    function _queue(address owner, bytes calldata script, uint64 maxFeeSat) private returns (uint256 id) {
        uint64 amountSat = _wholeSat(_minWithdrawalSat, _windowSat);
        uint64 leastSat = floorFee(script.length);
        uint64 dustSat = OutputScript.dust(script);
        if (maxFeeSat < leastSat) revert MaximumTooLow(maxFeeSat, leastSat);
        _requirePayable(amountSat, maxFeeSat, dustSat);

        id = ++_lastWithdrawal;
        OutputScript.Packed memory packed = OutputScript.pack(script);
        Record storage record = _records[id];
        (record.owner, record.kind, record.length, record.tail) = (owner, packed.kind, packed.length, packed.tail);
        (record.amountSat, record.maxFeeSat, record.askedAt) = (amountSat, maxFeeSat, uint40(block.timestamp));
        record.program = packed.program;
        _books.owed += amountSat;
        emit WithdrawalQueued(id, owner, amountSat, maxFeeSat, script);
    }

    function raise(uint256 id, uint64 maxFeeSat) external nonReentrant {
        Record storage record = _records[id];
        WithdrawalStatus status = _status(record);
        bool open = status == WithdrawalStatus.Queued || status == WithdrawalStatus.Tied;
        if (!open) revert WrongStatus(id, status);
        if (msg.sender != record.owner) revert NotOwner(msg.sender, record.owner);
        if (maxFeeSat <= record.maxFeeSat) revert MaximumTooLow(maxFeeSat, record.maxFeeSat + 1);
        _requirePayable(record.amountSat, maxFeeSat, OutputScript.dustOf(record.kind, record.length));
        record.maxFeeSat = maxFeeSat;
        emit MaximumRaised(id, maxFeeSat);
    }

    function _requirePayable(uint64 amountSat, uint64 maxFeeSat, uint64 dustSat) private pure {
        if (amountSat < dustSat || maxFeeSat > amountSat - dustSat) revert FeeLeavesDust(amountSat, maxFeeSat, dustSat);
    }

    function cancel(uint256 id) external nonReentrant {
        Record storage record = _requireQueued(id);
        if (msg.sender != record.owner) revert NotOwner(msg.sender, record.owner);
        _close(record, WithdrawalStatus.Cancelled);
        emit WithdrawalCancelled(id);
        _send(record.owner, record.amountSat);
    }

    // ------------------------------------------------------------------ anyone

    function refund(uint256 id) external nonReentrant {
        Record storage record = _requireQueued(id);
        uint256 from = record.askedAt + _refundAfter;
        if (block.timestamp < from) revert TooEarly(id, from);
        _close(record, WithdrawalStatus.Refunded);
        emit WithdrawalRefunded(id);
        _deliver(record.owner, record.owner, record.amountSat);
    }

    function end(uint256 id) external nonReentrant {
        Record storage record = _records[id];
        if (!_isOpen(record) || record.tie == 0) revert WrongStatus(id, _status(record));
        uint32 tied = record.tie;
        if (!vault.ended(tied)) revert TieHolds(id, tied);
        record.tie = 0;
        emit TieEnded(id, tied);
    }

    /// docs/ledger.md, "untied": what is tied may still be paid.
    function _requireQueued(uint256 id) private view returns (Record storage record) {
        record = _records[id];
        WithdrawalStatus status = _status(record);
        if (status != WithdrawalStatus.Queued) revert WrongStatus(id, status);
    }

    function _close(Record storage record, WithdrawalStatus status) private {
        record.closed = status;
        _books.owed -= record.amountSat;
    }

    // ------------------------------------------------------------------ for the vault

    function tie(uint32 number, IVault.Content calldata content, uint32[] calldata outputs, bool rooted)
        external
        onlyBy(address(vault))
        returns (uint64[] memory kept, bytes memory serialised, uint256[4] memory sums)
    {
        uint256 wanted = content.withdrawals.length;
        kept = new uint64[](wanted);
        Tying memory tying;
        (tying.number, tying.rate, tying.feeSat) = (number, content.rate, _pegOutFeeSat);
        tying.writer = ByteWriter.create(wanted * MAX_OUTPUT_BYTES);
        // docs/ledger.md, "first ties": only to rooted outputs of the epoch in force, and while nothing stops them.
        bool first = rooted && content.epoch == federation.epoch() && !_isStopped();
        uint256 leftSat = tying.leftSat = first ? _windowLeft() : 0;
        for (uint256 i = 0; i < wanted; ++i) {
            if (_take(tying, content.withdrawals[i], outputs)) kept[tying.count++] = content.withdrawals[i];
        }
        if (tying.leftSat != leftSat) _setWindow(tying.leftSat);
        uint256 count = tying.count;
        assembly ("memory-safe") {
            mstore(kept, count)
        }
        return (kept, ByteWriter.finish(tying.writer), [tying.grossSat, tying.chargesSat, tying.needed, tying.shortSat]);
    }

    /// Whether the payout pays the withdrawal; if so, its output is written.
    function _take(Tying memory tying, uint64 id, uint32[] calldata outputs) private returns (bool) {
        Record storage record = _records[id];
        if (!_isOpen(record)) return false;
        uint256 full = Charges.withdrawal(OutputScript.size(record.kind, record.length), tying.rate, tying.feeSat);
        uint256 place = _placeOf(record.tie, outputs);
        if (place == 0) {
            if (!_tieFirst(tying, record, full)) return false;
            place = 1;
            record.tie = outputs[0];
        }
        // docs/ledger.md, "bump": a later version charges at most the maximum, the reserve pays the rest.
        uint256 chargeSat = full < record.maxFeeSat ? full : record.maxFeeSat;
        if (place > tying.needed) tying.needed = place;
        tying.grossSat += record.amountSat;
        (tying.chargesSat, tying.shortSat) = (tying.chargesSat + chargeSat, tying.shortSat + full - chargeSat);
        tying.writer.putOutput(uint64(record.amountSat - chargeSat), _script(record));
        emit WithdrawalTied(id, record.tie, tying.number, uint64(chargeSat));
        return true;
    }

    /// Its tie's place in the outputs, from 1; 0: none.
    function _placeOf(uint32 tied, uint32[] calldata outputs) private pure returns (uint256) {
        if (tied == 0) return 0;
        for (uint256 i = 0; i < outputs.length; ++i) {
            if (outputs[i] == tied) return i + 1;
        }
        return 0;
    }

    /// docs/ledger.md, "first binding": never tied, or its tie has ended; pays the whole charge; within the window.
    function _tieFirst(Tying memory tying, Record storage record, uint256 full) private view returns (bool) {
        if (full > record.maxFeeSat || record.amountSat > tying.leftSat) return false;
        if (record.tie != 0 && !vault.ended(record.tie)) return false;
        tying.leftSat -= record.amountSat;
        return true;
    }

    function bookPayout(uint32 number, uint64[] calldata withdrawals, uint64 changeSat, uint64 spentSat, bool up)
        external
        onlyBy(address(vault))
    {
        uint64 grossSat = 0;
        for (uint256 i = 0; i < withdrawals.length; ++i) {
            Record storage record = _records[withdrawals[i]];
            record.paidBy = up ? number : 0;
            grossSat += record.amountSat;
            if (up) emit WithdrawalPaid(withdrawals[i], number);
            else emit WithdrawalUnpaid(withdrawals[i], number);
        }
        // docs/ledger.md, "exact": by what was bound, nothing is computed anew.
        Books memory sums = _books;
        int64 reserveSat = int64(changeSat) + int64(grossSat) - int64(spentSat);
        if (up) {
            (sums.vault, sums.owed, sums.reserve) =
            (sums.vault + changeSat - spentSat, sums.owed - grossSat, sums.reserve + reserveSat);
        } else {
            (sums.vault, sums.owed, sums.reserve) =
            (sums.vault + spentSat - changeSat, sums.owed + grossSat, sums.reserve - reserveSat);
        }
        if (sums.lost != 0) _heal(sums);
        _books = sums;
    }

    // ------------------------------------------------------------------ answers

    function withdrawal(uint256 id) external view returns (Withdrawal memory) {
        Record storage record = _records[id];
        WithdrawalStatus status = _status(record);
        if (status == WithdrawalStatus.None) return Withdrawal(status, address(0), 0, 0, 0, 0, 0, "");
        return Withdrawal(
            status, record.owner, record.amountSat, record.maxFeeSat, record.askedAt, record.tie, record.paidBy, _script(record)
        );
    }

    function withdrawalCount() external view returns (uint256) {
        return _lastWithdrawal;
    }

    function queuedWithdrawals(uint256 after_, uint256 limit) external view returns (uint256[] memory, uint256) {
        return _page(after_, limit, WithdrawalStatus.Queued);
    }

    function tiedWithdrawals(uint256 after_, uint256 limit) external view returns (uint256[] memory, uint256) {
        return _page(after_, limit, WithdrawalStatus.Tied);
    }

    function charge(uint256 scriptLength, uint64 rate) external view returns (uint64) {
        return uint64(Charges.withdrawal(scriptLength, rate, _pegOutFeeSat));
    }

    function floorFee(uint256 scriptLength) public view returns (uint64) {
        return uint64(Charges.withdrawal(scriptLength, _floorRate, _pegOutFeeSat));
    }

    function _page(uint256 after_, uint256 limit, WithdrawalStatus wanted)
        private
        view
        returns (uint256[] memory ids, uint256 next)
    {
        uint256 last = _lastWithdrawal;
        if (after_ > last) after_ = last;
        uint256 stop = last - after_ < limit ? last : after_ + limit;
        ids = new uint256[](stop - after_);
        uint256 count = 0;
        for (uint256 id = after_ + 1; id <= stop; ++id) {
            if (_status(_records[id]) == wanted) ids[count++] = id;
        }
        assembly ("memory-safe") {
            mstore(ids, count)
        }
        next = stop < last ? stop : 0;
    }

    function _isOpen(Record storage record) private view returns (bool) {
        return record.owner != address(0) && record.paidBy == 0 && record.closed == WithdrawalStatus.None;
    }

    function _status(Record storage record) private view returns (WithdrawalStatus) {
        if (record.owner == address(0)) return WithdrawalStatus.None;
        if (record.closed != WithdrawalStatus.None) return record.closed;
        if (record.paidBy != 0) return WithdrawalStatus.Paid;
        return record.tie == 0 || vault.ended(record.tie) ? WithdrawalStatus.Queued : WithdrawalStatus.Tied;
    }

    function _script(Record storage record) private view returns (bytes memory) {
        return OutputScript.unpack(OutputScript.Packed(record.kind, record.length, record.program, record.tail));
    }
}
