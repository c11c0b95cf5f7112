// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {MicroChannel} from "../src/MicroChannel.sol";
import {IMicroChannel} from "../src/interfaces/IMicroChannel.sol";
import {Base} from "./Base.sol";
import {GreedyPayee, Reentrant, Refuser} from "./Recipients.sol";

/// Vouchers, and how a channel ends.
contract MicroChannelTest is Base {
    uint256 private constant SECRET = 0xA11CE;
    /// Frozen in bridge/src/micro_channel.rs too.
    bytes32 private constant NETWORK = bytes32(uint256(0x0101010101010101010101010101010101010101010101010101010101010101));
    address private constant PAYEE = address(0xBEEF01);
    MicroChannel private channels;
    address private payer;

    function setUp() public {
        channels = new MicroChannel(NETWORK);
        payer = vm.createWallet(SECRET).addr;
        vm.deal(payer, 100 ether);
        vm.warp(1000);
        vm.roll(100);
    }

    function open(address payee, uint256 amount) private returns (uint256) {
        vm.prank(payer);
        return channels.open{value: amount}(payee, 3600, 50);
    }

    function sign(uint256 secret, uint256 id, uint256 total) private view returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(secret, channels.voucherDigest(id, total));
        return abi.encodePacked(r, s, v);
    }

    // ------------------------------------------------------------------ vouchers

    /// Frozen: what the Rust library signs.
    function test_the_digest_of_a_voucher_is_frozen() public {
        vm.chainId(51717);
        address predeployed = 0xcA05000000000000000000000000000000000005;
        vm.etch(predeployed, address(channels).code);
        MicroChannel there = MicroChannel(predeployed);
        vm.assertEq(there.domainSeparator(), bytes32(0xf9949fd66f9354bbd61188ce59d980a01bc50efdd972313c6b65aa107e6c471c));
        vm.assertEq(
            there.voucherDigest(1, 1_000_000_000_000), bytes32(0x781bc690420cc93be2d60b0a21a1cb36ffa941f334010347eec9e85403014924)
        );
    }

    function test_vouchers_pay_what_they_add() public {
        uint256 id = open(PAYEE, 1 ether);
        channels.claim(id, 0.3 ether, sign(SECRET, id, 0.3 ether));
        vm.assertEq(PAYEE.balance, 0.3 ether);
        bytes memory old = sign(SECRET, id, 0.2 ether);
        vm.expectRevert(abi.encodeWithSelector(IMicroChannel.NothingNew.selector, id, 0.2 ether, 0.3 ether));
        channels.claim(id, 0.2 ether, old);
        channels.claim(id, 1 ether, sign(SECRET, id, 1 ether));
        vm.assertEq(PAYEE.balance, 1 ether);
        vm.assertEq(channels.channel(id).claimed, 1 ether);
    }

    function test_bad_vouchers_are_refused() public {
        uint256 id = open(PAYEE, 1 ether);
        uint256 other = open(PAYEE, 1 ether);
        bytes memory good = sign(SECRET, id, 0.3 ether);
        bytes memory tooMuch = sign(SECRET, id, 1 ether + 1);
        bytes memory stranger = sign(0xB0B, id, 0.3 ether);
        vm.expectRevert(abi.encodeWithSelector(IMicroChannel.BeyondDeposit.selector, id, 1 ether + 1, 1 ether));
        channels.claim(id, 1 ether + 1, tooMuch);
        vm.expectRevert(abi.encodeWithSelector(IMicroChannel.BadSignature.selector, id, vm.createWallet(0xB0B).addr, payer));
        channels.claim(id, 0.3 ether, stranger);
        // for another channel, another total, of another length
        vm.expectPartialRevert(IMicroChannel.BadSignature.selector);
        channels.claim(other, 0.3 ether, good);
        vm.expectPartialRevert(IMicroChannel.BadSignature.selector);
        channels.claim(id, 0.3 ether + 1, good);
        vm.expectRevert(abi.encodeWithSelector(IMicroChannel.BadSignature.selector, id, address(0), payer));
        channels.claim(id, 0.3 ether, bytes.concat(good, hex"00"));
        vm.expectRevert(abi.encodeWithSelector(IMicroChannel.NoSuchChannel.selector, 9));
        channels.claim(9, 0.3 ether, good);
    }

    function test_the_higher_form_of_a_signature_is_refused() public {
        uint256 id = open(PAYEE, 1 ether);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(SECRET, channels.voucherDigest(id, 1));
        bytes memory high = abi.encodePacked(r, bytes32(ORDER - uint256(s)), v == 27 ? 28 : 27);
        vm.expectRevert(abi.encodeWithSelector(IMicroChannel.BadSignature.selector, id, address(0), payer));
        channels.claim(id, 1, high);
    }

    function test_one_claim_cashes_vouchers_of_many_channels() public {
        IMicroChannel.Voucher[] memory vouchers = new IMicroChannel.Voucher[](20);
        bytes[] memory signatures = new bytes[](20);
        for (uint256 i = 0; i < 20; ++i) {
            uint256 id = open(address(uint160(0x10000 + i)), 1 ether);
            vouchers[i] = IMicroChannel.Voucher(id, (i + 1) * 1e15);
            signatures[i] = sign(SECRET, id, (i + 1) * 1e15);
        }
        channels.claimMany(vouchers, signatures);
        for (uint160 i = 0; i < 20; ++i) {
            vm.assertEq(address(0x10000 + i).balance, (uint256(i) + 1) * 1e15);
        }
        vm.expectRevert(abi.encodeWithSelector(IMicroChannel.LengthMismatch.selector, 20, 0));
        channels.claimMany(vouchers, new bytes[](0));
    }

    /// The channels hold enough to pay it twice.
    function test_a_payee_cannot_be_paid_twice_by_calling_back() public {
        GreedyPayee greedy = new GreedyPayee(channels);
        uint256 id = open(address(greedy), 2 ether);
        greedy.take(id, 1 ether, sign(SECRET, id, 1 ether));
        vm.assertFalse(greedy.cashedTwice());
        vm.assertEq(address(greedy).balance, 1 ether);
        vm.assertEq(channels.channel(id).claimed, 1 ether);
    }

    /// With a voucher of another channel, so that only the lock stands in its way.
    function test_a_payee_cannot_act_while_it_is_paid() public {
        uint256 other = open(PAYEE, 2 ether);
        bytes memory call = abi.encodeCall(channels.claim, (other, 1 ether, sign(SECRET, other, 1 ether)));
        Reentrant payee = new Reentrant(address(channels), call);
        uint256 id = open(address(payee), 2 ether);
        bytes memory signature = sign(SECRET, id, 1 ether);
        vm.expectRevert(abi.encodeWithSelector(IMicroChannel.TransferFailed.selector, address(payee)));
        channels.claim(id, 1 ether, signature);
        vm.assertEq(channels.channel(id).claimed, 0);
        vm.assertEq(PAYEE.balance, 0);
    }

    // ------------------------------------------------------------------ closing

    function test_the_payer_gets_the_rest_after_both_delays() public {
        uint256 id = open(PAYEE, 1 ether);
        vm.expectRevert(abi.encodeWithSelector(IMicroChannel.NotPayer.selector, address(this), payer));
        channels.requestClose(id);
        vm.prank(payer);
        vm.expectRevert(abi.encodeWithSelector(IMicroChannel.NotClosing.selector, id));
        channels.withdraw(id);
        vm.prank(payer);
        channels.requestClose(id);
        vm.prank(payer);
        vm.expectRevert(abi.encodeWithSelector(IMicroChannel.AlreadyClosing.selector, id));
        channels.requestClose(id);

        // The last voucher still counts.
        channels.claim(id, 0.25 ether, sign(SECRET, id, 0.25 ether));
        bytes memory early = abi.encodeWithSelector(IMicroChannel.TooEarly.selector, id, 4600, 150);
        vm.warp(4600);
        vm.roll(149);
        vm.prank(payer);
        vm.expectRevert(early);
        channels.withdraw(id);
        vm.warp(4599);
        vm.roll(150);
        vm.prank(payer);
        vm.expectRevert(early);
        channels.withdraw(id);
        vm.warp(4600);
        vm.prank(payer);
        channels.withdraw(id);
        vm.assertEq(payer.balance, 99.75 ether);
        vm.assertEq(address(channels).balance, 0);

        bytes memory signature = sign(SECRET, id, 0.5 ether);
        vm.expectRevert(abi.encodeWithSelector(IMicroChannel.AlreadyClosed.selector, id));
        channels.claim(id, 0.5 ether, signature);
        vm.expectRevert(abi.encodeWithSelector(IMicroChannel.AlreadyClosed.selector, id));
        channels.topUp{value: 1}(id);
    }

    function test_the_payee_closes_at_once() public {
        uint256 id = open(PAYEE, 1 ether);
        vm.expectRevert(abi.encodeWithSelector(IMicroChannel.NotPayee.selector, payer, PAYEE));
        vm.prank(payer);
        channels.close(id);
        vm.prank(PAYEE);
        channels.close(id);
        vm.assertEq(payer.balance, 100 ether);
        vm.assertTrue(channels.channel(id).closed);
    }

    function test_a_payee_that_refuses_coins_can_still_close() public {
        Refuser payee = new Refuser();
        uint256 id = open(address(payee), 1 ether);
        bytes memory signature = sign(SECRET, id, 0.25 ether);
        vm.expectRevert(abi.encodeWithSelector(IMicroChannel.TransferFailed.selector, address(payee)));
        channels.claim(id, 0.25 ether, signature);
        payee.close(channels, id);
        vm.assertEq(payer.balance, 100 ether);
        vm.assertTrue(channels.channel(id).closed);
    }

    function test_a_channel_is_topped_up_and_nothing_opens_without_coins_or_payee() public {
        uint256 id = open(PAYEE, 1 ether);
        channels.topUp{value: 2 ether}(id);
        vm.assertEq(channels.channel(id).deposit, 3 ether);
        vm.expectRevert(abi.encodeWithSelector(IMicroChannel.AmountOutOfRange.selector, 0));
        channels.topUp(id);
        vm.expectRevert(abi.encodeWithSelector(IMicroChannel.AmountOutOfRange.selector, 0));
        channels.open(PAYEE, 1, 1);
        vm.expectRevert(abi.encodeWithSelector(IMicroChannel.BadPayee.selector, address(0)));
        channels.open{value: 1}(address(0), 1, 1);
        vm.expectRevert(abi.encodeWithSelector(IMicroChannel.NoSuchChannel.selector, 7));
        channels.channel(7);
    }

    /// Whatever order claims come in, the payee has the largest total and the payer the rest.
    function testFuzz_the_largest_voucher_counts(uint96[8] memory totals) public {
        uint256 id = open(PAYEE, 2 ether);
        uint256 largest = 0;
        for (uint256 i = 0; i < totals.length; ++i) {
            uint256 total = bound(totals[i], 1, 2 ether);
            bytes memory signature = sign(SECRET, id, total);
            if (total <= largest) vm.expectPartialRevert(IMicroChannel.NothingNew.selector);
            else largest = total;
            channels.claim(id, total, signature);
        }
        vm.prank(PAYEE);
        channels.close(id);
        vm.assertEq(PAYEE.balance, largest);
        vm.assertEq(payer.balance, 100 ether - largest);
    }
}
