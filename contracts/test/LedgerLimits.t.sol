// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Bridge} from "../src/Bridge.sol";
import {IBitcoinLightClient} from "../src/interfaces/IBitcoinLightClient.sol";
import {IBridge} from "../src/interfaces/IBridge.sol";
import {IDeposits} from "../src/interfaces/IDeposits.sol";
import {ISigningBoard} from "../src/interfaces/ISigningBoard.sol";
import {IVault} from "../src/interfaces/IVault.sol";
import {Peg} from "./Peg.sol";

/// Cap, payout window, pause, quotas, and the parameters; with a cap of two bitcoins and a window of a fifth.
contract LedgerLimitsTest is Peg {
    function setUp() public {
        createSeededPeg();
    }

    function parameters() internal pure override returns (IBridge.Parameters memory made) {
        made = super.parameters();
        (made.capSat, made.windowSat, made.maxPayouts, made.maxInputs) = (2e8, 0.2e8, 3, 3);
    }

    // ------------------------------------------------------------------ cap

    function test_a_deposit_beyond_the_cap_is_skipped_and_its_owners_to_reclaim() public {
        pegIn(ALICE, 1.5e8);
        Funding memory beyond = fundAndProve(BOB, 0.5e8);
        refuseBind(sweepOf(beyond, RATE), abi.encodeWithSelector(IVault.NothingLeft.selector));
        vm.assertTrue(deposit(beyond).status == IDeposits.DepositStatus.Proven);
        // What bound sweeps will bring counts before it is there.
        Funding memory fits = fundAndProve(BOB, 0.4e8);
        bindSweep(fits, RATE);
        vm.assertEq(bridge.limits().capUsedSat, 1.5e8 - 488 + 0.4e8 + 1e6 - 488);
        Funding memory late = fundAndProve(BOB, 0.3e8);
        refuseBind(sweepOf(late, RATE), abi.encodeWithSelector(IVault.NothingLeft.selector));
        // When it is shown that it never will, there is room again.
        reorganise(fits.mined.height - 1);
        Block memory killer = mine(doubleSpend(fits));
        mineEmpty(FINAL);
        gone(fits, killer);
        vm.assertEq(deposits.pendingSat(), 0);
        bindSweep(minedAgain_(late), RATE);
    }

    // best   .. f - s            s, bound, would sweep f
    // rival      \ . - . - .    f leaves, its owner does nothing
    function test_a_deposit_whose_funding_left_gives_up_its_place_in_the_cap_until_it_is_back() public {
        pegIn(ALICE, 1.5e8);
        Funding memory late = fundAndProve(BOB, 0.3e8);
        Funding memory waits = fundAndProve(BOB, 0.4e8);
        refuseLeft(waits);
        uint32 number = bindSweep(waits, RATE);
        refuseLeft(waits);
        refuseBind(sweepOf(late, RATE), abi.encodeWithSelector(IVault.NothingLeft.selector));
        reorganise(waits.mined.height - 1);
        vm.assertEq(deposits.pendingSat(), 0.4e8);
        deposits.left(waits.txid, waits.vout);
        requireBooks();
        vm.assertEq(deposits.pendingSat(), 0);
        refuseLeft(waits);
        vm.expectRevert(abi.encodeWithSelector(IDeposits.NotProven.selector, waits.txid, 7));
        deposits.left(waits.txid, 7);
        bindSweep(late, RATE);
        vm.assertEq(deposits.pendingSat(), 0.3e8);
        // It is back: what is bound may sweep it, so it counts, with or without room.
        waits = minedAgain(waits);
        proveDeposit(waits);
        vm.assertEq(deposits.pendingSat(), 0.7e8);
        confirmAndSettle(number);
        vm.assertEq(deposits.pendingSat(), 0.3e8);
    }

    function refuseLeft(Funding memory funding) private {
        vm.expectRevert(abi.encodeWithSelector(IDeposits.NothingToGiveUp.selector, funding.txid, funding.vout));
        deposits.left(funding.txid, funding.vout);
    }

    /// Its sweep settles before anybody shows the funding again, and is taken back.
    function test_what_gave_up_its_place_is_counted_right_when_its_sweep_settles_first() public {
        Funding memory funding = fundAndProve(BOB, 0.4e8);
        uint32 number = bindSweep(funding, RATE);
        reorganise(funding.mined.height - 1);
        deposits.left(funding.txid, funding.vout);
        requireBooks();
        funding = minedAgain(funding);
        confirmAndSettle(number);
        vm.assertEq(deposits.pendingSat(), 0);
        reorganise(funding.mined.height - 1);
        unsettle(number);
        vm.assertEq(deposits.pendingSat(), 0.4e8);
        deposits.left(funding.txid, funding.vout);
        Block memory killer = mine(doubleSpend(funding));
        mineEmpty(FINAL);
        gone(funding, killer);
        vm.assertEq(deposits.pendingSat(), 0);
    }

    // best   .. f - . - .        its own block is the best chain's again
    // rival      \ . - .        f left, and gave up its place
    function test_what_gave_up_its_place_is_shown_again_in_the_block_that_it_had() public {
        Funding memory funding = fundAndProve(BOB, 0.4e8);
        bindSweep(funding, RATE);
        reorganise(funding.mined.height - 1);
        deposits.left(funding.txid, funding.vout);
        chainAt[funding.mined.height] = funding.mined;
        extend(mineOn(funding.mined));
        extend(mineOn(chainAt[height]));
        vm.assertEq(client.hashAt(funding.mined.height), funding.mined.hash);
        proveDeposit(funding);
        vm.assertEq(deposits.pendingSat(), 0.4e8);
    }

    function minedAgain_(Funding memory funding) private returns (Funding memory) {
        minedAgain(funding);
        proveDeposit(funding);
        return funding;
    }

    function test_story_12_no_limit_ever_asks_about_a_deposit_that_is_minted() public {
        Funding memory funding = fundAndProve(ALICE, 0.05e8);
        uint32 number = confirmAndSettle(bindSweep(funding, RATE));
        vm.assertTrue(deposit(funding).minted);
        pegIn(BOB, 1.9e8);
        reorganise(minedIn[number].height - 1);
        // Both sweeps have left; the later first. The cap is full with what is unswept.
        unsettle(number + 1);
        unsettle(number);
        vm.assertTrue(bridge.limits().capUsedSat > 1.94e8);
        vm.prank(GUARDIAN);
        bridge.pause();
        // Its second sweep is bound without a question: by the cap, a pause, the deficit or the reserve's state.
        uint32 again = confirmAndSettle(bindSweep(funding, 5_000));
        vm.assertTrue(again != number);
        vm.assertEq(deposit(funding).mintedSat, 0.05e8 - 385);
    }

    // ------------------------------------------------------------------ window

    function test_the_payout_window_bounds_first_ties_and_refills() public {
        uint32 a = pegIn(ALICE, 1e8);
        uint256 first = withdraw(ALICE, 0.15e8, 1_000, P2TR);
        uint256 second = withdraw(ALICE, 0.15e8, 1_000, P2TR);
        uint32 number = bind(and(payoutOf(a, first, RATE), second));
        vm.assertEq(contentOf[number].withdrawals.length, 1);
        requireStatus(second, IBridge.WithdrawalStatus.Queued);
        vm.assertEq(bridge.limits().windowLeftSat, 0.05e8);
        // A further version asks for nothing.
        number = bind(and(payoutOf(a, first, 3_000), second));
        vm.assertEq(contentOf[number].withdrawals.length, 1);
        vm.warp(block.timestamp + 12 hours);
        number = bind(and(payoutOf(a, first, 4_000), second));
        vm.assertEq(contentOf[number].withdrawals.length, 2);
        vm.assertEq(bridge.limits().windowLeftSat, 0);
    }

    // ------------------------------------------------------------------ pause

    function test_a_guardians_pause_stops_first_ties_alone_and_ends_by_itself() public {
        uint32 a = pegIn(ALICE, 1e8);
        uint256 tied = withdraw(ALICE, 0.05e8, 1_000, P2TR);
        bind(payoutOf(a, tied, RATE));
        uint256 id = withdraw(ALICE, 0.05e8, 1_000, P2TR);
        vm.expectRevert(abi.encodeWithSelector(IBridge.NotAGuardian.selector, ALICE));
        vm.prank(ALICE);
        bridge.pause();
        vm.prank(GUARDIAN);
        bridge.pause();
        refuseBind(payoutOf(a, id, RATE), abi.encodeWithSelector(IVault.NothingLeft.selector));
        confirmAndSettle(bind(payoutOf(a, tied, 3_000)));
        pegIn(BOB, 0.05e8);
        uint256 other = withdraw(BOB, 0.01e8, 1_000, P2TR);
        cancel(BOB, other);
        // Not renewed at once, by no guardian.
        uint256 from = bridge.limits().pauseAllowedFrom;
        vm.expectRevert(abi.encodeWithSelector(IBridge.PauseTooEarly.selector, from));
        vm.prank(address(0x60A4E));
        bridge.pause();
        vm.warp(block.timestamp + 3 days);
        vm.assertFalse(bridge.limits().stopped);
        bind(payoutOf(a + 2, id, RATE));
        vm.expectRevert(abi.encodeWithSelector(IBridge.PauseTooEarly.selector, from));
        vm.prank(GUARDIAN);
        bridge.pause();
        vm.warp(from);
        vm.prank(GUARDIAN);
        bridge.pause();
        vm.assertEq(bridge.limits().pauseNumber, 2);
    }

    function test_a_threshold_of_members_lifts_a_pause_and_nobody_pauses_again_at_once() public {
        vm.prank(GUARDIAN);
        bridge.pause();
        vm.expectRevert(abi.encodeWithSelector(IVault.NotAMember.selector, GUARDIAN));
        vm.prank(GUARDIAN);
        bridge.lift(NETWORK, 1);
        vm.expectRevert(abi.encodeWithSelector(IVault.WrongNetwork.selector, bytes32(0), NETWORK));
        vm.prank(MEMBER);
        bridge.lift(0, 1);
        for (uint256 i = 0; i < 3; ++i) {
            vm.assertTrue(bridge.limits().stopped);
            vm.prank(account(1 + i));
            bridge.lift(NETWORK, 1);
            // A second vote of the same member is none.
            if (i == 2) break;
            vm.prank(account(1 + i));
            bridge.lift(NETWORK, 1);
        }
        vm.assertFalse(bridge.limits().stopped);
        vm.expectRevert(abi.encodeWithSelector(IBridge.NotPaused.selector, 1, 1));
        vm.prank(account(4));
        bridge.lift(NETWORK, 1);
        vm.expectPartialRevert(IBridge.PauseTooEarly.selector);
        vm.prank(GUARDIAN);
        bridge.pause();
    }

    // ------------------------------------------------------------------ shape of a proposal

    function test_a_proposal_is_one_kind_and_bounded() public {
        IVault.Content memory content;
        (content.epoch, content.rate) = (1, RATE);
        refusePropose(content, abi.encodeWithSelector(IVault.MixedOrEmpty.selector));
        content.withdrawals = new uint64[](1);
        refusePropose(content, abi.encodeWithSelector(IVault.MixedOrEmpty.selector));
        content.deposits = new IVault.Outpoint[](1);
        refusePropose(content, abi.encodeWithSelector(IVault.MixedOrEmpty.selector));
        content.withdrawals = new uint64[](0);
        content.outputs = new uint32[](1);
        refusePropose(content, abi.encodeWithSelector(IVault.MixedOrEmpty.selector));
        content.outputs = new uint32[](0);
        content.deposits = new IVault.Outpoint[](4);
        refusePropose(content, abi.encodeWithSelector(IVault.TooMany.selector, 4, 3, 0, 3));
        content = payoutOf(1, 1, RATE);
        content = and(and(and(content, 2), 3), 4);
        refusePropose(content, abi.encodeWithSelector(IVault.TooMany.selector, 1, 3, 4, 3));
        content = payoutOf(1, 1, 999);
        refusePropose(content, abi.encodeWithSelector(IVault.RateOutOfBounds.selector, 999, 1_000, 1_000_000));
        content.epoch = 2;
        refusePropose(content, abi.encodeWithSelector(IVault.NoGroupKey.selector, 2));
        content = payoutOf(1, 1, RATE);
        vm.expectRevert(abi.encodeWithSelector(IVault.NoSuchPlace.selector, 4, 4));
        vm.prank(MEMBER);
        vault.propose(NETWORK, 4, content);
        vm.expectRevert(abi.encodeWithSelector(IVault.NotAMember.selector, ALICE));
        vm.prank(ALICE);
        vault.propose(NETWORK, 0, content);
        vm.expectRevert(abi.encodeWithSelector(IVault.WrongNetwork.selector, bytes32(0), NETWORK));
        vm.prank(MEMBER);
        vault.propose(0, 0, content);
    }

    function refusePropose(IVault.Content memory content, bytes memory why) private {
        vm.expectRevert(why);
        vm.prank(MEMBER);
        vault.propose(NETWORK, 0, content);
    }

    function propose(uint8 place, IVault.Content memory content) private returns (uint64) {
        vm.prank(MEMBER);
        return vault.propose(NETWORK, place, content);
    }

    function refuseByQuota(uint8 place, IVault.Content memory content, uint256 leftBytes, uint256 wantBytes) private {
        vm.expectRevert(
            abi.encodeWithSelector(IVault.ProposalsOverQuota.selector, 1, place, leftBytes, wantBytes)
        );
        propose(place, content);
    }

    function test_what_one_member_proposes_is_bounded_by_the_hour_and_refills() public {
        IVault.Content memory content = payoutOf(1, 1, RATE);
        uint256 eachBytes = abi.encodeCall(vault.propose, (NETWORK, 0, content)).length + 256;
        uint256 quota = vault.PROPOSAL_QUOTA_BYTES();
        for (uint256 i = 0; i < quota / eachBytes; ++i) {
            propose(0, content);
        }
        refuseByQuota(0, content, quota % eachBytes, eachBytes);
        // Neither its other places, nor anybody's,
        propose(1, content);
        vm.prank(account(2));
        vault.propose(NETWORK, 0, content);
        // nor what is open at this one.
        vm.assertTrue(vault.proposalAt(1, 0).openedAt != 0);
        vm.warp(block.timestamp + (eachBytes * 1 hours + quota - 1) / quota);
        propose(0, content);
        vm.warp(block.timestamp + 1 hours);
        propose(0, content);
    }

    function test_what_stands_behind_a_proposal_counts_too() public {
        bytes memory call = abi.encodeCall(vault.propose, (NETWORK, 0, payoutOf(1, 1, RATE)));
        uint256 quota = vault.PROPOSAL_QUOTA_BYTES();
        vm.prank(MEMBER);
        (bool done,) = address(vault).call(bytes.concat(call, new bytes(quota - 256 - call.length)));
        vm.assertTrue(done);
        refuseByQuota(0, payoutOf(1, 1, RATE), 0, call.length + 256);
    }

    // ------------------------------------------------------------------ the board

    function test_a_member_posts_within_its_quota_and_it_refills() public {
        uint32 number = bindSweep(fundAndProve(ALICE, 0.05e8), RATE);
        uint256 left = board.quotaLeft(2);
        bytes memory payload = new bytes(16_128);
        for (uint256 i = 0; i < 63; ++i) {
            vm.prank(account(2));
            board.postSigning(NETWORK, number, 1, 3, payload);
        }
        vm.assertEq(board.quotaLeft(2), left - 63 * 16_384);
        uint256 rest = board.quotaLeft(2);
        vm.expectRevert(abi.encodeWithSelector(ISigningBoard.OverQuota.selector, 2, rest, 16_640));
        vm.prank(account(2));
        board.postSigning(NETWORK, number, 1, 3, new bytes(16_384));
        // Nobody else's is touched.
        vm.prank(account(3));
        board.postSigning(NETWORK, number, 1, 3, new bytes(16_384));
        vm.warp(block.timestamp + 1 hours);
        vm.assertEq(board.quotaLeft(2), board.QUOTA_BYTES());
    }

    function test_bad_posts_are_refused() public {
        uint32 number = bindSweep(fundAndProve(ALICE, 0.05e8), RATE);
        vm.expectRevert(abi.encodeWithSelector(ISigningBoard.NotAMember.selector, ALICE));
        vm.prank(ALICE);
        board.postSigning(NETWORK, number, 1, 3, hex"01");
        vm.expectRevert(abi.encodeWithSelector(ISigningBoard.PayloadTooLong.selector, 16_385, 16_384));
        vm.prank(MEMBER);
        board.postSigning(NETWORK, number, 1, 3, new bytes(16_385));
        vm.expectRevert(abi.encodeWithSelector(ISigningBoard.WrongNetwork.selector, bytes32(0), NETWORK));
        vm.prank(MEMBER);
        board.postSigning(0, number, 1, 3, hex"01");
        // The key is in force; commitments are approvals; the first attempt is the proposal's.
        vm.expectRevert(ISigningBoard.SessionClosed.selector);
        vm.prank(MEMBER);
        board.postKeygen(NETWORK, 1, 0, 1, hex"01");
        vm.expectRevert(ISigningBoard.SessionClosed.selector);
        vm.prank(MEMBER);
        board.postSigning(NETWORK, number, 1, 0, hex"01");
        vm.expectRevert(ISigningBoard.SessionClosed.selector);
        vm.prank(MEMBER);
        board.postSigning(NETWORK, number, 0, 3, hex"01");
    }

    function test_what_the_ledgers_contracts_tell_each_other_nobody_else_can_say() public {
        IVault.Content memory content = payoutOf(1, 0, RATE);
        bytes[10] memory calls = [
            abi.encodeCall(IBridge.tie, (1, content, new uint32[](1), true)),
            abi.encodeCall(IBridge.bookPayout, (1, new uint64[](0), 0, 0, true)),
            abi.encodeCall(IBridge.bookSweep, (0, 0, 0, true)),
            abi.encodeCall(IBridge.bookSwept, (0, 1, true)),
            abi.encodeCall(IBridge.deliver, (new IBridge.Delivery[](0))),
            abi.encodeCall(IBridge.bookLostOutput, (1)),
            abi.encodeCall(IBridge.bookLostDeposit, (0, 1)),
            abi.encodeCall(IDeposits.take, (new IVault.Outpoint[](0), 1, RATE, 1)),
            abi.encodeCall(IDeposits.sweep, (1, new IVault.Outpoint[](0), RATE, true)),
            abi.encodeCall(IVault.approve, (1, 0, 1))
        ];
        for (uint256 i = 0; i < 10; ++i) {
            vm.prank(MEMBER);
            (bool done, bytes memory why) = (i < 7 ? address(bridge) : i < 9 ? address(deposits) : address(vault)).call(calls[i]);
            vm.assertFalse(done);
            vm.assertTrue(bytes4(why) == IVault.OnlyBy.selector);
        }
        vm.expectPartialRevert(IVault.OnlyBy.selector);
        deposits.mintDeep(1, new IVault.Outpoint[](0), RATE, 1);
    }

    // ------------------------------------------------------------------ parameters

    function test_parameters_are_checked_and_answered() public {
        IBridge.Parameters memory bad = parameters();
        bad.tiers[1].upToSat = bad.tiers[0].upToSat;
        refuseParameters(bad, "tiers do not ascend");
        bad = parameters();
        bad.tiers[3].upToSat = 20e8;
        refuseParameters(bad, "the last tier has an upper end");
        bad = parameters();
        bad.finalBlocks = 101;
        refuseParameters(bad, "the last tier is not final");
        bad = parameters();
        bad.minRate = 0;
        refuseParameters(bad, "minRate is 0");
        bad = parameters();
        bad.stopSat = 0;
        refuseParameters(bad, "stopSat is 0");
        IBridge.Parameters memory got = bridge.parameters();
        vm.assertEq(keccak256(abi.encode(got)), keccak256(abi.encode(parameters())));
    }

    function refuseParameters(IBridge.Parameters memory bad, string memory why) private {
        vm.expectRevert(abi.encodeWithSelector(IBridge.InvalidParameters.selector, why));
        new Bridge(bad, client, federation, vault, deposits);
    }
}
