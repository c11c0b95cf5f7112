// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IBridge} from "../src/interfaces/IBridge.sol";
import {IDeposits} from "../src/interfaces/IDeposits.sol";
import {IVault} from "../src/interfaces/IVault.sol";
import {Peg} from "./Peg.sol";

/// docs/ledger.md, "credit": what a vault transaction costs beyond whole charges may overdraw the reserve, within bounds.
contract LedgerCreditTest is Peg {
    /// 167 vB and the anchor, less 78 vB and the fixed part.
    uint64 private constant LONE_AT_1000 = 167_000 + 240 - 78_000 - 200;

    function setUp() public {
        createSeededPeg();
    }

    function reserve() private view returns (int256) {
        return bridge.books().reserve;
    }

    function tooSmall(uint256 needSat, int256 reserveSat) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IVault.ReserveTooSmall.selector, needSat, 100_000, reserveSat);
    }

    /// A vault output of so much is stolen, for ever: the reserve pays for it first.
    function lose(uint64 amountSat) private {
        uint32 stolen = pegIn(MALLORY, amountSat);
        Block memory theft = steal(stolen);
        mineEmpty(FINAL);
        outputGone(stolen, theft);
    }

    function test_a_loss_below_the_size_that_stops_the_peg_stops_no_lone_payout() public {
        uint32 a = pegIn(ALICE, 1e8);
        lose(1_900_000);
        IBridge.Books memory books = bridge.books();
        assertSame(reserve(), 0);
        vm.assertTrue(books.lost > 900_000 && books.lost < parameters().stopSat);
        vm.assertFalse(bridge.limits().stopped);

        uint256 id = withdraw(ALICE, 0.1e8, 1_000, P2TR);
        uint32 number = confirmAndSettle(bind(payoutOf(a, id, RATE)));
        requireStatus(id, IBridge.WithdrawalStatus.Paid);
        assertSame(reserve(), -(2 * 167 + 240 - 2 * 78 - 200));
        // Nor a lone sweep,
        uint32 b = pegIn(BOB, 1e8);
        // nor another version of what is tied, at another rate,
        id = withdraw(ALICE, 0.1e8, 10_000, P2TR);
        bind(payoutOf(number, id, RATE));
        number = confirmAndSettle(bind(payoutOf(number, id, 20_000)));
        requireStatus(id, IBridge.WithdrawalStatus.Paid);
        // nor a consolidation.
        confirmAndSettle(bind(from(payoutOf(number, 0, RATE), b)));
        vm.assertTrue(reserve() < -2_000);
        // Whoever gives fills it again.
        fundReserve(ALICE, uint64(uint256(-reserve())));
        assertSame(reserve(), 0);
        vm.assertEq(bridge.books().lost, books.lost);
    }

    /// Lone payouts at a thousand times the usual rate: their owner pays nearly as much himself.
    function test_who_makes_the_reserve_pay_stops_neither_first_ties_nor_whoever_needs_nothing() public {
        uint32 last = pegIn(ALICE, 10e8);
        lose(1_000_000);
        IVault.Content memory lone;
        for (uint256 i = 0; i < 30; ++i) {
            uint256 id = withdraw(ALICE, 0.1e8, 90_000, P2TR);
            lone = payoutOf(last, id, 1_000_000);
            if (reserve() - int64(LONE_AT_1000) < -500_000) break;
            last = confirmAndSettle(bind(lone));
        }
        vm.assertTrue(reserve() < -400_000 && reserve() >= -500_000);
        refuseBind(lone, tooSmall(LONE_AT_1000, reserve()));
        vm.assertFalse(bridge.limits().stopped);
        // With three others it needs nothing.
        lone.outputs[0] = last;
        for (uint256 i = 0; i < 3; ++i) {
            lone = and(lone, withdraw(ALICE, 0.1e8, 90_000, P2TR));
        }
        int256 before = reserve();
        last = confirmAndSettle(bind(lone));
        vm.assertTrue(reserve() > before);
        // At an ordinary rate it is its fee that fills the reserve.
        fundReserve(ALICE, 50_000);
        uint256 cheap = withdraw(ALICE, 0.1e8, 1_000, P2TR);
        confirmAndSettle(bind(payoutOf(last, cheap, RATE)));
    }


    function test_credit_ends_where_with_all_that_is_missing_first_ties_would_stop() public {
        uint32 a = pegIn(ALICE, 1e8);
        lose(1_950_000);
        uint64 roomSat = parameters().stopSat - bridge.books().lost;
        vm.assertTrue(roomSat < LONE_AT_1000);
        uint256 id = withdraw(ALICE, 0.1e8, 90_000, P2TR);
        refuseBind(payoutOf(a, id, 1_000_000), tooSmall(LONE_AT_1000, 0));
        confirmAndSettle(bind(payoutOf(a, id, 100_000)));
        vm.assertFalse(bridge.limits().stopped);
    }

    function test_a_low_maximum_named_before_a_spike_draws_on_nobody() public {
        uint32 a = pegIn(ALICE, 1e8);
        lose(1_900_000);
        IVault.Content memory content = payoutOf(a, 0, RATE);
        for (uint256 i = 0; i < 40; ++i) {
            content = and(content, withdraw(MALLORY, 10_000, 400, P2TR));
        }
        bind(content);
        content.rate = 50_000;
        // 40 payouts at 50 sat/vB would cost ten times what their owner pays.
        uint256 costSat = 50 * (124 + 40 * 43) + 240;
        refuseBind(content, tooSmall(costSat - 40 * 400, 0));
        for (uint256 i = 0; i < 40; ++i) {
            vm.prank(MALLORY);
            bridge.raise(content.withdrawals[i], 4_100);
        }
        confirmAndSettle(bind(content));
        vm.assertTrue(reserve() > 0);
    }

    function test_a_deposit_to_the_reserve_is_no_pass_for_what_others_leave_unpaid() public {
        pegIn(ALICE, 1e8);
        lose(1_900_000);
        Funding[] memory both = new Funding[](2);
        both[0] = fund(MALLORY, 100_000, 400);
        proveDeposit(both[0]);
        bindSweep(both[0], RATE);
        both[1] = fund(address(bridge), 10_000, 10_000);
        proveDeposit(both[1]);
        uint256 needSat = 50 * (66 + 115) + 50 + 240 - (4_625 + 200) - 400;
        refuseBind(sweepOf(both, 50_000), tooSmall(needSat, reserve()));
        confirmAndSettle(bindSweep(both[1], 50_000));
        // And the other at what its maximum pays for.
        confirmAndSettle(bindSweep(both[0], RATE - 100));
        vm.assertTrue(deposit(both[0]).status == IDeposits.DepositStatus.Minted);
    }
}
