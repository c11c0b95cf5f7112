// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {MicroChannel} from "../src/MicroChannel.sol";
import {IMicroChannel} from "../src/interfaces/IMicroChannel.sol";
import {Channels} from "./Channels.sol";
import {Refuser} from "./Recipients.sol";
import {Furnace, Wallet} from "./Wallets.sol";

/// What payers and payees of the public draft do, and what they can do beside it.
contract MicroChannelTest is Channels {
    event log_named_uint(string key, uint256 val);

    address private constant STRANGER = address(0x57);
    address private constant PLATFORM = address(0x91A7F0);

    function setUp() public {
        createChannels();
    }

    // ------------------------------------------------------------------ names and digests

    /// Frozen: what the Rust library signs.
    function test_the_digest_of_a_voucher_is_frozen() public {
        vm.chainId(51717);
        address predeployed = 0xcA05000000000000000000000000000000000005;
        vm.etch(predeployed, address(channels).code);
        MicroChannel there = MicroChannel(predeployed);
        bytes32 id = there.computeChannelId(address(0xA1), address(0xB2), COIN, SALT, address(0));
        vm.assertEq(there.domainSeparator(), bytes32(0xf6b70e2b390ea2585e4dcb023488c7f90fe8a0427368f143c352cd79af18803c));
        vm.assertEq(id, bytes32(0x6b62fb90efb02ddf8d7fe5d1b9cbb5ec690ee84d63ff1954a549d02d249e74e6));
        vm.assertEq(
            there.getVoucherDigest(id, 1_000_000_000_000),
            bytes32(0xf469f6f460d0192d51b6c7d843cae4ab5941d9057d06af07e58eaef43bb688fa)
        );
    }

    function test_a_channel_has_the_drafts_id_and_its_vouchers_the_drafts_digest() public {
        bytes32 id = open(PAYEE, 1 ether);
        vm.assertEq(id, draftId(alice, PAYEE, COIN, SALT, address(0)));
        vm.assertEq(id, channels.computeChannelId(alice, PAYEE, COIN, SALT, address(0)));
        bytes32 kind = keccak256("Voucher(bytes32 channelId,uint128 cumulativeAmount)");
        vm.assertEq(channels.getVoucherDigest(id, 5), draftDigest(keccak256(abi.encode(kind, id, 5))));
    }

    // ------------------------------------------------------------------ the draft's life of a channel

    function test_a_client_of_the_draft_pays_in_tokens_and_the_server_settles_and_closes() public {
        bytes32 id = openIn(address(token), PAYEE, 10 ether);
        bytes memory first = voucher(id, 3 ether);
        bytes memory last = voucher(id, 4 ether);
        vm.prank(PAYEE);
        channels.settle(id, 3 ether, first);
        vm.assertEq(token.balanceOf(PAYEE), 3 ether);
        vm.prank(PAYEE);
        channels.close(id, 4 ether, last);
        vm.assertEq(token.balanceOf(PAYEE), 4 ether);
        vm.assertEq(token.balanceOf(alice), 96 ether);
        IMicroChannel.Channel memory state = stateOf(id);
        vm.assertTrue(state.finalized);
        vm.assertEq(state.settled, 4 ether);
        vm.prank(alice);
        vm.expectRevert(refused(IMicroChannel.ChannelExists.selector, id));
        channels.open{value: 0}(PAYEE, address(token), 0, SALT, address(0), new address[](0), new uint16[](0));
    }

    function test_a_server_opens_and_tops_up_for_a_client_of_the_draft() public {
        Authorization memory a = payment(5 ether, keccak256("random"));
        (uint8 v, bytes32 r, bytes32 s) = parts(sign(ALICE_SECRET, hashed("Transfer", a)));
        bytes32 id = channels.openWithAuthorization(
            PAYEE,
            address(token),
            5 ether,
            SALT,
            address(0),
            alice,
            0,
            a.validBefore,
            a.nonce,
            v,
            r,
            s,
            new address[](0),
            new uint16[](0)
        );
        vm.assertEq(id, draftId(alice, PAYEE, address(token), SALT, address(0)));
        vm.assertEq(stateOf(id).deposit, 5 ether);
        requestClose(id);
        a = payment(2 ether, keccak256("random too"));
        (v, r, s) = parts(sign(ALICE_SECRET, hashed("Transfer", a)));
        channels.topUpWithAuthorization(id, 2 ether, alice, 0, a.validBefore, a.nonce, v, r, s);
        vm.assertEq(stateOf(id).deposit, 7 ether);
        vm.assertEq(stateOf(id).closeRequestedAt, 0);
        claim(id, 7 ether);
        vm.assertEq(token.balanceOf(PAYEE), 7 ether);
    }

    function test_the_payer_gets_the_rest_after_both_delays() public {
        bytes32 id = open(PAYEE, 1 ether);
        vm.expectRevert(abi.encodeWithSelector(IMicroChannel.NotPayer.selector, address(this), alice));
        channels.requestClose(id);
        vm.prank(alice);
        vm.expectRevert(refused(IMicroChannel.NotClosing.selector, id));
        channels.withdraw(id);
        requestClose(id);
        vm.prank(alice);
        vm.expectRevert(refused(IMicroChannel.AlreadyClosing.selector, id));
        channels.requestClose(id);
        vm.assertEq(stateOf(id).closeRequestedAt, 1_000);
        vm.assertEq(stateOf(id).closeRequestedAtBlock, 100);

        // The last voucher still counts.
        claim(id, 0.25 ether);
        bytes memory early = abi.encodeWithSelector(IMicroChannel.TooEarly.selector, id, 1_000 + GRACE, 100 + GRACE_BLOCKS);
        vm.warp(1_000 + GRACE);
        vm.roll(99 + GRACE_BLOCKS);
        vm.prank(alice);
        vm.expectRevert(early);
        channels.withdraw(id);
        vm.warp(999 + GRACE);
        vm.roll(100 + GRACE_BLOCKS);
        vm.prank(alice);
        vm.expectRevert(early);
        channels.withdraw(id);
        vm.warp(1_000 + GRACE);
        vm.expectRevert(abi.encodeWithSelector(IMicroChannel.NotPayer.selector, address(this), alice));
        channels.withdraw(id);
        withdraw(id);
        vm.assertEq(alice.balance, 99.75 ether);
        vm.assertEq(address(channels).balance, 0);

        bytes memory late = voucher(id, 0.5 ether);
        vm.expectRevert(refused(IMicroChannel.AlreadyClosed.selector, id));
        channels.claim(id, 0.5 ether, late);
        vm.expectRevert(refused(IMicroChannel.AlreadyClosed.selector, id));
        channels.fund{value: 1}(id, 1);
    }

    function test_the_payers_top_up_takes_its_request_to_close_back() public {
        bytes32 id = open(PAYEE, 1 ether);
        requestClose(id);
        vm.prank(alice);
        channels.topUp{value: 1 ether}(id, 1 ether);
        vm.assertEq(stateOf(id).closeRequestedAt, 0);
        vm.assertEq(stateOf(id).closeRequestedAtBlock, 0);
        waitOut();
        vm.prank(alice);
        vm.expectRevert(refused(IMicroChannel.NotClosing.selector, id));
        channels.withdraw(id);
        // And the delays begin anew.
        requestClose(id);
        vm.assertEq(stateOf(id).closeRequestedAt, 1_000 + GRACE);
        claim(id, 2 ether);
    }

    function test_settling_and_closing_are_the_payees_and_topping_up_the_payers() public {
        bytes32 id = open(PAYEE, 1 ether);
        bytes memory good = voucher(id, 1);
        vm.expectRevert(abi.encodeWithSelector(IMicroChannel.NotPayee.selector, address(this), PAYEE));
        channels.settle(id, 1, good);
        vm.expectRevert(abi.encodeWithSelector(IMicroChannel.NotPayee.selector, address(this), PAYEE));
        channels.close(id, 1, good);
        vm.expectRevert(abi.encodeWithSelector(IMicroChannel.NotPayer.selector, address(this), alice));
        channels.topUp{value: 1}(id, 1);
        // But anybody pays the payee, and anybody adds.
        channels.claim(id, 1, good);
        channels.fund{value: 1 ether}(id, 1 ether);
        vm.assertEq(PAYEE.balance, 1);
        vm.assertEq(stateOf(id).deposit, 2 ether);
    }

    function test_splits_are_paid_of_each_settlement() public {
        bytes32 id = openSplit(10 ether, PLATFORM, 500);
        claim(id, 1 ether);
        vm.assertEq(PLATFORM.balance, 0.05 ether);
        vm.assertEq(PAYEE.balance, 0.95 ether);
        bytes memory last = voucher(id, 3 ether);
        vm.prank(PAYEE);
        channels.close(id, 3 ether, last);
        vm.assertEq(PLATFORM.balance, 0.15 ether);
        vm.assertEq(PAYEE.balance, 2.85 ether);
        vm.assertEq(alice.balance, 97 ether);
        vm.assertEq(stateOf(id).splitRecipients[0], PLATFORM);
        vm.assertEq(stateOf(id).splitBps[0], 500);
    }

    function test_splits_that_leave_nothing_for_the_payee_open_nothing() public {
        (address[] memory to, uint16[] memory bps) = one(PLATFORM, 10_000);
        requireNoSplits(to, bps, abi.encodeWithSelector(IMicroChannel.BadSplits.selector, 1, 10_000));
        bps[0] = 0;
        requireNoSplits(to, bps, abi.encodeWithSelector(IMicroChannel.BadSplits.selector, 1, 0));
        (to[0], bps[0]) = (address(channels), 1);
        requireNoSplits(to, bps, abi.encodeWithSelector(IMicroChannel.BadRecipient.selector, address(channels)));
        requireNoSplits(to, new uint16[](0), abi.encodeWithSelector(IMicroChannel.LengthMismatch.selector, 1, 0));
        requireNoSplits(new address[](0), bps, abi.encodeWithSelector(IMicroChannel.LengthMismatch.selector, 0, 1));
        (to, bps) = (new address[](17), new uint16[](17));
        for (uint256 i = 0; i < 17; ++i) {
            (to[i], bps[i]) = (PLATFORM, 1);
        }
        requireNoSplits(to, bps, abi.encodeWithSelector(IMicroChannel.BadSplits.selector, 17, 17));
    }

    function requireNoSplits(address[] memory to, uint16[] memory bps, bytes memory why) private {
        vm.prank(alice);
        vm.expectRevert(why);
        channels.open{value: 1}(PAYEE, COIN, 1, SALT, address(0), to, bps);
    }

    // ------------------------------------------------------------------ vouchers

    function test_vouchers_pay_what_they_add() public {
        bytes32 id = open(PAYEE, 1 ether);
        claim(id, 0.3 ether);
        vm.assertEq(PAYEE.balance, 0.3 ether);
        bytes memory old = voucher(id, 0.2 ether);
        vm.expectRevert(abi.encodeWithSelector(IMicroChannel.NothingNew.selector, id, 0.2 ether, 0.3 ether));
        channels.claim(id, 0.2 ether, old);
        bytes memory again = voucher(id, 0.3 ether);
        vm.expectRevert(abi.encodeWithSelector(IMicroChannel.NothingNew.selector, id, 0.3 ether, 0.3 ether));
        channels.claim(id, 0.3 ether, again);
        bytes memory tooMuch = voucher(id, 1 ether + 1);
        vm.expectRevert(abi.encodeWithSelector(IMicroChannel.BeyondDeposit.selector, id, 1 ether + 1, 1 ether));
        channels.claim(id, 1 ether + 1, tooMuch);
        claim(id, 1 ether);
        vm.assertEq(PAYEE.balance, 1 ether);
    }

    function test_an_authorized_signer_signs_instead_of_the_payer() public {
        vm.prank(alice);
        bytes32 id = channels.open{value: 1 ether}(PAYEE, COIN, 1 ether, SALT, bob, new address[](0), new uint16[](0));
        vm.assertEq(id, draftId(alice, PAYEE, COIN, SALT, bob));
        bytes memory payers = voucher(id, 1);
        vm.expectRevert(abi.encodeWithSelector(IMicroChannel.BadSignature.selector, id, bob));
        channels.claim(id, 1, payers);
        channels.claim(id, 1, voucher(BOB_SECRET, id, 1));
        vm.assertEq(PAYEE.balance, 1);
        // It gets nothing back.
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(IMicroChannel.NotPayer.selector, bob, alice));
        channels.requestClose(id);
    }

    function test_a_contract_pays_and_signs_as_its_code_says() public {
        address wallet = address(new Wallet(alice));
        vm.deal(wallet, 1 ether);
        vm.prank(wallet);
        bytes32 id = channels.open{value: 1 ether}(PAYEE, COIN, 1 ether, SALT, address(0), new address[](0), new uint16[](0));
        bytes memory keys = voucher(id, 5);
        vm.expectRevert(abi.encodeWithSelector(IMicroChannel.BadSignature.selector, id, wallet));
        channels.claim(id, 5, keys);
        channels.claim(id, 5, bytes.concat(hex"12", keys));
        vm.assertEq(PAYEE.balance, 5);
        vm.prank(PAYEE);
        channels.close(id, 5, "");
        vm.assertEq(wallet.balance, 1 ether - 5);
    }

    function test_a_payee_closes_without_a_voucher_and_gives_back_what_it_was_not_paid() public {
        bytes32 id = open(PAYEE, 1 ether);
        claim(id, 0.25 ether);
        vm.prank(PAYEE);
        channels.close(id, 0.25 ether, "");
        vm.assertEq(alice.balance, 99.75 ether);
    }

    function test_nothing_opens_without_money_or_payee_or_with_what_is_no_token() public {
        vm.expectRevert(abi.encodeWithSelector(IMicroChannel.AmountOutOfRange.selector, 0));
        channels.open(PAYEE, COIN, 0, SALT, address(0), new address[](0), new uint16[](0));
        vm.expectRevert(abi.encodeWithSelector(IMicroChannel.WrongValue.selector, 1, 2));
        channels.open{value: 1}(PAYEE, COIN, 2, SALT, address(0), new address[](0), new uint16[](0));
        vm.expectRevert(abi.encodeWithSelector(IMicroChannel.WrongValue.selector, 1, 0));
        channels.open{value: 1}(PAYEE, address(token), 1, SALT, address(0), new address[](0), new uint16[](0));
        vm.expectRevert(abi.encodeWithSelector(IMicroChannel.BadRecipient.selector, address(0)));
        channels.open{value: 1}(address(0), COIN, 1, SALT, address(0), new address[](0), new uint16[](0));
        vm.expectRevert(abi.encodeWithSelector(IMicroChannel.BadRecipient.selector, address(channels)));
        channels.open{value: 1}(address(channels), COIN, 1, SALT, address(0), new address[](0), new uint16[](0));
        vm.expectRevert(abi.encodeWithSelector(IMicroChannel.NotAToken.selector, STRANGER));
        channels.open(PAYEE, STRANGER, 1, SALT, address(0), new address[](0), new uint16[](0));
        vm.expectRevert(abi.encodeWithSelector(IMicroChannel.NotAToken.selector, address(channels)));
        channels.open(PAYEE, address(channels), 1, SALT, address(0), new address[](0), new uint16[](0));
        bytes32 none = keccak256("none");
        vm.expectRevert(refused(IMicroChannel.NoSuchChannel.selector, none));
        channels.claim(none, 1, "");
        vm.assertEq(stateOf(none).payer, address(0));
        uint128 most = type(uint88).max;
        vm.deal(alice, uint256(most) + 1);
        bytes32 id = open(PAYEE, most);
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(IMicroChannel.AmountOutOfRange.selector, 1));
        channels.fund{value: 1}(id, 1);
    }

    // ------------------------------------------------------------------ many at once

    function test_one_claim_cashes_vouchers_of_many_channels() public {
        uint256 count = 20;
        IMicroChannel.Voucher[] memory vouchers = new IMicroChannel.Voucher[](count);
        bytes[] memory signatures = new bytes[](count);
        for (uint256 i = 0; i < count; ++i) {
            bytes32 id = open(address(uint160(0x10000 + i / 3)), 1 ether, bytes32(i));
            vouchers[i] = IMicroChannel.Voucher(id, uint128((i + 1) * 1e15));
            signatures[i] = voucher(id, (i + 1) * 1e15);
        }
        channels.claimMany(vouchers, signatures);
        for (uint256 i = 0; i + 3 < count; i += 3) {
            vm.assertEq(address(uint160(0x10000 + i / 3)).balance, (3 * i + 6) * 1e15);
        }
        vm.assertEq(address(uint160(0x10006)).balance, 39 * 1e15);
        vm.expectRevert(abi.encodeWithSelector(IMicroChannel.LengthMismatch.selector, count, 0));
        channels.claimMany(vouchers, new bytes[](0));
    }

    /// Of ten vouchers one is cashed before, one closed, one forged, one too large, one of no channel, one of a furnace; one payee takes no coins.
    function test_a_claim_of_many_skips_what_is_stale_and_goes_on_after_what_refuses() public {
        IMicroChannel.Voucher[] memory vouchers = new IMicroChannel.Voucher[](10);
        bytes[] memory signatures = new bytes[](10);
        address refuser = address(new Refuser());
        for (uint256 i = 0; i < 10; ++i) {
            bytes32 id = open(i == 7 ? refuser : PAYEE, 1 ether, bytes32(i));
            vouchers[i] = IMicroChannel.Voucher(id, 100);
            signatures[i] = voucher(id, 100);
        }
        channels.claim(vouchers[1].channelId, 100, signatures[1]);
        vm.prank(PAYEE);
        channels.close(vouchers[2].channelId, 0, "");
        signatures[3] = new bytes(65);
        (vouchers[4].cumulativeAmount, signatures[4]) = (1 ether + 1, voucher(vouchers[4].channelId, 1 ether + 1));
        vouchers[5].channelId = keccak256("none");
        address furnace = address(new Furnace());
        vm.deal(furnace, 1 ether);
        vm.prank(furnace);
        vouchers[6].channelId =
            channels.open{value: 1 ether}(PAYEE, COIN, 1 ether, SALT, address(0), new address[](0), new uint16[](0));
        channels.claimMany(vouchers, signatures);
        vm.assertEq(PAYEE.balance, 400);
        vm.assertEq(channels.owed(refuser, COIN), 100);
        channels.claimMany(vouchers, signatures);
        vm.assertEq(PAYEE.balance, 400);
    }

    function test_claims_in_coins_in_tokens_and_with_splits_meet_in_one_call() public {
        IMicroChannel.Voucher[] memory vouchers = new IMicroChannel.Voucher[](4);
        bytes[] memory signatures = new bytes[](4);
        bytes32[4] memory ids = [
            open(PAYEE, 1 ether, bytes32(0)),
            openIn(address(token), PAYEE, 1 ether),
            openSplit(1 ether, PLATFORM, 100),
            open(PAYEE, 1 ether, bytes32(uint256(1)))
        ];
        for (uint256 i = 0; i < 4; ++i) {
            vouchers[i] = IMicroChannel.Voucher(ids[i], 1 ether);
            signatures[i] = voucher(ids[i], 1 ether);
        }
        channels.claimMany(vouchers, signatures);
        vm.assertEq(PAYEE.balance, 2.99 ether);
        vm.assertEq(PLATFORM.balance, 0.01 ether);
        vm.assertEq(token.balanceOf(PAYEE), 1 ether);
    }

    // ------------------------------------------------------------------ locks

    bytes32 private constant SECRET = "the secret of an invoice";

    function lockedVoucher(bytes32 id, uint128 total, IMicroChannel.Lock memory lock) private view returns (bytes memory) {
        bytes32 kind = keccak256(
            "LockedVoucher(bytes32 channelId,uint128 cumulativeAmount,uint128 lockedAmount,bytes32 sha256Hash,uint64 lockExpiry)"
        );
        bytes32 message = keccak256(abi.encode(kind, id, total, lock.lockedAmount, lock.sha256Hash, lock.lockExpiry));
        return signDigest(ALICE_SECRET, draftDigest(message));
    }

    function test_a_locked_part_is_paid_to_who_knows_the_secret_in_time() public {
        bytes32 id = open(PAYEE, 1 ether);
        IMicroChannel.Lock memory lock = IMicroChannel.Lock(0.2 ether, sha256(abi.encode(SECRET)), 2_000);
        bytes memory signature = lockedVoucher(id, 0.1 ether, lock);
        vm.expectRevert(abi.encodeWithSelector(IMicroChannel.WrongPreimage.selector, id, lock.sha256Hash));
        channels.claimLocked(id, 0.1 ether, lock, "a guess", signature);
        vm.expectRevert(abi.encodeWithSelector(IMicroChannel.BadSignature.selector, id, alice));
        channels.claim(id, 0.1 ether, signature);
        lock.lockedAmount = 0.3 ether;
        vm.expectRevert(abi.encodeWithSelector(IMicroChannel.BadSignature.selector, id, alice));
        channels.claimLocked(id, 0.1 ether, lock, SECRET, signature);
        lock.lockedAmount = 0.2 ether;
        uint256 before = vm.snapshotState();
        channels.claimLocked(id, 0.1 ether, lock, SECRET, signature);
        vm.assertEq(PAYEE.balance, 0.3 ether);
        vm.revertToState(before);
        vm.warp(2_000);
        vm.expectRevert(abi.encodeWithSelector(IMicroChannel.LockExpired.selector, id, 2_000));
        channels.claimLocked(id, 0.1 ether, lock, SECRET, signature);
    }

    // ------------------------------------------------------------------ streams

    function chain(uint256 ticks) private pure returns (bytes32 value) {
        value = keccak256("seed");
        for (uint256 i = 0; i < ticks; ++i) {
            value = keccak256(abi.encode(value));
        }
    }

    function streamVoucher(bytes32 id, uint128 total, IMicroChannel.Stream memory stream) private view returns (bytes memory) {
        bytes32 kind =
            keccak256("Stream(bytes32 channelId,uint128 cumulativeAmount,uint128 tickAmount,uint32 ticks,bytes32 root)");
        bytes32 message = keccak256(abi.encode(kind, id, total, stream.tickAmount, stream.ticks, stream.root));
        return signDigest(ALICE_SECRET, draftDigest(message));
    }

    function test_each_hash_of_a_stream_is_a_payment_and_one_claim_settles_them() public {
        bytes32 id = open(PAYEE, 1 ether);
        IMicroChannel.Stream memory stream = IMicroChannel.Stream(10, 1_000, chain(1_000));
        bytes memory signature = streamVoucher(id, 500, stream);
        channels.claimStream(id, 500, stream, 300, chain(700), signature);
        vm.assertEq(PAYEE.balance, 3_500);
        channels.claimStream(id, 500, stream, 301, chain(699), signature);
        vm.assertEq(PAYEE.balance, 3_510);
        vm.expectRevert(abi.encodeWithSelector(IMicroChannel.NothingNew.selector, id, 3_500, 3_510));
        channels.claimStream(id, 500, stream, 300, chain(700), signature);
        vm.expectRevert(abi.encodeWithSelector(IMicroChannel.WrongTick.selector, id, 302));
        channels.claimStream(id, 500, stream, 302, chain(699), signature);
        vm.expectRevert(abi.encodeWithSelector(IMicroChannel.TooManyTicks.selector, id, 1_001, 1_000));
        channels.claimStream(id, 500, stream, 1_001, 0, signature);
        stream.ticks = 2_000;
        vm.expectRevert(abi.encodeWithSelector(IMicroChannel.TooManyTicks.selector, id, 1_025, 2_000));
        channels.claimStream(id, 500, stream, 1_025, 0, signature);
        vm.expectRevert(abi.encodeWithSelector(IMicroChannel.BadSignature.selector, id, alice));
        channels.claimStream(id, 500, stream, 500, chain(500), signature);
    }

    /// Whatever order claims come in, the payee has the largest total and the payer the rest.
    function testFuzz_the_largest_voucher_counts(uint96[8] memory totals) public {
        bytes32 id = open(PAYEE, 2 ether);
        uint256 largest = 0;
        for (uint256 i = 0; i < totals.length; ++i) {
            uint256 total = bound(totals[i], 1, 2 ether);
            bytes memory signature = voucher(id, total);
            if (total <= largest) vm.expectPartialRevert(IMicroChannel.NothingNew.selector);
            else largest = total;
            channels.claim(id, uint128(total), signature);
        }
        vm.prank(PAYEE);
        channels.close(id, 0, "");
        vm.assertEq(PAYEE.balance, largest);
        vm.assertEq(alice.balance, 100 ether - largest);
    }

    // ------------------------------------------------------------------ gas

    /// As transactions of their own; the 21,000 of each are in it. Beside it what a movement of the same token costs, which is not ours.
    function used(string memory what, uint256 aim) private returns (uint256 total) {
        total = vm.lastCallGas().gasTotalUsed;
        emit log_named_uint(what, total);
        vm.assertTrue(total > 21_000, "measured without isolation");
        vm.assertLe(total, aim);
    }

    function batch(uint256 count, address currency, bool onePayee)
        private
        returns (IMicroChannel.Voucher[] memory vouchers, bytes[] memory signatures)
    {
        (vouchers, signatures) = (new IMicroChannel.Voucher[](count), new bytes[](count));
        for (uint256 i = 0; i < count; ++i) {
            address payee = onePayee ? PAYEE : address(uint160(0x10000 + i));
            bytes32 salt = keccak256(abi.encode("batch", i, currency, onePayee));
            uint256 coins = currency == COIN ? 0.1 ether : 0;
            vm.prank(alice);
            bytes32 id =
                channels.open{value: coins}(payee, currency, 0.1 ether, salt, address(0), new address[](0), new uint16[](0));
            // Each was claimed of before, as in the life of a channel.
            claim(id, 1);
            vouchers[i] = IMicroChannel.Voucher(id, 1e15);
            signatures[i] = voucher(id, 1e15);
        }
    }

    /// forge-config: default.isolate = true
    function test_what_each_call_costs_in_coins() public {
        vm.deal(PAYEE, 1);
        bytes32 id = open(PAYEE, 1 ether, keccak256("a salt"));
        used("coin: open", 75_000);
        claim(id, 0.1 ether);
        used("coin: first claim", 48_500);
        claim(id, 0.2 ether);
        uint256 one_ = used("coin: claim", 48_500);
        emit log_named_uint("coin: claim, for each of 1,000 payments", one_ / 1_000);
        vm.assertLe(one_, 50_000);
        bytes memory last = voucher(id, 0.3 ether);
        vm.prank(PAYEE);
        channels.settle(id, 0.3 ether, last);
        used("coin: settle, by the payee", 46_000);
        vm.prank(alice);
        channels.topUp{value: 1}(id, 1);
        used("coin: top up", 34_000);
        IMicroChannel.Stream memory stream = IMicroChannel.Stream(1e12, 1_000, chain(1_000));
        channels.claimStream(id, 0.3 ether, stream, 1_000, chain(0), streamVoucher(id, 0.3 ether, stream));
        used("coin: claim of a stream of 1,000 ticks", 140_000);
        requestClose(id);
        used("coin: request to close", 54_000);
        waitOut();
        withdraw(id);
        used("coin: withdraw", 52_000);
        id = open(PAYEE, 1 ether, keccak256("another salt"));
        last = voucher(id, 0.1 ether);
        vm.prank(PAYEE);
        channels.close(id, 0.1 ether, last);
        used("coin: close with a voucher", 62_000);
    }

    /// forge-config: default.isolate = true
    function test_what_claims_of_100_channels_cost() public {
        vm.deal(PAYEE, 1);
        (IMicroChannel.Voucher[] memory vouchers, bytes[] memory signatures) = batch(100, COIN, true);
        channels.claimMany(vouchers, signatures);
        emit log_named_uint("coin: each of 100 claims for one payee", used("coin: 100 claims for one payee", 1_700_000) / 100);
        (vouchers, signatures) = batch(100, COIN, false);
        channels.claimMany(vouchers, signatures);
        emit log_named_uint("coin: each of 100 claims for 100 payees", used("coin: 100 claims for 100 payees", 2_700_000) / 100);
        vm.prank(alice);
        token.approve(address(channels), type(uint256).max);
        (vouchers, signatures) = batch(100, address(token), true);
        channels.claimMany(vouchers, signatures);
        emit log_named_uint("token: each of 100 claims for one payee", used("token: 100 claims for one payee", 1_900_000) / 100);
    }

    /// forge-config: default.isolate = true
    function test_what_each_call_costs_in_tokens() public {
        vm.prank(alice);
        token.transfer(PAYEE, 1);
        vm.prank(alice);
        token.transfer(PAYEE, 1);
        uint256 movement = used("token: a transfer by itself", 36_000) - 21_000;
        openIn(address(token), STRANGER, 1 ether);
        bytes32 id = openIn(address(token), PAYEE, 1 ether);
        emit log_named_uint("token: open, of it ours", used("token: open", 140_000) - movement);
        claim(id, 0.1 ether);
        emit log_named_uint("token: claim, of it ours", used("token: claim", 75_000) - movement);
        Authorization memory a = payment(5 ether, keccak256("random"));
        (uint8 v, bytes32 r, bytes32 s) = parts(sign(ALICE_SECRET, hashed("Transfer", a)));
        channels.openWithAuthorization(
            PAYEE,
            address(token),
            5 ether,
            keccak256("b"),
            address(0),
            alice,
            0,
            a.validBefore,
            a.nonce,
            v,
            r,
            s,
            new address[](0),
            new uint16[](0)
        );
        used("token: open with an authorization", 190_000);
    }
}
