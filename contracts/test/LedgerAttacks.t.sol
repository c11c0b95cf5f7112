// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {BestChain} from "../src/bridge/BestChain.sol";
import {Tiers} from "../src/bridge/Tiers.sol";
import {IBitcoinLightClient} from "../src/interfaces/IBitcoinLightClient.sol";
import {IBridge} from "../src/interfaces/IBridge.sol";
import {IDeposits} from "../src/interfaces/IDeposits.sol";
import {IVault} from "../src/interfaces/IVault.sol";
import {Peg} from "./Peg.sol";
import {Refuser} from "./Recipients.sol";

/// The tiers alone, fed with work.
contract TiersUnderTest is Tiers {
    constructor(IBridge.Tier[] memory tiers) Tiers(tiers) {}

    function admit(uint64 amountSat, uint256 depth, uint256 work, uint256 unit) external returns (bool) {
        return _admit(amountSat, depth, work, unit);
    }
}

/// What stopped the first version of the ledger, or bound coins for ever, or made it dear for others, and does none of it any more.
contract LedgerAttacksTest is Peg {
    using BestChain for IBitcoinLightClient;

    function setUp() public {
        createSeededPeg();
    }

    function test_one_members_proposal_binds_nothing() public {
        uint32 a = pegIn(ALICE, 0.5e8);
        uint32 b = pegIn(BOB, 0.5e8);
        uint256 first = withdraw(ALICE, 0.1e8, 1_000, P2TR);
        uint256 second = withdraw(BOB, 0.1e8, 1_000, P2TR);
        Funding memory funding = fundAndProve(BOB, 0.05e8);
        // A rate that no honest member signs, over all that there is.
        IVault.Content memory content = and(from(payoutOf(a, first, 1_000_000), b), second);
        uint64 odd = propose(content);
        propose(sweepOf(funding, 1_000_000));
        vm.expectRevert(abi.encodeWithSelector(IVault.NotApproved.selector, 0, 3));
        vault.bind(odd, content);
        // Everything else goes on: another version, another sweep, a cancellation.
        confirmAndSettle(bind(payoutOf(a, first, RATE)));
        confirmAndSettle(bindSweep(funding, RATE));
        cancel(BOB, second);
        requireStatus(first, IBridge.WithdrawalStatus.Paid);
        // And were it approved now, it would find nothing to bind.
        for (uint256 member = 1; member <= 3; ++member) {
            approve(odd, content, member);
        }
        vm.expectRevert(abi.encodeWithSelector(IVault.OutputNotLive.selector, a, IVault.OutputStatus.Spent));
        vault.bind(odd, content);
    }

    // best   .. f          the sweep of f and g is bound
    // rival      \ d - .   f is spent twice
    function test_a_deposit_that_is_spent_twice_stops_no_other_and_no_payout() public {
        uint32 a = pegIn(ALICE, 1e8);
        uint256 id = withdraw(ALICE, 0.1e8, 1_000, P2TR);
        Funding[] memory both = new Funding[](2);
        both[1] = fundAndProve(BOB, 0.05e8);
        both[0] = fundAndProve(MALLORY, 10_000);
        bind(sweepOf(both, RATE));
        uint32 payout = bind(payoutOf(a, id, RATE));
        reorganise(both[0].mined.height - 1);
        mine(doubleSpend(both[0]));
        confirmAndSettle(payout);
        // The next sweep leaves it out by itself.
        uint32 next = bind(sweepOf(both, RATE));
        vm.assertEq(contentOf[next].deposits.length, 1);
        confirmAndSettle(next);
        vm.assertTrue(deposit(both[1]).minted);
        requireStatus(id, IBridge.WithdrawalStatus.Paid);
    }

    function test_a_loss_is_booked_exactly_and_touches_no_other_output() public {
        uint32 a = pegIn(BOB, 1e8);
        Funding memory funding = fundAndProve(MALLORY, 10_000);
        uint32 number = confirmAndSettle(bindSweep(funding, RATE));
        uint64 mintedSat = deposit(funding).mintedSat;
        vm.assertEq(mintedSat, 10_000 - 385);
        reorganise(funding.mined.height - 1);
        unsettle(number);
        vm.assertEq(bridge.books().unswept, mintedSat);
        Block memory killer = mine(doubleSpend(funding));
        mineEmpty(FINAL - 1);
        (int64 reserve, uint64 vaultSat) = (bridge.books().reserve, bridge.books().vault);
        gone(funding, killer);
        // The reserve pays exactly what was minted, and nothing is missing.
        assertSame(int256(bridge.books().reserve), int256(reserve) - int64(mintedSat));
        vm.assertEq(bridge.books().lost, 0);
        vm.assertEq(bridge.books().unswept, 0);
        vm.assertEq(bridge.books().vault, vaultSat);
        uint256 id = withdraw(BOB, 0.5e8, 1_000, P2TR);
        confirmAndSettle(bind(payoutOf(a, id, RATE)));
        requireStatus(id, IBridge.WithdrawalStatus.Paid);
    }

    function test_the_queue_cannot_be_stuffed_with_what_cannot_be_paid() public {
        uint32 a = pegIn(ALICE, 1e8);
        pegIn(MALLORY, 0.1e8);
        vm.expectRevert(abi.encodeWithSelector(IBridge.MaximumTooLow.selector, 0, 332));
        vm.prank(MALLORY);
        bridge.withdraw{value: 10_000 * WEI_PER_SAT}(P2WPKH, 0);
        IVault.Content memory content = payoutOf(a, 0, 10_000);
        for (uint256 i = 0; i < 30; ++i) {
            content = and(content, withdraw(MALLORY, 10_000, 332, P2WPKH));
        }
        uint256 honest = withdraw(ALICE, 0.1e8, 2_000, P2WPKH);
        // Whoever cannot pay the rate is skipped, and hides nobody: pages go on behind it.
        uint32 number = bind(and(content, honest));
        vm.assertEq(contentOf[number].withdrawals.length, 1);
        vm.assertEq(contentOf[number].withdrawals[0], honest);
        (uint256[] memory ids, uint256 next) = bridge.queuedWithdrawals(0, 20);
        vm.assertEq(ids.length, 20);
        (ids, next) = bridge.queuedWithdrawals(next, 20);
        vm.assertEq(ids.length, 10);
        vm.assertEq(next, 0);
        confirmAndSettle(number);
    }

    /// Five deposits behind 2,280 outputs of one transaction of 99 kB.
    function test_a_large_funding_transaction_is_nobodys_problem_but_its_own() public {
        Funding[] memory five = new Funding[](5);
        bytes memory junk = bytes.concat(hex"4a01000000000000", hex"225120", keccak256("x"));
        bytes memory outs = new bytes(2280 * 43);
        for (uint256 i = 0; i < 2280 * 43; ++i) {
            outs[i] = junk[i % 43];
        }
        Funding memory model = addressed(terms_(MALLORY, 9_000), 10_000);
        for (uint256 i = 0; i < 5; ++i) {
            outs = bytes.concat(outs, le(10_000, 8), hex"225120", model.outputKey);
        }
        bytes memory transaction =
            bytes.concat(hex"0200000001", keccak256("p"), hex"0000000000fdffffff", compactSize(2285), outs, hex"00000000");
        Block memory mined = mine(transaction);
        for (uint256 i = 0; i < 5; ++i) {
            five[i] =
                Funding(mined, 1, uint32(2280 + i), 10_000, hash256(transaction), model.outputKey, model.outputKeyY, model.terms);
            uint256 before = gasleft();
            proveDeposit(five[i]);
            // With the 4 million of its calldata below a transaction's 16.7 million.
            vm.assertLt(before - gasleft(), 12_000_000);
        }
        IVault.Content memory content = sweepOf(five[0], RATE);
        content.deposits = new IVault.Outpoint[](5);
        for (uint256 i = 0; i < 5; ++i) {
            content.deposits[i] = outpoint(five[i]);
        }
        uint64 proposal = proposeAndApprove(content);
        uint256 left = gasleft();
        vault.bind(proposal, content);
        vm.assertLt(left - gasleft(), 500_000);
    }

    function test_a_deposit_behind_2400_inputs_is_proven_within_one_transaction() public {
        Funding memory funding = addressed(terms_(MALLORY, 9_000), 10_000);
        bytes memory inputs = new bytes(2400 * 41);
        for (uint256 i = 0; i < 2400; ++i) {
            bytes32 spent = keccak256(abi.encode(i));
            for (uint256 j = 0; j < 32; ++j) {
                inputs[i * 41 + j] = spent[j];
            }
        }
        bytes memory transaction = bytes.concat(
            bytes.concat(hex"02000000", compactSize(2400), inputs, hex"01", le(10_000, 8)),
            bytes.concat(hex"225120", funding.outputKey, hex"00000000")
        );
        (funding.mined, funding.index, funding.vout) = (mine(transaction), 1, 0);
        funding.txid = hash256(transaction);
        uint256 before = gasleft();
        proveDeposit(funding);
        vm.assertLt(before - gasleft(), 12_000_000);
    }

    /// A miner whose coinbase transaction has 600 kB.
    function test_a_giant_coinbase_makes_no_settlement_dearer() public {
        uint256 usual = settledBeside(100);
        uint256 giant = settledBeside(600_000);
        vm.assertLt(giant, usual + 5_000);
    }

    function settledBeside(uint256 coinbaseBytes) private returns (uint256 used) {
        uint32 number = bindSweep(fundAndProve(ALICE, 0.5e8), RATE);
        Block memory mined = mineOn(chainAt[height]);
        mined.transactions = new bytes[](2);
        mined.transactions[0] = bytes.concat(
            bytes.concat(hex"0200000001", bytes32(0), hex"ffffffff", hex"0201ff", hex"ffffffff", hex"01", le(50e8, 8)),
            bytes.concat(hex"fe", le(coinbaseBytes, 4), new bytes(coinbaseBytes), hex"00000000")
        );
        mined.transactions[1] = unsigned[number];
        (mined.raw, mined.hash) = header(chainAt[height].hash, merkleRoot(mined.transactions), mined.time, REGTEST_BITS);
        extend(mined);
        IBitcoinLightClient.InclusionProof memory proof = prove(mined, 1);
        IVault.Content memory content = contentOf[number];
        bytes memory transaction = unsigned[number];
        uint256 before = gasleft();
        vault.settle(number, content, transaction, proof);
        used = before - gasleft();
        requireBooks();
    }

    function test_a_hundred_headers_cost_less_than_65_000_gas_each() public {
        IBitcoinLightClient net = open(regtest(), genesis, 2, START);
        vm.warp(START + 10_000_000);
        bytes memory data = abi.encodeCall(IBitcoinLightClient.submit, (join(chain(genesis, 100))));
        uint256 before = gasleft();
        (bool ok,) = address(net).call(data);
        // With all of its data at 16 gas a byte.
        uint256 used = before - gasleft() + 21_000 + 16 * data.length;
        vm.assertTrue(ok);
        vm.assertLt(used, 6_500_000);
    }

    function test_the_header_that_takes_back_100_blocks_costs_no_more_than_another() public {
        vm.assertLt(lastHeaderOf(100), 250_000);
    }

    function test_the_header_that_takes_back_500_blocks_costs_no_more_than_another() public {
        vm.assertLt(lastHeaderOf(500), 250_000);
    }

    function test_the_header_that_takes_back_700_blocks_costs_no_more_than_another() public {
        vm.assertLt(lastHeaderOf(700), 250_000);
    }

    function lastHeaderOf(uint256 depth) private returns (uint256 used) {
        IBitcoinLightClient net = open(regtest(), genesis, 2, START);
        vm.warp(START + 10_000_000);
        net.submit(join(chain(genesis, depth)));
        Block[] memory rival = new Block[](depth);
        Block memory last = genesis;
        for (uint256 i = 0; i < depth; ++i) {
            last = rival[i] = mineOn(last.hash, last.height + 1, last.time + 601, REGTEST_BITS, new bytes[](0));
        }
        net.submit(join(rival));
        last = mineOn(last.hash, last.height + 1, last.time + 601, REGTEST_BITS, new bytes[](0));
        uint256 before = gasleft();
        net.submit(last.raw);
        used = before - gasleft();
        vm.assertEq(net.confirmations(last.hash), 1);
    }

    /// forge-config: default.isolate = true
    function test_the_usual_calls_of_a_withdrawal_cost_a_user_less_than_135_000_gas_each() public {
        pegIn(ALICE, 1e8);
        vm.prank(ALICE);
        bridge.withdraw{value: 0.1 ether}(P2TR, 1_000);
        vm.assertLt(vm.lastCallGas().gasTotalUsed, 135_000);
        vm.prank(ALICE);
        bridge.withdraw{value: 0.1 ether}(P2WPKH, 1_000);
        vm.assertLt(vm.lastCallGas().gasTotalUsed, 110_000);
        vm.prank(ALICE);
        bridge.raise(2, 2_000);
        vm.assertLt(vm.lastCallGas().gasTotalUsed, 50_000);
        vm.prank(ALICE);
        bridge.cancel(2);
        vm.assertLt(vm.lastCallGas().gasTotalUsed, 60_000);
    }

    function test_220_withdrawals_are_proposed_and_bound_within_a_third_of_a_transactions_gas() public {
        uint32 a = pegIn(ALICE, 1e8);
        IVault.Content memory content = payoutOf(a, 0, 1_000);
        for (uint256 i = 0; i < 220; ++i) {
            vm.prank(ALICE);
            content = and(content, bridge.withdraw{value: 10_000 * WEI_PER_SAT}(P2TR, 1_000));
        }
        uint256 before = gasleft();
        uint64 proposal = propose(content);
        vm.assertLt(before - gasleft(), 1_000_000);
        for (uint256 member = 1; member <= 3; ++member) {
            approve(proposal, content, member);
        }
        before = gasleft();
        uint32 number = vault.bind(proposal, content);
        vm.assertLt(before - gasleft(), 5_592_405);
        requireBooks();
        vm.assertEq(bridge.withdrawal(220).tie, a);
        vm.assertEq(number, 3);
    }

    function test_coins_for_a_recipient_that_cannot_take_them_are_claimed_by_the_claimant_in_the_terms() public {
        IDeposits.Terms memory terms = terms_(address(new Refuser()), 10_000);
        terms.claimant = BOB;
        Funding memory funding = fund(terms, 0.05e8);
        proveDeposit(funding);
        confirmAndSettle(bindSweep(funding, RATE));
        uint64 coinsSat = deposit(funding).mintedSat;
        vm.assertEq(bridge.claimable(BOB), coinsSat);
        vm.prank(BOB);
        bridge.claim(ALICE);
        requireBooks();
        vm.assertEq(ALICE.balance, coinsSat * WEI_PER_SAT);
        vm.assertEq(bridge.books().unclaimed, 0);
    }

    // best   .. f - s - .             cover is noted,
    // rival      \ f - r - r - s - .  released when the sweep is settled again, and repaid when that is final
    function test_cover_is_repaid_when_the_loss_turns_out_not_to_be_one() public {
        pegIn(BOB, 1e8);
        Funding memory funding = fundAndProve(ALICE, 0.05e8);
        uint32 number = confirmAndSettle(bindSweep(funding, RATE));
        uint64 mintedSat = deposit(funding).mintedSat;
        reorganise(funding.mined.height - 1);
        unsettle(number);
        uint256 given = cover(BOB, funding, mintedSat);
        vm.assertEq(bridge.books().unswept, 0);
        vm.assertEq(bridge.coverOf(given).amountSat, mintedSat);

        funding = minedAgain(funding);
        confirmAndSettle(number);
        refuseRepay(given);
        // A second reorganisation: the cover answers again.
        reorganise(funding.mined.height - 1);
        unsettle(number);
        vm.assertEq(bridge.books().unswept, 0);
        vm.assertEq(bridge.books().covered, mintedSat);

        minedAgain(funding);
        confirmAndSettle(number);
        mineEmpty(FINAL - 1);
        repay(given);
        uint256 before = BOB.balance;
        vm.prank(BOB);
        bridge.claim(BOB);
        requireBooks();
        vm.assertEq(BOB.balance - before, mintedSat * WEI_PER_SAT);
        refuseRepay(given);
    }

    function test_twenty_small_deposits_are_as_deep_as_one_large_one() public {
        // What was minted before is out of all windows.
        mineEmpty(70);
        Funding[] memory many = new Funding[](20);
        for (uint256 i = 0; i < 20; ++i) {
            many[i] = addressed(terms_(MALLORY, 10_000), 0.1e8);
        }
        bytes[] memory transactions = new bytes[](20);
        for (uint256 i = 0; i < 20; ++i) {
            transactions[i] = payingTo(many[i]);
            many[i].txid = hash256(transactions[i]);
        }
        Block memory mined = mine(transactions);
        for (uint256 i = 0; i < 20; ++i) {
            (many[i].mined, many[i].index) = (mined, i + 1);
            proveDeposit(many[i]);
        }
        uint32 number = confirmAndSettle(bind(sweepOf(many, RATE)));
        vm.assertEq(mintedOf(many), 0.1e8 - 385);
        mineEmpty(4);
        // Six deep: a whole bitcoin in all, of which a tenth is out.
        tryMintAll(number);
        vm.assertEq(mintedOf(many), 10 * (0.1e8 - 385));
        mineEmpty(24);
        tryMintAll(number);
        vm.assertEq(mintedOf(many), 20 * (0.1e8 - 385));
    }

    function mintedOf(Funding[] memory many) private view returns (uint256 sum) {
        for (uint256 i = 0; i < many.length; ++i) {
            sum += deposit(many[i]).mintedSat;
        }
    }

    function tryMintAll(uint32 number) private {
        uint256[] memory which = new uint256[](1);
        for (uint256 i = 0; i < contentOf[number].deposits.length; ++i) {
            which[0] = i;
            try deposits.mint(number, contentOf[number], which) {} catch {}
            requireBooks();
        }
    }

    // hard - e - e - e     three blocks of minimum difficulty are no confirmation
    function test_blocks_of_minimum_difficulty_confirm_nothing() public {
        uint32 hard = 0x2001ffff;
        Block memory start = mineOn(keccak256("p"), 2016, START, hard, new bytes[](0));
        IBitcoinLightClient net = open(rulesOf(false, true, true), start, 1e6, START);
        vm.warp(block.timestamp + 10_000);
        Block memory e1 = mineOn(start.hash, 2017, START + 1201, REGTEST_BITS, new bytes[](0));
        Block memory e2 = mineOn(e1.hash, 2018, START + 2402, REGTEST_BITS, new bytes[](0));
        Block memory e3 = mineOn(e2.hash, 2019, START + 3603, REGTEST_BITS, new bytes[](0));
        net.submit(bytes.concat(e1.raw, e2.raw, e3.raw));
        vm.assertEq(net.confirmations(e1.hash), 3);
        vm.assertEq(net.depth(2017), 0);
        vm.assertEq(net.depth(2016), 1);
        vm.assertFalse(net.isDeep(2017, bytes8(e1.hash), 1));
        Block memory real = mineOn(e3.hash, 2020, START + 4000, hard, new bytes[](0));
        net.submit(real.raw);
        vm.assertEq(net.depth(2017), 1);
        vm.assertEq(net.depth(2016), 2);
        vm.assertTrue(net.isDeep(2016, bytes8(start.hash), 2));
    }

    /// Story 17: six blocks of least difficulty do not roll the windows.
    function test_story_17_windows_are_measured_in_work() public {
        IBridge.Tier[] memory tiers = new IBridge.Tier[](2);
        (tiers[0], tiers[1]) = (IBridge.Tier(2, 100), IBridge.Tier(6, type(uint64).max));
        TiersUnderTest tested = new TiersUnderTest(tiers);
        vm.assertTrue(tested.admit(100, 2, 1_000_000, 1000));
        vm.assertFalse(tested.admit(1, 2, 1_000_000 + 100, 1000));
        // One window of six blocks' work: what was in it still counts;
        vm.assertFalse(tested.admit(1, 2, 1_006_000, 1000));
        vm.assertFalse(tested.admit(1, 2, 1_011_999, 1000));
        // two of them: it does not.
        vm.assertTrue(tested.admit(100, 2, 1_012_000, 1000));
        // What is deep enough never counts.
        vm.assertTrue(tested.admit(1_000_000, 6, 1_012_000, 1000));
        vm.assertFalse(tested.admit(1, 1, 9_999_000, 1000));
    }
}
