// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IBitcoinLightClient} from "../src/interfaces/IBitcoinLightClient.sol";
import {IBridge} from "../src/interfaces/IBridge.sol";
import {Peg} from "./Peg.sol";
import {Refuser} from "./Recipients.sol";

/// Random users, members and miners. Nothing they do may revert, except for the reasons named.
contract LedgerHandler is Peg {
    Refuser private immutable refuser = new Refuser();
    address[3] private users;
    /// Deposits that no vault transaction sweeps yet.
    Funding[] private pending;
    /// Where a vault transaction was mined last.
    mapping(uint256 number => Block) private minedIn;
    mapping(uint256 number => bool) private withoutParticipants;
    mapping(uint256 number => uint256[]) private spends;
    mapping(string action => uint256) public done;

    constructor() {
        createPeg();
        users = [ALICE, BOB, address(refuser)];
        mineEmpty(1);
    }

    // ------------------------------------------------------------------ users

    function fundDeposit(uint256 user, uint256 amountSat) external {
        if (pending.length >= 6) return;
        pending.push(fund(users[user % 3], uint64(bound(amountSat, 20_000, 30e8)), 5_000));
        ++done["fund"];
    }

    function queueWithdrawal(uint256 user, uint256 amountSat) external {
        address owner = users[user % 2];
        uint256 most = owner.balance / WEI_PER_SAT;
        if (most < 10_000) return;
        withdraw(owner, uint64(bound(amountSat, 10_000, most)), 5_000, P2WPKH);
        ++done["withdraw"];
    }

    function cancelWithdrawal(uint256 which) external {
        uint256[] memory ids = bridge.queuedWithdrawals(50);
        if (ids.length == 0) return;
        uint256 id = ids[which % ids.length];
        vm.prank(bridge.withdrawal(id).owner);
        bridge.cancel(id);
        ++done["cancel"];
    }

    function claimCoins() external {
        if (bridge.claimable(address(refuser)) == 0) return;
        refuser.claim(bridge, users[0]);
        ++done["claim"];
    }

    function giveUp(uint256 user, uint256 amountSat) external {
        address giver = users[user % 2];
        uint256 most = giver.balance / WEI_PER_SAT;
        if (most < 5_000) return;
        (,,, uint64 deficitSat) = bridge.ledger();
        uint256 value = bound(amountSat, 1_000, most < 100_000 ? most : 100_000);
        vm.prank(giver);
        if (deficitSat >= value) bridge.coverDeficit{value: value * WEI_PER_SAT}();
        else bridge.fundReserve{value: value * WEI_PER_SAT}();
        ++done["give up"];
    }

    // ------------------------------------------------------------------ members

    function proposeSome(uint256 seed) external {
        (,,, uint64 deficitSat) = bridge.ledger();
        uint256[] memory outputs = bridge.availableVaultOutputs(seed % 3);
        uint256[] memory ids = deficitSat == 0 ? bridge.queuedWithdrawals((seed >> 8) % 4) : new uint256[](0);
        uint256 deposits = (seed >> 16) % 3;
        if (deposits > pending.length) deposits = pending.length;
        IBridge.Proposal memory proposal;
        proposal.network = NETWORK;
        proposal.vaultInputs = outputs;
        proposal.withdrawals = ids;
        proposal.deposits = new IBridge.DepositProof[](deposits);
        for (uint256 i = 0; i < deposits; ++i) {
            proposal.deposits[i] = depositProof(pending[pending.length - 1 - i]);
        }
        // Enough for the size, little enough for everybody's limit.
        proposal.feeSat = uint64(110 + 65 * (deposits + outputs.length) + 35 * ids.length + (seed >> 24) % 500);
        bytes memory transaction = deposits + outputs.length == 0 ? bytes("") : tryExpected(proposal);
        vm.prank(MEMBER);
        try bridge.propose(proposal) returns (uint256 number) {
            vm.assertEq(bridge.vaultTransaction(number).txid, hash256(transaction));
            unsigned[number] = transaction;
            spends[number] = outputs;
            withoutParticipants[number] = deposits + ids.length == 0;
            for (uint256 i = 0; i < deposits; ++i) {
                pending.pop();
            }
            ++done["propose"];
        } catch (bytes memory why) {
            bytes4 reason = bytes4(why);
            bool allowed = reason == IBridge.ChangeTooSmall.selector || reason == IBridge.ReserveTooSmall.selector
                || reason == IBridge.NoInputs.selector || reason == IBitcoinLightClient.NotOnBestChain.selector;
            vm.assertTrue(allowed, "propose reverted for another reason");
            // A deposit that a reorganisation has removed is forgotten.
            if (reason == IBitcoinLightClient.NotOnBestChain.selector) pending.pop();
        }
    }

    /// Empty where outputs would exceed inputs.
    function tryExpected(IBridge.Proposal memory proposal) private view returns (bytes memory) {
        try this.expectedExternally(proposal) returns (bytes memory transaction) {
            return transaction;
        } catch {
            return "";
        }
    }

    function expectedExternally(IBridge.Proposal memory proposal) external view returns (bytes memory) {
        return expected(proposal);
    }

    // ------------------------------------------------------------------ miners, and who shows their blocks

    function settleOne(uint256 seed) external {
        uint256 count = bridge.vaultTransactionCount();
        for (uint256 i = 0; i < count; ++i) {
            uint256 number = 1 + (seed % count + i) % count;
            IBridge.VaultTransaction memory found = bridge.vaultTransaction(number);
            if (found.status == IBridge.VaultStatus.Settled) continue;
            Block memory mined = mine(unsigned[number]);
            minedIn[number] = mined;
            mineEmpty(found.requiredConfirmations - 1);
            bool ready = true;
            for (uint256 j = 0; j < spends[number].length; ++j) {
                IBridge.VaultStatus parent = bridge.vaultTransaction(spends[number][j]).status;
                if (parent != IBridge.VaultStatus.Settled) ready = false;
            }
            IBitcoinLightClient.InclusionProof memory proof = prove(mined, 1);
            if (!ready) vm.expectPartialRevert(IBridge.InputNotSettled.selector);
            bridge.settle(number, unsigned[number], proof);
            if (!ready) continue;
            ++done[found.status == IBridge.VaultStatus.Proposed ? "settle" : "settle again"];
            return;
        }
    }

    function reorganiseSome(uint256 depth) external {
        if (height < 3) return;
        reorganise(height - uint32(bound(depth, 1, height < 8 ? height - 1 : 7)));
        ++done["reorganise"];
    }

    function unsettleAll() external {
        for (uint256 number = bridge.vaultTransactionCount(); number != 0; --number) {
            IBridge.VaultTransaction memory found = bridge.vaultTransaction(number);
            if (found.status != IBridge.VaultStatus.Settled) continue;
            if (client.confirmations(found.blockHash) != 0) continue;
            uint256 spender = settledSpender(number);
            if (spender == 0) {
                bridge.unsettle(number);
                ++done["unsettle"];
            } else {
                // What spends it is on the best chain, so it is too, in another block.
                vm.expectRevert(abi.encodeWithSelector(IBridge.SpenderSettled.selector, number, spender));
                bridge.unsettle(number);
                Block memory mined = mine(unsigned[number]);
                mineEmpty(found.requiredConfirmations - 1);
                bridge.settle(number, unsigned[number], prove(mined, 1));
            }
        }
    }

    function settledSpender(uint256 number) private view returns (uint256) {
        for (uint256 later = bridge.vaultTransactionCount(); later > number; --later) {
            if (bridge.vaultTransaction(later).status != IBridge.VaultStatus.Settled) continue;
            for (uint256 i = 0; i < spends[later].length; ++i) {
                if (spends[later][i] == number) return later;
            }
        }
        return 0;
    }

    // ------------------------------------------------------------------ what must hold

    function requireAll() external view {
        uint256 slackSat = bridge.claimable(address(refuser));
        uint256 vaultWantSat = 0;
        uint256 availableWant = 0;
        for (uint256 number = bridge.vaultTransactionCount(); number != 0; --number) {
            IBridge.VaultTransaction memory found = bridge.vaultTransaction(number);
            if (found.status == IBridge.VaultStatus.Proposed && withoutParticipants[number]) slackSat += found.feeSat + 240;
            if (found.output == IBridge.OutputStatus.Available) ++availableWant;
            if (found.output == IBridge.OutputStatus.Available || found.output == IBridge.OutputStatus.Spending) {
                vaultWantSat += found.changeSat;
            }
        }
        uint256 owedWantSat = 0;
        uint256 queuedWant = 0;
        for (uint256 id = bridge.withdrawalCount(); id != 0; --id) {
            IBridge.Withdrawal memory found = bridge.withdrawal(id);
            if (found.status == IBridge.WithdrawalStatus.Queued) ++queuedWant;
            if (found.status == IBridge.WithdrawalStatus.Queued || found.status == IBridge.WithdrawalStatus.Paying) {
                owedWantSat += found.amountSat;
            }
        }
        (uint64 vaultSat, uint64 owedSat, uint64 heldSat, uint64 deficitSat) = bridge.ledger();
        vm.assertEq(vaultSat, vaultWantSat, "vault is not the sum of its outputs");
        vm.assertEq(owedSat, owedWantSat, "owed is not the sum of open withdrawals");
        vm.assertEq(bridge.availableVaultOutputs(type(uint256).max).length, availableWant, "list of available outputs");
        vm.assertEq(bridge.queuedWithdrawals(type(uint256).max).length, queuedWant, "queue");
        vm.assertLe(supplySat() + owedSat + heldSat, uint256(vaultSat) + deficitSat);
        requireBalanced(slackSat);
        requireBacked();
    }

    /// The coins that are out are those that settled deposits brought in, less what went back in.
    function requireBacked() private view {
        uint256 outside = ALICE.balance + BOB.balance + address(refuser).balance;
        vm.assertEq(outside / WEI_PER_SAT, supplySat(), "coins outside");
    }
}

