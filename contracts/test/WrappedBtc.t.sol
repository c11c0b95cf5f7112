// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {WrappedBtc} from "../src/WrappedBtc.sol";
import {IWrappedBtc} from "../src/interfaces/IWrappedBtc.sol";
import {Forcing, Reentrant, Refuser} from "./Recipients.sol";
import {Token} from "./Token.sol";
import {Twice} from "./Wallets.sol";

/// Coins, transfers and permits.
contract WrappedBtcTest is Token {
    function setUp() public {
        createToken();
    }

    // ------------------------------------------------------------------ what clients read

    function test_clients_read_its_name_and_the_domain_of_what_is_signed() public view {
        vm.assertEq(bytes(token.name()), "Causeway Wrapped BTC");
        vm.assertEq(bytes(token.symbol()), "cwBTC");
        vm.assertEq(bytes(token.version()), "1");
        vm.assertEq(token.decimals(), 18);
        (
            bytes1 fields,
            string memory name,
            string memory version,
            uint256 chainId,
            address place,
            bytes32 salt,
            uint256[] memory extensions
        ) = token.eip712Domain();
        vm.assertEq(bytes32(fields), bytes32(bytes1(0x0f)));
        vm.assertEq(bytes(name), bytes(token.name()));
        vm.assertEq(bytes(version), bytes(token.version()));
        vm.assertEq(chainId, block.chainid);
        vm.assertEq(place, address(token));
        vm.assertEq(salt, bytes32(0));
        vm.assertEq(extensions.length, 0);
        vm.assertEq(token.DOMAIN_SEPARATOR(), domain(block.chainid, address(token)));
    }

    /// The numbers in FiatToken's source (circlefin/stablecoin-evm, contracts/v2/EIP3009.sol and EIP2612.sol).
    function test_type_hashes_are_those_of_the_standards() public view {
        vm.assertEq(
            token.TRANSFER_WITH_AUTHORIZATION_TYPEHASH(), 0x7c7c6cdb67a18743f49ec6fa9b35f50d52ed05cbed4cc592e13b44501c1a2267
        );
        vm.assertEq(
            token.RECEIVE_WITH_AUTHORIZATION_TYPEHASH(), 0xd099cc98ef71107a616c4f0f941f04c322d8e254fe26b3c6668db87aae413de8
        );
        vm.assertEq(token.CANCEL_AUTHORIZATION_TYPEHASH(), 0x158b0a9edf7a828aad02f63cd515c68ef2f50ba807396f6d12842833a1597429);
        vm.assertEq(token.PERMIT_TYPEHASH(), 0x6e71edae12b1b97f4d1f60370fef10105fa2faae0126114a169c64845d6126c9);
    }

    /// Its code, put where it was not made; and the chain splits.
    function test_the_domain_is_right_at_a_predeployed_address_and_after_a_fork() public {
        address predeployed = 0xcA05000000000000000000000000000000000008;
        vm.etch(predeployed, address(token).code);
        vm.chainId(51717);
        vm.assertEq(WrappedBtc(payable(predeployed)).DOMAIN_SEPARATOR(), domain(51717, predeployed));
        vm.chainId(51718);
        vm.assertEq(WrappedBtc(payable(predeployed)).DOMAIN_SEPARATOR(), domain(51718, predeployed));
    }

    // ------------------------------------------------------------------ coins

    function test_coins_become_tokens_and_coins_again() public {
        vm.deal(bob, 3 ether);
        vm.expectEmit();
        emit IWrappedBtc.Deposit(bob, 1 ether);
        vm.expectEmit();
        emit IWrappedBtc.Transfer(address(0), bob, 1 ether);
        vm.prank(bob);
        token.deposit{value: 1 ether}();
        vm.prank(bob);
        (bool ok,) = address(token).call{value: 2 ether}("");
        vm.assertTrue(ok);
        vm.assertEq(token.balanceOf(bob), 3 ether);
        vm.assertEq(token.totalSupply(), 103 ether);
        vm.assertEq(address(token).balance, 103 ether);

        vm.expectEmit();
        emit IWrappedBtc.Withdrawal(bob, 2.5 ether);
        vm.expectEmit();
        emit IWrappedBtc.Transfer(bob, address(0), 2.5 ether);
        vm.prank(bob);
        token.withdraw(2.5 ether);
        vm.assertEq(bob.balance, 2.5 ether);
        vm.assertEq(token.balanceOf(bob), 0.5 ether);
        vm.assertEq(token.totalSupply(), 100.5 ether);

        vm.expectRevert(says("transfer amount exceeds balance"));
        vm.prank(bob);
        token.withdraw(0.5 ether + 1);
    }

    function test_whoever_takes_no_coins_keeps_its_tokens() public {
        address refuser = address(new Refuser());
        vm.prank(alice);
        token.transfer(refuser, 1 ether);
        vm.expectRevert(abi.encodeWithSelector(IWrappedBtc.TransferFailed.selector, refuser));
        vm.prank(refuser);
        token.withdraw(1 ether);
        vm.assertEq(token.balanceOf(refuser), 1 ether);
    }

    /// The token has Alice's hundred coins too.
    function test_nobody_gets_coins_twice_by_calling_back() public {
        Twice twice = new Twice(address(token));
        vm.prank(alice);
        token.transfer(address(twice), 1 ether);
        twice.run(1 ether);
        vm.assertFalse(twice.again());
        vm.assertEq(address(twice).balance, 1 ether);
        vm.assertEq(address(token).balance, 99 ether);
        vm.assertEq(token.totalSupply(), 99 ether);
    }

    /// While coins are on their way the books are right already: whoever gets them may use the token.
    function test_a_recipient_that_wraps_again_at_once_has_what_it_had() public {
        Reentrant again = new Reentrant(address(token), abi.encodeCall(token.approve, (bob, 7)));
        vm.prank(alice);
        token.transfer(address(again), 1 ether);
        vm.prank(address(again));
        token.withdraw(1 ether);
        vm.assertEq(token.allowance(address(again), bob), 7);
        vm.assertEq(token.totalSupply(), address(token).balance);
    }

    /// They would be the bridge's tokens, which nobody could ever move.
    function test_coins_that_the_bridge_delivers_make_no_tokens() public {
        vm.deal(BRIDGE, 1 ether);
        vm.prank(BRIDGE);
        (bool ok, bytes memory why) = address(token).call{value: 1 ether}("");
        vm.assertFalse(ok);
        vm.assertEq(why, abi.encodeWithSelector(IWrappedBtc.NotFromBridge.selector));
    }

    function test_forced_coins_are_nobodys() public {
        new Forcing{value: 1 ether}(address(token));
        vm.assertEq(address(token).balance, 101 ether);
        vm.assertEq(token.totalSupply(), 100 ether);
    }

    // ------------------------------------------------------------------ ERC-20

    function test_tokens_move_and_an_allowance_is_used_up() public {
        vm.expectEmit();
        emit IWrappedBtc.Transfer(alice, bob, 1 ether);
        vm.prank(alice);
        vm.assertTrue(token.transfer(bob, 1 ether));
        vm.expectEmit();
        emit IWrappedBtc.Approval(alice, bob, 2 ether);
        vm.prank(alice);
        vm.assertTrue(token.approve(bob, 2 ether));
        vm.prank(bob);
        vm.assertTrue(token.transferFrom(alice, PAYEE, 1.5 ether));
        vm.assertEq(token.allowance(alice, bob), 0.5 ether);
        vm.assertEq(token.balanceOf(PAYEE), 1.5 ether);
        vm.assertEq(token.balanceOf(alice), 97.5 ether);
        vm.expectRevert(says("transfer amount exceeds allowance"));
        vm.prank(bob);
        token.transferFrom(alice, PAYEE, 0.5 ether + 1);
        // Its own tokens neither, without an allowance.
        vm.expectRevert(says("transfer amount exceeds allowance"));
        vm.prank(bob);
        token.transferFrom(bob, PAYEE, 1);
    }

    function test_the_greatest_allowance_is_never_used_up() public {
        vm.prank(alice);
        token.approve(bob, type(uint256).max);
        vm.prank(bob);
        token.transferFrom(alice, PAYEE, 60 ether);
        vm.assertEq(token.allowance(alice, bob), type(uint256).max);
        vm.expectRevert(says("transfer amount exceeds balance"));
        vm.prank(bob);
        token.transferFrom(alice, PAYEE, 40 ether + 1);
        vm.prank(alice);
        token.approve(bob, type(uint256).max - 1);
        vm.prank(bob);
        token.transferFrom(alice, PAYEE, 1);
        vm.assertEq(token.allowance(alice, bob), type(uint256).max - 2);
    }

    function test_a_transfer_to_oneself_changes_nothing() public {
        vm.prank(alice);
        token.transfer(alice, 100 ether);
        vm.assertEq(token.balanceOf(alice), 100 ether);
        vm.expectRevert(says("transfer amount exceeds balance"));
        vm.prank(alice);
        token.transfer(alice, 100 ether + 1);
    }

    function test_tokens_go_neither_to_the_zero_address_nor_to_the_token() public {
        vm.expectRevert(says("transfer to the zero address"));
        vm.prank(alice);
        token.transfer(address(0), 1);
        vm.expectRevert(says("transfer to the token itself"));
        vm.prank(alice);
        token.transfer(address(token), 1);
        vm.prank(alice);
        token.approve(bob, 1);
        vm.expectRevert(says("transfer to the zero address"));
        vm.prank(bob);
        token.transferFrom(alice, address(0), 1);
        vm.expectRevert(says("approve to the zero address"));
        vm.prank(alice);
        token.approve(address(0), 1);
    }

    // ------------------------------------------------------------------ EIP-2612

    function test_a_permit_sets_the_allowance_once() public {
        uint256 deadline = block.timestamp;
        bytes memory signature = sign(ALICE_SECRET, permitting(alice, bob, 5, 0, deadline));
        (uint8 v, bytes32 r, bytes32 s) = parts(signature);
        vm.expectEmit();
        emit IWrappedBtc.Approval(alice, bob, 5);
        token.permit(alice, bob, 5, deadline, v, r, s);
        vm.assertEq(token.allowance(alice, bob), 5);
        vm.assertEq(token.nonces(alice), 1);
        vm.expectRevert(says("invalid signature"));
        token.permit(alice, bob, 5, deadline, v, r, s);
        vm.expectRevert(says("invalid signature"));
        token.permit(alice, bob, 5, deadline, signature);
        token.permit(alice, bob, 6, deadline, sign(ALICE_SECRET, permitting(alice, bob, 6, 1, deadline)));
        vm.assertEq(token.allowance(alice, bob), 6);
    }

    function test_bad_permits_are_refused() public {
        bytes memory good = sign(ALICE_SECRET, permitting(alice, bob, 5, 0, 2_000));
        bytes memory strangers = sign(BOB_SECRET, permitting(alice, bob, 5, 0, 2_000));
        vm.expectRevert(says("invalid signature"));
        token.permit(alice, bob, 6, 2_000, good);
        vm.expectRevert(says("invalid signature"));
        token.permit(alice, PAYEE, 5, 2_000, good);
        vm.expectRevert(says("invalid signature"));
        token.permit(alice, bob, 5, 2_001, good);
        vm.expectRevert(says("invalid signature"));
        token.permit(alice, bob, 5, 2_000, strangers);
        // What nobody signed is not the zero address's either.
        vm.expectRevert(says("invalid signature"));
        token.permit(address(0), bob, 5, 2_000, 27, bytes32(0), bytes32(0));
        vm.warp(2_001);
        vm.expectRevert(says("permit is expired"));
        token.permit(alice, bob, 5, 2_000, good);
        vm.assertEq(token.nonces(alice), 0);
        vm.assertEq(token.allowance(alice, bob), 0);
    }

    function testFuzz_a_permit_counts_in_its_own_domain_alone(uint64 chainId, address place) public {
        vm.assume(chainId != 0 && (chainId != block.chainid || place != address(token)));
        bytes32 elsewhere =
            keccak256(bytes.concat(hex"1901", domain(chainId, place), permitting(alice, bob, 5, 0, type(uint256).max)));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(ALICE_SECRET, elsewhere);
        vm.expectRevert(says("invalid signature"));
        token.permit(alice, bob, 5, type(uint256).max, v, r, s);
    }
}
