// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IBitcoinLightClient} from "../src/interfaces/IBitcoinLightClient.sol";
import {IBridge} from "../src/interfaces/IBridge.sol";
import {Peg} from "./Peg.sol";
import {Glutton, Reentrant, Refuser} from "./Recipients.sol";

/// Recipients of deposits that refuse coins, burn gas or call back block nobody.
contract RecipientsTest is Peg {
    function setUp() public {
        createPeg();
    }

    function test_a_recipient_that_refuses_does_not_block_and_can_claim() public {
        Refuser refuser = new Refuser();
        IBridge.Proposal memory proposal;
        proposal.network = NETWORK;
        proposal.deposits = new IBridge.DepositProof[](2);
        proposal.deposits[0] = depositProof(fund(address(refuser), 1e8, 1000));
        proposal.deposits[1] = depositProof(fund(ALICE, 1e8, 1000));
        proposal.feeSat = 500;
        confirmAndSettle(propose(proposal));
        vm.assertEq(ALICE.balance, (1e8 - 370) * WEI_PER_SAT);
        vm.assertEq(address(refuser).balance, 0);
        vm.assertEq(bridge.claimable(address(refuser)), 1e8 - 370);
        requireBalanced(1e8 - 370);

        vm.expectRevert(abi.encodeWithSelector(IBridge.TransferFailed.selector, address(refuser)));
        refuser.claim(bridge, address(refuser));
        refuser.claim(bridge, BOB);
        vm.assertEq(BOB.balance, (1e8 - 370) * WEI_PER_SAT);
        vm.expectRevert(abi.encodeWithSelector(IBridge.NothingToClaim.selector, address(refuser)));
        refuser.claim(bridge, BOB);
        requireBalanced(0);
    }

    function test_a_recipient_that_burns_gas_does_not_block() public {
        Glutton glutton = new Glutton();
        uint256 number = pegIn(address(glutton), 1e8);
        vm.assertEq(bridge.claimable(address(glutton)), 1e8 - 740);
        vm.assertTrue(bridge.vaultTransaction(number).status == IBridge.VaultStatus.Settled);
    }

    function test_a_recipient_may_ask_while_it_is_paid() public {
        Reentrant reentrant = new Reentrant(address(bridge), abi.encodeCall(IBridge.ledger, ()));
        pegIn(address(reentrant), 1e8);
        vm.assertEq(bridge.claimable(address(reentrant)), 0);
    }

    /// The call back fails, so the recipient fails, and its coins wait.
    function test_a_recipient_cannot_act_while_it_is_paid() public {
        pegIn(BOB, 1e8);
        uint256 before = BOB.balance;
        Reentrant reentrant = new Reentrant(address(bridge), abi.encodeWithSelector(IBridge.claim.selector, BOB));
        // It has nothing to claim yet,
        pegIn(address(reentrant), 1e8);
        vm.assertEq(bridge.claimable(address(reentrant)), 1e8 - 740);
        requireBalanced(1e8 - 740);
        // and then it has, so that only the lock stands in its way.
        pegIn(address(reentrant), 1e8);
        vm.assertEq(bridge.claimable(address(reentrant)), 2 * (1e8 - 740));
        vm.assertEq(BOB.balance, before);
        requireBalanced(2 * (1e8 - 740));
    }

    /// Whoever settles cannot starve a recipient of its gas and so divert its coins to `claim`.
    function test_a_settlement_with_little_gas_reverts() public {
        uint256 number = sweep(fund(ALICE, 1e8, 1000), 500);
        Block memory mined = mine(unsigned[number]);
        mineEmpty(1);
        IBitcoinLightClient.InclusionProof memory proof = prove(mined, 1);
        for (uint256 gas_ = 100_000; gas_ < 400_000; gas_ += 5_000) {
            (bool ok,) = address(bridge).call{gas: gas_}(abi.encodeCall(IBridge.settle, (number, unsigned[number], proof)));
            if (!ok) continue;
            vm.assertEq(bridge.claimable(ALICE), 0);
            vm.assertEq(ALICE.balance, (1e8 - 740) * WEI_PER_SAT);
            return;
        }
        revert("no amount of gas was enough");
    }
}