contract LedgerInvariant is Peg {
    LedgerHandler private handler;

    function setUp() public {
        handler = new LedgerHandler();
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    /// Those that make others possible more often.
    function targetSelectors() public view returns (FuzzSelector[] memory targets) {
        bytes4[] memory selectors = new bytes4[](14);
        for (uint256 i = 0; i < 3; ++i) {
            selectors[i] = LedgerHandler.settleOne.selector;
            selectors[3 + i] = LedgerHandler.proposeSome.selector;
        }
        selectors[6] = LedgerHandler.fundDeposit.selector;
        selectors[7] = LedgerHandler.fundDeposit.selector;
        selectors[8] = LedgerHandler.queueWithdrawal.selector;
        selectors[9] = LedgerHandler.cancelWithdrawal.selector;
        selectors[10] = LedgerHandler.claimCoins.selector;
        selectors[11] = LedgerHandler.giveUp.selector;
        selectors[12] = LedgerHandler.reorganiseSome.selector;
        selectors[13] = LedgerHandler.unsettleAll.selector;
        targets = new FuzzSelector[](1);
        targets[0] = FuzzSelector(address(handler), selectors);
    }

    function invariant_the_ledger_is_in_balance() public view {
        handler.requireAll();
    }

    /// The random walk reaches every state: shown for one long walk with a fixed seed.
    function test_a_long_walk_reaches_every_action() public {
        for (uint256 step = 0; step < 400; ++step) {
            uint256 roll = uint256(keccak256(abi.encode("walk", step)));
            uint256 argument = roll >> 16;
            uint256 action = roll % 14;
            if (action < 3) handler.settleOne(argument);
            else if (action < 6) handler.proposeSome(argument);
            else if (action < 8) handler.fundDeposit(argument >> 8, argument >> 16);
            else if (action == 8) handler.queueWithdrawal(argument >> 8, argument >> 16);
            else if (action == 9) handler.cancelWithdrawal(argument);
            else if (action == 10) handler.claimCoins();
            else if (action == 11) handler.giveUp(argument >> 8, argument >> 16);
            else if (action == 12) handler.reorganiseSome(argument);
            else handler.unsettleAll();
            handler.requireAll();
        }
        string[10] memory actions =
            ["fund", "withdraw", "cancel", "claim", "give up", "propose", "settle", "settle again", "reorganise", "unsettle"];
        for (uint256 i = 0; i < actions.length; ++i) {
            vm.assertTrue(handler.done(actions[i]) != 0, actions[i]);
        }
    }
}
