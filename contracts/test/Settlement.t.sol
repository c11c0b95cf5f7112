// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IBitcoinLightClient} from "../src/interfaces/IBitcoinLightClient.sol";
import {IBridge} from "../src/interfaces/IBridge.sol";
import {Peg} from "./Peg.sol";

/// A vault transaction counts once it is confirmed, and no longer when a reorganisation has removed it.
contract SettlementTest is Peg {
    function setUp() public {
        createPeg();
    }

    function test_settlement_needs_its_confirmations() public {
        uint256 number = sweep(fund(ALICE, SMALL_SAT + 1, 1000), 500);
        vm.assertEq(bridge.vaultTransaction(number).requiredConfirmations, LARGE_CONFIRMATIONS);
        Block memory mined = mine(unsigned[number]);
        mineEmpty(LARGE_CONFIRMATIONS - 2);
        IBitcoinLightClient.InclusionProof memory proof = prove(mined, 1);
        vm.expectRevert(abi.encodeWithSelector(IBridge.TooFewConfirmations.selector, 5, 6));
        bridge.settle(number, unsigned[number], proof);
        mineEmpty(1);
        bridge.settle(number, unsigned[number], proof);
    }

    function test_another_transaction_does_not_settle() public {
        uint256 number = sweep(fund(ALICE, 1e8, 1000), 500);
        bytes memory other = payment(1e8, P2TR);
        Block memory mined = mine(other);
        mineEmpty(1);
        IBitcoinLightClient.InclusionProof memory proof = prove(mined, 1);
        vm.expectRevert(abi.encodeWithSelector(IBridge.WrongTransaction.selector, hash256(other), hash256(unsigned[number])));
        bridge.settle(number, other, proof);
        vm.expectRevert(abi.encodeWithSelector(IBridge.NoSuchVaultTransaction.selector, 9));
        bridge.settle(9, other, proof);
    }

    // best   .. f - v - e            v holds the vault transaction
    // rival      \ r - r - r - v'
    function test_a_reorg_before_settlement_only_delays_it() public {
        uint256 number = sweep(fund(ALICE, 1e8, 1000), 500);
        Block memory mined = mine(unsigned[number]);
        reorganise(mined.height - 1);
        IBitcoinLightClient.InclusionProof memory proof = prove(mined, 1);
        vm.expectRevert(abi.encodeWithSelector(IBitcoinLightClient.NotOnBestChain.selector, mined.hash));
        bridge.settle(number, unsigned[number], proof);
        vm.expectRevert(abi.encodeWithSelector(IBridge.NotSettled.selector, number, IBridge.VaultStatus.Proposed));
        bridge.unsettle(number);
        confirmAndSettle(number);
        vm.assertEq(ALICE.balance, (1e8 - 740) * WEI_PER_SAT);
        requireBalanced(0);
    }

    function test_a_reorg_after_settlement_unsettles_and_stops_payouts_until_it_settles_again() public {
        uint256 other = pegIn(BOB, 1e8);
        uint256 number = sweep(fund(ALICE, 5e7, 1000), 500);
        Block memory mined = confirmAndSettle(number);
        vm.expectRevert(abi.encodeWithSelector(IBridge.StillConfirmed.selector, number, 2));
        bridge.unsettle(number);

        reorganise(mined.height - 1);
        bridge.unsettle(number);
        vm.assertTrue(bridge.vaultTransaction(number).status == IBridge.VaultStatus.Unsettled);
        vm.assertTrue(bridge.vaultTransaction(number).output == IBridge.OutputStatus.Frozen);
        requireLedger(1e8 - 740, 0, 0, 5e7 - 740);
        requireBalanced(0);
        vm.expectRevert(abi.encodeWithSelector(IBridge.NotSettled.selector, number, IBridge.VaultStatus.Unsettled));
        bridge.unsettle(number);

        uint256 id = withdraw(BOB, 2e7, 1000, P2TR);
        refuse(paying(other, id, 300), abi.encodeWithSelector(IBridge.WithdrawalsStopped.selector, 5e7 - 740));
        refuse(
            paying(number, 0, 300),
            abi.encodeWithSelector(IBridge.OutputNotAvailable.selector, number, IBridge.OutputStatus.Frozen)
        );

        confirmAndSettle(number);
        vm.assertEq(ALICE.balance, (5e7 - 740) * WEI_PER_SAT);
        requireLedger(15e7 - 1480, 2e7, 0, 0);
        requireBalanced(0);
        propose(paying(other, id, 300));
    }

    // best   .. f - v - e
    // rival      \ r - r - r - v - e       mined again before anybody unsettled it
    function test_a_settled_transaction_can_be_shown_in_its_new_block() public {
        uint256 number = pegIn(ALICE, 1e8);
        Block memory mined = chainAt[height - 1];
        reorganise(mined.height - 1);
        confirmAndSettle(number);
        vm.assertTrue(bridge.vaultTransaction(number).blockHash != mined.hash);
        vm.assertTrue(bridge.vaultTransaction(number).status == IBridge.VaultStatus.Settled);
        vm.assertEq(bridge.availableVaultOutputs(9).length, 1);
        requireLedger(1e8 - 740, 0, 0, 0);
        requireBalanced(0);
        vm.assertEq(ALICE.balance, (1e8 - 740) * WEI_PER_SAT);
    }

    function test_a_paid_withdrawal_is_owed_again_after_a_reorg() public {
        uint256 first = pegIn(ALICE, 1e8);
        uint256 id = withdraw(ALICE, 4e7, 1000, P2TR);
        uint256 number = propose(paying(first, id, 300));
        Block memory mined = confirmAndSettle(number);
        reorganise(mined.height - 1);
        bridge.unsettle(number);
        vm.assertTrue(bridge.withdrawal(id).status == IBridge.WithdrawalStatus.Paying);
        // change + gross: all that the transaction moved
        requireLedger(0, 4e7, 0, 1e8 - 740);
        requireBalanced(0);
        vm.expectRevert(abi.encodeWithSelector(IBridge.WithdrawalNotQueued.selector, id, IBridge.WithdrawalStatus.Paying));
        vm.prank(ALICE);
        bridge.cancel(id);
        confirmAndSettle(number);
        requireLedger(1e8 - 740 - 4e7, 0, 0, 0);
        vm.assertTrue(bridge.withdrawal(id).status == IBridge.WithdrawalStatus.Paid);
    }

    // best   .. f - p - . - c - .      p settles first, c spends its output
    // rival      \ r - r - r - r - r
    function test_a_reorg_of_two_linked_transactions_goes_from_the_last_to_the_first_and_back() public {
        uint256 parent = sweep(fund(ALICE, 1e8, 1000), 500);
        Block memory mined = confirmAndSettle(parent);
        uint256 id = withdraw(ALICE, 4e7, 1000, P2TR);
        uint256 child = propose(paying(parent, id, 300));
        confirmAndSettle(child);
        reorganise(mined.height - 1);

        vm.expectRevert(abi.encodeWithSelector(IBridge.SpenderSettled.selector, parent, child));
        bridge.unsettle(parent);
        bridge.unsettle(child);
        requireLedger(0, 4e7, 0, 1e8 - 740);
        bridge.unsettle(parent);
        // The child's loss has the parent's output already.
        requireLedger(0, 4e7, 0, 1e8 - 740);
        requireBalanced(0);

        Block memory p = mine(unsigned[parent]);
        Block memory c = mine(unsigned[child]);
        mineEmpty(1);
        IBitcoinLightClient.InclusionProof memory proof = prove(c, 1);
        vm.expectRevert(abi.encodeWithSelector(IBridge.InputNotSettled.selector, child, parent));
        bridge.settle(child, unsigned[child], proof);
        bridge.settle(parent, unsigned[parent], prove(p, 1));
        vm.assertTrue(bridge.vaultTransaction(parent).output == IBridge.OutputStatus.Spent);
        requireLedger(0, 4e7, 0, 1e8 - 740);
        bridge.settle(child, unsigned[child], proof);
        requireLedger(1e8 - 740 - 4e7, 0, 0, 0);
        requireBalanced(0);
        vm.assertEq(ALICE.balance, (6e7 - 740) * WEI_PER_SAT);
    }

    /// The parent is unsettled while the child that spends it has only been proposed.
    function test_a_proposed_child_waits_for_its_unsettled_parent() public {
        uint256 parent = sweep(fund(ALICE, 1e8, 1000), 500);
        Block memory mined = confirmAndSettle(parent);
        uint256 id = withdraw(ALICE, 4e7, 1000, P2TR);
        uint256 child = propose(paying(parent, id, 300));
        reorganise(mined.height - 1);
        bridge.unsettle(parent);
        requireLedger(0, 4e7, 0, 1e8 - 740);
        confirmAndSettle(parent);
        vm.assertTrue(bridge.vaultTransaction(parent).output == IBridge.OutputStatus.Spending);
        confirmAndSettle(child);
        requireLedger(6e7 - 740, 0, 0, 0);
        requireBalanced(0);
        vm.assertEq(bridge.availableVaultOutputs(9).length, 1);
    }

    function test_a_covered_deficit_comes_back_as_reserve() public {
        pegIn(BOB, 1e8);
        uint256 number = sweep(fund(ALICE, 5e7, 1000), 500);
        Block memory mined = confirmAndSettle(number);
        reorganise(mined.height - 1);
        bridge.unsettle(number);
        vm.prank(BOB);
        vm.expectRevert(abi.encodeWithSelector(IBridge.MoreThanDeficit.selector, 5e7, 5e7 - 740));
        bridge.coverDeficit{value: 5e7 * WEI_PER_SAT}();
        vm.prank(BOB);
        bridge.coverDeficit{value: (5e7 - 740) * WEI_PER_SAT}();
        requireLedger(1e8 - 740, 0, 0, 0);
        requireBalanced(0);
        confirmAndSettle(number);
        requireLedger(15e7 - 1480, 0, 5e7 - 740, 0);
        requireBalanced(0);
    }
}
