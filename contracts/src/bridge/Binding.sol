// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ByteWriter} from "../ByteWriter.sol";
import {BestChain} from "./BestChain.sol";
import {BitcoinTransaction} from "./BitcoinTransaction.sol";
import {Charges} from "./Charges.sol";
import {Proposals} from "./Proposals.sol";
import {IBitcoinLightClient} from "../interfaces/IBitcoinLightClient.sol";
import {IBridge} from "../interfaces/IBridge.sol";
import {IDeposits} from "../interfaces/IDeposits.sol";

/// From an approved proposal to the bytes to sign. Everything is looked at anew: what is not to be had any more is skipped.
abstract contract Binding is Proposals {
    using BestChain for IBitcoinLightClient;
    using BitcoinTransaction for ByteWriter.Writer;

    /// A vault transaction and its output 0, by its txid. Two slots, and one for the txid by number.
    struct Output {
        bytes32 content;
        /// 0: it has no such output.
        uint64 changeSat;
        /// The settled vault transaction that spends it; 0: none.
        uint32 spentBy;
        /// Of the block it settled in.
        uint32 height;
        bytes8 blockHead;
        /// More epochs than there will be.
        uint24 epoch;
        /// What became of it, and above these four bits the version of its output's script.
        uint8 flags;
        /// 0: there is none.
        uint32 number;
    }

    /// A vault transaction in the making.
    struct Draft {
        Content content;
        Outpoint[] inputs;
        uint64[] amountsSat;
        uint256 inputsSat;
        /// To withdrawals, less what they are charged.
        uint256 paidSat;
        /// Of withdrawals, or deposits.
        int256 chargesSat;
        /// What maxima leave unpaid of whole charges.
        uint256 shortSat;
        /// Outputs of withdrawals, serialised.
        bytes payouts;
        uint256 changeSat;
        /// Miners' fee and anchor.
        uint256 costSat;
        uint256 stripped;
        /// The reserve's state must not stop it.
        bool exempt;
        /// It spends a rooted output.
        bool rooted;
    }

    uint8 internal constant SETTLED = 1;
    uint8 internal constant GONE = 2;
    uint8 internal constant VOID = 4;
    /// It spends an output that was rooted when it was bound.
    uint8 private constant ROOTED = 8;
    /// The group key with the recovery leaf alone. Another leaf is another version.
    uint8 private constant SCRIPT_VERSION = 1;
    uint256 internal constant SCRIPT_VERSION_AT = 4;
    /// Dust limit of a taproot output.
    uint256 private constant MIN_CHANGE_SAT = 330;
    /// amount, script length, `5120<key>`
    uint256 private constant CHANGE_BYTES = 43;
    uint256 private constant ANCHOR_BYTES = 13;

    mapping(bytes32 txid => Output) internal _outputs;
    mapping(uint32 number => bytes32 txid) internal _txids;
    uint32 public vaultTransactionCount;

    IDeposits internal immutable _deposits;
    IBitcoinLightClient internal immutable _client;
    uint32 internal immutable _finalBlocks;
    uint64 private immutable _capSat;
    uint256 private immutable _usefulSat;
    uint256 private immutable _stopSat;

    constructor(IBridge.Parameters memory parameters) {
        (_deposits, _client) = (_bridge.deposits(), _bridge.lightClient());
        (_finalBlocks, _capSat, _usefulSat) = (parameters.finalBlocks, parameters.capSat, parameters.usefulSat);
        _stopSat = parameters.stopSat;
    }

    function bind(uint64 proposal, Content calldata content) external unlocked returns (uint32 number) {
        _takeApproved(proposal, content);
        number = ++vaultTransactionCount;
        Draft memory draft;
        (draft.content.epoch, draft.content.rate, draft.content.reserveSat) = (content.epoch, content.rate, content.reserveSat);
        if (content.deposits.length != 0) {
            _draftSweep(content, draft);
        } else {
            draft.rooted = _isRooted(content.outputs[0]);
            _draftPayout(number, content, draft);
            // Only what is left of the inputs counts.
            for (uint256 i = 1; !draft.rooted && i < draft.content.outputs.length; ++i) {
                draft.rooted = _isRooted(draft.content.outputs[i]);
            }
        }
        _requireReserve(draft);
        _record(number, proposal, draft, _write(draft));
    }

    // ------------------------------------------------------------------ a sweep

    function _draftSweep(Content calldata content, Draft memory draft) private {
        IBridge.Books memory books = _bridge.books();
        uint256 held = uint256(books.vault) + books.unswept + books.lost;
        uint64 room = held < _capSat ? uint64(_capSat - held) : 0;
        (draft.content.deposits, draft.amountsSat, draft.chargesSat, draft.shortSat, draft.exempt) =
            _deposits.take(content.deposits, content.epoch, content.rate, room);
        if (draft.amountsSat.length == 0) revert NothingLeft();
        draft.inputs = draft.content.deposits;
        draft.inputsSat = _sum(draft.amountsSat, draft.amountsSat.length);
        _size(draft, draft.inputs.length, true);
        if (!_changes(draft, MIN_CHANGE_SAT)) revert TooLittle(draft.inputsSat, draft.costSat);
    }

    // ------------------------------------------------------------------ a payout

    function _draftPayout(uint32 number, Content calldata content, Draft memory draft) private {
        _takeOutputs(content, draft);
        if (content.withdrawals.length == 0) {
            // docs/ledger.md, "consolidation": the reserve pays it.
            if (content.outputs.length != 1 && draft.inputs.length == 1) revert NothingLeft();
            _fit(draft, draft.inputs.length);
            return;
        }
        uint256[4] memory sums;
        (draft.content.withdrawals, draft.payouts, sums) = _bridge.tie(number, content, draft.content.outputs, draft.rooted);
        if (draft.content.withdrawals.length == 0) {
            // docs/ledger.md, "rooted": the rest of the answer would not help.
            if (!draft.rooted) revert NotRooted(content.outputs[0]);
            revert NothingLeft();
        }
        draft.paidSat = sums[0] - sums[1];
        (draft.chargesSat, draft.shortSat) = (int256(sums[1]), sums[3]);
        _fit(draft, sums[2]);
    }

    /// The first must be live, for ties are to it; of the others those that are.
    function _takeOutputs(Content calldata content, Draft memory draft) private view {
        uint256 wanted = content.outputs.length;
        (uint32[] memory kept, Outpoint[] memory inputs) = (new uint32[](wanted), new Outpoint[](wanted));
        uint64[] memory amountsSat = new uint64[](wanted);
        uint256 count = 0;
        for (uint256 i = 0; i < wanted; ++i) {
            uint32 number = content.outputs[i];
            bytes32 txid = _txids[number];
            Output storage output = _outputs[txid];
            OutputStatus status = _outputStatus(output);
            bool fits = output.epoch == content.epoch;
            if (i == 0 && status != OutputStatus.Live) revert OutputNotLive(number, status);
            if (i == 0 && !fits) revert WrongEpoch(number, output.epoch, content.epoch);
            if (status != OutputStatus.Live || !fits) continue;
            (kept[count], inputs[count], amountsSat[count]) = (number, Outpoint(txid, 0), output.changeSat);
            ++count;
        }
        (draft.content.outputs, draft.inputs, draft.amountsSat) = (kept, inputs, amountsSat);
        _shorten(draft, count);
    }

    /// Takes the first inputs that suffice, at least `need`, and decides the change: useful, or none (it goes to the miners then, if the reserve can
    /// afford that), or at least not dust.
    function _fit(Draft memory draft, uint256 need) private view {
        uint256 all = draft.inputs.length;
        bool pays = draft.content.withdrawals.length != 0;
        for (uint256 count = need == 0 ? 1 : need; count <= all; ++count) {
            draft.inputsSat = _sum(draft.amountsSat, count);
            _size(draft, count, true);
            if (!_changes(draft, _usefulSat)) continue;
            _shorten(draft, count);
            return;
        }
        if (pays && _withoutChange(draft)) return;
        _size(draft, all, true);
        if (!_changes(draft, MIN_CHANGE_SAT)) revert TooLittle(draft.inputsSat, draft.paidSat + draft.costSat);
    }

    function _changes(Draft memory draft, uint256 leastSat) private pure returns (bool) {
        uint256 outSat = draft.paidSat + draft.costSat;
        if (draft.inputsSat < outSat + leastSat) return false;
        draft.changeSat = draft.inputsSat - outSat;
        return true;
    }

    function _withoutChange(Draft memory draft) private view returns (bool) {
        _size(draft, draft.inputs.length, false);
        if (draft.inputsSat < draft.paidSat + draft.costSat) return false;
        draft.costSat = draft.inputsSat - draft.paidSat;
        uint256 needSat = _needSat(draft);
        // Not on credit: change that is made costs the reserve less.
        return needSat == 0 || (needSat <= draft.content.reserveSat && int256(needSat) <= _bridge.books().reserve);
    }

    function _shorten(Draft memory draft, uint256 count) private pure {
        (uint32[] memory outputs, Outpoint[] memory inputs) = (draft.content.outputs, draft.inputs);
        uint64[] memory amountsSat = draft.amountsSat;
        assembly ("memory-safe") {
            mstore(outputs, count)
            mstore(inputs, count)
            mstore(amountsSat, count)
        }
    }

    // ------------------------------------------------------------------ both

    function _size(Draft memory draft, uint256 inputs, bool change) private pure {
        uint256 outputs = draft.content.withdrawals.length + (change ? 2 : 1);
        uint256 bytesOut = draft.payouts.length + ANCHOR_BYTES + (change ? CHANGE_BYTES : 0);
        draft.stripped = BitcoinTransaction.strippedSize(inputs, outputs, bytesOut);
        uint256 vsize = BitcoinTransaction.vsize(draft.stripped, inputs);
        if (vsize > BitcoinTransaction.MAX_VSIZE) revert TransactionTooLarge(vsize, BitcoinTransaction.MAX_VSIZE);
        draft.costSat = Charges.cost(vsize, draft.content.rate);
    }

    /// What the reserve adds.
    function _needSat(Draft memory draft) private pure returns (uint256) {
        int256 need = int256(draft.costSat) - draft.chargesSat;
        return need <= 0 ? 0 : uint256(need);
    }

    /// Who needs nothing is not asked: the reserve may be overdrawn.
    function _requireReserve(Draft memory draft) private view {
        uint256 needSat = _needSat(draft);
        if (needSat == 0) return;
        IBridge.Books memory books = _bridge.books();
        bool named = needSat <= draft.content.reserveSat;
        bool there = draft.exempt || _affords(needSat, draft.shortSat, books);
        if (!named || !there) revert ReserveTooSmall(needSat, draft.content.reserveSat, books.reserve);
    }

    /// docs/ledger.md, "credit": the reserve has it, or is overdrawn by it. What maxima leave unpaid it must have: else whoever names a low maximum
    /// before a spike would draw on all others.
    function _affords(uint256 needSat, uint256 shortSat, IBridge.Books memory books) private view returns (bool) {
        int256 overdraft = int256(needSat) - books.reserve;
        if (overdraft <= 0) return true;
        if (shortSat != 0 && int256(shortSat) > books.reserve) return false;
        uint256 overdraftSat = uint256(overdraft);
        return 2 * overdraftSat <= _stopSat && uint256(books.lost) + books.unswept + overdraftSat < _stopSat;
    }

    function _write(Draft memory draft) private view returns (bytes memory) {
        ByteWriter.Writer memory writer = BitcoinTransaction.start(draft.stripped, draft.inputs);
        bool change = draft.changeSat != 0;
        ByteWriter.putCount(writer, draft.content.withdrawals.length + (change ? 2 : 1));
        if (change) {
            bytes32 vaultKey = _federation.vaultKey(_federation.epoch());
            writer.putOutput(uint64(draft.changeSat), bytes.concat(hex"5120", vaultKey));
        }
        ByteWriter.putBytes(writer, draft.payouts);
        writer.putOutput(BitcoinTransaction.ANCHOR_SAT, BitcoinTransaction.ANCHOR_SCRIPT);
        return writer.finish();
    }

    function _record(uint32 number, uint64 proposal, Draft memory draft, bytes memory transaction) private {
        bytes32 txid = sha256(bytes.concat(sha256(transaction)));
        Output storage output = _outputs[txid];
        if (output.number != 0) revert AlreadyBound(output.number);
        _txids[number] = txid;
        output.content = keccak256(abi.encode(draft.content));
        (output.changeSat, output.epoch, output.number) = (uint64(draft.changeSat), uint24(_federation.epoch()), number);
        output.flags = SCRIPT_VERSION << uint8(SCRIPT_VERSION_AT) | (draft.rooted ? ROOTED : 0);
        emit Bound(number, txid, proposal, draft.content, uint64(draft.changeSat), draft.amountsSat, transaction);
    }

    function numberOf(bytes32 txid) external view returns (uint32) {
        return _outputs[txid].number;
    }

    function _output(uint32 number) internal view returns (Output storage) {
        return _outputs[_txids[number]];
    }

    function _sum(uint64[] memory amounts, uint256 count) private pure returns (uint256 sum) {
        for (uint256 i = 0; i < count; ++i) {
            sum += amounts[i];
        }
    }

    /// docs/ledger.md, "rooted": what is tied to it can always be ended, by a version over something that no reorganisation takes.
    function _isRooted(uint32 number) internal view returns (bool) {
        return _output(number).flags & ROOTED != 0 || _isFinal(number);
    }

    /// Settled, and beyond any reorganisation. Not for 0.
    function _isFinal(uint32 number) internal view returns (bool) {
        Output storage output = _output(number);
        return output.flags & SETTLED != 0 && _client.isDeep(output.height, output.blockHead, _finalBlocks);
    }

    function _outputStatus(Output storage output) internal view returns (OutputStatus) {
        uint8 flags = output.flags;
        if (output.changeSat == 0) return OutputStatus.None;
        if (flags & GONE != 0) return OutputStatus.Gone;
        if (flags & VOID != 0) return OutputStatus.Void;
        if (flags & SETTLED == 0) return OutputStatus.Pending;
        return output.spentBy == 0 ? OutputStatus.Live : OutputStatus.Spent;
    }
}
