// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IBitcoinLightClient} from "../src/interfaces/IBitcoinLightClient.sol";
import {IBridge} from "../src/interfaces/IBridge.sol";
import {IDeposits} from "../src/interfaces/IDeposits.sol";
import {ISigningBoard} from "../src/interfaces/ISigningBoard.sol";
import {IVault} from "../src/interfaces/IVault.sol";
import {Peg} from "./Peg.sol";
import {Purse, Reentrant, Refuser} from "./Recipients.sol";

/// The stories that an adversarial reading of the design found, by their numbers there. (17 is in LedgerAttacks.t.sol, 12 in LedgerLimits.t.sol.)
contract LedgerStoriesTest is Peg {
    function setUp() public {
        createSeededPeg();
    }

    /// (The proof is made first: hashing calls a precompile, and the next call is expected to revert.)
    function refuseGone(
        Funding memory funding,
        bytes[] memory path,
        bytes memory killer,
        Block memory mined,
        uint256 index,
        bytes memory why
    ) private {
        IBitcoinLightClient.InclusionProof memory proof = prove(mined, index);
        vm.expectRevert(why);
        deposits.gone(funding.txid, funding.vout, path, 0, killer, proof);
    }

    function refuseTheft(bool final_, uint32 number, Block memory theft, bytes memory why) private {
        IBitcoinLightClient.InclusionProof memory proof = prove(theft, 1);
        vm.expectRevert(why);
        if (final_) vault.gone(number, theft.transactions[1], proof);
        else vault.alarm(number, theft.transactions[1], proof);
    }

    // ------------------------------------------------------------------ 1

    function test_story_1_a_deposits_own_funding_is_not_its_killer() public {
        Funding memory funding = fundAndProve(ALICE, 0.05e8);
        mineEmpty(FINAL);
        bytes memory own = funding.mined.transactions[1];
        bytes[] memory path = new bytes[](1);
        path[0] = own;
        refuseGone(
            funding, path, own, funding.mined, 1, abi.encodeWithSelector(IDeposits.KillerIsAncestor.selector, funding.txid)
        );
        refuseGone(
            funding, new bytes[](0), own, funding.mined, 1, abi.encodeWithSelector(IVault.DoesNotSpend.selector, funding.txid)
        );
    }

    function test_story_1_no_coinbase_is_the_killer_of_another() public {
        Funding memory funding = addressed(terms_(ALICE, 10_000), 0.05e8);
        bytes memory reward = bytes.concat(
            bytes.concat(hex"0200000001", bytes32(0), hex"ffffffff", hex"02abcd", hex"ffffffff", hex"01"),
            bytes.concat(le(0.05e8, 8), hex"225120", funding.outputKey, hex"00000000")
        );
        Block memory mined = mineOn(chainAt[height]);
        mined.transactions[0] = reward;
        (mined.raw, mined.hash) = header(chainAt[height].hash, merkleRoot(mined.transactions), mined.time, REGTEST_BITS);
        extend(mined);
        (funding.mined, funding.index, funding.vout, funding.txid) = (mined, 0, 0, hash256(reward));
        Block memory other = mine(new bytes[](0));
        mineEmpty(FINAL - 3);
        bytes32 y = funding.outputKeyY;
        IBitcoinLightClient.InclusionProof memory proof = prove(mined, 0);
        vm.expectRevert(abi.encodeWithSelector(IDeposits.CoinbaseImmature.selector, 99, 100));
        deposits.prove(reward, 0, funding.terms, y, proof);
        mineEmpty(1);
        proveDeposit(funding);
        mineEmpty(1);
        bytes[] memory path = new bytes[](1);
        path[0] = reward;
        refuseGone(funding, path, other.transactions[0], other, 0, abi.encodeWithSelector(IDeposits.NullOutpoint.selector));
    }

    function test_story_1_what_is_settled_is_never_gone() public {
        Funding memory funding = fundAndProve(ALICE, 0.05e8);
        Funding memory before = funding;
        uint32 number = confirmAndSettle(bindSweep(funding, RATE));
        reorganise(funding.mined.height - 1);
        Block memory killer = mine(doubleSpend(before));
        mineEmpty(FINAL - 1);
        bytes[] memory path = new bytes[](1);
        path[0] = before.mined.transactions[1];
        refuseGone(
            funding,
            path,
            killer.transactions[1],
            killer,
            1,
            abi.encodeWithSelector(IDeposits.NotSweepable.selector, funding.txid, 1, number)
        );
        unsettle(number);
        gone(before, killer);
    }

    // ------------------------------------------------------------------ 2, 3

    function test_story_2_nothing_is_named_twice() public {
        uint32 a = pegIn(ALICE, 1e8);
        uint256 id = withdraw(ALICE, 0.1e8, 1_000, P2TR);
        vm.prank(MEMBER);
        vm.expectRevert(abi.encodeWithSelector(IVault.NotAscending.selector, 1));
        vault.propose(NETWORK, 0, and(payoutOf(a, id, RATE), id));
        vm.prank(MEMBER);
        vm.expectRevert(abi.encodeWithSelector(IVault.NotAscending.selector, 1));
        vault.propose(NETWORK, 0, from(payoutOf(a, id, RATE), a));
        IVault.Content memory twice = sweepOf(fundAndProve(ALICE, 0.05e8), RATE);
        IVault.Outpoint memory named = twice.deposits[0];
        twice.deposits = new IVault.Outpoint[](2);
        (twice.deposits[0], twice.deposits[1]) = (named, named);
        vm.prank(MEMBER);
        vm.expectRevert(abi.encodeWithSelector(IVault.NotAscending.selector, 1));
        vault.propose(NETWORK, 0, twice);
    }

    function test_story_3_a_transaction_has_one_number() public {
        uint32 a = pegIn(ALICE, 1e8);
        uint256 id = withdraw(ALICE, 0.1e8, 1_000, P2TR);
        uint32 number = bind(payoutOf(a, id, 2_000));
        // Both rates round to the same bytes.
        refuseBind(payoutOf(a, id, 1_999), abi.encodeWithSelector(IVault.AlreadyBound.selector, number));
        bind(payoutOf(a, id, 1_900));
    }

    // ------------------------------------------------------------------ 4

    function test_story_4_a_maximum_that_is_raised_changes_nothing_that_is_bound() public {
        uint32 a = pegIn(ALICE, 1e8);
        uint256 id = withdraw(ALICE, 0.1e8, 356, P2TR);
        bind(payoutOf(a, id, RATE));
        // A later version: its owner pays its maximum, the reserve the rest.
        int64 before = bridge.books().reserve;
        uint32 dear = bind(payoutOf(a, id, 20_000));
        vm.prank(ALICE);
        bridge.raise(id, 10_000);
        requireStatus(id, IBridge.WithdrawalStatus.Tied);
        confirmAndSettle(dear);
        uint256 costSat = costOf(unsigned[dear].length, 1, 20_000);
        assertSame(int256(bridge.books().reserve), int256(before) + 356 - int256(costSat));
        requireStatus(id, IBridge.WithdrawalStatus.Paid);
    }

    function test_story_4_the_next_version_costs_up_to_the_raised_maximum() public {
        uint32 a = pegIn(ALICE, 1e8);
        uint256 id = withdraw(ALICE, 0.1e8, 356, P2TR);
        bind(payoutOf(a, id, RATE));
        vm.expectRevert(abi.encodeWithSelector(IBridge.NotOwner.selector, BOB, ALICE));
        vm.prank(BOB);
        bridge.raise(id, 10_000);
        vm.expectRevert(abi.encodeWithSelector(IBridge.MaximumTooLow.selector, 356, 357));
        vm.prank(ALICE);
        bridge.raise(id, 356);
        vm.expectRevert(abi.encodeWithSelector(IBridge.FeeLeavesDust.selector, 0.1e8, 0.1e8 - 329, 330));
        vm.prank(ALICE);
        bridge.raise(id, 0.1e8 - 329);
        vm.prank(ALICE);
        bridge.raise(id, 10_000);
        int64 before = bridge.books().reserve;
        uint32 dear = confirmAndSettle(bind(payoutOf(a, id, 20_000)));
        uint256 costSat = costOf(unsigned[dear].length, 1, 20_000);
        assertSame(int256(bridge.books().reserve), int256(before) + 78 * 20 + 200 - int256(costSat));
        vm.expectRevert(abi.encodeWithSelector(IBridge.WrongStatus.selector, id, IBridge.WithdrawalStatus.Paid));
        vm.prank(ALICE);
        bridge.raise(id, 20_000);
    }

    // ------------------------------------------------------------------ 5

    // best   .. p                    settled
    // rival      \ . - p - c - .     c settles first, then p is shown in its new block
    function test_story_5_a_parent_in_a_new_block_is_shown_even_when_its_child_settled_first() public {
        uint32 a = pegIn(ALICE, 1e8);
        uint256 id = withdraw(ALICE, 0.1e8, 1_000, P2TR);
        uint256 second = withdraw(ALICE, 0.1e8, 1_000, P2TR);
        uint32 parent = confirmAndSettle(bind(payoutOf(a, id, RATE)));
        uint32 child = bind(payoutOf(parent, second, RATE));
        reorganise(minedIn[parent].height - 1);
        confirm(parent);
        confirmAndSettle(child);
        IVault.Content memory content = contentOf[parent];
        vm.expectRevert(abi.encodeWithSelector(IVault.SpenderSettled.selector, parent, child));
        vault.unsettle(parent, content);
        settle(parent);
        vm.assertEq(vault.vaultTransaction(parent).height, minedIn[parent].height);
        mineEmpty(FINAL);
        vm.assertTrue(vault.ended(a));
        vm.assertTrue(vault.ended(parent));
        requireStatus(second, IBridge.WithdrawalStatus.Paid);
    }

    // ------------------------------------------------------------------ 6

    // best   .. x - f          x pays w, whose owner deposits it again: f
    // rival      \ y - . - .   y spends the same output as x, so f can never be
    function test_story_6_a_bound_transaction_may_be_the_killer_of_an_ancestor() public {
        uint32 a = pegIn(ALICE, 1e8);
        uint256 id = withdraw(ALICE, 0.1e8, 1_000, P2WPKH);
        uint32 x = bind(payoutOf(a, id, RATE));
        uint32 y = bind(payoutOf(a, id, 3_000));
        confirm(x);
        Funding memory funding = addressed(terms_(BOB, 10_000), 0.09e8);
        bytes memory again = bytes.concat(
            bytes.concat(hex"0200000001", hash256(unsigned[x]), hex"01000000", hex"00fdffffff", hex"02"),
            bytes.concat(le(1000, 8), hex"160014", bytes20(0), le(0.09e8, 8), hex"225120", funding.outputKey, hex"00000000")
        );
        funding.txid = hash256(again);
        (funding.mined, funding.index) = (mine(again), 1);
        proveDeposit(funding);
        reorganise(minedIn[x].height - 1);
        confirmAndSettle(y);
        Block memory killer = minedIn[y];
        mineEmpty(FINAL - 2);
        bytes[] memory path = new bytes[](2);
        (path[0], path[1]) = (unsigned[x], again);
        refuseGone(funding, path, unsigned[y], killer, 1, abi.encodeWithSelector(IVault.TooFewConfirmations.selector, 99, 100));
        mineEmpty(1);
        (path[0], path[1]) = (again, again);
        refuseGone(funding, path, unsigned[y], killer, 1, abi.encodeWithSelector(IDeposits.BrokenPath.selector, 0));
        path[0] = unsigned[x];
        deposits.gone(funding.txid, 1, path, 0, unsigned[y], prove(killer, 1));
        requireBooks();
        vm.assertTrue(deposit(funding).status == IDeposits.DepositStatus.Gone);
    }

    function test_story_6_a_bound_sweep_is_settled_and_no_killer() public {
        Funding memory funding = fundAndProve(ALICE, 0.05e8);
        uint32 number = confirm(bindSweep(funding, RATE));
        mineEmpty(FINAL - 1);
        Block memory killer = minedIn[number];
        bytes32 txid = hash256(unsigned[number]);
        refuseGone(
            funding,
            new bytes[](0),
            unsigned[number],
            killer,
            1,
            abi.encodeWithSelector(IVault.KillerIsBound.selector, txid, number)
        );
        settle(number);
        vm.assertTrue(deposit(funding).minted);
    }

    // ------------------------------------------------------------------ 7, 8

    function test_story_7_cover_pays_for_what_is_unswept_and_payouts_go_on() public {
        uint32 a = pegIn(BOB, 1e8);
        uint256 id = withdraw(BOB, 0.1e8, 1_000, P2TR);
        Funding memory funding = fundAndProve(ALICE, 0.05e8);
        uint32 number = confirmAndSettle(bindSweep(funding, RATE));
        reorganise(funding.mined.height - 1);
        unsettle(number);
        refuseBind(payoutOf(a, id, RATE), abi.encodeWithSelector(IVault.NothingLeft.selector));
        vm.assertTrue(bridge.limits().stopped);
        cover(BOB, funding, deposit(funding).mintedSat);
        confirmAndSettle(bind(payoutOf(a, id, RATE)));
        requireStatus(id, IBridge.WithdrawalStatus.Paid);
    }

    function test_story_8_recovered_coins_make_a_loss_good() public {
        uint32 a = pegIn(BOB, 1e8);
        uint256 id = withdraw(BOB, 0.1e8, 1_000, P2TR);
        Funding memory funding = fundAndProve(MALLORY, 0.05e8);
        uint32 number = confirmAndSettle(bindSweep(funding, RATE));
        uint64 mintedSat = deposit(funding).mintedSat;
        reorganise(funding.mined.height - 1);
        unsettle(number);
        Block memory killer = mine(doubleSpend(funding));
        mineEmpty(FINAL - 1);
        // What operators brought pays first.
        uint64 lostSat = mintedSat - potSat();
        gone(funding, killer);
        uint256 given = cover(BOB, funding, 1_000_000);
        vm.assertEq(bridge.books().lost, lostSat - 1_000_000);
        refuseBind(payoutOf(a, id, RATE), abi.encodeWithSelector(IVault.NothingLeft.selector));
        refuseRepay(given);
        // What comes back is a deposit that names the reserve: it makes the loss good, repays the cover, and the rest is the reserve's.
        int64 reserve = bridge.books().reserve;
        pegIn(address(bridge), 0.06e8);
        vm.assertEq(bridge.books().lost, 0);
        vm.assertEq(bridge.coveredLost(), 0);
        assertSame(int256(bridge.books().reserve), int256(reserve) + 0.06e8 - int64(lostSat) - 488);
        repay(given);
        refuseRepay(given);
        vm.assertEq(bridge.claimable(BOB), 1_000_000);
        confirmAndSettle(bind(payoutOf(a, id, RATE)));
    }

    // ------------------------------------------------------------------ 7: a first tie is to what somebody can always end

    function requireRooted(uint32 output, bool rooted) private view {
        vm.assertTrue(vault.vaultTransaction(output).rooted == rooted, rooted ? "is not rooted" : "is rooted");
    }

    /// A sweep that is settled, and not final.
    function freshSweep(uint64 amountSat) private returns (uint32) {
        return confirmAndSettle(bindSweep(fundAndProve(ALICE, amountSat), RATE));
    }

    // best   .. f - s            w would be tied to the output of s
    // rival      \ . - . - .    f leaves, and its owner does nothing: nothing would ever end that tie
    function test_story_7_nothing_is_tied_to_the_output_of_a_sweep_that_is_not_final() public {
        pegIn(BOB, 1e8);
        uint256 id = withdraw(BOB, 0.01e8, 1_000, P2TR);
        uint32 sweep = freshSweep(0.05e8);
        requireRooted(sweep, false);
        refuseBind(payoutOf(sweep, id, RATE), abi.encodeWithSelector(IVault.NotRooted.selector, sweep));
        reorganise(minedIn[sweep].height - 2);
        unsettle(sweep);
        // As it is tied to nothing, its owner can have it back.
        cancel(BOB, id);
    }

    function test_story_7_withdrawals_are_tied_to_the_output_of_a_sweep_once_that_is_final() public {
        uint32 sweep = freshSweep(0.05e8);
        uint256 id = withdraw(ALICE, 0.01e8, 1_000, P2TR);
        mineEmpty(FINAL - 2);
        requireRooted(sweep, false);
        refuseBind(payoutOf(sweep, id, RATE), abi.encodeWithSelector(IVault.NotRooted.selector, sweep));
        mineEmpty(1);
        requireRooted(sweep, true);
        // The output of a payout that spends it is rooted at once, confirmed or not.
        uint32 payout = bind(payoutOf(sweep, id, RATE));
        requireRooted(payout, true);
        confirmAndSettle(payout);
        bind(payoutOf(payout, withdraw(ALICE, 0.01e8, 1_000, P2TR), RATE));
    }

    // best   .. f - s - c            c consolidates s alone, w would be tied to the output of c
    // rival      \ . - . - . - .  f leaves for ever
    function test_story_7_what_consolidates_a_fresh_sweep_alone_is_no_better_than_the_sweep() public {
        uint32 a = pegIn(BOB, 1e8);
        uint256 id = withdraw(BOB, 0.01e8, 1_000, P2TR);
        uint32 alone = confirmAndSettle(bind(payoutOf(freshSweep(0.05e8), 0, RATE)));
        requireRooted(alone, false);
        refuseBind(payoutOf(alone, id, RATE), abi.encodeWithSelector(IVault.NotRooted.selector, alone));
        // However often.
        uint32 again = confirmAndSettle(bind(payoutOf(alone, 0, RATE)));
        refuseBind(payoutOf(again, id, RATE), abi.encodeWithSelector(IVault.NotRooted.selector, again));
        // It may be beside a rooted output in any payout.
        IVault.Content memory both = from(payoutOf(a, id, RATE), again);
        confirmAndSettle(bind(both));
        requireStatus(id, IBridge.WithdrawalStatus.Paid);
    }

    // best   .. f - s - c          c consolidates s together with a, w is tied to the output of c
    // rival      \ . - d - .      f leaves for ever; d spends a alone, so c can never be
    function test_story_7_a_tie_to_what_was_consolidated_with_a_rooted_output_ends_whatever_the_sweeps_owner_does() public {
        uint32 a = pegIn(BOB, 1e8);
        uint256 id = withdraw(BOB, 0.01e8, 1_000, P2TR);
        uint32 sweep = freshSweep(0.004e8);
        uint32 together = confirmAndSettle(bind(from(payoutOf(a, 0, RATE), sweep)));
        requireRooted(together, true);
        uint32 payout = bind(payoutOf(together, id, RATE));
        reorganise(minedIn[sweep].height - 2);
        unsettle(together);
        unsettle(sweep);
        refuseCancel(BOB, id, IBridge.WithdrawalStatus.Tied);
        confirmAndSettle(bind(payoutOf(a, 0, 3_000)));
        mineEmpty(FINAL - 1);
        voidOutput(together);
        requireStatus(id, IBridge.WithdrawalStatus.Queued);
        vm.assertTrue(vault.vaultTransaction(payout).status == IVault.VaultStatus.Bound);
        cancel(BOB, id);
    }

    // ------------------------------------------------------------------ 8: losses, what was recovered, and cover

    // a is spent by the recovery path, and the coins come back as a deposit to the reserve. That is minted at 30 confirmations; the loss of a is shown at 100.
    function test_story_8_a_recovery_that_is_minted_before_its_loss_is_shown_pays_for_it() public {
        uint32 a = pegIn(ALICE, 1e8);
        uint32 b = pegIn(BOB, 1e8);
        uint256 id = withdraw(ALICE, 0.1e8, 1_000, P2TR);
        Block memory recovery = steal(a);
        Funding memory back = fundAndProve(address(bridge), 1e8 - 1_000);
        uint32 sweep = confirmAndSettle(bindSweep(back, RATE));
        mineEmpty(30);
        mint(sweep);
        mineEmpty(FINAL);
        int64 reserve = bridge.books().reserve;
        vm.assertTrue(reserve > 1e8);
        outputGone(a, recovery);
        vm.assertEq(bridge.books().lost, 0);
        assertSame(int256(bridge.books().reserve), int256(reserve) - (1e8 - 488));
        vm.assertFalse(bridge.limits().stopped);
        confirmAndSettle(bind(payoutOf(b, id, RATE)));
    }

    /// Two losses, a recovery, cover and gifts to the reserve in any order; `requireBooks` looks after each of them.
    /// forge-config: default.fuzz.runs = 24
    function testFuzz_story_8_no_order_leaves_a_loss_beside_what_was_recovered(uint256 seed) public {
        uint32 a = pegIn(ALICE, 0.6e8);
        uint32 b = pegIn(BOB, 0.7e8);
        (Block memory first, Block memory second) = (steal(a), steal(b));
        Funding memory back = fundAndProve(address(bridge), 0.9e8);
        uint32 sweep = confirmAndSettle(bindSweep(back, RATE));
        // The reserve is poorer than what was brought to it.
        mineEmpty(FINAL);
        uint256 done = 0;
        for (uint256 step = 0; step < 12; ++step) {
            uint256 what = seed % 6;
            seed /= 6;
            if (what < 3 && (done >> what) & 1 == 1) continue;
            done |= 1 << what;
            if (what == 0) outputGone(a, first);
            if (what == 1) outputGone(b, second);
            if (what == 2) mint(sweep);
            if (what == 3) coverSome(ALICE, a, seed);
            if (what == 4) coverSome(BOB, b, seed);
            if (what == 5) fundReserve(BOB, 1 + uint64(seed % 100_000));
        }
        for (uint256 id = bridge.coverCount(); id != 0; --id) {
            if (bridge.coverOf(id).repayableSat != 0) repay(id);
        }
        if (done & 7 != 7) return;
        // 0.4 were lost more than came back: the cover stands for a part of it, the rest is lost.
        uint256 borneSat = uint256(bridge.books().lost) + bridge.coveredLost();
        vm.assertTrue(borneSat > 0.37e8 && borneSat < 0.41e8);
    }

    function coverSome(address by, uint32 output, uint256 seed) private {
        uint64 openSat = bridge.uncovered(vault.vaultTransaction(output).txid, 0);
        if (openSat != 0) cover(by, output, 1 + uint64(seed % openSat) / 3);
    }

    /// The reserve spent on fees what was brought for losses; what it gets later goes to them until that is made up.
    function test_story_8_what_fees_took_of_a_recovery_is_made_up_before_the_reserve_keeps_anything() public {
        uint32 a = pegIn(ALICE, 1e8);
        uint32 b = pegIn(BOB, 1e8);
        uint256 id = withdraw(ALICE, 0.1e8, 1_000, P2TR);
        bind(payoutOf(a, id, RATE));
        IVault.Content memory dear = payoutOf(a, id, 1_000_000);
        dear.reserveSat = 200_000;
        confirmAndSettle(bind(dear));
        uint64 shortSat = bridge.recoveredSat() - uint64(bridge.books().reserve);
        vm.assertTrue(shortSat > 150_000);
        Block memory theft = steal(b);
        mineEmpty(FINAL);
        outputGone(b, theft);
        assertSame(int256(bridge.books().reserve), 0);
        uint64 lostSat = bridge.books().lost;
        fundReserve(ALICE, 100_000);
        assertSame(int256(bridge.books().reserve), 0);
        fundReserve(ALICE, shortSat);
        assertSame(int256(bridge.books().reserve), 100_000);
        vm.assertEq(bridge.books().lost, lostSat - shortSat);
        vm.assertEq(bridge.recoveredSat(), 0);
    }

    /// Two losses: of a deposit that comes back, covered by Bob, and of an output that never does, covered by Mallory.
    function test_story_8_whoever_covered_one_loss_gets_nothing_of_what_covered_another() public {
        uint32 a = pegIn(MALLORY, 1e8);
        pegIn(BOB, 1e8);
        Block memory theft = steal(a);
        mineEmpty(FINAL);
        outputGone(a, theft);
        fundReserve(MALLORY, 100_000);
        Funding memory funding = fundAndProve(ALICE, 0.05e8);
        uint32 sweep = confirmAndSettle(bindSweep(funding, RATE));
        uint64 mintedSat = deposit(funding).mintedSat;
        uint256 hers = cover(MALLORY, a, mintedSat);
        reorganise(funding.mined.height - 1);
        unsettle(sweep);
        uint256 his = cover(BOB, funding, mintedSat);
        minedAgain(funding);
        confirmAndSettle(sweep);
        refuseRepay(his);
        mineEmpty(FINAL - 1);
        refuseRepay(hers);
        // Anyone may call for him.
        repay(his);
        vm.assertEq(bridge.claimable(BOB), mintedSat);
        refuseRepay(his);
        refuseRepay(hers);
        vm.assertEq(bridge.claimable(MALLORY), 0);
        vm.prank(BOB);
        bridge.claim(BOB);
        requireBooks();
    }

    function test_story_8_cover_of_losses_is_repaid_in_the_order_in_which_it_was_given() public {
        uint32 a = pegIn(ALICE, 0.3e8);
        pegIn(BOB, 1e8);
        pegIn(MALLORY, 1e8);
        Funding memory funding = fundAndProve(ALICE, 0.05e8);
        uint32 sweep = confirmAndSettle(bindSweep(funding, RATE));
        reorganise(funding.mined.height - 1);
        unsettle(sweep);
        // Not a loss yet: it stands in no line until it is one.
        uint256 early = cover(BOB, funding, 1_000_000);
        Block memory killer = mine(doubleSpend(funding));
        Block memory theft = steal(a);
        mineEmpty(FINAL);
        outputGone(a, theft);
        uint256 first = cover(MALLORY, a, 2_000_000);
        gone(funding, killer);
        uint256 later = cover(MALLORY, a, 20_000_000);
        cover(MALLORY, funding, 3_000_000);
        uint256 last = cover(MALLORY, a, 7_999_000);
        vm.assertTrue(bridge.books().lost < 1_000);
        pegIn(address(bridge), 2_500_000);
        refuseRepay(last);
        refuseRepay(later);
        repay(early);
        repay(first);
        vm.assertEq(bridge.claimable(MALLORY), 2_000_000);
        vm.assertTrue(bridge.claimable(BOB) < 500_000);
        pegIn(address(bridge), 2_500_000);
        repay(later);
        repay(early);
        vm.assertEq(bridge.claimable(BOB), 1_000_000);
        refuseRepay(last);
        refuseRepay(first);
        refuseRepay(early);
        refuseRepay(99);
    }

    function test_story_8_cover_takes_no_more_than_is_missing_with_what_it_names() public {
        uint32 a = pegIn(BOB, 1e8);
        Funding memory funding = fundAndProve(ALICE, 0.05e8);
        bytes32 output = vault.vaultTransaction(a).txid;
        refuseCover(BOB, output, 0, 1, 0);
        refuseCover(BOB, output, 1, 1, 0);
        refuseCover(BOB, funding.txid, 1, 1, 0);
        refuseCover(BOB, keccak256("nothing"), 0, 1, 0);
        uint32 sweep = confirmAndSettle(bindSweep(funding, RATE));
        refuseCover(BOB, funding.txid, 1, 1, 0);
        reorganise(funding.mined.height - 1);
        unsettle(sweep);
        uint64 mintedSat = deposit(funding).mintedSat;
        refuseCover(BOB, funding.txid, 1, mintedSat + 1, mintedSat);
        cover(BOB, funding, mintedSat - 5);
        refuseCover(BOB, funding.txid, 1, 6, 5);
        vm.assertEq(bridge.uncovered(funding.txid, 1), 5);
        cover(BOB, funding, 5);
        refuseCover(BOB, funding.txid, 1, 1, 0);
        Block memory theft = steal(a);
        mineEmpty(FINAL);
        outputGone(a, theft);
        // What the reserve paid for needs no cover.
        uint64 lostSat = bridge.books().lost;
        vm.assertTrue(lostSat < 1e8 - 488);
        vm.deal(MALLORY, 2 ether);
        refuseCover(MALLORY, output, 0, lostSat + 1, lostSat);
    }

    // ------------------------------------------------------------------ 9, 15

    function test_story_9_what_is_tied_to_a_stolen_output_is_free_once_the_theft_is_final() public {
        uint32 a = pegIn(ALICE, 1e8);
        uint32 b = pegIn(BOB, 1e8);
        uint256 id = withdraw(ALICE, 0.1e8, 1_000, P2TR);
        bind(payoutOf(a, id, RATE));
        Block memory theft = mine(spending(vault.vaultTransaction(a).txid, 0));
        mineEmpty(FINAL - 2);
        refuseTheft(true, a, theft, abi.encodeWithSelector(IVault.TooFewConfirmations.selector, 99, 100));
        refuseCancel(ALICE, id, IBridge.WithdrawalStatus.Tied);
        mineEmpty(1);
        refuseTheft(true, b, theft, abi.encodeWithSelector(IVault.DoesNotSpend.selector, hash256(theft.transactions[1])));
        uint64 lostSat = 1e8 - 488 - potSat();
        outputGone(a, theft);
        requireOutput(a, IVault.OutputStatus.Gone);
        vm.assertEq(bridge.books().lost, lostSat);
        requireStatus(id, IBridge.WithdrawalStatus.Queued);
        bridge.end(id);
        vm.assertEq(bridge.withdrawal(id).tie, 0);
        cover(BOB, a, lostSat - 1_500_000);
        cover(ALICE, a, 1_000_000);
        fundReserve(ALICE, 100_000);
        confirmAndSettle(bind(payoutOf(b, id, RATE)));
        requireStatus(id, IBridge.WithdrawalStatus.Paid);
    }

    // best   .. t - . - . - . - . - .      the theft is six deep: no first ties
    // rival      \ r - r - r ...           and again, when its block has left
    function test_story_15_a_theft_six_deep_stops_first_ties_until_its_block_leaves() public {
        uint32 a = pegIn(ALICE, 1e8);
        uint32 b = pegIn(BOB, 1e8);
        uint256 tied = withdraw(ALICE, 0.1e8, 1_000, P2TR);
        bind(payoutOf(b, tied, RATE));
        uint256 id = withdraw(ALICE, 0.2e8, 1_000, P2TR);
        Block memory theft = mine(spending(vault.vaultTransaction(a).txid, 0));
        mineEmpty(4);
        refuseTheft(false, a, theft, abi.encodeWithSelector(IVault.TooFewConfirmations.selector, 5, 6));
        mineEmpty(1);
        vault.alarm(a, theft.transactions[1], prove(theft, 1));
        vm.assertTrue(bridge.limits().alarmed);
        refuseBind(payoutOf(b, id, RATE), abi.encodeWithSelector(IVault.NothingLeft.selector));
        // A further version of what is tied is never stopped.
        vm.assertEq(contentOf[bind(and(payoutOf(b, tied, 3_000), id))].withdrawals.length, 1);
        reorganise(theft.height - 1);
        vm.assertFalse(vault.alarmed());
        bind(payoutOf(b, id, RATE));
    }

    // ------------------------------------------------------------------ 10, 16, 20

    function test_story_10_the_reserve_adds_no_more_than_the_content_names() public {
        uint32 a = pegIn(ALICE, 1e8);
        uint256 id = withdraw(ALICE, 0.1e8, 10_000, P2TR);
        IVault.Content memory lone = payoutOf(a, id, 10_000);
        // 167 vB at 10 sat and the anchor, less 78 vB and the fixed part.
        lone.reserveSat = 929;
        int64 reserve = bridge.books().reserve;
        refuseBind(lone, abi.encodeWithSelector(IVault.ReserveTooSmall.selector, 930, 929, reserve));
        lone.reserveSat = 930;
        confirmAndSettle(bind(lone));
        assertSame(int256(bridge.books().reserve), int256(reserve) - 930);
    }

    function test_story_10_a_deposit_whose_maximum_is_zero_enters_no_sweep() public {
        Funding memory free = fund(MALLORY, 0.05e8, 0);
        proveDeposit(free);
        refuseBind(sweepOf(free, RATE), abi.encodeWithSelector(IVault.NothingLeft.selector));
        Funding memory dust = fund(MALLORY, 1_000, 100_000);
        proveDeposit(dust);
        refuseBind(sweepOf(dust, 10_000), abi.encodeWithSelector(IVault.NothingLeft.selector));
        confirmAndSettle(bindSweep(dust, RATE));
    }

    function test_story_10_a_cancelled_giant_leaves_no_consolidation_behind() public {
        uint32 a = pegIn(ALICE, 1e8);
        uint32 b = pegIn(ALICE, 1e8);
        uint32 c = pegIn(BOB, 1e8);
        uint256 giant = withdraw(ALICE, 1.5e8, 1_000, P2TR);
        uint256 small = withdraw(BOB, 0.1e8, 1_000, P2TR);
        IVault.Content memory content = payoutOf3(a, b, c, giant);
        uint64 alone = proposeAndApprove(content);
        uint64 together = proposeAndApprove(and(content, small));
        cancel(ALICE, giant);
        content = payoutOf3(a, b, c, giant);
        vm.expectRevert(IVault.NothingLeft.selector);
        vault.bind(alone, content);
        uint32 number = bindProposal(together, and(content, small));
        vm.assertEq(contentOf[number].outputs.length, 1);
        confirmAndSettle(number);
    }

    function payoutOf3(uint32 a, uint32 b, uint32 c, uint256 id) private pure returns (IVault.Content memory) {
        return from(from(payoutOf(a, id, RATE), b), c);
    }

    function test_story_16_the_poor_do_not_hold_up_who_can_pay() public {
        uint32 a = pegIn(ALICE, 1e8);
        IVault.Content memory content = payoutOf(a, 0, 30_000);
        for (uint256 i = 0; i < 20; ++i) {
            content = and(content, withdraw(ALICE, 10_000, 400, P2TR));
        }
        uint256 rich = withdraw(ALICE, 0.1e8, 5_000, P2TR);
        uint32 number = confirmAndSettle(bind(and(content, rich)));
        vm.assertEq(contentOf[number].withdrawals.length, 1);
        requireStatus(rich, IBridge.WithdrawalStatus.Paid);
        requireStatus(1, IBridge.WithdrawalStatus.Queued);
    }

    function test_story_20_change_is_useful_or_none() public {
        uint32 a = pegIn(ALICE, 0.1e8);
        uint64 allSat = vault.vaultTransaction(a).changeSat;
        pegIn(ALICE, 0.1e8);
        uint256 id = withdraw(ALICE, allSat - 3_000, 1_000, P2TR);
        uint32 number = confirmAndSettle(bind(payoutOf(a, id, RATE)));
        vm.assertEq(vault.vaultTransaction(number).changeSat, 0);
        requireOutput(number, IVault.OutputStatus.None);
        requireStatus(id, IBridge.WithdrawalStatus.Paid);
    }

    function test_story_20_change_that_the_reserve_cannot_afford_to_give_up_is_made_unless_it_is_dust() public {
        uint32 a = pegIn(ALICE, 0.1e8);
        uint64 allSat = vault.vaultTransaction(a).changeSat;
        pegIn(ALICE, 0.1e8);
        uint256 id = withdraw(ALICE, allSat - 3_000, 1_000, P2TR);
        IVault.Content memory content = payoutOf(a, id, RATE);
        content.reserveSat = 500;
        uint32 number = confirmAndSettle(bind(content));
        vm.assertEq(vault.vaultTransaction(number).changeSat, 3_000 + 356 - 334 - 240);
    }

    // ------------------------------------------------------------------ 11

    function test_story_11_a_pinned_payout_is_replaced_at_any_rate_up_to_the_bound() public {
        uint32 a = pegIn(ALICE, 1e8);
        uint256 id = withdraw(ALICE, 0.1e8, 1_000, P2TR);
        bind(payoutOf(a, id, RATE));
        IVault.Content memory dear = payoutOf(a, id, 1_000_000);
        dear.reserveSat = 200_000;
        confirmAndSettle(bind(dear));
        dear.rate = 1_000_001;
        vm.prank(MEMBER);
        vm.expectRevert(abi.encodeWithSelector(IVault.RateOutOfBounds.selector, 1_000_001, 1_000, 1_000_000));
        vault.propose(NETWORK, 0, dear);
    }

    // ------------------------------------------------------------------ 13, 14, 22

    function test_story_13_a_post_counts_for_the_content_that_it_names_alone() public {
        Funding memory funding = fundAndProve(ALICE, 0.05e8);
        IVault.Content memory first = sweepOf(funding, RATE);
        IVault.Content memory second = sweepOf(funding, 3_000);
        bytes32 firstHash = vault.hashOf(first);
        vm.prank(MEMBER);
        uint64 old = vault.propose(NETWORK, 0, first);
        approve(old, first, 1);
        vm.prank(MEMBER);
        uint64 proposal = vault.propose(NETWORK, 0, second);
        vm.expectRevert(abi.encodeWithSelector(IVault.NotOpen.selector, old));
        vm.prank(account(2));
        board.approve(NETWORK, old, firstHash, hex"01");
        vm.expectRevert(abi.encodeWithSelector(IVault.WrongContent.selector, firstHash, vault.hashOf(second)));
        vm.prank(account(2));
        board.approve(NETWORK, proposal, firstHash, hex"01");
        // The same content again has another number, and no approvals.
        vm.prank(MEMBER);
        uint64 again = vault.propose(NETWORK, 0, first);
        vm.assertTrue(again != old && again != proposal);
        vm.assertEq(vault.proposalAt(1, 0).approvals, 0);
        approve(again, first, 1);
        approve(again, first, 2);
        vm.expectRevert(abi.encodeWithSelector(IVault.AlreadyApproved.selector, again, 2));
        vm.prank(account(2));
        board.approve(NETWORK, again, firstHash, hex"01");
        approve(again, first, 3);
        bindProposal(again, first);
        vm.expectRevert(abi.encodeWithSelector(IVault.NotOpen.selector, again));
        vault.bind(again, first);
    }

    function test_story_14_approvals_lapse_after_an_hour() public {
        Funding memory funding = fundAndProve(ALICE, 0.05e8);
        IVault.Content memory content = sweepOf(funding, RATE);
        bytes32 hash = vault.hashOf(content);
        uint64 proposal = proposeAndApprove(content);
        vm.warp(block.timestamp + 1 hours + 1);
        vm.expectRevert(abi.encodeWithSelector(IVault.NotOpen.selector, proposal));
        vault.bind(proposal, content);
        vm.expectRevert(abi.encodeWithSelector(IVault.NotOpen.selector, proposal));
        vm.prank(account(4));
        board.approve(NETWORK, proposal, hash, hex"01");
        bind(content);
    }

    function test_story_22_commitments_of_fewer_than_the_threshold_bind_nothing_and_what_is_bound_stays_open_for_signing()
        public
    {
        Funding memory funding = fundAndProve(ALICE, 0.05e8);
        IVault.Content memory content = sweepOf(funding, RATE);
        uint64 proposal = propose(content);
        approve(proposal, content, 1);
        approve(proposal, content, 2);
        vm.expectRevert(abi.encodeWithSelector(IVault.NotApproved.selector, 2, 3));
        vault.bind(proposal, content);
        vm.expectRevert(ISigningBoard.SessionClosed.selector);
        vm.prank(account(4));
        board.postSigning(NETWORK, 2, 1, 3, hex"01");
        approve(proposal, content, 4);
        uint32 number = bindProposal(proposal, content);
        vm.prank(account(4));
        board.postSigning(NETWORK, number, 1, 3, hex"01");
        confirmAndSettle(number);
        vm.expectRevert(ISigningBoard.SessionClosed.selector);
        vm.prank(account(4));
        board.postSigning(NETWORK, number, 1, 3, hex"01");
        reorganise(minedIn[number].height - 1);
        unsettle(number);
        vm.prank(account(4));
        board.postSigning(NETWORK, number, 7, 3, hex"01");
    }

    // ------------------------------------------------------------------ 18

    /// The call back would succeed at any other time; the recipient fails with it, and its coins wait.
    function test_story_18_one_lock_closes_all_three_contracts_while_coins_are_on_their_way() public {
        Funding memory other = fund(BOB, 0.01e8, 10_000);
        bytes[3] memory calls = [
            abi.encodeCall(
                IDeposits.prove, (other.mined.transactions[1], 1, other.terms, other.outputKeyY, prove(other.mined, 1))
            ),
            abi.encodeCall(IBridge.requireUnlocked, ()),
            abi.encodeCall(IBridge.fundReserve, ())
        ];
        address[3] memory targets = [address(deposits), address(bridge), address(bridge)];
        for (uint256 i = 0; i < 2; ++i) {
            address recipient = address(new Reentrant(targets[i], calls[i]));
            Funding memory funding = fund(recipient, 0.01e8 + uint64(i), 10_000);
            proveDeposit(funding);
            confirmAndSettle(bindSweep(funding, RATE));
            vm.assertTrue(deposit(funding).minted);
            vm.assertEq(bridge.claimable(recipient), deposit(funding).mintedSat);
        }
        vm.assertTrue(deposit(other).status == IDeposits.DepositStatus.None);
        proveDeposit(other);
    }

    function test_story_18_a_refund_that_is_refused_waits_for_its_owner() public {
        pegIn(ALICE, 1e8);
        Refuser refuser = new Refuser();
        vm.prank(ALICE);
        (bool sent,) = address(new Purse(address(refuser))).call{value: 0.1 ether}("");
        vm.assertTrue(sent);
        uint256 id = withdraw(address(refuser), 0.1e8, 1_000, P2TR);
        vm.expectPartialRevert(IBridge.TooEarly.selector);
        bridge.refund(id);
        vm.warp(block.timestamp + 14 days);
        bridge.refund(id);
        requireStatus(id, IBridge.WithdrawalStatus.Refunded);
        vm.assertEq(bridge.claimable(address(refuser)), 0.1e8);
        vm.assertEq(bridge.books().unclaimed, 0.1e8);
        vm.expectRevert(abi.encodeWithSelector(IBridge.WrongStatus.selector, id, IBridge.WithdrawalStatus.Refunded));
        bridge.refund(id);
    }

    // ------------------------------------------------------------------ 19, 21

    function test_story_19_a_deposit_that_its_owner_might_have_reclaimed_is_minted_when_its_sweep_is_final() public {
        Funding memory funding = fundAndProve(ALICE, 0.01e8);
        mineEmpty(RECLAIM_DELAY / 2);
        uint32 number = confirmAndSettle(bindSweep(funding, RATE));
        vm.assertTrue(deposit(funding).status == IDeposits.DepositStatus.Swept);
        mineEmpty(FINAL - 2);
        IVault.Content memory content = contentOf[number];
        vm.expectRevert(abi.encodeWithSelector(IDeposits.NotDeepEnough.selector, funding.txid, 1, 0));
        deposits.mint(number, content, new uint256[](1));
        mineEmpty(1);
        mint(number);
        vm.assertTrue(deposit(funding).minted);
    }

    function test_story_21_mint_takes_the_content_that_settled_and_no_withdrawal_exceeds_the_window() public {
        Funding memory funding = fundAndProve(ALICE, 1e8);
        uint32 cheap = bindSweep(funding, RATE);
        uint32 dear = bindSweep(funding, 3_000);
        confirmAndSettle(dear);
        mineEmpty(FINAL);
        IVault.Content memory wrong = contentOf[cheap];
        bytes32 want = vault.vaultTransaction(dear).content;
        vm.expectRevert(abi.encodeWithSelector(IVault.WrongContent.selector, vault.hashOf(wrong), want));
        deposits.mint(dear, wrong, new uint256[](1));
        vm.expectRevert(abi.encodeWithSelector(IVault.NotSettled.selector, cheap));
        deposits.mint(cheap, wrong, new uint256[](1));
        mint(dear);
        vm.assertEq(deposit(funding).mintedSat, 1e8 - 478);
        vm.deal(MALLORY, 101 ether);
        vm.expectRevert(abi.encodeWithSelector(IBridge.AmountOutOfRange.selector, 100e8 + 1, 1_000, 100e8));
        vm.prank(MALLORY);
        bridge.withdraw{value: (100e8 + 1) * WEI_PER_SAT}(P2TR, 1_000);
    }
}
