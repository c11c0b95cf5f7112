// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Bridge} from "../src/Bridge.sol";
import {Deposits} from "../src/Deposits.sol";
import {Federation} from "../src/Federation.sol";
import {SigningBoard} from "../src/SigningBoard.sol";
import {Vault} from "../src/Vault.sol";
import {IBridge} from "../src/interfaces/IBridge.sol";
import {IDeposits} from "../src/interfaces/IDeposits.sol";
import {IFederation} from "../src/interfaces/IFederation.sol";
import {IVault} from "../src/interfaces/IVault.sol";
import {Taproot} from "../src/Taproot.sol";
import {DepositScript} from "../src/bridge/DepositScript.sol";
import {Vm} from "./Base.sol";
import {Regtest} from "./Regtest.sol";

/// A light client on a private Bitcoin, a federation with a key, and a ledger with 21,000,000 coins.
///
/// Every call of the ledger goes through a function of this file; after each of them all sums of the books are counted anew from the facts
/// (`requireBooks`), and every transaction that is bound is built a second time (`Rebuilt`).
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
        IDeposits.Terms terms;
    }

    uint16 internal constant RECLAIM_DELAY = 1008;
    uint32 internal constant FINAL = 100;
    uint256 internal constant TOTAL = 21_000_000 ether;
    uint256 internal constant WEI_PER_SAT = 1e10;
    uint64 internal constant RATE = 2_000;
    bytes32 internal constant NETWORK = keccak256("the network under test");
    bytes32 internal constant RECOVERY_LEAF = keccak256("recovery");
    bytes32 internal constant RECLAIM_KEY = bytes32(uint256(0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798));

    address internal constant MEMBER = address(0xA11CE);
    address internal constant GUARDIAN = address(0x60A4D);
    address internal constant ALICE = address(0xA0A0);
    address internal constant BOB = address(0xB0B0);
    address internal constant MALLORY = address(0x3A11);
    bytes internal constant P2WPKH = hex"0014aabbccddeeff00112233445566778899aabbccdd";
    bytes internal constant P2TR = hex"51200000000000000000000000000000000000000000000000000000000000000001";
    Federation internal federation;
    Bridge internal bridge;
    Vault internal vault;
    Deposits internal deposits;
    SigningBoard internal board;
    /// The secret of the group key with even y, and its point.
    uint256 internal groupSecret;
    bytes32 internal groupKey;
    bytes32 internal vaultKey;
    /// The best chain, by height.
    mapping(uint256 height => Block) internal chainAt;
    uint32 internal height;
    /// What was bound, by number.
    mapping(uint32 number => bytes) internal unsigned;
    mapping(uint32 number => IVault.Content) internal contentOf;
    /// Where it was mined last.
    mapping(uint32 number => Block) internal minedIn;
    /// All deposits that were proven, and all accounts that may have coins to claim.
    IVault.Outpoint[] internal proven;
    mapping(bytes32 outpoint => bool) private _seen;
    uint256 private _proposals;

    function createPeg() internal {
        createRegtest(START + 600);
        chainAt[0] = genesis;
        federation = new Federation(NETWORK, 3, members(), RECOVERY_LEAF);
        uint256 nonce = vm.getNonce(address(this));
        address[4] memory place;
        for (uint256 i = 0; i < 4; ++i) {
            place[i] = vm.computeCreateAddress(address(this), nonce + i);
        }
        bridge = new Bridge(parameters(), client, federation, IVault(place[1]), IDeposits(place[2]));
        vault = new Vault(bridge, place[3]);
        deposits = new Deposits(bridge);
        board = new SigningBoard(federation, vault);
        vm.deal(address(bridge), TOTAL);
        confirmGroupKey(0xC0FFEE);
    }

    /// With a million satoshis in the reserve, as operators begin: by a deposit to it.
    function createSeededPeg() internal {
        createPeg();
        Funding memory funding = fund(address(bridge), 1_000_000, 10_000);
        proveDeposit(funding);
        mineEmpty(6);
        settle(confirm(bindSweep(funding, RATE)));
        assertSame(int256(bridge.books().reserve), 1_000_000 - 240 - 248);
    }

    function parameters() internal pure virtual returns (IBridge.Parameters memory made) {
        (made.reclaimDelay, made.finalBlocks, made.alarmBlocks) = (RECLAIM_DELAY, FINAL, 6);
        (made.minDepositSat, made.minWithdrawalSat, made.pegInFeeSat, made.pegOutFeeSat) = (1000, 1000, 200, 200);
        (made.floorRate, made.minRate, made.maxRate) = (2_000, 1_000, 1_000_000);
        (made.stopSat, made.usefulSat, made.capSat) = (1_000_000, 5_000, 1_000e8);
        (made.windowSat, made.windowSeconds, made.refundAfter) = (100e8, 1 days, 14 days);
        (made.pauseSeconds, made.pauseGapSeconds) = (3 days, 7 days);
        (made.maxInputs, made.maxPayouts) = (64, 250);
        made.tiers = new IBridge.Tier[](4);
        made.tiers[0] = IBridge.Tier(2, 0.1e8);
        made.tiers[1] = IBridge.Tier(6, 1e8);
        made.tiers[2] = IBridge.Tier(30, 10e8);
        made.tiers[3] = IBridge.Tier(made.finalBlocks, type(uint64).max);
        made.guardians = new address[](2);
        (made.guardians[0], made.guardians[1]) = (GUARDIAN, address(0x60A4E));
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

    function depositKey(IDeposits.Terms memory terms) internal returns (bytes32 x, bytes32 y) {
        bytes32 d = DepositScript.commitment(NETWORK, address(bridge), terms);
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
        if (count != 0) _extend(chainAt[height], height + uint32(count), 600);
    }

    /// Replaces the best chain above `fork` by one that is a block longer and holds none of its transactions.
    function reorganise(uint32 fork) internal {
        _extend(chainAt[fork], height + 1, 601);
    }

    function _extend(Block memory parent, uint32 target, uint32 seconds_) private {
        bytes memory headers;
        while (parent.height < target) {
            parent = mineOn(parent.hash, parent.height + 1, parent.time + seconds_, REGTEST_BITS, new bytes[](0));
            chainAt[parent.height] = parent;
            headers = bytes.concat(headers, parent.raw);
        }
        height = target;
        if (block.timestamp < parent.time) vm.warp(parent.time);
        client.submit(headers);
    }

    // ------------------------------------------------------------------ deposits

    function terms_(address recipient, uint64 maxFeeSat) internal pure returns (IDeposits.Terms memory) {
        return IDeposits.Terms(recipient, address(0), RECLAIM_KEY, maxFeeSat, 0, 1);
    }

    function fund(address recipient, uint64 amountSat, uint64 maxFeeSat) internal returns (Funding memory) {
        return fund(terms_(recipient, maxFeeSat), amountSat);
    }

    /// Pays to a deposit address in output 1 and mines that in a new block.
    function fund(IDeposits.Terms memory terms, uint64 amountSat) internal returns (Funding memory funding) {
        funding = addressed(terms, amountSat);
        bytes memory transaction = payingTo(funding);
        funding.txid = hash256(transaction);
        (funding.mined, funding.index) = (mine(transaction), 1);
    }

    function addressed(IDeposits.Terms memory terms, uint64 amountSat) internal returns (Funding memory funding) {
        (funding.terms, funding.amountSat, funding.vout) = (terms, amountSat, 1);
        (funding.outputKey, funding.outputKeyY) = depositKey(terms);
    }

    function payingTo(Funding memory funding) internal returns (bytes memory) {
        TxOut[] memory outputs = new TxOut[](2);
        outputs[0] = TxOut(12345, hex"0014000102030405060708090a0b0c0d0e0f10111213");
        outputs[1] = TxOut(funding.amountSat, bytes.concat(hex"5120", funding.outputKey));
        return payment(outputs);
    }

    function proveDeposit(Funding memory funding) internal {
        deposits.prove(
            funding.mined.transactions[funding.index],
            funding.vout,
            funding.terms,
            funding.outputKeyY,
            prove(funding.mined, funding.index)
        );
        bytes32 key = keccak256(abi.encode(funding.txid, funding.vout));
        if (!_seen[key]) proven.push(outpoint(funding));
        _seen[key] = true;
        requireBooks();
    }

    function fundAndProve(address recipient, uint64 amountSat) internal returns (Funding memory funding) {
        funding = fund(recipient, amountSat, 100_000);
        proveDeposit(funding);
    }

    function outpoint(Funding memory funding) internal pure returns (IVault.Outpoint memory) {
        return IVault.Outpoint(funding.txid, funding.vout);
    }

    function deposit(Funding memory funding) internal view returns (IDeposits.Deposit memory) {
        return deposits.deposit(funding.txid, funding.vout);
    }

    /// The deposit's funding, as it is after it was mined in another block.
    function minedAgain(Funding memory funding) internal returns (Funding memory) {
        (funding.mined, funding.index) = (mine(funding.mined.transactions[funding.index]), 1);
        return funding;
    }

    function gone(Funding memory funding, Block memory killer) internal {
        bytes[] memory path = new bytes[](1);
        path[0] = funding.mined.transactions[funding.index];
        deposits.gone(funding.txid, funding.vout, path, 0, killer.transactions[1], prove(killer, 1));
        requireBooks();
    }

    function goneItself(Funding memory funding, Block memory killer) internal {
        deposits.gone(funding.txid, funding.vout, new bytes[](0), 0, killer.transactions[1], prove(killer, 1));
        requireBooks();
    }

    /// What spends the same as the deposit's funding.
    function doubleSpend(Funding memory funding) internal returns (bytes memory) {
        bytes memory transaction = funding.mined.transactions[funding.index];
        bytes32 spent;
        assembly ("memory-safe") {
            // Behind length, version and count.
            spent := mload(add(transaction, 37))
        }
        return spending(spent, 0);
    }

    // ------------------------------------------------------------------ contents

    function sweepOf(Funding[] memory fundings, uint64 rate) internal pure returns (IVault.Content memory content) {
        (content.epoch, content.rate, content.reserveSat) = (1, rate, 100_000);
        content.deposits = new IVault.Outpoint[](fundings.length);
        for (uint256 i = 0; i < fundings.length; ++i) {
            uint256 place = i;
            for (; place != 0 && content.deposits[place - 1].txid > fundings[i].txid; --place) {
                content.deposits[place] = content.deposits[place - 1];
            }
            content.deposits[place] = outpoint(fundings[i]);
        }
    }

    function sweepOf(Funding memory funding, uint64 rate) internal pure returns (IVault.Content memory) {
        Funding[] memory one = new Funding[](1);
        one[0] = funding;
        return sweepOf(one, rate);
    }

    function payoutOf(uint32 output, uint256 withdrawal, uint64 rate) internal pure returns (IVault.Content memory content) {
        (content.epoch, content.rate, content.reserveSat) = (1, rate, 100_000);
        content.outputs = new uint32[](1);
        content.outputs[0] = output;
        if (withdrawal == 0) return content;
        content.withdrawals = new uint64[](1);
        content.withdrawals[0] = uint64(withdrawal);
    }

    function and(IVault.Content memory content, uint256 withdrawal) internal pure returns (IVault.Content memory) {
        uint64[] memory more = new uint64[](content.withdrawals.length + 1);
        for (uint256 i = 0; i < content.withdrawals.length; ++i) {
            more[i] = content.withdrawals[i];
        }
        more[content.withdrawals.length] = uint64(withdrawal);
        content.withdrawals = more;
        return content;
    }

    function from(IVault.Content memory content, uint32 output) internal pure returns (IVault.Content memory) {
        uint32[] memory more = new uint32[](content.outputs.length + 1);
        for (uint256 i = 0; i < content.outputs.length; ++i) {
            more[i] = content.outputs[i];
        }
        more[content.outputs.length] = output;
        content.outputs = more;
        return content;
    }

    // ------------------------------------------------------------------ members

    function propose(IVault.Content memory content) internal returns (uint64 proposal) {
        vm.prank(MEMBER);
        proposal = vault.propose(NETWORK, uint8(_proposals++ % 4), content);
    }

    function approve(uint64 proposal, IVault.Content memory content, uint256 member) internal {
        bytes32 hash = keccak256(abi.encode(content));
        vm.prank(account(member));
        board.approve(NETWORK, proposal, hash, new bytes(66));
    }

    function proposeAndApprove(IVault.Content memory content) internal returns (uint64 proposal) {
        proposal = propose(content);
        for (uint256 member = 1; member <= 3; ++member) {
            approve(proposal, content, member);
        }
    }

    function bind(IVault.Content memory content) internal returns (uint32) {
        return bindProposal(proposeAndApprove(content), content);
    }

    function bindProposal(uint64 proposal, IVault.Content memory content) internal returns (uint32 number) {
        vm.recordLogs();
        number = vault.bind(proposal, content);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        Vm.Log memory log = logs[logs.length - 1];
        vm.assertEq(log.topics[0], IVault.Bound.selector);
        (IVault.Content memory left, uint64 changeSat,, bytes memory transaction) =
            abi.decode(log.data, (IVault.Content, uint64, uint64[], bytes));
        unsigned[number] = transaction;
        contentOf[number] = left;
        vm.assertEq(transaction, rebuilt(left, changeSat));
        vm.assertEq(vault.vaultTransaction(number).txid, hash256(transaction));
        vm.assertEq(vault.vaultTransaction(number).content, keccak256(abi.encode(left)));
        requireBooks();
    }

    function refuseBind(IVault.Content memory content, bytes memory why) internal {
        uint64 proposal = proposeAndApprove(content);
        vm.expectRevert(why);
        vault.bind(proposal, content);
    }

    function bindSweep(Funding memory funding, uint64 rate) internal returns (uint32) {
        return bind(sweepOf(funding, rate));
    }

    // ------------------------------------------------------------------ the transaction, built a second time

    function rebuilt(IVault.Content memory content, uint64 changeSat) internal view returns (bytes memory) {
        (bytes memory inputs, uint256 inputsSat) = rebuiltInputs(content);
        (bytes memory outputs, uint256 paidSat) = rebuiltPayouts(content);
        uint256 count = content.deposits.length + content.outputs.length;
        bytes memory change = changeSat == 0 ? bytes("") : bytes.concat(le(changeSat, 8), hex"225120", vaultKey);
        bytes memory transaction = bytes.concat(
            bytes.concat(hex"03000000", compactSize(count), inputs),
            bytes.concat(compactSize(content.withdrawals.length + (changeSat == 0 ? 1 : 2)), change),
            bytes.concat(outputs, hex"f000000000000000", hex"0451024e73", hex"00000000")
        );
        if (changeSat != 0) vm.assertEq(inputsSat, paidSat + changeSat + costOf(transaction.length, count, content.rate));
        return transaction;
    }

    /// The miners' fee and the anchor.
    function costOf(uint256 stripped, uint256 inputs, uint64 rate) internal pure returns (uint256) {
        uint256 vsize = (4 * stripped + 2 + 66 * inputs + 3) / 4;
        return (rate * vsize + 999) / 1000 + 240;
    }

    function rebuiltInputs(IVault.Content memory content) internal view returns (bytes memory inputs, uint256 inputsSat) {
        for (uint256 i = 0; i < content.deposits.length; ++i) {
            IVault.Outpoint memory spent = content.deposits[i];
            inputs = bytes.concat(inputs, spent.txid, le(spent.vout, 4), hex"00fdffffff");
            inputsSat += deposits.deposit(spent.txid, spent.vout).amountSat;
        }
        for (uint256 i = 0; i < content.outputs.length; ++i) {
            IVault.VaultTransaction memory spent = vault.vaultTransaction(content.outputs[i]);
            inputs = bytes.concat(inputs, spent.txid, hex"00000000", hex"00fdffffff");
            inputsSat += spent.changeSat;
        }
    }

    function rebuiltPayouts(IVault.Content memory content) internal view returns (bytes memory outputs, uint256 paidSat) {
        for (uint256 i = 0; i < content.withdrawals.length; ++i) {
            IBridge.Withdrawal memory paid = bridge.withdrawal(content.withdrawals[i]);
            uint256 amountSat = paid.amountSat - chargeOf(paid, content.rate);
            outputs = bytes.concat(outputs, le(amountSat, 8), compactSize(paid.script.length), paid.script);
            paidSat += amountSat;
        }
    }

    function chargeOf(IBridge.Withdrawal memory paid, uint64 rate) internal pure returns (uint256 chargeSat) {
        chargeSat = (rate * (9 + paid.script.length + 35) + 999) / 1000 + 200;
        if (chargeSat > paid.maxFeeSat) chargeSat = paid.maxFeeSat;
    }

    /// What a deposit brings at a rate.
    function worth(IDeposits.Deposit memory swept, uint64 rate) internal pure returns (uint256) {
        uint256 chargeSat = (rate * 185 + 1999) / 2000 + 200;
        if (chargeSat > swept.maxFeeSat) chargeSat = swept.maxFeeSat;
        return chargeSat < swept.amountSat ? swept.amountSat - chargeSat : 0;
    }

    // ------------------------------------------------------------------ facts

    /// Mines a vault transaction.
    function confirm(uint32 number) internal returns (uint32) {
        minedIn[number] = mine(unsigned[number]);
        return number;
    }

    function settle(uint32 number) internal returns (uint32) {
        vault.settle(number, contentOf[number], unsigned[number], prove(minedIn[number], 1));
        requireBooks();
        return number;
    }

    function confirmAndSettle(uint32 number) internal returns (uint32) {
        return settle(confirm(number));
    }

    function unsettle(uint32 number) internal {
        vault.unsettle(number, contentOf[number]);
        requireBooks();
    }

    function mint(uint32 number) internal {
        uint256[] memory which = new uint256[](1);
        deposits.mint(number, contentOf[number], which);
        requireBooks();
    }

    function voidOutput(uint32 number) internal {
        vault.voidOutput(number, contentOf[number], 0);
        requireBooks();
    }

    /// A deposit that is minted, and its sweep final.
    function pegIn(address recipient, uint64 amountSat) internal returns (uint32 number) {
        Funding memory funding = fundAndProve(recipient, amountSat);
        number = confirmAndSettle(bindSweep(funding, RATE));
        mineEmpty(FINAL - 1);
        if (!deposit(funding).minted) mint(number);
    }

    // ------------------------------------------------------------------ owners

    function withdraw(address owner, uint64 amountSat, uint64 maxFeeSat, bytes memory script) internal returns (uint256 id) {
        vm.prank(owner);
        id = bridge.withdraw{value: uint256(amountSat) * WEI_PER_SAT}(script, maxFeeSat);
        requireBooks();
    }

    function cancel(address owner, uint256 id) internal {
        vm.prank(owner);
        bridge.cancel(id);
        requireBooks();
    }

    function refuseCancel(address owner, uint256 id, IBridge.WithdrawalStatus status) internal {
        vm.expectRevert(abi.encodeWithSelector(IBridge.WrongStatus.selector, id, status));
        vm.prank(owner);
        bridge.cancel(id);
    }

    /// Of what is missing with a deposit, or a vault output (output 0 of its transaction).
    function cover(address by, bytes32 txid, uint32 vout, uint64 amountSat) internal returns (uint256 id) {
        vm.prank(by);
        id = bridge.cover{value: uint256(amountSat) * WEI_PER_SAT}(txid, vout);
        requireBooks();
    }

    function cover(address by, Funding memory funding, uint64 amountSat) internal returns (uint256) {
        return cover(by, funding.txid, funding.vout, amountSat);
    }

    function cover(address by, uint32 output, uint64 amountSat) internal returns (uint256) {
        return cover(by, vault.vaultTransaction(output).txid, 0, amountSat);
    }

    function refuseCover(address by, bytes32 txid, uint32 vout, uint64 amountSat, uint64 missingSat) internal {
        vm.expectRevert(abi.encodeWithSelector(IBridge.MoreThanMissing.selector, amountSat, missingSat));
        vm.prank(by);
        bridge.cover{value: uint256(amountSat) * WEI_PER_SAT}(txid, vout);
    }

    function repay(uint256 id) internal {
        bridge.repay(id);
        requireBooks();
    }

    function refuseRepay(uint256 id) internal {
        vm.expectRevert(abi.encodeWithSelector(IBridge.NothingToRepay.selector, id));
        bridge.repay(id);
    }

    /// What the reserve would pay for a loss.
    function potSat() internal view returns (uint64) {
        int64 reserveSat = bridge.books().reserve;
        uint64 mostSat = reserveSat < 0 ? 0 : uint64(reserveSat);
        return bridge.recoveredSat() < mostSat ? bridge.recoveredSat() : mostSat;
    }

    function fundReserve(address by, uint64 amountSat) internal {
        vm.prank(by);
        bridge.fundReserve{value: uint256(amountSat) * WEI_PER_SAT}();
        requireBooks();
    }

    /// Something that is no vault transaction spends a vault output.
    function steal(uint32 output) internal returns (Block memory) {
        return mine(spending(vault.vaultTransaction(output).txid, 0));
    }

    function outputGone(uint32 output, Block memory theft) internal {
        vault.gone(output, theft.transactions[1], prove(theft, 1));
        requireBooks();
    }

    function requireStatus(uint256 id, IBridge.WithdrawalStatus status) internal view {
        vm.assertEq(uint256(bridge.withdrawal(id).status), uint256(status), "status of the withdrawal");
    }

    function requireOutput(uint32 number, IVault.OutputStatus status) internal view {
        vm.assertEq(uint256(vault.vaultTransaction(number).output), uint256(status), "status of the output");
    }

    // ------------------------------------------------------------------ the books

    function supplySat() internal view returns (uint256) {
        return (TOTAL - address(bridge).balance) / WEI_PER_SAT;
    }

    /// supply + owed + reserve + unminted = vault + unswept + lost, exactly; and each sum is the sum of what it is about.
    function requireBooks() internal view virtual {
        IBridge.Books memory books = bridge.books();
        int256 left = int256(supplySat() + books.unclaimed + books.owed + books.unminted) + books.reserve;
        assertSame(left, int256(uint256(books.vault) + books.unswept + books.lost));
        requireVaultAndOwed(books);
        requireDeposits(books);
        requireCover(books);
    }

    /// Cover is the sum of what covers each thing; and the reserve keeps nothing that a recovery brought while anything is lost that nobody covered.
    function requireCover(IBridge.Books memory books) private view {
        (uint256 coveredSat, uint256 inLineSat, uint256 waitingSat) = (0, 0, 0);
        for (uint256 id = bridge.coverCount(); id != 0; --id) {
            IBridge.Cover memory given = bridge.coverOf(id);
            IDeposits.Deposit memory found = deposits.deposit(given.txid, given.vout);
            uint256 openSat = given.amountSat - given.repaidSat;
            bool lost = found.status == IDeposits.DepositStatus.None || found.status == IDeposits.DepositStatus.Gone;
            if (lost) (inLineSat, waitingSat) = (inLineSat + openSat - given.repayableSat, waitingSat + given.repayableSat);
            else if (found.sweptBy == 0) coveredSat += openSat;
            else waitingSat += openSat;
        }
        vm.assertEq(books.covered, coveredSat, "covered is not the sum of cover for unswept deposits");
        vm.assertEq(bridge.coveredLost(), inLineSat, "covered losses are not the sum of cover in the line");
        vm.assertTrue(books.unclaimed >= waitingSat, "cover to be repaid is not there");
        uint64 recoveredSat = bridge.recoveredSat();
        vm.assertTrue(books.lost == 0 || recoveredSat == 0 || books.reserve <= 0, "a loss, and what was recovered lies in the reserve");
    }

    function requireVaultAndOwed(IBridge.Books memory books) private view {
        uint256 vaultSat = 0;
        for (uint32 number = vault.vaultTransactionCount(); number != 0; --number) {
            IVault.VaultTransaction memory found = vault.vaultTransaction(number);
            if (found.output == IVault.OutputStatus.Live) vaultSat += found.changeSat;
        }
        uint256 owedSat = 0;
        for (uint256 id = bridge.withdrawalCount(); id != 0; --id) {
            IBridge.Withdrawal memory found = bridge.withdrawal(id);
            bool open = found.status == IBridge.WithdrawalStatus.Queued || found.status == IBridge.WithdrawalStatus.Tied;
            if (open) owedSat += found.amountSat;
        }
        vm.assertEq(books.vault, vaultSat, "vault is not the sum of live outputs");
        vm.assertEq(books.owed, owedSat, "owed is not the sum of open withdrawals");
    }

    function requireDeposits(IBridge.Books memory books) private view {
        (uint256 unmintedSat, uint256 unsweptSat, uint256 pendingSat) = (0, 0, 0);
        for (uint256 i = 0; i < proven.length; ++i) {
            IDeposits.Deposit memory found = deposits.deposit(proven[i].txid, proven[i].vout);
            bool isGone = found.status == IDeposits.DepositStatus.Gone;
            if (!found.minted && found.sweptBy != 0) unmintedSat += worth(found, contentOf[found.sweptBy].rate);
            if (found.minted && found.sweptBy == 0 && !isGone) unsweptSat += found.mintedSat;
            bool counts = found.bound && !found.hasLeft && !found.minted && found.sweptBy == 0 && !isGone;
            if (counts) pendingSat += found.amountSat;
        }
        vm.assertEq(books.unminted, unmintedSat, "unminted is not the sum of what swept deposits bring");
        vm.assertEq(books.unswept + books.covered, unsweptSat, "unswept and cover are not what was minted for unswept deposits");
        vm.assertEq(deposits.pendingSat(), pendingSat, "pending is not the sum of bound deposits");
    }
}
