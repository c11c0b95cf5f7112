// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IBridge} from "../src/interfaces/IBridge.sol";
import {Peg} from "./Peg.sol";

/// Peg-out: the queue, cancelling, and the fees and sizes of vault transactions.
contract WithdrawalsTest is Peg {
    function setUp() public {
        createPeg();
    }

    function test_a_withdrawal_is_queued_paid_and_settled() public {
        uint256 first = pegIn(ALICE, 1e8);
        uint256 id = withdraw(ALICE, 4e7, 1000, P2TR);
        IBridge.Withdrawal memory record = bridge.withdrawal(id);
        vm.assertTrue(record.status == IBridge.WithdrawalStatus.Queued);
        vm.assertEq(record.owner, ALICE);
        vm.assertEq(record.script, P2TR);
        vm.assertEq(bridge.queuedWithdrawals(10)[0], id);
        requireLedger(1e8 - 740, 4e7, 0, 0);
        requireBalanced(0);

        uint256 number = propose(paying(first, id, 300));
        vm.assertEq(bridge.queuedWithdrawals(10).length, 0);
        vm.assertEq(bridge.availableVaultOutputs(10).length, 0);
        vm.assertTrue(bridge.vaultTransaction(first).output == IBridge.OutputStatus.Spending);
        vm.assertTrue(bridge.withdrawal(id).status == IBridge.WithdrawalStatus.Paying);
        vm.assertEq(bridge.withdrawal(id).shareSat, 540);
        vm.assertEq(bridge.vaultTransaction(number).changeSat, 1e8 - 740 - 4e7);
        requireBalanced(0);

        confirmAndSettle(number);
        vm.assertTrue(bridge.withdrawal(id).status == IBridge.WithdrawalStatus.Paid);
        vm.assertTrue(bridge.vaultTransaction(first).output == IBridge.OutputStatus.Spent);
        requireLedger(1e8 - 740 - 4e7, 0, 0, 0);
        requireBalanced(0);
    }

    function test_a_withdrawal_is_cancelled_and_refunded_while_queued_only() public {
        uint256 first = pegIn(ALICE, 1e8);
        uint256 id = withdraw(ALICE, 4e7, 1000, P2TR);
        vm.expectRevert(abi.encodeWithSelector(IBridge.NotOwner.selector, BOB, ALICE));
        vm.prank(BOB);
        bridge.cancel(id);
        uint256 before = ALICE.balance;
        vm.prank(ALICE);
        bridge.cancel(id);
        vm.assertEq(ALICE.balance, before + 4e7 * WEI_PER_SAT);
        vm.assertTrue(bridge.withdrawal(id).status == IBridge.WithdrawalStatus.Cancelled);
        requireLedger(1e8 - 740, 0, 0, 0);
        requireBalanced(0);

        // It cannot be cancelled again,
        vm.expectRevert(abi.encodeWithSelector(IBridge.WithdrawalNotQueued.selector, id, IBridge.WithdrawalStatus.Cancelled));
        vm.prank(ALICE);
        bridge.cancel(id);
        // nor paid any more,
        refuse(
            paying(first, id, 300),
            abi.encodeWithSelector(IBridge.WithdrawalNotQueued.selector, id, IBridge.WithdrawalStatus.Cancelled)
        );
        // nor cancelled once it is being paid, or is paid.
        id = withdraw(ALICE, 4e7, 1000, P2TR);
        uint256 number = propose(paying(first, id, 300));
        vm.expectRevert(abi.encodeWithSelector(IBridge.WithdrawalNotQueued.selector, id, IBridge.WithdrawalStatus.Paying));
        vm.prank(ALICE);
        bridge.cancel(id);
        confirmAndSettle(number);
        vm.expectRevert(abi.encodeWithSelector(IBridge.WithdrawalNotQueued.selector, id, IBridge.WithdrawalStatus.Paid));
        vm.prank(ALICE);
        bridge.cancel(id);
        vm.expectRevert(abi.encodeWithSelector(IBridge.WithdrawalNotQueued.selector, 99, IBridge.WithdrawalStatus.None));
        bridge.cancel(99);
    }

    function test_bad_withdrawals_are_refused() public {
        pegIn(ALICE, 1e8);
        vm.prank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(IBridge.NotWholeSat.selector, 1e15 + 1));
        bridge.withdraw{value: 1e15 + 1}(P2TR, 0);
        vm.prank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(IBridge.AmountOutOfRange.selector, 9_999, 10_000));
        bridge.withdraw{value: 9_999 * WEI_PER_SAT}(P2TR, 0);
        vm.prank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(IBridge.FeeLeavesDust.selector, 10_000, 9_671, 330));
        bridge.withdraw{value: 10_000 * WEI_PER_SAT}(P2TR, 9_671);
        vm.prank(ALICE);
        bridge.withdraw{value: 10_000 * WEI_PER_SAT}(P2TR, 9_670);
        vm.prank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(IBridge.ScriptNotStandard.selector, bytes(hex"6a00")));
        bridge.withdraw{value: 10_000 * WEI_PER_SAT}(hex"6a00", 0);
        vm.prank(ALICE);
        (bool ok,) = address(bridge).call{value: 1 ether / 10}("");
        vm.assertFalse(ok);
    }

    function test_a_withdrawal_is_paid_once_in_a_proposal_and_its_fee_limit_holds() public {
        uint256 first = pegIn(ALICE, 1e8);
        uint256 id = withdraw(ALICE, 4e7, 539, P2WPKH);
        IBridge.Proposal memory proposal = paying(first, id, 300);
        refuse(proposal, abi.encodeWithSelector(IBridge.ShareTooLarge.selector, 0, 540, 539));
        proposal.withdrawals = new uint256[](2);
        proposal.withdrawals[0] = proposal.withdrawals[1] = id;
        refuse(proposal, abi.encodeWithSelector(IBridge.WithdrawalNotQueued.selector, id, IBridge.WithdrawalStatus.Paying));
        proposal = paying(first, id, 299);
        proposal.vaultInputs = new uint256[](2);
        proposal.vaultInputs[0] = proposal.vaultInputs[1] = first;
        refuse(proposal, abi.encodeWithSelector(IBridge.OutputNotAvailable.selector, first, IBridge.OutputStatus.Spending));
        propose(paying(first, id, 299));
    }

    function test_the_queue_is_first_come_first_listed() public {
        pegIn(ALICE, 1e8);
        for (uint256 i = 0; i < 5; ++i) {
            withdraw(ALICE, 20_000, 1000, P2WPKH);
        }
        vm.prank(ALICE);
        bridge.cancel(2);
        uint256[] memory ids = bridge.queuedWithdrawals(3);
        vm.assertEq(ids.length, 3);
        vm.assertEq(ids[1], 3);
        ids = bridge.queuedWithdrawalsAfter(3, 10);
        vm.assertEq(ids.length, 2);
        vm.assertEq(ids[0], 4);
        vm.assertEq(ids[1], 5);
        vm.assertEq(bridge.withdrawalCount(), 5);
    }

    function test_the_fee_has_bounds() public {
        Funding memory funding = fund(ALICE, 1e8, 100_000);
        // 4 + 1 + 41 + 1 + 43 + 13 + 4 = 107 bytes, (428 + 2 + 66) / 4 = 124 vB
        refuse(sweeping(funding, 123), abi.encodeWithSelector(IBridge.FeeOutOfBounds.selector, 123, 124, 62_000));
        refuse(sweeping(funding, 62_001), abi.encodeWithSelector(IBridge.FeeOutOfBounds.selector, 62_001, 124, 62_000));
        sweep(funding, 124);
        sweep(fund(ALICE, 1e8, 100_000), 62_000);
    }

    /// 319 withdrawals of 31 vB (P2WPKH) and one input make 9,998 vB; the count of outputs takes three bytes.
    function test_the_largest_transaction_has_10000_vbytes() public {
        uint256 first = pegIn(ALICE, 2e8);
        uint256[] memory ids = new uint256[](320);
        for (uint256 i = 0; i < 320; ++i) {
            ids[i] = withdraw(ALICE, 10_000, 1000, P2WPKH);
        }
        IBridge.Proposal memory proposal = paying(first, 0, 20_000);
        proposal.withdrawals = ids;
        uint256 vsize = 4 * (4 + 1 + 41 + 3 + 43 + 13 + 4 + 320 * 31) + 2 + 66;
        refuse(proposal, abi.encodeWithSelector(IBridge.TransactionTooLarge.selector, (vsize + 3) / 4, 10_000));
        proposal.withdrawals = new uint256[](318);
        for (uint256 i = 0; i < 318; ++i) {
            proposal.withdrawals[i] = ids[i];
        }
        uint256 before = gasleft();
        uint256 number = propose(proposal);
        emit Gas("propose 318 withdrawals (with the test's own work)", before - gasleft());
        Block memory mined = mine(unsigned[number]);
        mineEmpty(1);
        before = gasleft();
        bridge.settle(number, unsigned[number], prove(mined, 1));
        vm.assertLt(before - gasleft(), 1 << 24);
        emit Gas("settle 318 withdrawals (with the test's own work)", before - gasleft());
        requireBalanced(0);
    }

    event Gas(string what, uint256 used);

    function test_a_transaction_without_participants_is_paid_from_the_reserve() public {
        uint256 first = pegIn(ALICE, 1e8);
        refuse(paying(first, 0, 300), abi.encodeWithSelector(IBridge.ReserveTooSmall.selector, 0, 540));
        vm.prank(ALICE);
        bridge.fundReserve{value: 1000 * WEI_PER_SAT}();
        requireBalanced(0);
        uint256 number = propose(paying(first, 0, 300));
        requireLedger(1e8 - 740, 0, 460, 0);
        confirmAndSettle(number);
        requireLedger(1e8 - 740 - 540, 0, 460, 0);
        requireBalanced(0);
    }
}
