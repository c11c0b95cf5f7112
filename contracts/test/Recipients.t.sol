// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IBridge} from "../src/interfaces/IBridge.sol";
import {IVault} from "../src/interfaces/IVault.sol";
import {Peg} from "./Peg.sol";
import {Glutton, Reentrant, Refuser} from "./Recipients.sol";

/// Recipients of deposits that refuse coins, burn gas or call back block nobody.
contract RecipientsTest is Peg {
    function setUp() public {
        createSeededPeg();
    }

    function sweepNow(address recipient) private returns (uint64 mintedSat) {
        Funding memory funding = fundAndProve(recipient, 0.01e8);
        confirmAndSettle(bindSweep(funding, RATE));
        return deposit(funding).mintedSat;
    }

    function test_a_recipient_that_refuses_does_not_block_and_can_claim() public {
        Refuser refuser = new Refuser();
        Funding[] memory both = new Funding[](2);
        both[0] = fundAndProve(address(refuser), 0.01e8);
        both[1] = fundAndProve(ALICE, 0.01e8);
        confirmAndSettle(bind(sweepOf(both, RATE)));
        uint64 coinsSat = 0.01e8 - 385;
        vm.assertEq(ALICE.balance, coinsSat * WEI_PER_SAT);
        vm.assertEq(bridge.claimable(address(refuser)), coinsSat);
        vm.assertEq(bridge.books().unclaimed, coinsSat);
        vm.expectRevert(abi.encodeWithSelector(IBridge.TransferFailed.selector, address(refuser)));
        refuser.claim(bridge, address(refuser));
        refuser.claim(bridge, BOB);
        requireBooks();
        vm.assertEq(BOB.balance, coinsSat * WEI_PER_SAT);
        vm.expectRevert(abi.encodeWithSelector(IBridge.NothingToClaim.selector, address(refuser)));
        refuser.claim(bridge, BOB);
    }

    function test_a_recipient_that_burns_gas_does_not_block() public {
        Glutton glutton = new Glutton();
        vm.assertEq(sweepNow(address(glutton)), bridge.claimable(address(glutton)));
    }

    function test_a_recipient_may_ask_while_it_is_paid() public {
        Reentrant reentrant = new Reentrant(address(bridge), abi.encodeCall(IBridge.books, ()));
        sweepNow(address(reentrant));
        vm.assertEq(bridge.claimable(address(reentrant)), 0);
    }

    /// Whoever settles cannot starve a recipient of its gas and so divert its coins to `claim`.
    function test_a_settlement_with_little_gas_reverts() public {
        Funding memory funding = fundAndProve(ALICE, 0.01e8);
        uint32 number = confirm(bindSweep(funding, RATE));
        bytes memory call =
            abi.encodeCall(IVault.settle, (number, contentOf[number], unsigned[number], prove(minedIn[number], 1)));
        for (uint256 gas_ = 100_000; gas_ < 600_000; gas_ += 5_000) {
            (bool ok,) = address(vault).call{gas: gas_}(call);
            if (!ok) continue;
            vm.assertEq(bridge.claimable(ALICE), 0);
            vm.assertEq(ALICE.balance, (0.01e8 - 385) * WEI_PER_SAT);
            return;
        }
        revert("no amount of gas was enough");
    }
}
