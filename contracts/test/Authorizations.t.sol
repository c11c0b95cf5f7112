// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IWrappedBtc} from "../src/interfaces/IWrappedBtc.sol";
import {Token} from "./Token.sol";
import {Furnace, Parrot, Schemer, Wallet} from "./Wallets.sol";

/// EIP-3009: each authorization moves tokens once, as it was signed, in its time.
contract AuthorizationsTest is Token {
    event log_named_uint(string key, uint256 val);

    bytes32 private constant NONCE = keccak256("chosen at random");
    bytes4 private constant MAGIC = 0x1626ba7e;

    function setUp() public {
        createToken();
    }

    /// Refused in each of the forms that take it, and nothing changes.
    function refuse(Authorization memory a, bytes memory signature, string memory words) private {
        vm.expectRevert(says(words));
        bring(a, signature);
        if (signature.length == 65) {
            vm.expectRevert(says(words));
            bringByParts(a, signature);
        }
    }

    // ------------------------------------------------------------------ used once

    function test_an_authorization_moves_tokens_once_whoever_brings_it() public {
        Authorization memory a = authorization(2 ether, NONCE);
        bytes memory signature = sign(ALICE_SECRET, hashed("Transfer", a));
        vm.assertFalse(token.authorizationState(alice, NONCE));
        vm.expectEmit();
        emit IWrappedBtc.AuthorizationUsed(alice, NONCE);
        vm.expectEmit();
        emit IWrappedBtc.Transfer(alice, PAYEE, 2 ether);
        vm.prank(bob);
        bringByParts(a, signature);
        vm.assertTrue(token.authorizationState(alice, NONCE));
        vm.assertEq(token.balanceOf(PAYEE), 2 ether);
        refuse(a, signature, "authorization is used or canceled");

        // Another of the same payer, by bytes; and the same nonce of another payer.
        a.nonce = bytes32(uint256(NONCE) + 1);
        bring(a, sign(ALICE_SECRET, hashed("Transfer", a)));
        wrap(bob, 1 ether);
        Authorization memory b = Authorization(bob, PAYEE, 1 ether, 0, 2_000, NONCE);
        bring(b, sign(BOB_SECRET, hashed("Transfer", b)));
        vm.assertEq(token.balanceOf(PAYEE), 5 ether);
    }

    function test_an_authorization_of_more_than_the_balance_can_be_used_later() public {
        Authorization memory a = authorization(150 ether, NONCE);
        bytes memory signature = sign(ALICE_SECRET, hashed("Transfer", a));
        refuse(a, signature, "transfer amount exceeds balance");
        vm.assertFalse(token.authorizationState(alice, NONCE));
        wrap(alice, 50 ether);
        bring(a, signature);
        vm.assertEq(token.balanceOf(PAYEE), 150 ether);
    }

    function test_nothing_and_to_oneself_can_be_authorized_but_not_to_the_zero_address() public {
        Authorization memory a = Authorization(alice, alice, 100 ether, 0, 2_000, NONCE);
        bring(a, sign(ALICE_SECRET, hashed("Transfer", a)));
        vm.assertEq(token.balanceOf(alice), 100 ether);
        a = Authorization(alice, PAYEE, 0, 0, 2_000, bytes32(0));
        bring(a, sign(ALICE_SECRET, hashed("Transfer", a)));
        a = Authorization(alice, address(0), 1, 0, 2_000, bytes32(uint256(1)));
        refuse(a, sign(ALICE_SECRET, hashed("Transfer", a)), "transfer to the zero address");
        a = Authorization(alice, address(token), 1, 0, 2_000, bytes32(uint256(1)));
        refuse(a, sign(ALICE_SECRET, hashed("Transfer", a)), "transfer to the token itself");
    }

    // ------------------------------------------------------------------ time

    /// validAfter < now < validBefore.
    function test_an_authorization_is_valid_between_its_times_and_at_neither() public {
        Authorization memory a = Authorization(alice, PAYEE, 1, 1_000, 1_010, NONCE);
        bytes memory signature = sign(ALICE_SECRET, hashed("Transfer", a));
        refuse(a, signature, "authorization is not yet valid");
        vm.warp(1_010);
        refuse(a, signature, "authorization is expired");
        vm.warp(1_009);
        uint256 snapshot = vm.snapshotState();
        bring(a, signature);
        vm.revertToState(snapshot);
        vm.warp(1_001);
        bring(a, signature);
    }

    // ------------------------------------------------------------------ what was signed

    function test_nothing_of_an_authorization_can_be_changed() public {
        Authorization memory signed = authorization(2 ether, NONCE);
        bytes memory signature = sign(ALICE_SECRET, hashed("Transfer", signed));
        Authorization memory a = authorization(2 ether, NONCE);
        a.from = bob;
        refuse(a, signature, "invalid signature");
        a = authorization(2 ether, NONCE);
        a.to = bob;
        refuse(a, signature, "invalid signature");
        a = authorization(2 ether + 1, NONCE);
        refuse(a, signature, "invalid signature");
        a = authorization(2 ether, bytes32(uint256(NONCE) + 1));
        refuse(a, signature, "invalid signature");
        a = authorization(2 ether, NONCE);
        a.validAfter = 1;
        refuse(a, signature, "invalid signature");
        a = authorization(2 ether, NONCE);
        a.validBefore += 1;
        refuse(a, signature, "invalid signature");
        refuse(signed, sign(BOB_SECRET, hashed("Transfer", signed)), "invalid signature");
        bring(signed, signature);
    }

    function test_malleated_truncated_and_extended_signatures_are_refused() public {
        Authorization memory a = authorization(2 ether, NONCE);
        bytes memory good = sign(ALICE_SECRET, hashed("Transfer", a));
        (uint8 v, bytes32 r, bytes32 s) = parts(good);
        refuse(a, abi.encodePacked(r, bytes32(ORDER - uint256(s)), v == 27 ? 28 : 27), "invalid signature");
        refuse(a, abi.encodePacked(r, s, v - 27), "invalid signature");
        refuse(a, abi.encodePacked(r, s, v ^ 7), "invalid signature");
        refuse(a, abi.encodePacked(r, s), "invalid signature");
        refuse(a, bytes.concat(good, hex"00"), "invalid signature");
        refuse(a, "", "invalid signature");
        a.from = address(0);
        refuse(a, abi.encodePacked(bytes32(0), bytes32(0), uint8(27)), "invalid signature");
    }

    function testFuzz_an_authorization_counts_in_its_own_domain_alone(uint64 chainId, address place) public {
        vm.assume(chainId != block.chainid || place != address(token));
        Authorization memory a = authorization(1, NONCE);
        bytes32 elsewhere = keccak256(bytes.concat(hex"1901", domain(chainId, place), hashed("Transfer", a)));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(ALICE_SECRET, elsewhere);
        refuse(a, abi.encodePacked(r, s, v), "invalid signature");
    }

    function test_what_is_authorized_for_one_purpose_counts_for_no_other() public {
        Authorization memory a = authorization(1, NONCE);
        bytes memory transfer_ = sign(ALICE_SECRET, hashed("Transfer", a));
        bytes memory receipt = sign(ALICE_SECRET, hashed("Receive", a));
        refuse(a, receipt, "invalid signature");
        vm.expectRevert(says("invalid signature"));
        vm.prank(PAYEE);
        receive_(a, transfer_);
        vm.expectRevert(says("invalid signature"));
        token.cancelAuthorization(alice, NONCE, transfer_);
    }

    // ------------------------------------------------------------------ receive

    function test_nobody_brings_a_receipt_in_front_of_its_payee() public {
        Authorization memory a = authorization(3 ether, NONCE);
        bytes memory signature = sign(ALICE_SECRET, hashed("Receive", a));
        (uint8 v, bytes32 r, bytes32 s) = parts(signature);
        vm.expectRevert(says("caller must be the payee"));
        vm.prank(bob);
        receive_(a, signature);
        vm.expectRevert(says("caller must be the payee"));
        vm.prank(alice);
        token.receiveWithAuthorization(a.from, a.to, a.value, a.validAfter, a.validBefore, a.nonce, v, r, s);
        // With himself as the payee it is not what was signed.
        a.to = bob;
        vm.expectRevert(says("invalid signature"));
        vm.prank(bob);
        receive_(a, signature);
        a.to = PAYEE;
        vm.prank(PAYEE);
        token.receiveWithAuthorization(a.from, a.to, a.value, a.validAfter, a.validBefore, a.nonce, v, r, s);
        vm.assertEq(token.balanceOf(PAYEE), 3 ether);
        vm.expectRevert(says("authorization is used or canceled"));
        vm.prank(PAYEE);
        receive_(a, signature);
    }

    // ------------------------------------------------------------------ cancel

    function test_what_is_cancelled_moves_nothing_and_what_is_used_is_not_cancelled() public {
        Authorization memory a = authorization(1, NONCE);
        bytes memory signature = sign(ALICE_SECRET, hashed("Transfer", a));
        bytes memory strangers = sign(BOB_SECRET, cancelling(alice, NONCE));
        bytes memory cancel = sign(ALICE_SECRET, cancelling(alice, NONCE));
        vm.expectRevert(says("invalid signature"));
        token.cancelAuthorization(alice, NONCE, strangers);
        vm.expectEmit();
        emit IWrappedBtc.AuthorizationCanceled(alice, NONCE);
        token.cancelAuthorization(alice, NONCE, cancel);
        vm.assertTrue(token.authorizationState(alice, NONCE));
        refuse(a, signature, "authorization is used or canceled");

        Authorization memory b = authorization(1, bytes32(0));
        bring(b, sign(ALICE_SECRET, hashed("Transfer", b)));
        (uint8 v, bytes32 r, bytes32 s) = parts(sign(ALICE_SECRET, cancelling(alice, bytes32(0))));
        vm.expectRevert(says("authorization is used or canceled"));
        token.cancelAuthorization(alice, bytes32(0), v, r, s);
    }

    // ------------------------------------------------------------------ contracts that sign

    function test_a_contract_pays_by_what_its_code_takes_for_a_signature() public {
        address wallet = address(new Wallet(alice));
        vm.prank(alice);
        token.transfer(wallet, 5 ether);
        Authorization memory a = Authorization(wallet, PAYEE, 2 ether, 0, 2_000, NONCE);
        bytes memory inner = sign(ALICE_SECRET, hashed("Transfer", a));
        refuse(a, inner, "invalid signature");
        refuse(a, bytes.concat(hex"12", sign(BOB_SECRET, hashed("Transfer", a))), "invalid signature");
        bring(a, bytes.concat(hex"12", inner));
        refuse(a, bytes.concat(hex"12", inner), "authorization is used or canceled");
        vm.assertEq(token.balanceOf(PAYEE), 2 ether);

        bytes memory permission = bytes.concat(hex"12", sign(ALICE_SECRET, permitting(wallet, bob, 7, 0, 2_000)));
        token.permit(wallet, bob, 7, 2_000, permission);
        vm.assertEq(token.allowance(wallet, bob), 7);
        bytes memory cancel = bytes.concat(hex"12", sign(ALICE_SECRET, cancelling(wallet, bytes32(0))));
        token.cancelAuthorization(wallet, bytes32(0), cancel);
        vm.assertTrue(token.authorizationState(wallet, bytes32(0)));
    }

    /// An account that delegates (EIP-7702) has code and a key.
    function test_an_account_with_code_still_signs_with_its_key() public {
        vm.etch(alice, address(new Parrot("", true)).code);
        Authorization memory a = authorization(1 ether, NONCE);
        bringByParts(a, sign(ALICE_SECRET, hashed("Transfer", a)));
        vm.assertEq(token.balanceOf(PAYEE), 1 ether);
    }

    function test_a_contract_that_answers_anything_else_has_signed_nothing() public {
        requireRefused(address(new Parrot(abi.encode(bytes4(0xffffffff)), false)));
        requireRefused(address(new Parrot(abi.encode(true), false)));
        requireRefused(address(new Parrot("", false)));
        // Too short; the right word with something behind it within the word; the right word, reverting.
        requireRefused(address(new Parrot(bytes.concat(MAGIC, new bytes(27)), false)));
        requireRefused(address(new Parrot(abi.encode(uint256(bytes32(MAGIC)) + 1), false)));
        requireRefused(address(new Parrot(abi.encode(MAGIC), true)));
        // Sixty-four kilobytes, of which nobody reads more than a word.
        requireRefused(address(new Parrot(new bytes(65_536), false)));
        // The token itself, and a precompile.
        refuse(Authorization(address(token), PAYEE, 0, 0, 2_000, NONCE), "", "invalid signature");
        refuse(Authorization(address(4), PAYEE, 0, 0, 2_000, NONCE), "", "invalid signature");
        // One that agrees to everything pays for everything, with its own tokens.
        address generous = address(new Parrot(abi.encode(MAGIC), false));
        vm.prank(alice);
        token.transfer(generous, 1 ether);
        bring(Authorization(generous, PAYEE, 1 ether, 0, 2_000, NONCE), "");
        vm.assertEq(token.balanceOf(PAYEE), 1 ether);
    }

    function requireRefused(address liar) private {
        vm.prank(alice);
        token.transfer(liar, 1 ether);
        refuse(Authorization(liar, PAYEE, 1 ether, 0, 2_000, NONCE), hex"1234", "invalid signature");
    }

    /// A 64th of the gas is left, which is enough to say why.
    function test_a_contract_that_burns_gas_burns_it_for_who_asks_it() public {
        address furnace = address(new Furnace());
        Authorization memory a = Authorization(furnace, PAYEE, 0, 0, 2_000, NONCE);
        bytes memory call = abi.encodeWithSignature(
            "transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,bytes)",
            a.from,
            a.to,
            a.value,
            a.validAfter,
            a.validBefore,
            a.nonce,
            ""
        );
        (bool ok, bytes memory why) = address(token).call{gas: 1_000_000}(call);
        vm.assertFalse(ok);
        vm.assertEq(why, says("invalid signature"));
    }

    /// It is asked by a static call: what it does meanwhile fails.
    function test_a_contract_can_change_nothing_while_it_is_asked() public {
        address schemer = address(new Schemer(address(token), abi.encodeCall(token.approve, (bob, 1))));
        vm.prank(alice);
        token.transfer(schemer, 1 ether);
        refuse(Authorization(schemer, PAYEE, 1 ether, 0, 2_000, NONCE), "", "invalid signature");
        vm.assertEq(token.allowance(schemer, bob), 0);
    }

    // ------------------------------------------------------------------ gas

    function used(string memory what, uint256 aim) private {
        uint256 total = vm.lastCallGas().gasTotalUsed;
        emit log_named_uint(what, total);
        vm.assertTrue(total > 21_000, "measured without isolation");
        vm.assertLe(total, aim);
    }

    /// As transactions of their own. The payee has tokens already, but for the first.
    /// forge-config: default.isolate = true
    function test_what_each_call_costs() public {
        vm.deal(bob, 2 ether);
        vm.prank(bob);
        token.deposit{value: 2 ether}();
        used("deposit, first", 75_000);
        vm.prank(bob);
        token.transfer(PAYEE, 1);
        used("transfer, the payee's first", 53_000);
        vm.prank(bob);
        token.transfer(PAYEE, 1);
        used("transfer", 36_000);
        Authorization memory a = authorization(1 ether, NONCE);
        bringByParts(a, sign(ALICE_SECRET, hashed("Transfer", a)));
        used("transferWithAuthorization (v, r, s)", 70_000);
        a.nonce = 0;
        bring(a, sign(ALICE_SECRET, hashed("Transfer", a)));
        used("transferWithAuthorization (bytes)", 70_000);
        a.nonce = bytes32(uint256(1));
        bytes memory signature = sign(ALICE_SECRET, hashed("Receive", a));
        vm.prank(PAYEE);
        receive_(a, signature);
        used("receiveWithAuthorization (bytes)", 70_000);
        token.permit(alice, bob, 5 ether, 2_000, sign(ALICE_SECRET, permitting(alice, bob, 5 ether, 0, 2_000)));
        used("permit", 80_000);
        vm.prank(bob);
        token.transferFrom(alice, PAYEE, 1);
        used("transferFrom", 45_000);
        vm.prank(bob);
        token.withdraw(1 ether);
        used("withdraw", 52_000);
    }
}
