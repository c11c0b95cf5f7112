// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Federation} from "../src/Federation.sol";
import {SigningBoard} from "../src/SigningBoard.sol";
import {Taproot} from "../src/Taproot.sol";
import {IFederation} from "../src/interfaces/IFederation.sol";
import {ISigningBoard} from "../src/interfaces/ISigningBoard.sol";
import {Peg} from "./Peg.sol";

contract FederationTest is Peg {
    Federation private fresh;
    bytes32 private vaultY;

    function setUp() public {
        createPeg();
        fresh = new Federation(NETWORK, 3, members(), RECOVERY_LEAF);
        (, vaultY) = tweaked(RECOVERY_LEAF);
    }

    function confirmAs(uint256 index) private {
        vm.prank(account(index));
        fresh.confirmKey(NETWORK, 1, groupKey, vaultKey, vaultY);
    }

    function test_members_have_the_indexes_of_their_order() public {
        vm.assertEq(fresh.memberCount(), 4);
        vm.assertEq(fresh.threshold(), 3);
        vm.assertEq(fresh.epoch(), 1);
        vm.assertEq(fresh.recoveryLeaf(), RECOVERY_LEAF);
        for (uint16 i = 1; i <= 4; ++i) {
            vm.assertEq(fresh.indexOf(account(i)), i);
            vm.assertEq(fresh.member(i).account, account(i));
            vm.assertEq(fresh.member(i).encryptionKey.length, 33);
        }
        vm.assertEq(fresh.indexOf(address(this)), 0);
        vm.expectRevert(abi.encodeWithSelector(IFederation.NoSuchMember.selector, 5, 4));
        fresh.member(5);
        vm.expectRevert(abi.encodeWithSelector(IFederation.NoSuchMember.selector, 0, 4));
        fresh.member(0);
    }

    function test_a_key_is_active_once_all_members_confirmed_it() public {
        confirmAs(1);
        confirmAs(2);
        confirmAs(3);
        confirmAs(3);
        vm.assertEq(fresh.groupKey(1), bytes32(0));
        vm.expectEmit();
        emit IFederation.KeyConfirmed(1, 4, groupKey);
        vm.expectEmit();
        emit IFederation.KeyActivated(1, groupKey, vaultKey);
        confirmAs(4);
        vm.assertEq(fresh.groupKey(1), groupKey);
        vm.assertEq(fresh.vaultKey(1), vaultKey);
        vm.assertEq(fresh.groupKey(2), bytes32(0));
        vm.expectRevert(abi.encodeWithSelector(IFederation.KeyAlreadyActive.selector, 1));
        confirmAs(4);
    }

    function test_a_member_may_change_its_mind_until_all_agree() public {
        bytes32 key = groupKey;
        (bytes32 vault, bytes32 y) = (vaultKey, vaultY);
        confirmOther();
        (groupKey, vaultKey, vaultY) = (key, vault, y);
        confirmAs(2);
        confirmAs(3);
        confirmAs(4);
        vm.assertEq(fresh.groupKey(1), bytes32(0));
        confirmAs(1);
        vm.assertEq(fresh.groupKey(1), key);
    }

    function confirmOther() private {
        federation = new Federation(NETWORK, 3, members(), RECOVERY_LEAF);
        confirmGroupKey(0xBEEF);
        (, vaultY) = tweaked(RECOVERY_LEAF);
        confirmAs(1);
    }

    function test_bad_confirmations_are_refused() public {
        vm.expectRevert(abi.encodeWithSelector(IFederation.NotAMember.selector, address(this)));
        fresh.confirmKey(NETWORK, 1, groupKey, vaultKey, vaultY);
        vm.expectRevert(abi.encodeWithSelector(IFederation.WrongEpoch.selector, 2, 1));
        vm.prank(MEMBER);
        fresh.confirmKey(NETWORK, 2, groupKey, vaultKey, vaultY);
        // The other y coordinate, another point, no point.
        bytes32[3] memory ys = [bytes32(uint256(vaultY) ^ 1), groupKey, bytes32(0)];
        for (uint256 i = 0; i < 3; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IFederation.TweakMismatch.selector, groupKey, vaultKey));
            vm.prank(MEMBER);
            fresh.confirmKey(NETWORK, 1, groupKey, vaultKey, ys[i]);
        }
        vm.expectPartialRevert(IFederation.TweakMismatch.selector);
        vm.prank(MEMBER);
        fresh.confirmKey(NETWORK, 1, bytes32(0), vaultKey, vaultY);
        vm.expectPartialRevert(IFederation.TweakMismatch.selector);
        vm.prank(MEMBER);
        fresh.confirmKey(NETWORK, 1, bytes32(type(uint256).max), vaultKey, vaultY);
    }

    function test_impossible_federations_are_refused() public {
        IFederation.Member[] memory list = members();
        vm.expectRevert(abi.encodeWithSelector(IFederation.BadThreshold.selector, 0, 4));
        new Federation(NETWORK, 0, list, RECOVERY_LEAF);
        vm.expectRevert(abi.encodeWithSelector(IFederation.BadThreshold.selector, 5, 4));
        new Federation(NETWORK, 5, list, RECOVERY_LEAF);
        list[2].account = list[1].account;
        vm.expectRevert(abi.encodeWithSelector(IFederation.BadMember.selector, 3, "account is another member's too"));
        new Federation(NETWORK, 3, list, RECOVERY_LEAF);
        list[2].account = address(0);
        vm.expectRevert(abi.encodeWithSelector(IFederation.BadMember.selector, 3, "account is zero"));
        new Federation(NETWORK, 3, list, RECOVERY_LEAF);
        list = members();
        list[0].encryptionKey = new bytes(33);
        vm.expectRevert(
            abi.encodeWithSelector(IFederation.BadMember.selector, 1, "encryption key is not a compressed point of 33 bytes")
        );
        new Federation(NETWORK, 3, list, RECOVERY_LEAF);
    }

    /// The ecrecover identity against points computed from secrets.
    function testFuzz_the_tweak_identity_holds(uint256 secret, bytes32 merkleRoot) public {
        secret = bound(secret, 1, ORDER - 1);
        useKey(secret);
        (bytes32 x, bytes32 y) = tweaked(merkleRoot);
        vm.assertTrue(Taproot.isTweaked(groupKey, merkleRoot, x, y));
        vm.assertFalse(Taproot.isTweaked(groupKey, keccak256(abi.encode(merkleRoot)), x, y));
        vm.assertFalse(Taproot.isTweaked(x, merkleRoot, x, y));
        vm.assertFalse(Taproot.isTweaked(groupKey, merkleRoot, y, x));
    }

    function useKey(uint256 secret) private {
        federation = new Federation(NETWORK, 3, members(), RECOVERY_LEAF);
        confirmGroupKey(secret);
    }
}

/// Before the key is in force.
contract KeyGenerationTest is Peg {
    function setUp() public {
        createPeg();
        federation = new Federation(NETWORK, 3, members(), RECOVERY_LEAF);
        board = new SigningBoard(federation, vault);
    }

    function test_members_post_for_the_epoch_whose_key_is_not_in_force() public {
        vm.expectEmit();
        emit ISigningBoard.Posted(board.keygenSession(1, 0), 2, 3, hex"c0ffee");
        vm.prank(account(2));
        board.postKeygen(NETWORK, 1, 0, 3, hex"c0ffee");
        vm.prank(account(3));
        board.postKeygen(NETWORK, 1, 7, 3, new bytes(16_384));
        vm.expectRevert(ISigningBoard.SessionClosed.selector);
        vm.prank(account(3));
        board.postKeygen(NETWORK, 2, 0, 3, hex"01");
        confirmGroupKey(0xC0FFEE);
        vm.expectRevert(ISigningBoard.SessionClosed.selector);
        vm.prank(account(3));
        board.postKeygen(NETWORK, 1, 0, 3, hex"01");
    }
}
