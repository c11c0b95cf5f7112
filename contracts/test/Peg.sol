// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Bridge} from "../src/Bridge.sol";
import {Federation} from "../src/Federation.sol";
import {IBridge} from "../src/interfaces/IBridge.sol";
import {IFederation} from "../src/interfaces/IFederation.sol";
import {Taproot} from "../src/Taproot.sol";
import {DepositScript} from "../src/bridge/DepositScript.sol";
import {Vm} from "./Base.sol";
import {Regtest} from "./Regtest.sol";

/// A light client on a private Bitcoin, a federation with a key, and a bridge with 21,000,000 coins.
abstract contract Peg is Regtest {
    /// A deposit that is in a block, with what proves it.
    struct Funding {
        Block mined;
        uint256 index;
        uint32 vout;
        uint64 amountSat;
        bytes32 txid;
        bytes32 outputKey;
        bytes32 outputKeyY;
        IBridge.DepositTerms terms;
    }

    uint16 internal constant RECLAIM_DELAY = 1008;
    uint256 internal constant TOTAL = 21_000_000 ether;
    uint256 internal constant WEI_PER_SAT = 1e10;
    uint32 internal constant SMALL_CONFIRMATIONS = 2;
    uint32 internal constant LARGE_CONFIRMATIONS = 6;
    uint64 internal constant SMALL_SAT = 10e8;
    bytes32 internal constant NETWORK = keccak256("the network under test");
    bytes32 internal constant RECOVERY_LEAF = keccak256("recovery");
    bytes32 internal constant RECLAIM_KEY = bytes32(uint256(0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798));

    address internal constant MEMBER = address(0xA11CE);
    address internal constant ALICE = address(0xA0A0);
    address internal constant BOB = address(0xB0B0);
    bytes internal constant P2WPKH = hex"0014aabbccddeeff00112233445566778899aabbccdd";
    bytes internal constant P2TR = hex"51200000000000000000000000000000000000000000000000000000000000000001";
    Federation internal federation;
    Bridge internal bridge;
    /// The secret of the group key with even y, and its point.
    uint256 internal groupSecret;
    bytes32 internal groupKey;
    bytes32 internal vaultKey;
    /// The best chain, by height.
    mapping(uint256 height => Block) internal chainAt;
    uint32 internal height;
    /// The unsigned transactions that the bridge proposed.
    mapping(uint256 number => bytes) internal unsigned;

    function createPeg() internal {
        createRegtest(START + 600);
        chainAt[0] = genesis;
        federation = new Federation(NETWORK, 3, members(), RECOVERY_LEAF);
        bridge = new Bridge(parameters(), client, federation);
        vm.deal(address(bridge), TOTAL);
        confirmGroupKey(0xC0FFEE);
    }

    function parameters() internal pure returns (IBridge.Parameters memory) {
        IBridge.Tier[] memory tiers = new IBridge.Tier[](2);
        tiers[0] = IBridge.Tier(SMALL_SAT, SMALL_CONFIRMATIONS);
        tiers[1] = IBridge.Tier(type(uint64).max, LARGE_CONFIRMATIONS);
        return IBridge.Parameters(RECLAIM_DELAY, 10_000, 10_000, 1, 500, tiers);
    }

    function members() internal pure returns (IFederation.Member[] memory list) {
        list = new IFederation.Member[](4);
        for (uint256 i = 0; i < 4; ++i) {
            list[i] = IFederation.Member(
                account(i + 1),
                bytes.concat(hex"02", bytes32(i + 1)),
                new bytes(96),
                bytes32(i + 1),
                string(abi.encodePacked("m", 48 + i))
            );
        }
    }

    function account(uint256 index) internal pure returns (address) {
        return index == 1 ? MEMBER : address(uint160(0xB000 + index));
    }

    // ------------------------------------------------------------------ keys

    function confirmGroupKey(uint256 secret) internal {
        Vm.Wallet memory wallet = vm.createWallet(secret);
        groupSecret = wallet.publicKeyY & 1 == 0 ? secret : ORDER - secret;
        groupKey = bytes32(wallet.publicKeyX);
        bytes32 y;
        (vaultKey, y) = tweaked(RECOVERY_LEAF);
        for (uint256 i = 1; i <= 4; ++i) {
            vm.prank(account(i));
            federation.confirmKey(NETWORK, 1, groupKey, vaultKey, y);
        }
    }

    /// The group key's point tweaked by a tree, computed by the secret and not by the identity under test.
    function tweaked(bytes32 merkleRoot) internal returns (bytes32 x, bytes32 y) {
        uint256 tweak = uint256(sha256(bytes.concat(sha256("TapTweak"), sha256("TapTweak"), groupKey, merkleRoot)));
        Vm.Wallet memory wallet = vm.createWallet(addmod(groupSecret, tweak, ORDER));
        return (bytes32(wallet.publicKeyX), bytes32(wallet.publicKeyY));
    }

    function depositKey(IBridge.DepositTerms memory terms) internal returns (bytes32 x, bytes32 y) {
        bytes32 d = DepositScript.commitment(NETWORK, address(bridge), terms.recipient, terms.maxFeeSat);
        return tweaked(Taproot.leafHash(DepositScript.leaf(d, RECLAIM_DELAY, terms.reclaimKey)));
    }

    // ------------------------------------------------------------------ blocks

    function mine(bytes[] memory transactions) internal returns (Block memory mined) {
        mined = mineOn(chainAt[height], transactions);
        extend(mined);
    }

    function extend(Block memory mined) internal {
        chainAt[mined.height] = mined;
        height = mined.height;
        if (block.timestamp < mined.time) vm.warp(mined.time);
        client.submit(mined.raw);
    }

    function mine(bytes memory transaction) internal returns (Block memory) {
        bytes[] memory one = new bytes[](1);
        one[0] = transaction;
        return mine(one);
    }

    function mineEmpty(uint256 count) internal {
        for (uint256 i = 0; i < count; ++i) {
            mine(new bytes[](0));
        }
    }

    /// Replaces the best chain above `fork` by one that is a block longer and holds none of its transactions.
    function reorganise(uint32 fork) internal {
        uint32 target = height + 1;
        bytes memory headers;
        Block memory parent = chainAt[fork];
        while (parent.height < target) {
            parent = mineOn(parent.hash, parent.height + 1, parent.time + 601, REGTEST_BITS, new bytes[](0));
            chainAt[parent.height] = parent;
            headers = bytes.concat(headers, parent.raw);
        }
        height = target;
        if (block.timestamp < parent.time) vm.warp(parent.time);
        client.submit(headers);
    }

    // ------------------------------------------------------------------ what users and members do

    function fund(address recipient, uint64 amountSat, uint64 maxFeeSat) internal returns (Funding memory) {
        return fund(IBridge.DepositTerms(recipient, RECLAIM_KEY, maxFeeSat, 1), amountSat);
    }

    /// Pays to a deposit address in output 1 and mines that in a new block.
    function fund(IBridge.DepositTerms memory terms, uint64 amountSat) internal returns (Funding memory funding) {
        funding.terms = terms;
        (funding.outputKey, funding.outputKeyY) = depositKey(terms);
        TxOut[] memory outputs = new TxOut[](2);
        outputs[0] = TxOut(12345, hex"0014000102030405060708090a0b0c0d0e0f10111213");
        outputs[1] = TxOut(amountSat, bytes.concat(hex"5120", funding.outputKey));
        bytes memory transaction = payment(outputs);
        (funding.mined, funding.index) = (mine(transaction), 1);
        (funding.txid, funding.vout, funding.amountSat) = (hash256(transaction), 1, amountSat);
    }

    function depositProof(Funding memory funding) internal pure returns (IBridge.DepositProof memory) {
        return IBridge.DepositProof(
            funding.mined.transactions[funding.index],
            funding.vout,
            funding.terms,
            funding.outputKeyY,
            prove(funding.mined, funding.index)
        );
    }

    function withdraw(address owner, uint64 amountSat, uint64 maxFeeSat, bytes memory script) internal returns (uint256 id) {
        vm.prank(owner);
        return bridge.withdraw{value: uint256(amountSat) * WEI_PER_SAT}(script, maxFeeSat);
    }

    function propose(IBridge.Proposal memory proposal) internal returns (uint256 number) {
        bytes memory transaction = expected(proposal);
        vm.prank(MEMBER);
        number = bridge.propose(proposal);
        unsigned[number] = transaction;
        vm.assertEq(bridge.vaultTransaction(number).txid, hash256(transaction));
    }

    function refuse(IBridge.Proposal memory proposal, bytes memory why) internal {
        vm.expectRevert(why);
        vm.prank(MEMBER);
        bridge.propose(proposal);
    }

    /// The vault transaction, byte for byte, put together independently from the contract.
    function expected(IBridge.Proposal memory proposal) internal view returns (bytes memory) {
        (bytes memory inputs, uint256 inputsSat) = expectedInputs(proposal);
        (bytes memory outputs, uint256 paidSat) = expectedPayouts(proposal);
        uint256 changeSat = inputsSat - paidSat - costOf(proposal);
        return bytes.concat(
            bytes.concat(hex"03000000", compactSize(proposal.deposits.length + proposal.vaultInputs.length), inputs),
            bytes.concat(compactSize(proposal.withdrawals.length + 2), le(changeSat, 8), hex"225120", vaultKey),
            bytes.concat(outputs, hex"f000000000000000", hex"0451024e73", hex"00000000")
        );
    }

    function expectedInputs(IBridge.Proposal memory proposal) internal view returns (bytes memory inputs, uint256 inputsSat) {
        for (uint256 i = 0; i < proposal.deposits.length; ++i) {
            bytes memory transaction = proposal.deposits[i].transaction;
            inputs = bytes.concat(inputs, hash256(transaction), le(proposal.deposits[i].vout, 4), hex"00fdffffff");
            // Output 1 of a funding transaction: version, count, one input, count, output 0 (8 + 1 + 22 bytes).
            uint256 start = 4 + 1 + 41 + 1 + 31;
            for (uint256 j = 0; j < 8; ++j) {
                inputsSat += uint256(uint8(transaction[start + j])) << (8 * j);
            }
        }
        for (uint256 i = 0; i < proposal.vaultInputs.length; ++i) {
            IBridge.VaultTransaction memory spent = bridge.vaultTransaction(proposal.vaultInputs[i]);
            inputs = bytes.concat(inputs, spent.txid, hex"00000000", hex"00fdffffff");
            inputsSat += spent.changeSat;
        }
    }

    function expectedPayouts(IBridge.Proposal memory proposal) internal view returns (bytes memory outputs, uint256 paidSat) {
        uint256[] memory shares = expectedShares(proposal);
        for (uint256 i = 0; i < proposal.withdrawals.length; ++i) {
            IBridge.Withdrawal memory paid = bridge.withdrawal(proposal.withdrawals[i]);
            uint256 amountSat = paid.amountSat - shares[proposal.deposits.length + i];
            outputs = bytes.concat(outputs, le(amountSat, 8), compactSize(paid.script.length), paid.script);
            paidSat += amountSat;
        }
    }

    /// What each participant pays of the cost: by weight, and the odd satoshis go to the first.
    function expectedShares(IBridge.Proposal memory proposal) internal view returns (uint256[] memory shares) {
        shares = new uint256[](proposal.deposits.length + proposal.withdrawals.length);
        uint256 total = 0;
        for (uint256 i = 0; i < shares.length; ++i) {
            total += weightOf(proposal, i);
        }
        uint256 odd = costOf(proposal);
        for (uint256 i = 0; i < shares.length; ++i) {
            shares[i] = costOf(proposal) * weightOf(proposal, i) / total;
            odd -= shares[i];
        }
        for (uint256 i = 0; i < shares.length && i < odd; ++i) {
            ++shares[i];
        }
    }

    /// The miners' fee and the anchor.
    function costOf(IBridge.Proposal memory proposal) internal pure returns (uint256) {
        return uint256(proposal.feeSat) + 240;
    }

    function weightOf(IBridge.Proposal memory proposal, uint256 participant) internal view returns (uint256) {
        if (participant < proposal.deposits.length) return 230;
        return 4 * (9 + bridge.withdrawal(proposal.withdrawals[participant - proposal.deposits.length]).script.length);
    }

    function sweep(Funding memory funding, uint64 feeSat) internal returns (uint256) {
        return propose(sweeping(funding, feeSat));
    }

    function sweeping(Funding memory funding, uint64 feeSat) internal pure returns (IBridge.Proposal memory proposal) {
        proposal.network = NETWORK;
        proposal.deposits = new IBridge.DepositProof[](1);
        proposal.deposits[0] = depositProof(funding);
        proposal.feeSat = feeSat;
    }

    function paying(uint256 vaultInput, uint256 withdrawal, uint64 feeSat)
        internal
        pure
        returns (IBridge.Proposal memory proposal)
    {
        proposal.network = NETWORK;
        proposal.vaultInputs = new uint256[](1);
        proposal.vaultInputs[0] = vaultInput;
        if (withdrawal != 0) {
            proposal.withdrawals = new uint256[](1);
            proposal.withdrawals[0] = withdrawal;
        }
        proposal.feeSat = feeSat;
    }

    /// Mines the vault transaction and what it needs on top, and settles it. Returns the block it is in.
    function confirmAndSettle(uint256 number) internal returns (Block memory mined) {
        mined = mine(unsigned[number]);
        mineEmpty(bridge.vaultTransaction(number).requiredConfirmations - 1);
        bridge.settle(number, unsigned[number], prove(mined, 1));
    }

    /// A deposit of `amountSat` that is minted.
    function pegIn(address recipient, uint64 amountSat) internal returns (uint256 number) {
        number = sweep(fund(recipient, amountSat, 10_000), 500);
        confirmAndSettle(number);
    }

    // ------------------------------------------------------------------ the balance

    function supplySat() internal view returns (uint256) {
        return (TOTAL - address(bridge).balance) / WEI_PER_SAT;
    }

    /// supply + owed + held <= vault + deficit; equal except for `slack` and coins that wait for a claim.
    function requireBalanced(uint256 slackSat) internal view {
        (uint64 vaultSat, uint64 owedSat, uint64 heldSat, uint64 deficitSat) = bridge.ledger();
        vm.assertEq(supplySat() + owedSat + heldSat + slackSat, uint256(vaultSat) + deficitSat, "ledger is out of balance");
    }

    function requireLedger(uint256 vaultSat, uint256 owedSat, uint256 heldSat, uint256 deficitSat) internal view {
        (uint64 gotVault, uint64 gotOwed, uint64 gotHeld, uint64 gotDeficit) = bridge.ledger();
        vm.assertEq(gotVault, vaultSat, "vault");
        vm.assertEq(gotOwed, owedSat, "owed");
        vm.assertEq(gotHeld, heldSat, "held");
        vm.assertEq(gotDeficit, deficitSat, "deficit");
    }
}
