// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {WrappedBtc} from "../src/WrappedBtc.sol";
import {IBridge} from "../src/interfaces/IBridge.sol";
import {IDeposits} from "../src/interfaces/IDeposits.sol";
import {Peg} from "./Peg.sol";
import {Refuser} from "./Recipients.sol";

/// Withdrawals for somebody else, of which those from a balance of WrappedBtc are one case.
contract LedgerWrappedTest is Peg {
    event log_named_uint(string key, uint256 val);

    WrappedBtc private token;
    /// Of the vault, which pays Alice's withdrawals.
    uint32 private output;

    function setUp() public {
        createSeededPeg();
        token = new WrappedBtc(bridge, address(0));
        output = pegIn(ALICE, 1e8);
        vm.prank(ALICE);
        token.deposit{value: 0.5 ether}();
    }

    function toBitcoin(address owner, uint64 amountSat) private returns (uint256 id) {
        vm.prank(owner);
        id = token.withdrawToBitcoin(uint256(amountSat) * WEI_PER_SAT, P2TR, 1_000);
        requireBooks();
        vm.assertEq(address(token).balance, token.totalSupply());
    }

    function test_a_withdrawal_goes_to_bitcoin_straight_from_a_balance() public {
        uint256 id = toBitcoin(ALICE, 0.1e8);
        IBridge.Withdrawal memory queued = bridge.withdrawal(id);
        vm.assertEq(queued.owner, ALICE);
        vm.assertEq(queued.amountSat, 0.1e8);
        vm.assertEq(token.balanceOf(ALICE), 0.4 ether);
        vm.assertEq(token.totalSupply(), 0.4 ether);
        confirmAndSettle(bind(payoutOf(output, id, RATE)));
        requireStatus(id, IBridge.WithdrawalStatus.Paid);
    }

    function test_what_is_not_paid_comes_back_as_coins_to_its_owner() public {
        uint256 id = toBitcoin(ALICE, 0.1e8);
        uint256 other = toBitcoin(ALICE, 0.2e8);
        uint256 before = ALICE.balance;
        vm.expectRevert(abi.encodeWithSelector(IBridge.NotOwner.selector, address(token), ALICE));
        vm.prank(address(token));
        bridge.cancel(id);
        cancel(ALICE, id);
        vm.assertEq(ALICE.balance, before + 0.1 ether);
        vm.warp(block.timestamp + parameters().refundAfter);
        bridge.refund(other);
        vm.assertEq(ALICE.balance, before + 0.3 ether);
        vm.assertEq(token.balanceOf(ALICE), 0.2 ether);
        vm.assertEq(address(token).balance, token.totalSupply());
    }

    /// Whoever takes no coins has them to claim, as from any withdrawal.
    function test_a_refund_that_its_owner_does_not_take_waits_for_it() public {
        Refuser owner = new Refuser();
        vm.prank(ALICE);
        token.transfer(address(owner), 0.1 ether);
        uint256 id = toBitcoin(address(owner), 0.1e8);
        vm.warp(block.timestamp + parameters().refundAfter);
        bridge.refund(id);
        vm.assertEq(bridge.claimable(address(owner)), 0.1e8);
        owner.claim(bridge, BOB);
        vm.assertEq(BOB.balance, 0.1 ether);
        requireBooks();
    }

    function test_what_the_bridge_would_refuse_burns_nothing() public {
        vm.expectRevert(abi.encodeWithSelector(IBridge.NotWholeSat.selector, 0.1 ether + 1));
        vm.prank(ALICE);
        token.withdrawToBitcoin(0.1 ether + 1, P2TR, 1_000);
        vm.expectRevert(abi.encodeWithSelector(IBridge.AmountOutOfRange.selector, 999, 1_000, 100e8));
        vm.prank(ALICE);
        token.withdrawToBitcoin(999 * WEI_PER_SAT, P2TR, 500);
        vm.expectRevert(abi.encodeWithSelector(IBridge.ScriptNotStandard.selector, bytes(hex"6a")));
        vm.prank(ALICE);
        token.withdrawToBitcoin(0.1 ether, hex"6a", 1_000);
        vm.expectRevert(abi.encodeWithSignature("Error(string)", "WrappedBtc: transfer amount exceeds balance"));
        vm.prank(ALICE);
        token.withdrawToBitcoin(0.6 ether, P2TR, 1_000);
        vm.assertEq(token.balanceOf(ALICE), 0.5 ether);
        vm.assertEq(token.totalSupply(), 0.5 ether);
        vm.assertEq(bridge.withdrawalCount(), 0);
    }

    function test_a_withdrawal_for_somebody_else_is_theirs() public {
        vm.prank(ALICE);
        uint256 id = bridge.withdrawFor{value: 0.1 ether}(BOB, P2TR, 1_000);
        requireBooks();
        vm.assertEq(bridge.withdrawal(id).owner, BOB);
        vm.expectRevert(abi.encodeWithSelector(IBridge.NotOwner.selector, ALICE, BOB));
        vm.prank(ALICE);
        bridge.raise(id, 2_000);
        cancel(BOB, id);
        vm.assertEq(BOB.balance, 0.1 ether);
    }

    function test_nobody_withdraws_for_an_account_that_takes_nothing_back() public {
        address[2] memory nobodies = [address(0), address(bridge)];
        for (uint256 i = 0; i < 2; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IBridge.BadOwner.selector, nobodies[i]));
            vm.prank(ALICE);
            bridge.withdrawFor{value: 0.1 ether}(nobodies[i], P2TR, 1_000);
        }
    }

    /// The token takes no coins of a deposit: the claimant in its terms has them.
    function test_a_deposit_for_the_token_is_its_claimants() public {
        IDeposits.Terms memory terms = terms_(address(token), 10_000);
        terms.claimant = BOB;
        Funding memory funding = fund(terms, 0.01e8);
        proveDeposit(funding);
        mineEmpty(6);
        confirmAndSettle(bindSweep(funding, RATE));
        vm.assertEq(bridge.claimable(BOB), deposit(funding).mintedSat);
        vm.assertTrue(bridge.claimable(BOB) != 0);
        vm.assertEq(token.balanceOf(address(bridge)), 0);
        requireBooks();
    }

    /// forge-config: default.isolate = true
    function test_what_a_withdrawal_from_a_balance_costs() public {
        toBitcoin(ALICE, 0.1e8);
        vm.prank(ALICE);
        token.withdrawToBitcoin(0.1 ether, P2TR, 1_000);
        uint256 total = vm.lastCallGas().gasTotalUsed;
        emit log_named_uint("withdrawToBitcoin P2TR", total);
        vm.assertTrue(total > 21_000, "measured without isolation");
        vm.assertLe(total, 140_000);
    }
}
