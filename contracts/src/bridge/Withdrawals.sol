// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Deposits} from "./Deposits.sol";
import {NumberList} from "./NumberList.sol";
import {OutputScript} from "./OutputScript.sol";

/// The queue of withdrawals: coins come in here and wait for a vault transaction; until then their owner can cancel.
abstract contract Withdrawals is Deposits {
    using NumberList for NumberList.List;

    function withdraw(bytes calldata script, uint64 maxFeeSat) external payable nonReentrant returns (uint256 id) {
        uint64 amountSat = _wholeSat(msg.value);
        if (amountSat < _parameters.minWithdrawalSat) revert AmountOutOfRange(amountSat, _parameters.minWithdrawalSat);
        uint64 dustSat = OutputScript.dust(script);
        if (amountSat < dustSat || maxFeeSat > amountSat - dustSat) revert FeeLeavesDust(amountSat, maxFeeSat, dustSat);

        id = ++withdrawalCount;
        WithdrawalRecord storage queued = _withdrawals[id];
        queued.owner = msg.sender;
        queued.amountSat = amountSat;
        queued.maxFeeSat = maxFeeSat;
        queued.script = script;
        _queue.append(id);
        _ledger.owedSat += amountSat;
        emit WithdrawalQueued(id, msg.sender, amountSat, maxFeeSat, script);
    }

    /// Until a vault transaction that pays it is proposed: from then on it is Paying (`_takeWithdrawals` in VaultTransactions.sol).
    function cancel(uint256 id) external nonReentrant {
        WithdrawalRecord storage record = _withdrawals[id];
        WithdrawalStatus status = _withdrawalStatus(record);
        // docs/architecture.md#cancelling-a-withdrawal: only while nothing that pays it was proposed.
        if (status != WithdrawalStatus.Queued) revert WithdrawalNotQueued(id, status);
        if (msg.sender != record.owner) revert NotOwner(msg.sender, record.owner);

        record.cancelled = true;
        _queue.remove(id);
        _ledger.owedSat -= record.amountSat;
        emit WithdrawalCancelled(id);
        _send(record.owner, record.amountSat);
    }

    function queuedWithdrawals(uint256 limit) external view returns (uint256[] memory) {
        return _queue.behind(0, limit);
    }

    function queuedWithdrawalsAfter(uint256 id, uint256 limit) external view returns (uint256[] memory) {
        WithdrawalStatus status = _withdrawalStatus(_withdrawals[id]);
        if (status != WithdrawalStatus.Queued) revert WithdrawalNotQueued(id, status);
        return _queue.behind(id, limit);
    }
}
