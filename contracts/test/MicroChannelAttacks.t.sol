// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {WrappedBtc} from "../src/WrappedBtc.sol";
import {IBridge} from "../src/interfaces/IBridge.sol";
import {IMicroChannel} from "../src/interfaces/IMicroChannel.sol";
import {Channels} from "./Channels.sol";
import {OddToken} from "./OddTokens.sol";
import {Glutton, Reentrant, Refuser} from "./Recipients.sol";
import {Furnace, Wallet} from "./Wallets.sol";

/// What somebody tries with channels that are not its own.
contract MicroChannelAttacksTest is Channels {
    address private constant MALLORY = address(0xBAD);
    OddToken private odd;

    function setUp() public {
        createChannels();
        odd = new OddToken();
        odd.mint(alice, 100 ether);
        odd.mint(bob, 100 ether);
    }

    // ------------------------------------------------------------------ who opens with what another signed

    /// What Mallory saw in a transaction that waits, with her own words around it.
    function bring(
        Authorization memory a,
        string memory kind,
        address payee,
        address signer,
        address[] memory to,
        uint16[] memory bps
    ) private returns (bool opened, bytes memory answer) {
        bytes memory signature = sign(ALICE_SECRET, hashed(kind, a));
        (uint8 v, bytes32 r, bytes32 s) = parts(signature);
        vm.prank(MALLORY);
        return address(channels)
            .call(
                abi.encodeCall(
                    IMicroChannel.openWithAuthorization,
                    (
                        payee,
                        address(token),
                        uint128(a.value),
                        SALT,
                        signer,
                        alice,
                        a.validAfter,
                        a.validBefore,
                        a.nonce,
                        v,
                        r,
                        s,
                        to,
                        bps
                    )
                )
            );
    }

    function requireUnbound(address signer, uint256 splits, bool opened, bytes memory answer) private view {
        vm.assertFalse(opened);
        vm.assertEq(answer, abi.encodeWithSelector(IMicroChannel.UnboundAuthorization.selector, address(token), signer, splits));
    }

    function test_a_front_runner_cannot_open_a_channel_whose_vouchers_it_signs() public {
        Authorization memory a = payment(5 ether, keccak256("random"));
        (bool opened, bytes memory answer) = bring(a, "Transfer", MALLORY, MALLORY, new address[](0), new uint16[](0));
        requireUnbound(MALLORY, 0, opened, answer);
    }

    /// The draft's channel id says nothing of splits: payer and payee would not notice.
    function test_a_front_runner_cannot_add_itself_to_the_splits() public {
        Authorization memory a = payment(5 ether, keccak256("random"));
        (address[] memory to, uint16[] memory bps) = one(MALLORY, 9_999);
        (bool opened, bytes memory answer) = bring(a, "Transfer", PAYEE, address(0), to, bps);
        requireUnbound(address(0), 1, opened, answer);
    }

    /// The most that it can do: the payer's money waits for the delays, for a payee that nobody signs for.
    function test_a_front_runner_that_chooses_the_payee_of_an_unbound_authorization_takes_nothing() public {
        Authorization memory a = payment(5 ether, keccak256("random"));
        (bool opened, bytes memory answer) = bring(a, "Transfer", MALLORY, address(0), new address[](0), new uint16[](0));
        vm.assertTrue(opened);
        bytes32 id = abi.decode(answer, (bytes32));
        bytes memory forged = voucher(BOB_SECRET, id, 1);
        vm.expectRevert(abi.encodeWithSelector(IMicroChannel.BadSignature.selector, id, alice));
        channels.claim(id, 1, forged);
        requestClose(id);
        waitOut();
        withdraw(id);
        vm.assertEq(token.balanceOf(alice), 100 ether);
    }

    function test_a_bound_authorization_opens_the_channel_it_names_and_no_other() public {
        bytes32 id = draftId(alice, PAYEE, address(token), SALT, bob);
        (address[] memory to, uint16[] memory bps) = one(address(0x91A7), 500);
        Authorization memory a = payment(5 ether, channels.openNonce(id, to, bps));
        // Another payee, another signer, other splits: to the contract this nonce is one that binds nothing, and then what was signed is not for that.
        bool opened;
        bytes memory answer;
        (opened, answer) = bring(a, "Receive", MALLORY, address(0), new address[](0), new uint16[](0));
        vm.assertFalse(opened);
        vm.assertEq(answer, says("invalid signature"));
        (opened, answer) = bring(a, "Receive", PAYEE, MALLORY, to, bps);
        requireUnbound(MALLORY, 1, opened, answer);
        (opened, answer) = bring(a, "Receive", PAYEE, bob, new address[](0), new uint16[](0));
        requireUnbound(bob, 0, opened, answer);
        // Nor does the token take it from anybody else.
        (uint8 v, bytes32 r, bytes32 s) = parts(sign(ALICE_SECRET, hashed("Receive", a)));
        vm.prank(MALLORY);
        vm.expectRevert(says("caller must be the payee"));
        token.receiveWithAuthorization(alice, address(channels), 5 ether, 0, a.validBefore, a.nonce, v, r, s);
        // Brought by Mallory it is what Alice wanted.
        (opened, answer) = bring(a, "Receive", PAYEE, bob, to, bps);
        vm.assertTrue(opened);
        vm.assertEq(abi.decode(answer, (bytes32)), id);
        vm.assertEq(stateOf(id).splitRecipients[0], to[0]);
    }

    /// The tokens would have come for no channel, and nobody could have taken them out.
    function test_nobody_pays_the_channels_with_what_was_signed_for_one() public {
        Authorization memory a = payment(5 ether, keccak256("random"));
        (uint8 v, bytes32 r, bytes32 s) = parts(sign(ALICE_SECRET, hashed("Transfer", a)));
        vm.prank(MALLORY);
        vm.expectRevert(says("caller must be the payee"));
        token.transferWithAuthorization(alice, address(channels), 5 ether, 0, a.validBefore, a.nonce, v, r, s);
        vm.prank(MALLORY);
        vm.expectRevert(says("caller must be the payee"));
        token.transferWithAuthorization(alice, address(channels), 5 ether, 0, a.validBefore, a.nonce, abi.encodePacked(r, s, v));
    }

    /// A token that lets anybody bring it gets a nonce that binds, or nothing.
    function test_a_token_that_does_not_know_the_channels_is_taken_by_bound_authorizations_alone() public {
        token = new WrappedBtc(IBridge(BRIDGE), address(0));
        wrap(alice, 10 ether);
        Authorization memory a = payment(5 ether, keccak256("random"));
        (bool opened, bytes memory answer) = bring(a, "Transfer", PAYEE, address(0), new address[](0), new uint16[](0));
        requireUnbound(address(0), 0, opened, answer);
        bytes32 id = draftId(alice, PAYEE, address(token), SALT, address(0));
        a.nonce = channels.openNonce(id, new address[](0), new uint16[](0));
        (opened, answer) = bring(a, "Receive", PAYEE, address(0), new address[](0), new uint16[](0));
        vm.assertTrue(opened);
        vm.assertEq(token.balanceOf(address(channels)), 5 ether);
    }

    /// Money that a payer meant for one channel is not led to another one's signer.
    function test_a_top_up_goes_to_the_channel_it_was_signed_for() public {
        wrap(alice, 100 ether);
        vm.prank(alice);
        token.approve(address(channels), 100 ether);
        vm.prank(alice);
        bytes32 session = channels.open(PAYEE, address(token), 1 ether, SALT, bob, new address[](0), new uint16[](0));
        bytes32 own = openIn(address(token), PAYEE, 1 ether);
        Authorization memory a = payment(5 ether, channels.topUpNonce(own, 7));
        (uint8 v, bytes32 r, bytes32 s) = parts(sign(ALICE_SECRET, hashed("Receive", a)));
        vm.expectRevert(abi.encodeWithSelector(IMicroChannel.UnboundAuthorization.selector, address(token), bob, 0));
        channels.topUpWithAuthorization(session, 5 ether, alice, 0, a.validBefore, a.nonce, v, r, s);
        vm.expectRevert(abi.encodeWithSelector(IMicroChannel.NotPayer.selector, bob, alice));
        channels.topUpWithAuthorization(own, 5 ether, bob, 0, a.validBefore, a.nonce, v, r, s);
        channels.topUpWithAuthorization(own, 5 ether, alice, 0, a.validBefore, a.nonce, v, r, s);
        vm.assertEq(stateOf(own).deposit, 6 ether);
        vm.expectRevert(says("authorization is used or canceled"));
        channels.topUpWithAuthorization(own, 5 ether, alice, 0, a.validBefore, a.nonce, v, r, s);
        // A second one has another number; a session's channel takes it too.
        a = payment(2 ether, channels.topUpNonce(session, 8));
        (v, r, s) = parts(sign(ALICE_SECRET, hashed("Receive", a)));
        channels.topUpWithAuthorization(session, 2 ether, alice, 0, a.validBefore, a.nonce, v, r, s);
        vm.assertEq(stateOf(session).deposit, 3 ether);
    }

    function test_a_channel_is_not_opened_before_its_payer_does() public {
        vm.deal(MALLORY, 1 ether);
        vm.prank(MALLORY);
        bytes32 hers = channels.open{value: 1}(PAYEE, COIN, 1, SALT, address(0), new address[](0), new uint16[](0));
        bytes32 id = open(PAYEE, 1 ether);
        vm.assertTrue(id != hers);
        vm.assertEq(stateOf(id).payer, alice);
        vm.prank(alice);
        vm.expectRevert(refused(IMicroChannel.ChannelExists.selector, id));
        channels.open{value: 1}(PAYEE, COIN, 1, SALT, address(0), new address[](0), new uint16[](0));
    }

    /// Money that lies in the contract, whosever it was, opens nothing and pays nobody.
    function test_money_sent_before_is_no_deposit() public {
        vm.prank(bob);
        odd.transfer(address(channels), 10 ether);
        bytes32 id = openIn(address(odd), PAYEE, 1 ether);
        vm.assertEq(stateOf(id).deposit, 1 ether);
        bytes memory more = voucher(id, 2 ether);
        vm.expectRevert(abi.encodeWithSelector(IMicroChannel.BeyondDeposit.selector, id, 2 ether, 1 ether));
        channels.claim(id, 2 ether, more);
        claim(id, 1 ether);
        vm.assertEq(odd.balanceOf(PAYEE), 1 ether);
    }

    // ------------------------------------------------------------------ vouchers

    function test_a_voucher_is_for_one_channel_one_total_one_contract_and_one_chain() public {
        bytes32 id = open(PAYEE, 1 ether);
        bytes32 other = open(PAYEE, 1 ether, keccak256("other"));
        bytes memory good = voucher(id, 0.3 ether);
        bytes memory why = abi.encodeWithSelector(IMicroChannel.BadSignature.selector, id, alice);
        vm.expectRevert(abi.encodeWithSelector(IMicroChannel.BadSignature.selector, other, alice));
        channels.claim(other, 0.3 ether, good);
        vm.expectRevert(why);
        channels.claim(id, 0.3 ether + 1, good);
        vm.expectRevert(why);
        channels.claim(id, 0.3 ether, bytes.concat(good, hex"00"));
        vm.expectRevert(why);
        channels.claim(id, 0.3 ether, new bytes(65));
        bytes memory strangers = voucher(BOB_SECRET, id, 0.3 ether);
        vm.expectRevert(why);
        channels.claim(id, 0.3 ether, strangers);
        // A number: the compiler takes the chain's id for one that never changes.
        vm.chainId(31_338);
        vm.expectRevert(why);
        channels.claim(id, 0.3 ether, good);
        vm.chainId(31_337);
        address copy = address(0xC0FFEE);
        vm.etch(copy, address(channels).code);
        vm.deal(alice, 1 ether);
        vm.prank(alice);
        bytes32 there =
            IMicroChannel(copy).open{value: 1 ether}(PAYEE, COIN, 1 ether, SALT, address(0), new address[](0), new uint16[](0));
        vm.assertTrue(there != id);
        vm.expectRevert(abi.encodeWithSelector(IMicroChannel.BadSignature.selector, there, alice));
        IMicroChannel(copy).claim(there, 0.3 ether, good);
        channels.claim(id, 0.3 ether, good);
    }

    function test_the_higher_form_of_a_signature_is_refused() public {
        bytes32 id = open(PAYEE, 1 ether);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(ALICE_SECRET, channels.getVoucherDigest(id, 1));
        bytes memory high = abi.encodePacked(r, bytes32(ORDER - uint256(s)), v == 27 ? 28 : 27);
        vm.expectRevert(abi.encodeWithSelector(IMicroChannel.BadSignature.selector, id, alice));
        channels.claim(id, 1, high);
        bytes memory compact = abi.encodePacked(r, bytes32(uint256(s) | (uint256(v - 27) << 255)));
        vm.expectRevert(abi.encodeWithSelector(IMicroChannel.BadSignature.selector, id, alice));
        channels.claim(id, 1, compact);
    }

    /// A closed channel's vouchers would be worth something again.
    function test_a_closed_channel_is_never_opened_again() public {
        bytes32 id = open(PAYEE, 1 ether);
        vm.prank(PAYEE);
        channels.close(id, 0, "");
        vm.prank(alice);
        vm.expectRevert(refused(IMicroChannel.ChannelExists.selector, id));
        channels.open{value: 1 ether}(PAYEE, COIN, 1 ether, SALT, address(0), new address[](0), new uint16[](0));
    }

    function test_a_signer_that_burns_gas_burns_a_bounded_amount() public {
        address furnace = address(new Furnace());
        vm.deal(furnace, 2 ether);
        vm.prank(furnace);
        bytes32 id = channels.open{value: 1 ether}(PAYEE, COIN, 1 ether, SALT, address(0), new address[](0), new uint16[](0));
        uint256 before = gasleft();
        vm.expectRevert(abi.encodeWithSelector(IMicroChannel.BadSignature.selector, id, furnace));
        channels.claim(id, 1, "");
        vm.assertLt(before - gasleft(), 130_000);
        // Nobody else's voucher suffers.
        bytes32 good = open(PAYEE, 1 ether);
        IMicroChannel.Voucher[] memory vouchers = new IMicroChannel.Voucher[](2);
        (vouchers[0], vouchers[1]) = (IMicroChannel.Voucher(id, 1), IMicroChannel.Voucher(good, 1));
        bytes[] memory signatures = new bytes[](2);
        signatures[1] = voucher(good, 1);
        channels.claimMany(vouchers, signatures);
        vm.assertEq(PAYEE.balance, 1);
    }

    // ------------------------------------------------------------------ closing

    function test_dust_from_strangers_does_not_keep_a_payer_in_its_channel() public {
        bytes32 id = open(PAYEE, 1 ether);
        requestClose(id);
        vm.deal(MALLORY, 1 ether);
        for (uint256 i = 0; i < 10; ++i) {
            vm.warp(block.timestamp + GRACE / 10);
            vm.roll(block.number + GRACE_BLOCKS / 10);
            vm.prank(MALLORY);
            channels.fund{value: 1}(id, 1);
        }
        withdraw(id);
        vm.assertEq(alice.balance, 100 ether + 10);
    }

    /// As the payer could: pay one wei more just before.
    function test_a_closing_payee_is_not_stopped_by_a_later_voucher() public {
        bytes32 id = open(PAYEE, 1 ether);
        bytes memory last = voucher(id, 0.5 ether);
        claim(id, 0.5 ether + 1);
        vm.prank(PAYEE);
        channels.close(id, 0.5 ether, last);
        vm.assertEq(PAYEE.balance, 0.5 ether + 1);
        vm.assertEq(alice.balance, 99.5 ether - 1);
    }

    function test_a_chain_that_stood_still_for_a_week_robs_no_payee() public {
        bytes32 id = open(PAYEE, 1 ether);
        requestClose(id);
        vm.warp(block.timestamp + 7 days);
        vm.roll(block.number + 1);
        vm.prank(alice);
        vm.expectPartialRevert(IMicroChannel.TooEarly.selector);
        channels.withdraw(id);
        claim(id, 1 ether);
        vm.assertEq(PAYEE.balance, 1 ether);
    }

    // ------------------------------------------------------------------ who cannot be paid

    function test_what_a_payee_refuses_waits_for_it_and_stops_nobody() public {
        Refuser refuser = new Refuser();
        bytes32 id = open(address(refuser), 1 ether);
        claim(id, 0.25 ether);
        vm.assertEq(channels.owed(address(refuser), COIN), 0.25 ether);
        vm.expectRevert(abi.encodeWithSelector(IMicroChannel.TransferFailed.selector, COIN, address(refuser)));
        channels.collect(address(refuser), COIN);
        // Not for others, but where it wants.
        vm.prank(MALLORY);
        vm.expectRevert(abi.encodeWithSelector(IMicroChannel.NothingOwed.selector, MALLORY, COIN));
        channels.collectTo(COIN, MALLORY);
        vm.prank(address(refuser));
        channels.collectTo(COIN, PAYEE);
        vm.assertEq(PAYEE.balance, 0.25 ether);
        vm.prank(address(refuser));
        channels.close(id, 0, "");
        vm.assertEq(alice.balance, 99.75 ether);
        vm.assertEq(address(channels).balance, 0);
    }

    function test_a_split_recipient_that_reverts_stops_neither_payee_nor_payer() public {
        address refuser = address(new Refuser());
        address glutton = address(new Glutton());
        address[] memory to = new address[](2);
        uint16[] memory bps = new uint16[](2);
        (to[0], to[1], bps[0], bps[1]) = (refuser, glutton, 1_000, 2_000);
        vm.prank(alice);
        bytes32 id = channels.open{value: 1 ether}(PAYEE, COIN, 1 ether, SALT, address(0), to, bps);
        bytes memory last = voucher(id, 0.5 ether);
        vm.prank(PAYEE);
        channels.close(id, 0.5 ether, last);
        vm.assertEq(PAYEE.balance, 0.35 ether);
        vm.assertEq(channels.owed(refuser, COIN), 0.05 ether);
        vm.assertEq(channels.owed(glutton, COIN), 0.1 ether);
        vm.assertEq(alice.balance, 99.5 ether);
    }

    function test_a_payer_that_takes_no_coins_holds_no_channel_open() public {
        Wallet wallet = new Wallet(alice);
        vm.deal(address(wallet), 1 ether);
        vm.prank(address(wallet));
        bytes32 id = channels.open{value: 1 ether}(PAYEE, COIN, 1 ether, SALT, address(0), new address[](0), new uint16[](0));
        vm.etch(address(wallet), address(new Refuser()).code);
        vm.prank(PAYEE);
        channels.close(id, 0, "");
        vm.assertTrue(stateOf(id).finalized);
        vm.assertEq(channels.owed(address(wallet), COIN), 1 ether);
    }

    /// By a call with so little gas that the payment fails and its being set aside does not.
    function test_nobody_makes_a_payment_fail_by_sending_little_gas() public {
        address payee = address(new Wallet(bob));
        bytes32 id = open(payee, 1 ether);
        bytes32 inTokens = openIn(address(token), payee, 1 ether);
        bytes[2] memory calls = [
            abi.encodeCall(channels.claim, (id, 1 ether, voucher(id, 1 ether))),
            abi.encodeCall(channels.claim, (inTokens, 1 ether, voucher(inTokens, 1 ether)))
        ];
        for (uint256 i = 0; i < 2; ++i) {
            for (uint256 gas_ = 10_000; gas_ < 500_000; gas_ += 2_500) {
                uint256 before = vm.snapshotState();
                (bool ok,) = address(channels).call{gas: gas_}(calls[i]);
                vm.assertEq(channels.owed(payee, i == 0 ? COIN : address(token)), 0);
                if (ok) vm.assertEq(i == 0 ? payee.balance : token.balanceOf(payee), 1 ether);
                vm.assertTrue(vm.revertToState(before));
            }
        }
    }

    // ------------------------------------------------------------------ reentrancy

    /// The channels hold enough to pay it twice; only the lock stands in its way.
    function test_a_payee_can_do_nothing_while_it_is_paid() public {
        bytes32 other = open(PAYEE, 2 ether, keccak256("other"));
        bytes[5] memory calls = [
            abi.encodeCall(channels.claim, (other, 1 ether, voucher(other, 1 ether))),
            abi.encodeCall(channels.collect, (PAYEE, COIN)),
            abi.encodeCall(channels.fund, (other, 1)),
            abi.encodeCall(channels.withdraw, (other)),
            abi.encodeCall(channels.moveToken, (address(token), MALLORY, 1, 0))
        ];
        for (uint256 i = 0; i < calls.length; ++i) {
            address payee = address(new Reentrant(address(channels), calls[i]));
            bytes32 id = open(payee, 1 ether, bytes32(i));
            claim(id, 1 ether);
            vm.assertEq(channels.owed(payee, COIN), 1 ether);
        }
        vm.assertEq(PAYEE.balance, 0);
    }

    function test_nobody_moves_the_contracts_tokens() public {
        openIn(address(token), PAYEE, 1 ether);
        vm.prank(MALLORY);
        vm.expectRevert(IMicroChannel.Reentered.selector);
        channels.moveToken(address(token), MALLORY, 1 ether, 0);
    }

    /// What arrives in the inner call would be counted twice.
    function test_a_token_that_calls_back_while_it_is_locked_counts_once() public {
        bytes32 id = openIn(address(odd), PAYEE, 1 ether);
        odd.mint(address(this), 5 ether);
        odd.approve(address(channels), 5 ether);
        odd.plan(address(channels), abi.encodeCall(channels.fund, (id, 5 ether)));
        vm.expectPartialRevert(IMicroChannel.TransferFailed.selector);
        channels.fund(id, 1 ether);
        vm.assertEq(stateOf(id).deposit, 1 ether);
    }

    function test_a_token_that_calls_back_while_it_is_paid_is_paid_once() public {
        bytes32 id = openIn(address(odd), PAYEE, 2 ether);
        odd.plan(address(channels), abi.encodeCall(channels.claim, (id, 2 ether, voucher(id, 2 ether))));
        claim(id, 1 ether);
        vm.assertEq(odd.balanceOf(PAYEE), 0);
        vm.assertEq(channels.owed(PAYEE, address(odd)), 1 ether);
        odd.plan(address(0), "");
        channels.collect(PAYEE, address(odd));
        vm.assertEq(odd.balanceOf(PAYEE), 1 ether);
        claim(id, 2 ether);
        vm.assertEq(odd.balanceOf(PAYEE), 2 ether);
    }

    // ------------------------------------------------------------------ odd tokens

    function openOdd(address payer, uint256 amount) private returns (bytes32) {
        vm.prank(payer);
        odd.approve(address(channels), amount);
        vm.prank(payer);
        return channels.open(PAYEE, address(odd), uint128(amount), SALT, address(0), new address[](0), new uint16[](0));
    }

    function test_what_a_token_keeps_on_the_way_is_no_deposit() public {
        bytes32 bobs = openOdd(bob, 10 ether);
        odd.setFees(1_000, 0);
        bytes32 id = openOdd(alice, 10 ether);
        vm.assertEq(stateOf(id).deposit, 9 ether);
        claim(id, 9 ether);
        vm.assertEq(odd.balanceOf(PAYEE), 8.1 ether);
        odd.setFees(0, 0);
        channels.claim(bobs, 10 ether, voucher(BOB_SECRET, bobs, 10 ether));
        vm.assertEq(odd.balanceOf(PAYEE), 18.1 ether);
    }

    function test_a_token_that_takes_a_fee_from_the_sender_pays_nothing_out_of_other_channels() public {
        bytes32 bobs = openOdd(bob, 10 ether);
        bytes32 id = openOdd(alice, 10 ether);
        odd.setFees(0, 1_000);
        claim(id, 10 ether);
        vm.assertEq(odd.balanceOf(PAYEE), 0);
        vm.assertEq(odd.balanceOf(address(channels)), 20 ether);
        odd.setFees(0, 0);
        channels.collect(PAYEE, address(odd));
        channels.claim(bobs, 10 ether, voucher(BOB_SECRET, bobs, 10 ether));
        vm.assertEq(odd.balanceOf(PAYEE), 20 ether);
    }

    function test_what_a_token_takes_away_is_missing_for_all_its_channels_in_proportion() public {
        bytes32 bobs = openOdd(bob, 30 ether);
        bytes32 id = openOdd(alice, 10 ether);
        bytes32 coins = open(PAYEE, 1 ether);
        odd.rebase(5_000);
        // No new deposit pays for it.
        vm.prank(bob);
        odd.approve(address(channels), 1 ether);
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(IMicroChannel.TokenMissing.selector, address(odd), 20 ether, 40 ether));
        channels.fund(bobs, 1 ether);
        claim(id, 10 ether);
        vm.assertEq(odd.balanceOf(PAYEE), 5 ether);
        channels.claim(bobs, 30 ether, voucher(BOB_SECRET, bobs, 30 ether));
        vm.assertEq(odd.balanceOf(PAYEE), 20 ether);
        claim(coins, 1 ether);
        vm.assertEq(PAYEE.balance, 1 ether);
    }

    function test_what_a_token_adds_is_nobodys() public {
        bytes32 id = openOdd(alice, 10 ether);
        odd.rebase(20_000);
        claim(id, 10 ether);
        vm.assertEq(odd.balanceOf(PAYEE), 10 ether);
    }

    function test_tokens_that_answer_nothing_pay_and_those_that_refuse_lie_or_burn_stop_no_batch() public {
        bytes32 id = openOdd(alice, 10 ether);
        bytes32 coins = open(PAYEE, 1 ether);
        odd.setManners(true, false, false);
        claim(id, 1 ether);
        vm.assertEq(odd.balanceOf(PAYEE), 1 ether);
        odd.setManners(false, false, true);
        claim(id, 2 ether);
        odd.setManners(false, false, false);
        odd.list(PAYEE, true);
        claim(id, 3 ether);
        odd.setManners(false, true, false);
        odd.list(PAYEE, false);
        IMicroChannel.Voucher[] memory vouchers = new IMicroChannel.Voucher[](2);
        (vouchers[0], vouchers[1]) = (IMicroChannel.Voucher(id, 4 ether), IMicroChannel.Voucher(coins, 1 ether));
        bytes[] memory signatures = new bytes[](2);
        (signatures[0], signatures[1]) = (voucher(id, 4 ether), voucher(coins, 1 ether));
        uint256 before = gasleft();
        channels.claimMany(vouchers, signatures);
        vm.assertLt(before - gasleft(), 500_000);
        vm.assertEq(PAYEE.balance, 1 ether);
        vm.assertEq(channels.owed(PAYEE, address(odd)), 3 ether);
        // Burned in a loop that nothing bounds but the caller's gas.
        (bool ok,) = address(channels).call{gas: 1_000_000}(abi.encodeCall(channels.collect, (PAYEE, address(odd))));
        vm.assertFalse(ok);
        odd.setManners(false, false, false);
        channels.collect(PAYEE, address(odd));
        vm.assertEq(odd.balanceOf(PAYEE), 4 ether);
    }
}
