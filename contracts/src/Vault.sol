// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {BestChain} from "./bridge/BestChain.sol";
import {Binding} from "./bridge/Binding.sol";
import {BitcoinTransaction} from "./bridge/BitcoinTransaction.sol";
import {Proposals} from "./bridge/Proposals.sol";
import {IBitcoinLightClient} from "./interfaces/IBitcoinLightClient.sol";
import {IBridge} from "./interfaces/IBridge.sol";
import {IDeposits} from "./interfaces/IDeposits.sol";

/// The facts about bound vault transactions: settled, unsettled, void, and what became of their outputs. docs/ledger.md has the machine.
///
/// A vault transaction settles after those whose outputs it spends and is unsettled before them. So the settled ones always form whole chains, each
/// output has at most one settled spender, and unsettling is the exact reverse of settling.
contract Vault is Binding {
    using BestChain for IBitcoinLightClient;
    using BitcoinTransaction for bytes;

    /// A theft that was shown, less deep than final.
    struct Shown {
        uint32 number;
        uint32 height;
        bytes8 blockHead;
    }

    Shown private _alarm;
    uint32 private immutable _alarmBlocks;

    /// @param bridge_ which names the other contracts, and has the parameters.
    /// @param board that counts approvals.
    constructor(IBridge bridge_, address board) Proposals(bridge_, bridge_.parameters(), board) Binding(bridge_.parameters()) {
        _alarmBlocks = bridge_.parameters().alarmBlocks;
    }

    // ------------------------------------------------------------------ settle

    function settle(
        uint32 number,
        Content calldata content,
        bytes calldata transaction,
        IBitcoinLightClient.InclusionProof calldata inclusion
    ) external unlocked {
        (bytes32 txid, bytes32 blockHash, uint32 height) = _client.requireIncluded(transaction, inclusion);
        Output storage output = _outputs[txid];
        if (number == 0 || output.number != number) revert WrongTransaction(txid, _txids[number]);
        _requireContent(output, content);
        bool again = output.flags & SETTLED != 0;
        if (again && _client.holds(output.height, output.blockHead)) revert AlreadySettled(number);

        (output.height, output.blockHead) = (height, bytes8(blockHash));
        emit Settled(number, txid, blockHash, height);
        // docs/ledger.md, "again": its block left, another holds it. Only the block is new, whatever its children are.
        if (again) return;
        output.flags |= SETTLED;
        _book(number, output.changeSat, content, true);
        if (content.deposits.length != 0) _deposits.mintDeep(number, content.deposits, content.rate, height);
    }

    function unsettle(uint32 number, Content calldata content) external unlocked {
        Output storage output = _bound(number, content);
        if (output.flags & SETTLED == 0) revert NotSettled(number);
        if (_client.holds(output.height, output.blockHead)) revert StillConfirmed(number);
        if (output.spentBy != 0) revert SpenderSettled(number, output.spentBy);
        if (output.flags & GONE != 0) revert InputNotLive(0, number, OutputStatus.Gone);
        output.flags &= ~SETTLED;
        (output.height, output.blockHead) = (0, 0);
        emit Unsettled(number, _txids[number]);
        _book(number, output.changeSat, content, false);
    }

    /// Spends the inputs (`up`), or gives them back, and tells the bridge.
    function _book(uint32 number, uint64 changeSat, Content calldata content, bool up) private {
        if (content.deposits.length != 0) {
            (uint64 unmintedSat, uint64 mintedSat) = _deposits.sweep(number, content.deposits, content.rate, up);
            _bridge.bookSweep(changeSat, unmintedSat, mintedSat, up);
            return;
        }
        uint64 spentSat = 0;
        for (uint256 i = 0; i < content.outputs.length; ++i) {
            Output storage input = _output(content.outputs[i]);
            OutputStatus status = _outputStatus(input);
            if (up && status != OutputStatus.Live) revert InputNotLive(number, content.outputs[i], status);
            input.spentBy = up ? number : 0;
            spentSat += input.changeSat;
        }
        _bridge.bookPayout(number, content.withdrawals, changeSat, spentSat, up);
    }

    // ------------------------------------------------------------------ what can never be

    function voidOutput(uint32 number, Content calldata content, uint256 input) external unlocked {
        Output storage output = _bound(number, content);
        if (output.flags & (SETTLED | VOID) != 0 || !_isDead(content, input)) revert NotVoid(number, input);
        output.flags |= VOID;
        emit Voided(number);
    }

    function _isDead(Content calldata content, uint256 input) private view returns (bool) {
        if (content.deposits.length == 0) return input < content.outputs.length && ended(content.outputs[input]);
        if (input >= content.deposits.length) return false;
        Outpoint calldata outpoint = content.deposits[input];
        IDeposits.Deposit memory found = _deposits.deposit(outpoint.txid, outpoint.vout);
        return found.status == IDeposits.DepositStatus.Gone || _isFinal(found.sweptBy);
    }

    function gone(uint32 number, bytes calldata killer, IBitcoinLightClient.InclusionProof calldata inclusion) external unlocked {
        (bytes32 killerTxid,,) = _requireStolen(number, killer, inclusion, _finalBlocks);
        Output storage output = _output(number);
        output.flags |= GONE;
        emit OutputGone(number, killerTxid, output.changeSat);
        _bridge.bookLostOutput(output.changeSat);
    }

    function alarm(uint32 number, bytes calldata killer, IBitcoinLightClient.InclusionProof calldata inclusion)
        external
        unlocked
    {
        // One that stands is enough, and nobody fills the chain with others.
        if (alarmed()) revert AlreadyAlarmed();
        (bytes32 killerTxid, uint32 height, bytes32 blockHash) = _requireStolen(number, killer, inclusion, _alarmBlocks);
        _alarm = Shown(number, height, bytes8(blockHash));
        emit Alarm(number, killerTxid, height);
    }

    function _requireStolen(
        uint32 number,
        bytes calldata killer,
        IBitcoinLightClient.InclusionProof calldata inclusion,
        uint32 wantDepth
    ) private view returns (bytes32 killerTxid, uint32 height, bytes32 blockHash) {
        bytes32 txid = _txids[number];
        OutputStatus status = _outputStatus(_outputs[txid]);
        if (status != OutputStatus.Live) revert InputNotLive(0, number, status);
        (killerTxid, blockHash, height) = _client.requireIncluded(killer, inclusion);
        uint32 known = _outputs[killerTxid].number;
        if (known != 0) revert KillerIsBound(killerTxid, known);
        if (!killer.spends(txid, 0)) revert DoesNotSpend(killerTxid);
        uint256 depth = _client.depth(height);
        if (depth < wantDepth) revert TooFewConfirmations(depth, wantDepth);
    }

    // ------------------------------------------------------------------ answers

    function ended(uint32 number) public view returns (bool) {
        Output storage output = _output(number);
        return output.flags & (GONE | VOID) != 0 || _isFinal(output.spentBy);
    }

    function alarmed() public view returns (bool) {
        Shown storage shown = _alarm;
        return shown.number != 0 && _output(shown.number).flags & GONE == 0 && _client.holds(shown.height, shown.blockHead);
    }

    function requireSettled(uint32 number, bytes32 contentHash) external view returns (uint32 height) {
        Output storage output = _output(number);
        if (output.flags & SETTLED == 0) revert NotSettled(number);
        if (output.content != contentHash) revert WrongContent(contentHash, output.content);
        if (!_client.holds(output.height, output.blockHead)) revert BlockLeft(number);
        return output.height;
    }

    function isFinal(uint32 number) external view returns (bool) {
        return _isFinal(number);
    }

    function lostSat(bytes32 txid) external view returns (uint64) {
        Output storage output = _outputs[txid];
        return output.flags & GONE != 0 ? output.changeSat : 0;
    }

    function vaultTransaction(uint32 number) external view returns (VaultTransaction memory) {
        Output storage output = _output(number);
        return VaultTransaction(
            _status(output),
            _outputStatus(output),
            _txids[number],
            output.content,
            output.changeSat,
            output.spentBy,
            output.height,
            output.blockHead,
            output.epoch,
            uint8(output.flags >> SCRIPT_VERSION_AT),
            output.changeSat != 0 && _isRooted(number)
        );
    }

    function liveOutputs(uint32 after_, uint32 limit) external view returns (uint32[] memory numbers, uint32 next) {
        uint32 last = vaultTransactionCount;
        if (after_ > last) after_ = last;
        uint32 end = last - after_ < limit ? last : after_ + limit;
        numbers = new uint32[](end - after_);
        uint256 count = 0;
        for (uint32 number = after_ + 1; number <= end; ++number) {
            if (_outputStatus(_output(number)) == OutputStatus.Live) numbers[count++] = number;
        }
        assembly ("memory-safe") {
            mstore(numbers, count)
        }
        next = end < last ? end : 0;
    }

    function _status(Output storage output) private view returns (VaultStatus) {
        if (output.number == 0) return VaultStatus.None;
        if (output.flags & VOID != 0) return VaultStatus.Void;
        return output.flags & SETTLED != 0 ? VaultStatus.Settled : VaultStatus.Bound;
    }

    function _bound(uint32 number, Content calldata content) private view returns (Output storage output) {
        output = _output(number);
        if (output.number == 0) revert NoSuchVaultTransaction(number);
        _requireContent(output, content);
    }

    function _requireContent(Output storage output, Content calldata content) private view {
        bytes32 hash = hashOf(content);
        if (output.content != hash) revert WrongContent(hash, output.content);
    }
}
