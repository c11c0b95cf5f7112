// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Bridge} from "../src/Bridge.sol";
import {IBitcoinLightClient} from "../src/interfaces/IBitcoinLightClient.sol";
import {IBridge} from "../src/interfaces/IBridge.sol";
import {Peg} from "./Peg.sol";

/// Peg-in: what is swept and minted, and what is refused. The parameters of a bridge.
contract DepositsTest is Peg {
    function setUp() public {
        createPeg();
    }

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

    function test_bad_deposits_are_refused() public {
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
        (mined.raw, mined.hash) = header(chainAt[height].hash, merkleRoot(mined.transactions), mined.time, REGTEST_BITS);
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
        proposal.network = NETWORK;
        refuse(proposal, abi.encodeWithSelector(IBridge.NoInputs.selector));
    }

    function test_the_many_deposits_of_one_proposal_share_exactly() public {
        IBridge.Proposal memory proposal;
        proposal.network = NETWORK;
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
        proposal.network = NETWORK;
        proposal.deposits = new IBridge.DepositProof[](65);
        refuse(proposal, abi.encodeWithSelector(IBridge.TooManyDeposits.selector, 65, 64));
    }

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
