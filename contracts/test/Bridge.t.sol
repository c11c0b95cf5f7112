// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Bridge} from "../src/Bridge.sol";
import {IBitcoinLightClient} from "../src/interfaces/IBitcoinLightClient.sol";
import {IBridge} from "../src/interfaces/IBridge.sol";
import {Peg} from "./Peg.sol";

/// Accepts no coins until told to.
contract Picky {
    bool public open;

    function setOpen() external {
        open = true;
    }

    function claim(Bridge bridge, address to) external {
        bridge.claim(to);
    }

    receive() external payable {
        require(open);
    }
}

/// Burns all gas it is given.
contract Glutton {
    receive() external payable {
        while (true) {}
    }
}

/// Calls back into the bridge while it receives coins.
contract Reentrant {
    Bridge private immutable bridge;
    bytes private call;

    constructor(Bridge bridge_, bytes memory call_) {
        (bridge, call) = (bridge_, call_);
    }

    receive() external payable {
        (bool ok,) = address(bridge).call(call);
        require(ok);
    }
}

contract BridgeTest is Peg {
    address private constant ALICE = address(0xA0A0);
    address private constant BOB = address(0xB0B0);
    bytes private constant P2WPKH = hex"0014aabbccddeeff00112233445566778899aabbccdd";
    bytes private constant P2TR = hex"51200000000000000000000000000000000000000000000000000000000000000001";

    function setUp() public {
        createPeg();
    }

    // ------------------------------------------------------------------ peg-in

    function test_a_deposit_is_swept_and_minted() public {
        Funding memory funding = fund(ALICE, 1e8, 1000);
        uint256 number = sweep(funding, 500);
        IBridge.Deposit memory record = bridge.deposit(funding.txid, 1);
        vm.assertTrue(record.status == IBridge.DepositStatus.Sweeping);
        vm.assertEq(record.recipient, ALICE);
        vm.assertEq(record.amountSat, 1e8);
        vm.assertEq(record.shareSat, 740);
        vm.assertEq(record.number, number);
        vm.assertEq(record.outputKey, funding.outputKey);
        IBridge.VaultTransaction memory proposed = bridge.vaultTransaction(number);
        vm.assertTrue(proposed.status == IBridge.VaultStatus.Proposed);
        vm.assertTrue(proposed.output == IBridge.OutputStatus.Pending);
        vm.assertEq(proposed.changeSat, 1e8 - 740);
        vm.assertEq(proposed.valueSat, 1e8);
        vm.assertEq(proposed.requiredConfirmations, SMALL_CONFIRMATIONS);
        vm.assertEq(proposed.feeSat, 500);
        requireLedger(0, 0, 0, 0);

        Block memory mined = confirmAndSettle(number);
        vm.assertEq(ALICE.balance, (1e8 - 740) * WEI_PER_SAT);
        IBridge.VaultTransaction memory settled = bridge.vaultTransaction(number);
        vm.assertTrue(settled.status == IBridge.VaultStatus.Settled);
        vm.assertTrue(settled.output == IBridge.OutputStatus.Available);
        vm.assertEq(settled.blockHash, mined.hash);
        vm.assertTrue(bridge.deposit(funding.txid, 1).status == IBridge.DepositStatus.Minted);
        requireLedger(1e8 - 740, 0, 0, 0);
        requireBalanced(0);
        vm.assertEq(bridge.availableVaultOutputs(10).length, 1);
        vm.assertEq(uint256(vm.load(address(bridge), bytes32(0))), 1e8 - 740);
    }

    function test_one_deposit_cannot_be_claimed_twice() public {
        Funding memory funding = fund(ALICE, 1e8, 1000);
        uint256 number = sweep(funding, 500);
        IBridge.Proposal memory again = sweeping(funding, 500);
        vm.expectRevert(abi.encodeWithSelector(IBridge.DepositKnown.selector, funding.txid, 1, number));
        vm.prank(MEMBER);
        bridge.propose(again);
        confirmAndSettle(number);
        vm.expectRevert(abi.encodeWithSelector(IBridge.DepositKnown.selector, funding.txid, 1, number));
        vm.prank(MEMBER);
        bridge.propose(again);

        // nor within one proposal
        funding = fund(ALICE, 1e8, 1000);
        again.deposits = new IBridge.DepositProof[](2);
        again.deposits[0] = again.deposits[1] = depositProof(funding);
        vm.expectRevert(abi.encodeWithSelector(IBridge.DepositKnown.selector, funding.txid, 1, number + 1));
        vm.prank(MEMBER);
        bridge.propose(again);

        vm.expectRevert(abi.encodeWithSelector(IBridge.AlreadySettled.selector, number));
        bridge.settle(number, unsigned[number], again.deposits[0].inclusion);
    }

    function test_only_members_propose() public {
        IBridge.Proposal memory proposal = sweeping(fund(ALICE, 1e8, 1000), 500);
        vm.expectRevert(abi.encodeWithSelector(IBridge.NotAMember.selector, ALICE));
        vm.prank(ALICE);
        bridge.propose(proposal);
    }

    function test_the_key_has_to_be_made_of_the_terms() public {
        Funding memory funding = fund(ALICE, 1e8, 1000);
        for (uint256 i = 0; i < 4; ++i) {
            IBridge.Proposal memory proposal = sweeping(funding, 500);
            IBridge.DepositTerms memory terms = proposal.deposits[0].terms;
            if (i == 0) terms.recipient = BOB;
            if (i == 1) terms.maxFeeSat = 1001;
            if (i == 2) terms.reclaimKey = bytes32(uint256(1));
            if (i == 3) proposal.deposits[0].outputKeyY = bytes32(uint256(funding.outputKeyY) ^ 1);
            vm.expectPartialRevert(IBridge.WrongDepositKey.selector);
            vm.prank(MEMBER);
            bridge.propose(proposal);
        }
        IBridge.Proposal memory other = sweeping(funding, 500);
        other.deposits[0].terms.epoch = 2;
        vm.expectRevert(abi.encodeWithSelector(IBridge.NoGroupKey.selector, 2));
        vm.prank(MEMBER);
        bridge.propose(other);
    }

    function refuse(IBridge.Proposal memory proposal, bytes memory why) private {
        vm.expectRevert(why);
        vm.prank(MEMBER);
        bridge.propose(proposal);
    }

    function test_deposits_that_are_refused() public {
        refuse(sweeping(fund(ALICE, 9_999, 1000), 500), abi.encodeWithSelector(IBridge.DepositTooSmall.selector, 9_999, 10_000));
        refuse(sweeping(fund(address(0), 1e8, 1000), 500), abi.encodeWithSelector(IBridge.BadRecipient.selector, address(0)));
        refuse(
            sweeping(fund(address(bridge), 1e8, 1000), 500),
            abi.encodeWithSelector(IBridge.BadRecipient.selector, address(bridge))
        );
        refuse(sweeping(fund(ALICE, 1e8, 739), 500), abi.encodeWithSelector(IBridge.ShareTooLarge.selector, 0, 740, 739));
        refuse(
            sweeping(fund(ALICE, 10_000, 60_000), 9_760), abi.encodeWithSelector(IBridge.ShareTooLarge.selector, 0, 10_000, 9_999)
        );

        IBridge.Proposal memory proposal = sweeping(fund(ALICE, 1e8, 1000), 500);
        proposal.deposits[0].vout = 2;
        refuse(proposal, abi.encodeWithSelector(IBridge.NoSuchOutput.selector, 2, 2));
        proposal.deposits[0].vout = 0;
        refuse(proposal, abi.encodeWithSelector(IBridge.NotTaproot.selector, hash256(proposal.deposits[0].transaction), 0));
        refuse(
            sweeping(fund(ALICE, 10_000, 60_000), 9_500),
            abi.encodeWithSelector(IBridge.ChangeTooSmall.selector, 10_000, 9_740, 330)
        );
    }

    function test_a_deposit_off_the_best_chain_is_refused() public {
        Funding memory funding = fund(ALICE, 1e8, 1000);
        reorganise(funding.mined.height - 1);
        refuse(sweeping(funding, 500), abi.encodeWithSelector(IBitcoinLightClient.NotOnBestChain.selector, funding.mined.hash));
    }

    function test_a_deposit_near_its_reclaim_is_refused() public {
        Funding memory funding = fund(ALICE, 1e8, 1000);
        mineEmpty(RECLAIM_DELAY / 2);
        refuse(sweeping(funding, 500), abi.encodeWithSelector(IBridge.DepositTooOld.selector, 505, 504));
        reorganise(height - 1);
        refuse(sweeping(funding, 500), abi.encodeWithSelector(IBridge.DepositTooOld.selector, 506, 504));
    }

    function test_a_coinbase_has_to_mature() public {
        (bytes32 x, bytes32 y) = depositKey(IBridge.DepositTerms(ALICE, RECLAIM_KEY, 1000, 1));
        bytes memory reward = bytes.concat(
            hex"0200000001",
            bytes32(0),
            hex"ffffffff",
            hex"02abcd",
            hex"ffffffff",
            hex"01",
            le(50e8, 8),
            hex"225120",
            x,
            hex"00000000"
        );
        Block memory mined = mineOn(chainAt[height]);
        mined.transactions[0] = reward;
        (mined.raw, mined.hash) = grind(
            bytes.concat(
                hex"00000020",
                chainAt[height].hash,
                merkleRoot(mined.transactions),
                le(mined.time, 4),
                le(REGTEST_BITS, 4),
                hex"00000000"
            )
        );
        extend(mined);
        Funding memory funding =
            Funding(mined, 0, 0, 50e8, hash256(reward), x, y, IBridge.DepositTerms(ALICE, RECLAIM_KEY, 1000, 1));
        mineEmpty(98);
        refuse(sweeping(funding, 500), abi.encodeWithSelector(IBridge.CoinbaseImmature.selector, 99, 100));
        mineEmpty(1);
        IBridge.Proposal memory proposal = sweeping(funding, 500);
        vm.prank(MEMBER);
        bridge.propose(proposal);
    }

    function test_a_transaction_has_inputs() public {
        IBridge.Proposal memory proposal;
        refuse(proposal, abi.encodeWithSelector(IBridge.NoInputs.selector));
    }

    function test_the_many_deposits_of_one_proposal_share_exactly() public {
        IBridge.Proposal memory proposal;
        proposal.deposits = new IBridge.DepositProof[](3);
        for (uint256 i = 0; i < 3; ++i) {
            proposal.deposits[i] = depositProof(fund(address(uint160(100 + i)), 1e6, 1000));
        }
        proposal.feeSat = 462;
        uint256 number = propose(proposal);
        // 702 = 3 * 234
        confirmAndSettle(number);
        for (uint160 i = 0; i < 3; ++i) {
            vm.assertEq(address(100 + i).balance, (1e6 - 234) * WEI_PER_SAT);
        }
        requireBalanced(0);
    }

    function test_the_number_of_deposits_is_bounded() public {
        IBridge.Proposal memory proposal;
        proposal.deposits = new IBridge.DepositProof[](65);
        refuse(proposal, abi.encodeWithSelector(IBridge.TooManyDeposits.selector, 65, 64));
    }

    // ------------------------------------------------------------------ recipients

    function test_a_recipient_that_refuses_does_not_block_and_can_claim() public {
        Picky picky = new Picky();
        IBridge.Proposal memory proposal;
        proposal.deposits = new IBridge.DepositProof[](2);
        proposal.deposits[0] = depositProof(fund(address(picky), 1e8, 1000));
        proposal.deposits[1] = depositProof(fund(ALICE, 1e8, 1000));
        proposal.feeSat = 500;
        confirmAndSettle(propose(proposal));
        vm.assertEq(ALICE.balance, (1e8 - 370) * WEI_PER_SAT);
        vm.assertEq(address(picky).balance, 0);
        vm.assertEq(bridge.claimable(address(picky)), 1e8 - 370);
        requireBalanced(1e8 - 370);

        vm.expectRevert(abi.encodeWithSelector(IBridge.TransferFailed.selector, address(picky)));
        picky.claim(bridge, address(picky));
        picky.claim(bridge, BOB);
        vm.assertEq(BOB.balance, (1e8 - 370) * WEI_PER_SAT);
        vm.expectRevert(abi.encodeWithSelector(IBridge.NothingToClaim.selector, address(picky)));
        picky.claim(bridge, BOB);
        requireBalanced(0);
    }

    function test_a_recipient_that_burns_gas_does_not_block() public {
        Glutton glutton = new Glutton();
        uint256 number = pegIn(address(glutton), 1e8);
        vm.assertEq(bridge.claimable(address(glutton)), 1e8 - 740);
        vm.assertTrue(bridge.vaultTransaction(number).status == IBridge.VaultStatus.Settled);
    }

    function test_a_recipient_cannot_reenter() public {
        // It may ask,
        Reentrant reentrant = new Reentrant(bridge, abi.encodeCall(IBridge.ledger, ()));
        pegIn(address(reentrant), 1e8);
        vm.assertEq(bridge.claimable(address(reentrant)), 0);
        // but not act: the call back fails, so the recipient fails, and its coins wait.
        reentrant = new Reentrant(bridge, abi.encodeWithSelector(IBridge.claim.selector, ALICE));
        pegIn(address(reentrant), 1e8);
        vm.assertEq(bridge.claimable(address(reentrant)), 1e8 - 740);
        requireBalanced(1e8 - 740);
    }

    /// Whoever settles cannot starve a recipient of its gas and so divert its coins to `claim`.
    function test_a_settlement_with_little_gas_reverts() public {
        uint256 number = sweep(fund(ALICE, 1e8, 1000), 500);
        Block memory mined = mine(unsigned[number]);
        mineEmpty(1);
        IBitcoinLightClient.InclusionProof memory proof = prove(mined, 1);
        for (uint256 gas_ = 100_000; gas_ < 400_000; gas_ += 5_000) {
            (bool ok,) = address(bridge).call{gas: gas_}(abi.encodeCall(IBridge.settle, (number, unsigned[number], proof)));
            if (!ok) continue;
            vm.assertEq(bridge.claimable(ALICE), 0);
            vm.assertEq(ALICE.balance, (1e8 - 740) * WEI_PER_SAT);
            return;
        }
        revert("settled with no gas at all");
    }

    // ------------------------------------------------------------------ peg-out

    function test_a_withdrawal_is_queued_paid_and_settled() public {
        uint256 first = pegIn(ALICE, 1e8);
        uint256 id = withdraw(ALICE, 4e7, 1000, P2TR);
        IBridge.Withdrawal memory record = bridge.withdrawal(id);
        vm.assertTrue(record.status == IBridge.WithdrawalStatus.Queued);
        vm.assertEq(record.owner, ALICE);
        vm.assertEq(record.script, P2TR);
        vm.assertEq(bridge.queuedWithdrawals(10)[0], id);
        requireLedger(1e8 - 740, 4e7, 0, 0);
        requireBalanced(0);

        uint256 number = propose(paying(first, id, 300));
        vm.assertEq(bridge.queuedWithdrawals(10).length, 0);
        vm.assertEq(bridge.availableVaultOutputs(10).length, 0);
        vm.assertTrue(bridge.vaultTransaction(first).output == IBridge.OutputStatus.Spending);
        vm.assertTrue(bridge.withdrawal(id).status == IBridge.WithdrawalStatus.Paying);
        vm.assertEq(bridge.withdrawal(id).shareSat, 540);
        vm.assertEq(bridge.vaultTransaction(number).changeSat, 1e8 - 740 - 4e7);
        requireBalanced(0);

        confirmAndSettle(number);
        vm.assertTrue(bridge.withdrawal(id).status == IBridge.WithdrawalStatus.Paid);
        vm.assertTrue(bridge.vaultTransaction(first).output == IBridge.OutputStatus.Spent);
        requireLedger(1e8 - 740 - 4e7, 0, 0, 0);
        requireBalanced(0);
    }

    function test_a_withdrawal_is_cancelled_and_refunded_while_queued_only() public {
        uint256 first = pegIn(ALICE, 1e8);
        uint256 id = withdraw(ALICE, 4e7, 1000, P2TR);
        vm.expectRevert(abi.encodeWithSelector(IBridge.NotOwner.selector, BOB, ALICE));
        vm.prank(BOB);
        bridge.cancel(id);
        uint256 before = ALICE.balance;
        vm.prank(ALICE);
        bridge.cancel(id);
        vm.assertEq(ALICE.balance, before + 4e7 * WEI_PER_SAT);
        vm.assertTrue(bridge.withdrawal(id).status == IBridge.WithdrawalStatus.Cancelled);
        requireLedger(1e8 - 740, 0, 0, 0);
        requireBalanced(0);

        // It cannot be cancelled again,
        vm.expectRevert(abi.encodeWithSelector(IBridge.WithdrawalNotQueued.selector, id, IBridge.WithdrawalStatus.Cancelled));
        vm.prank(ALICE);
        bridge.cancel(id);
        // nor paid any more,
        refuse(
            paying(first, id, 300),
            abi.encodeWithSelector(IBridge.WithdrawalNotQueued.selector, id, IBridge.WithdrawalStatus.Cancelled)
        );
        // nor cancelled once it is being paid, or is paid.
        id = withdraw(ALICE, 4e7, 1000, P2TR);
        uint256 number = propose(paying(first, id, 300));
        vm.expectRevert(abi.encodeWithSelector(IBridge.WithdrawalNotQueued.selector, id, IBridge.WithdrawalStatus.Paying));
        vm.prank(ALICE);
        bridge.cancel(id);
        confirmAndSettle(number);
        vm.expectRevert(abi.encodeWithSelector(IBridge.WithdrawalNotQueued.selector, id, IBridge.WithdrawalStatus.Paid));
        vm.prank(ALICE);
        bridge.cancel(id);
        vm.expectRevert(abi.encodeWithSelector(IBridge.WithdrawalNotQueued.selector, 99, IBridge.WithdrawalStatus.None));
        bridge.cancel(99);
    }

    function test_withdrawals_that_are_refused() public {
        pegIn(ALICE, 1e8);
        vm.prank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(IBridge.NotWholeSat.selector, 1e15 + 1));
        bridge.withdraw{value: 1e15 + 1}(P2TR, 0);
        vm.prank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(IBridge.AmountOutOfRange.selector, 9_999, 10_000));
        bridge.withdraw{value: 9_999 * WEI_PER_SAT}(P2TR, 0);
        vm.prank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(IBridge.FeeLeavesDust.selector, 10_000, 9_671, 330));
        bridge.withdraw{value: 10_000 * WEI_PER_SAT}(P2TR, 9_671);
        vm.prank(ALICE);
        bridge.withdraw{value: 10_000 * WEI_PER_SAT}(P2TR, 9_670);
        vm.prank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(IBridge.ScriptNotStandard.selector, bytes(hex"6a00")));
        bridge.withdraw{value: 10_000 * WEI_PER_SAT}(hex"6a00", 0);
        vm.prank(ALICE);
        (bool ok,) = address(bridge).call{value: 1 ether / 10}("");
        vm.assertFalse(ok);
    }

    function test_a_withdrawal_is_paid_once_in_a_proposal_and_its_fee_limit_holds() public {
        uint256 first = pegIn(ALICE, 1e8);
        uint256 id = withdraw(ALICE, 4e7, 539, P2WPKH);
        IBridge.Proposal memory proposal = paying(first, id, 300);
        refuse(proposal, abi.encodeWithSelector(IBridge.ShareTooLarge.selector, 0, 540, 539));
        proposal.withdrawals = new uint256[](2);
        proposal.withdrawals[0] = proposal.withdrawals[1] = id;
        refuse(proposal, abi.encodeWithSelector(IBridge.WithdrawalNotQueued.selector, id, IBridge.WithdrawalStatus.Paying));
        proposal = paying(first, id, 299);
        proposal.vaultInputs = new uint256[](2);
        proposal.vaultInputs[0] = proposal.vaultInputs[1] = first;
        refuse(proposal, abi.encodeWithSelector(IBridge.OutputNotAvailable.selector, first, IBridge.OutputStatus.Spending));
        propose(paying(first, id, 299));
    }

    function test_the_queue_is_first_come_first_listed() public {
        pegIn(ALICE, 1e8);
        for (uint256 i = 0; i < 5; ++i) {
            withdraw(ALICE, 20_000, 1000, P2WPKH);
        }
        vm.prank(ALICE);
        bridge.cancel(2);
        uint256[] memory ids = bridge.queuedWithdrawals(3);
        vm.assertEq(ids.length, 3);
        vm.assertEq(ids[1], 3);
        ids = bridge.queuedWithdrawalsAfter(3, 10);
        vm.assertEq(ids.length, 2);
        vm.assertEq(ids[0], 4);
        vm.assertEq(ids[1], 5);
        vm.assertEq(bridge.withdrawalCount(), 5);
    }

    // ------------------------------------------------------------------ fees and sizes

    function test_the_fee_has_bounds() public {
        Funding memory funding = fund(ALICE, 1e8, 100_000);
        // 4 + 1 + 41 + 1 + 43 + 13 + 4 = 107 bytes, (428 + 2 + 66) / 4 = 124 vB
        refuse(sweeping(funding, 123), abi.encodeWithSelector(IBridge.FeeOutOfBounds.selector, 123, 124, 62_000));
        refuse(sweeping(funding, 62_001), abi.encodeWithSelector(IBridge.FeeOutOfBounds.selector, 62_001, 124, 62_000));
        sweep(funding, 124);
        sweep(fund(ALICE, 1e8, 100_000), 62_000);
    }

    /// 319 withdrawals of 31 vB (P2WPKH) and one input make 9,998 vB; the count of outputs takes three bytes.
    function test_the_largest_transaction_has_10000_vbytes() public {
        uint256 first = pegIn(ALICE, 2e8);
        uint256[] memory ids = new uint256[](320);
        for (uint256 i = 0; i < 320; ++i) {
            ids[i] = withdraw(ALICE, 10_000, 1000, P2WPKH);
        }
        IBridge.Proposal memory proposal = paying(first, 0, 20_000);
        proposal.withdrawals = ids;
        uint256 vsize = 4 * (4 + 1 + 41 + 3 + 43 + 13 + 4 + 320 * 31) + 2 + 66;
        refuse(proposal, abi.encodeWithSelector(IBridge.TransactionTooLarge.selector, (vsize + 3) / 4, 10_000));
        proposal.withdrawals = new uint256[](318);
        for (uint256 i = 0; i < 318; ++i) {
            proposal.withdrawals[i] = ids[i];
        }
        uint256 before = gasleft();
        uint256 number = propose(proposal);
        emit Gas("propose 318 withdrawals (with the test's own work)", before - gasleft());
        Block memory mined = mine(unsigned[number]);
        mineEmpty(1);
        before = gasleft();
        bridge.settle(number, unsigned[number], prove(mined, 1));
        vm.assertLt(before - gasleft(), 1 << 24);
        emit Gas("settle 318 withdrawals (with the test's own work)", before - gasleft());
        requireBalanced(0);
    }

    event Gas(string what, uint256 used);

    function test_a_transaction_without_participants_is_paid_from_the_reserve() public {
        uint256 first = pegIn(ALICE, 1e8);
        refuse(paying(first, 0, 300), abi.encodeWithSelector(IBridge.ReserveTooSmall.selector, 0, 540));
        vm.prank(ALICE);
        bridge.fundReserve{value: 1000 * WEI_PER_SAT}();
        requireBalanced(0);
        uint256 number = propose(paying(first, 0, 300));
        requireLedger(1e8 - 740, 0, 460, 0);
        confirmAndSettle(number);
        requireLedger(1e8 - 740 - 540, 0, 460, 0);
        requireBalanced(0);
    }

    // ------------------------------------------------------------------ settlement

    function test_settlement_needs_its_confirmations() public {
        uint256 number = sweep(fund(ALICE, SMALL_SAT + 1, 1000), 500);
        vm.assertEq(bridge.vaultTransaction(number).requiredConfirmations, LARGE_CONFIRMATIONS);
        Block memory mined = mine(unsigned[number]);
        mineEmpty(LARGE_CONFIRMATIONS - 2);
        IBitcoinLightClient.InclusionProof memory proof = prove(mined, 1);
        vm.expectRevert(abi.encodeWithSelector(IBridge.TooFewConfirmations.selector, 5, 6));
        bridge.settle(number, unsigned[number], proof);
        mineEmpty(1);
        bridge.settle(number, unsigned[number], proof);
    }

    function test_another_transaction_does_not_settle() public {
        uint256 number = sweep(fund(ALICE, 1e8, 1000), 500);
        bytes memory other = payment(1e8, P2TR);
        Block memory mined = mine(other);
        mineEmpty(1);
        IBitcoinLightClient.InclusionProof memory proof = prove(mined, 1);
        vm.expectRevert(abi.encodeWithSelector(IBridge.WrongTransaction.selector, hash256(other), hash256(unsigned[number])));
        bridge.settle(number, other, proof);
        vm.expectRevert(abi.encodeWithSelector(IBridge.NoSuchVaultTransaction.selector, 9));
        bridge.settle(9, other, proof);
    }

    // ------------------------------------------------------------------ reorganisations

    // best   .. f - v - e            v holds the vault transaction
    // rival      \ r - r - r - v'
    function test_a_reorg_before_settlement_only_delays_it() public {
        uint256 number = sweep(fund(ALICE, 1e8, 1000), 500);
        Block memory mined = mine(unsigned[number]);
        reorganise(mined.height - 1);
        IBitcoinLightClient.InclusionProof memory proof = prove(mined, 1);
        vm.expectRevert(abi.encodeWithSelector(IBitcoinLightClient.NotOnBestChain.selector, mined.hash));
        bridge.settle(number, unsigned[number], proof);
        vm.expectRevert(abi.encodeWithSelector(IBridge.NotSettled.selector, number, IBridge.VaultStatus.Proposed));
        bridge.unsettle(number);
        confirmAndSettle(number);
        vm.assertEq(ALICE.balance, (1e8 - 740) * WEI_PER_SAT);
        requireBalanced(0);
    }

    function test_a_reorg_after_settlement_unsettles_and_stops_payouts_until_it_settles_again() public {
        uint256 other = pegIn(BOB, 1e8);
        uint256 number = sweep(fund(ALICE, 5e7, 1000), 500);
        Block memory mined = confirmAndSettle(number);
        vm.expectRevert(abi.encodeWithSelector(IBridge.StillConfirmed.selector, number, 2));
        bridge.unsettle(number);

        reorganise(mined.height - 1);
        bridge.unsettle(number);
        vm.assertTrue(bridge.vaultTransaction(number).status == IBridge.VaultStatus.Unsettled);
        vm.assertTrue(bridge.vaultTransaction(number).output == IBridge.OutputStatus.Frozen);
        requireLedger(1e8 - 740, 0, 0, 5e7 - 740);
        requireBalanced(0);
        vm.expectRevert(abi.encodeWithSelector(IBridge.NotSettled.selector, number, IBridge.VaultStatus.Unsettled));
        bridge.unsettle(number);

        uint256 id = withdraw(BOB, 2e7, 1000, P2TR);
        refuse(paying(other, id, 300), abi.encodeWithSelector(IBridge.WithdrawalsStopped.selector, 5e7 - 740));
        refuse(
            paying(number, 0, 300),
            abi.encodeWithSelector(IBridge.OutputNotAvailable.selector, number, IBridge.OutputStatus.Frozen)
        );

        confirmAndSettle(number);
        vm.assertEq(ALICE.balance, (5e7 - 740) * WEI_PER_SAT);
        requireLedger(15e7 - 1480, 2e7, 0, 0);
        requireBalanced(0);
        propose(paying(other, id, 300));
    }

    // best   .. f - v - e
    // rival      \ r - r - r - v - e       mined again before anybody unsettled it
    function test_a_settled_transaction_can_be_shown_in_its_new_block() public {
        uint256 number = pegIn(ALICE, 1e8);
        Block memory mined = chainAt[height - 1];
        reorganise(mined.height - 1);
        confirmAndSettle(number);
        vm.assertTrue(bridge.vaultTransaction(number).blockHash != mined.hash);
        vm.assertTrue(bridge.vaultTransaction(number).status == IBridge.VaultStatus.Settled);
        vm.assertEq(bridge.availableVaultOutputs(9).length, 1);
        requireLedger(1e8 - 740, 0, 0, 0);
        requireBalanced(0);
        vm.assertEq(ALICE.balance, (1e8 - 740) * WEI_PER_SAT);
    }

    function test_a_paid_withdrawal_is_owed_again_after_a_reorg() public {
        uint256 first = pegIn(ALICE, 1e8);
        uint256 id = withdraw(ALICE, 4e7, 1000, P2TR);
        uint256 number = propose(paying(first, id, 300));
        Block memory mined = confirmAndSettle(number);
        reorganise(mined.height - 1);
        bridge.unsettle(number);
        vm.assertTrue(bridge.withdrawal(id).status == IBridge.WithdrawalStatus.Paying);
        // change + gross: all that the transaction moved
        requireLedger(0, 4e7, 0, 1e8 - 740);
        requireBalanced(0);
        vm.expectRevert(abi.encodeWithSelector(IBridge.WithdrawalNotQueued.selector, id, IBridge.WithdrawalStatus.Paying));
        vm.prank(ALICE);
        bridge.cancel(id);
        confirmAndSettle(number);
        requireLedger(1e8 - 740 - 4e7, 0, 0, 0);
        vm.assertTrue(bridge.withdrawal(id).status == IBridge.WithdrawalStatus.Paid);
    }

    // best   .. f - p - . - c - .      p settles first, c spends its output
    // rival      \ r - r - r - r - r
    function test_a_reorg_of_two_linked_transactions_goes_from_the_last_to_the_first_and_back() public {
        uint256 parent = sweep(fund(ALICE, 1e8, 1000), 500);
        Block memory mined = confirmAndSettle(parent);
        uint256 id = withdraw(ALICE, 4e7, 1000, P2TR);
        uint256 child = propose(paying(parent, id, 300));
        confirmAndSettle(child);
        reorganise(mined.height - 1);

        vm.expectRevert(abi.encodeWithSelector(IBridge.SpenderSettled.selector, parent, child));
        bridge.unsettle(parent);
        bridge.unsettle(child);
        requireLedger(0, 4e7, 0, 1e8 - 740);
        bridge.unsettle(parent);
        // The child's loss has the parent's output already.
        requireLedger(0, 4e7, 0, 1e8 - 740);
        requireBalanced(0);

        Block memory p = mine(unsigned[parent]);
        Block memory c = mine(unsigned[child]);
        mineEmpty(1);
        IBitcoinLightClient.InclusionProof memory proof = prove(c, 1);
        vm.expectRevert(abi.encodeWithSelector(IBridge.InputNotSettled.selector, child, parent));
        bridge.settle(child, unsigned[child], proof);
        bridge.settle(parent, unsigned[parent], prove(p, 1));
        vm.assertTrue(bridge.vaultTransaction(parent).output == IBridge.OutputStatus.Spent);
        requireLedger(0, 4e7, 0, 1e8 - 740);
        bridge.settle(child, unsigned[child], proof);
        requireLedger(1e8 - 740 - 4e7, 0, 0, 0);
        requireBalanced(0);
        vm.assertEq(ALICE.balance, (6e7 - 740) * WEI_PER_SAT);
    }

    /// The parent is unsettled while the child that spends it has only been proposed.
    function test_a_proposed_child_waits_for_its_unsettled_parent() public {
        uint256 parent = sweep(fund(ALICE, 1e8, 1000), 500);
        Block memory mined = confirmAndSettle(parent);
        uint256 id = withdraw(ALICE, 4e7, 1000, P2TR);
        uint256 child = propose(paying(parent, id, 300));
        reorganise(mined.height - 1);
        bridge.unsettle(parent);
        requireLedger(0, 4e7, 0, 1e8 - 740);
        confirmAndSettle(parent);
        vm.assertTrue(bridge.vaultTransaction(parent).output == IBridge.OutputStatus.Spending);
        confirmAndSettle(child);
        requireLedger(6e7 - 740, 0, 0, 0);
        requireBalanced(0);
        vm.assertEq(bridge.availableVaultOutputs(9).length, 1);
    }

    function test_a_covered_deficit_comes_back_as_reserve() public {
        pegIn(BOB, 1e8);
        uint256 number = sweep(fund(ALICE, 5e7, 1000), 500);
        Block memory mined = confirmAndSettle(number);
        reorganise(mined.height - 1);
        bridge.unsettle(number);
        vm.prank(BOB);
        vm.expectRevert(abi.encodeWithSelector(IBridge.MoreThanDeficit.selector, 5e7, 5e7 - 740));
        bridge.coverDeficit{value: 5e7 * WEI_PER_SAT}();
        vm.prank(BOB);
        bridge.coverDeficit{value: (5e7 - 740) * WEI_PER_SAT}();
        requireLedger(1e8 - 740, 0, 0, 0);
        requireBalanced(0);
        confirmAndSettle(number);
        requireLedger(15e7 - 1480, 0, 5e7 - 740, 0);
        requireBalanced(0);
    }

    // ------------------------------------------------------------------ parameters

    function test_parameters_are_checked() public {
        IBridge.Parameters memory bad = parameters();
        bad.tiers[1].upToSat = 1e9;
        vm.expectRevert(abi.encodeWithSelector(IBridge.InvalidParameters.selector, "tiers do not ascend"));
        new Bridge(bad, client, federation);
        bad.tiers[1].upToSat = 2e9;
        vm.expectRevert(abi.encodeWithSelector(IBridge.InvalidParameters.selector, "the last tier has an upper end"));
        new Bridge(bad, client, federation);
        bad = parameters();
        bad.minFeeRate = 0;
        vm.expectRevert(abi.encodeWithSelector(IBridge.InvalidParameters.selector, "minFeeRate is 0"));
        new Bridge(bad, client, federation);
        vm.assertEq(bridge.parameters().tiers.length, 2);
        vm.assertEq(bridge.parameters().reclaimDelay, RECLAIM_DELAY);
    }
}
