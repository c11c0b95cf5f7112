// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IBridge} from "../src/interfaces/IBridge.sol";
import {IDeposits} from "../src/interfaces/IDeposits.sol";
import {IVault} from "../src/interfaces/IVault.sol";
import {Peg} from "./Peg.sol";
import {Refuser} from "./Recipients.sol";

/// A hostile member (whatever it proposes is approved), hostile users and a hostile miner over one Bitcoin, in which everything that is bound is signed
/// and in everybody's hands for ever. The miner confirms whatever is valid, in any order, and takes back up to seven blocks; final is eight.
contract LedgerHandler is Peg {
    /// What the best chain holds, besides empty blocks.
    struct Entry {
        uint8 kind;
        /// Number of the vault transaction, or place of the funding.
        uint32 which;
        uint32 height;
    }

    uint8 private constant VAULT = 1;
    uint8 private constant FUNDING = 2;
    uint8 private constant DOUBLE = 3;
    uint8 private constant THEFT = 4;
    /// Has coins of its own from the beginning.
    address private constant DONOR = address(0xD0D0);

    Refuser private immutable refuser = new Refuser();
    address[3] private users;
    Entry[] private entries;
    Funding[] private fundings;
    mapping(uint32 funding => Block) private killers;
    mapping(uint32 output => Block) private thefts;
    mapping(bytes32 outpoint => uint32 funding) private fundingOf;
    mapping(string action => uint256) public done;

    constructor() {
        createSeededPeg();
        users = [ALICE, BOB, address(refuser)];
        // What was there before is final.
        mineEmpty(10);
        vm.deal(DONOR, 21_000_000 ether);
        entries.push(Entry(VAULT, 1, 1));
        fundings.push();
    }

    function parameters() internal pure override returns (IBridge.Parameters memory made) {
        made = super.parameters();
        (made.finalBlocks, made.alarmBlocks, made.stopSat) = (8, 3, 5_000_000);
        made.tiers = new IBridge.Tier[](3);
        made.tiers[0] = IBridge.Tier(1, 0.1e8);
        made.tiers[1] = IBridge.Tier(3, 0.5e8);
        made.tiers[2] = IBridge.Tier(8, type(uint64).max);
    }

    // ------------------------------------------------------------------ Bitcoin

    function on(uint8 kind, uint32 which) private view returns (uint32 confirmations) {
        for (uint256 i = 0; i < entries.length; ++i) {
            if (entries[i].kind == kind && entries[i].which == which) return height - entries[i].height + 1;
        }
    }

    /// Confirmations of what spends an input of a vault transaction, other than itself.
    function spentElsewhere(uint32 number, bool sweeps, uint32 input) private view returns (uint32) {
        if (!sweeps && on(THEFT, input) != 0) return on(THEFT, input);
        for (uint256 i = 0; i < entries.length; ++i) {
            Entry memory entry = entries[i];
            if (entry.kind != VAULT || entry.which == number) continue;
            if (spends(entry.which, sweeps, input)) return height - entry.height + 1;
        }
        return 0;
    }

    function spends(uint32 number, bool sweeps, uint32 input) private view returns (bool) {
        IVault.Content storage content = contentOf[number];
        for (uint256 i = 0; sweeps && i < content.deposits.length; ++i) {
            if (fundingAt(content, i) == input) return true;
        }
        for (uint256 i = 0; !sweeps && i < content.outputs.length; ++i) {
            if (content.outputs[i] == input) return true;
        }
        return false;
    }

    function fundingAt(IVault.Content storage content, uint256 i) private view returns (uint32) {
        return fundingOf[keccak256(abi.encode(content.deposits[i].txid, content.deposits[i].vout))];
    }

    function valid(uint32 number) private view returns (bool) {
        IVault.Content storage content = contentOf[number];
        if (on(VAULT, number) != 0) return false;
        for (uint256 i = 0; i < content.deposits.length; ++i) {
            uint32 funding = fundingAt(content, i);
            if (on(FUNDING, funding) == 0 || spentElsewhere(number, true, funding) != 0) return false;
        }
        for (uint256 i = 0; i < content.outputs.length; ++i) {
            uint32 output = content.outputs[i];
            if (on(VAULT, output) == 0 || spentElsewhere(number, false, output) != 0) return false;
        }
        return true;
    }

    /// Whether a vault transaction can never confirm, beyond any reorganisation.
    function hopeless(uint32 number) private view returns (bool) {
        IVault.Content storage content = contentOf[number];
        for (uint256 i = 0; i < content.deposits.length; ++i) {
            uint32 funding = fundingAt(content, i);
            if (on(DOUBLE, funding) >= 8 || spentElsewhere(number, true, funding) >= 8) return true;
        }
        for (uint256 i = 0; i < content.outputs.length; ++i) {
            uint32 output = content.outputs[i];
            if (spentElsewhere(number, false, output) >= 8 || (output > 1 && hopeless(output))) return true;
        }
        return false;
    }

    function mineVault(uint32 number) private {
        confirm(number);
        entries.push(Entry(VAULT, number, height));
    }

    function mineFunding(uint32 which) private {
        (fundings[which].mined, fundings[which].index) = (mine(payment_(which)), 1);
        entries.push(Entry(FUNDING, which, height));
    }

    function payment_(uint32 which) private view returns (bytes memory) {
        return fundings[which].mined.transactions[1];
    }

    // ------------------------------------------------------------------ the miner

    function mineSome(uint256 seed) public {
        uint32 count = vault.vaultTransactionCount();
        for (uint32 i = 0; i < count; ++i) {
            uint32 number = 1 + uint32((seed % count + i) % count);
            if (!valid(number)) continue;
            mineVault(number);
            ++done["mine"];
            return;
        }
        mineEmpty(1);
    }

    function fundAgainOrTwice(uint256 seed) public {
        for (uint32 i = 1; i < fundings.length; ++i) {
            uint32 which = 1 + uint32((seed % 1_000 + i) % (fundings.length - 1));
            if (on(FUNDING, which) != 0 || on(DOUBLE, which) != 0) continue;
            if (seed & 0x100 == 0) {
                mineFunding(which);
            } else {
                killers[which] = mine(doubleSpend(fundings[which]));
                entries.push(Entry(DOUBLE, which, height));
                ++done["double spend"];
            }
            return;
        }
    }

    /// A thief, or the recovery path: at most two outputs, so that something is left.
    function stealSome(uint256 seed) public {
        uint32 output = 1 + uint32(seed % vault.vaultTransactionCount());
        bool there = on(VAULT, output) != 0 && spentElsewhere(output, false, output) == 0;
        if (!there || vault.vaultTransaction(output).changeSat == 0 || done["steal"] == 2) return;
        thefts[output] = steal(output);
        entries.push(Entry(THEFT, output, height));
        ++done["steal"];
    }

    function tellThefts() public {
        for (uint32 output = vault.vaultTransactionCount(); output != 0; --output) {
            bool live = vault.vaultTransaction(output).output == IVault.OutputStatus.Live;
            if (!live || on(THEFT, output) < 8) continue;
            outputGone(output, thefts[output]);
            ++done["output gone"];
        }
    }

    function reorganiseSome(uint256 depth) public {
        uint32 fork = height - uint32(bound(depth, 1, 6));
        reorganise(fork);
        for (uint256 i = entries.length; i != 0; --i) {
            if (entries[i - 1].height <= fork) continue;
            entries[i - 1] = entries[entries.length - 1];
            entries.pop();
        }
        ++done["reorganise"];
        for (uint32 which = 1; which < fundings.length && (depth >> 16) % 4 != 0; ++which) {
            tryLeave(which);
        }
    }

    /// What its block left gives up its place in the cap, if it has one.
    function tryLeave(uint32 which) private returns (bool) {
        IDeposits.Deposit memory found = deposit(fundings[which]);
        bool counts = found.bound && !found.hasLeft && !found.minted && found.sweptBy == 0;
        bool there = bytes8(client.hashAt(found.height)) == found.blockHead;
        if (!counts || there || found.status == IDeposits.DepositStatus.Gone) return false;
        deposits.left(fundings[which].txid, fundings[which].vout);
        requireBooks();
        ++done["leave"];
        return true;
    }

    // ------------------------------------------------------------------ users

    function fundDeposit(uint256 user, uint256 amountSat) public {
        if (fundings.length > 12) return;
        address recipient = user % 5 == 0 ? address(bridge) : users[user % 3];
        Funding memory funding = fund(recipient, uint64(bound(amountSat, 5_000, 0.3e8)), 50_000);
        uint32 which = uint32(fundings.length);
        fundings.push(funding);
        fundingOf[keccak256(abi.encode(funding.txid, funding.vout))] = which;
        entries.push(Entry(FUNDING, which, height));
        proveDeposit(funding);
        ++done["fund"];
    }

    function queueWithdrawal(uint256 user, uint256 amountSat) public {
        address owner = users[user % 2];
        uint256 most = owner.balance / WEI_PER_SAT;
        if (most < 5_000 || bridge.withdrawalCount() > 15) return;
        withdraw(owner, uint64(bound(amountSat, 5_000, most)), 400 + uint64(user >> 8) % 3_000, P2TR);
        ++done["withdraw"];
    }

    function actOnWithdrawal(uint256 seed) public {
        uint256 count = bridge.withdrawalCount();
        if (count == 0) return;
        uint256 id = 1 + (seed >> 8) % count;
        IBridge.Withdrawal memory found = bridge.withdrawal(id);
        bool queued = found.status == IBridge.WithdrawalStatus.Queued;
        bool open = queued || found.status == IBridge.WithdrawalStatus.Tied;
        if (seed % 3 == 0 && open && found.maxFeeSat + 600 < found.amountSat) {
            vm.prank(found.owner);
            bridge.raise(id, found.maxFeeSat + 100);
            ++done["raise"];
        } else if (seed % 3 == 1 && queued) {
            cancel(found.owner, id);
            ++done["cancel"];
        } else if (found.tie != 0 && queued) {
            bridge.end(id);
            ++done["end"];
        }
        requireBooks();
    }

    function giveAndTake(uint256 seed) public {
        address giver = users[seed % 2];
        if (!giveCover(giver, seed >> 8) && !takeCover()) {
            if (bridge.claimable(address(refuser)) != 0) {
                refuser.claim(bridge, ALICE);
                ++done["claim"];
            } else if (giver.balance > 50_000 * WEI_PER_SAT && seed & 0x700 == 0) {
                fundReserve(giver, 50_000);
                ++done["fund the reserve"];
            }
        }
        requireBooks();
    }

    function giveCover(address giver, uint256 seed) private returns (bool) {
        uint256 most = giver.balance / WEI_PER_SAT;
        for (uint32 i = 0; most != 0 && i < 20; ++i) {
            bytes32 txid = vault.vaultTransaction(i).txid;
            uint32 vout = 0;
            if (i < fundings.length && seed & 1 == 0) (txid, vout) = (fundings[i].txid, fundings[i].vout);
            uint64 openSat = bridge.uncovered(txid, vout);
            if (openSat == 0) continue;
            cover(giver, txid, vout, uint64(bound(seed >> 1, 1, most < openSat ? most : openSat)));
            ++done["cover"];
            return true;
        }
        return false;
    }

    /// Whoever is repaid covered what is back for good, or what is lost: then out of what was recovered.
    function takeCover() private returns (bool) {
        for (uint256 id = 1; id <= bridge.coverCount(); ++id) {
            IBridge.Cover memory given = bridge.coverOf(id);
            if (given.repayableSat == 0) continue;
            IDeposits.Deposit memory found = deposits.deposit(given.txid, given.vout);
            bool lost = found.status == IDeposits.DepositStatus.None || found.status == IDeposits.DepositStatus.Gone;
            vm.assertTrue(lost || vault.isFinal(found.sweptBy), "repaid, and it may be missing again");
            uint64 before = bridge.claimable(given.by);
            repay(id);
            vm.assertEq(bridge.claimable(given.by), before + given.repayableSat);
            ++done["repay"];
            return true;
        }
        return false;
    }

    // ------------------------------------------------------------------ the hostile member

    function proposeSome(uint256 seed) public {
        IVault.Content memory content;
        (content.epoch, content.rate, content.reserveSat) = (1, 1_000 + uint64(seed >> 40) % 12_000, 50_000);
        if (seed % 2 == 0) content = anySweep(content, seed >> 8);
        else content = anyPayout(content, seed >> 8);
        if (content.deposits.length + content.outputs.length == 0) return;
        tryBind(content);
    }

    function anySweep(IVault.Content memory content, uint256 seed) private view returns (IVault.Content memory) {
        Funding[] memory some = new Funding[](fundings.length == 1 ? 0 : 1 + seed % 2);
        for (uint256 i = 0; i < some.length; ++i) {
            some[i] = fundings[1 + (seed + i) % (fundings.length - 1)];
        }
        if (some.length == 2 && some[0].txid == some[1].txid) return content;
        content.deposits = sweepOf(some, 0).deposits;
        return content;
    }

    function anyPayout(IVault.Content memory content, uint256 seed) private view returns (IVault.Content memory) {
        (uint32[] memory live,) = vault.liveOutputs(0, 1_000);
        if (live.length == 0) return content;
        content = from(content, live[seed % live.length]);
        uint32 other = live[(seed >> 8) % live.length];
        if (other != content.outputs[0]) content = from(content, other);
        uint256 mask = seed >> 16;
        for (uint256 id = 1; id <= bridge.withdrawalCount(); ++id) {
            if ((mask >> id) & 1 == 1) content = and(content, id);
        }
        return content;
    }

    function tryBind(IVault.Content memory content) private returns (bool) {
        uint64 proposal = proposeAndApprove(content);
        try this.bindExternally(proposal, content) {
            ++done["bind"];
            return true;
        } catch (bytes memory why) {
            bytes4 reason = bytes4(why);
            bool allowed = reason == IVault.NothingLeft.selector || reason == IVault.TooLittle.selector
                || reason == IVault.NotRooted.selector || reason == IVault.ReserveTooSmall.selector || reason == IVault.AlreadyBound.selector;
            vm.assertTrue(allowed, "bind reverted for another reason");
            return false;
        }
    }

    function bindExternally(uint64 proposal, IVault.Content memory content) external {
        require(msg.sender == address(this));
        bindProposal(proposal, content);
    }

    // ------------------------------------------------------------------ who tells facts

    function tellOne(uint256 seed) public {
        uint32 count = vault.vaultTransactionCount();
        for (uint32 i = 0; i < count; ++i) {
            if (tell(1 + uint32((seed % count + i) % count))) return;
        }
    }

    /// Settles, settles again or unsettles; whatever the ledger lets one do.
    function tell(uint32 number) private returns (bool) {
        IVault.VaultTransaction memory found = vault.vaultTransaction(number);
        bool settled = found.status == IVault.VaultStatus.Settled;
        bool there = settled && bytes8(client.hashAt(found.height)) == found.blockHead;
        if (on(VAULT, number) != 0 && !there && (settled || inputsLive(number))) {
            settle(number);
            ++done[settled ? "settle again" : "settle"];
            return true;
        }
        if (settled && !there && found.spentBy == 0) {
            unsettle(number);
            ++done["unsettle"];
            return true;
        }
        return false;
    }

    function inputsLive(uint32 number) private view returns (bool) {
        IVault.Content storage content = contentOf[number];
        for (uint256 i = 0; i < content.deposits.length; ++i) {
            IDeposits.Deposit memory found = deposits.deposit(content.deposits[i].txid, content.deposits[i].vout);
            if (found.sweptBy != 0) return false;
        }
        for (uint256 i = 0; i < content.outputs.length; ++i) {
            if (vault.vaultTransaction(content.outputs[i]).output != IVault.OutputStatus.Live) return false;
        }
        return true;
    }

    function tellAboutDeposit(uint256 seed) public {
        if (fundings.length == 1) return;
        tellDeposit(1 + uint32(seed % (fundings.length - 1)));
    }

    function tellDeposit(uint32 which) private {
        Funding memory funding = fundings[which];
        IDeposits.Deposit memory found = deposit(funding);
        bool there = bytes8(client.hashAt(found.height)) == found.blockHead;
        if (tryLeave(which)) return;
        if (on(FUNDING, which) != 0 && !there) {
            proveDeposit(funding);
            ++done["prove again"];
        } else if (on(DOUBLE, which) >= 8 && found.sweptBy == 0 && found.status != IDeposits.DepositStatus.Gone) {
            gone(funding, killers[which]);
            ++done["gone"];
        } else if (found.status == IDeposits.DepositStatus.Swept && on(VAULT, found.sweptBy) != 0) {
            tryMint(found.sweptBy, funding);
        }
    }

    function tryMint(uint32 number, Funding memory funding) private {
        IVault.VaultTransaction memory found = vault.vaultTransaction(number);
        if (bytes8(client.hashAt(found.height)) != found.blockHead) return;
        uint256[] memory which = new uint256[](1);
        for (; contentOf[number].deposits[which[0]].txid != funding.txid;) {
            ++which[0];
        }
        try deposits.mint(number, contentOf[number], which) {
            ++done["mint"];
        } catch (bytes memory why) {
            vm.assertTrue(bytes4(why) == IDeposits.NotDeepEnough.selector, "mint reverted for another reason");
        }
        requireBooks();
    }

    function voidSome(uint256 seed) public {
        tryVoid(1 + uint32(seed % vault.vaultTransactionCount()));
    }

    function tryVoid(uint32 number) private {
        uint256 inputs = contentOf[number].deposits.length + contentOf[number].outputs.length;
        for (uint256 i = 0; i < inputs; ++i) {
            try vault.voidOutput(number, contentOf[number], i) {
                vm.assertTrue(hopeless(number), "void, and yet it can confirm");
                ++done["void"];
            } catch {}
        }
    }

    // ------------------------------------------------------------------ what must hold

    function requireAll() external view {
        requireBooks();
        requireUnclaimed();
        for (uint256 id = bridge.withdrawalCount(); id != 0; --id) {
            requireOnce(id);
        }
        for (uint32 which = 1; which < fundings.length; ++which) {
            IDeposits.Deposit memory found = deposit(fundings[which]);
            if (found.status == IDeposits.DepositStatus.Gone) {
                vm.assertTrue(on(DOUBLE, which) >= 8, "gone, and yet it may be swept");
            }
        }
        requireReal();
    }

    /// Coins that are somebody's and still in the bridge, to the satoshi: refused, or cover to be repaid.
    function requireUnclaimed() private view {
        uint256 sum = bridge.claimable(ALICE) + bridge.claimable(BOB) + bridge.claimable(address(refuser));
        for (uint256 id = bridge.coverCount(); id != 0; --id) {
            IBridge.Cover memory given = bridge.coverOf(id);
            IDeposits.Deposit memory found = deposits.deposit(given.txid, given.vout);
            sum += found.sweptBy != 0 ? given.amountSat - given.repaidSat : given.repayableSat;
        }
        vm.assertEq(bridge.books().unclaimed, sum, "unclaimed is not the sum of what waits");
    }

    /// Nothing is paid twice, now or by any reorganisation; what was given back is never paid.
    function requireOnce(uint256 id) private view {
        IBridge.Withdrawal memory found = bridge.withdrawal(id);
        bool closed = found.status == IBridge.WithdrawalStatus.Cancelled || found.status == IBridge.WithdrawalStatus.Refunded;
        uint256 confirmed = 0;
        for (uint32 number = vault.vaultTransactionCount(); number != 0; --number) {
            if (!pays(number, id)) continue;
            if (on(VAULT, number) != 0) ++confirmed;
            if (hopeless(number)) continue;
            vm.assertFalse(closed);
            vm.assertTrue(spends(number, false, found.tie), "two that pay it fit into one chain");
        }
        vm.assertLe(confirmed, closed ? 0 : 1);
    }

    function pays(uint32 number, uint256 id) private view returns (bool) {
        uint64[] storage ids = contentOf[number].withdrawals;
        for (uint256 i = 0; i < ids.length; ++i) {
            if (ids[i] == id) return true;
        }
        return false;
    }

    /// Where all facts are told, the ledger's vault is Bitcoin's: no coin without a settled output, and what is live can be spent.
    function requireReal() private view {
        uint256 realSat = 0;
        for (uint32 number = vault.vaultTransactionCount(); number != 0; --number) {
            IVault.VaultTransaction memory found = vault.vaultTransaction(number);
            bool there = on(VAULT, number) != 0;
            if (there != (found.status == IVault.VaultStatus.Settled)) return;
            // What is stolen counts until that is final, and shown.
            bool stolen = on(THEFT, number) != 0 && found.output != IVault.OutputStatus.Gone;
            if (there && (stolen || spentElsewhere(number, false, number) == 0)) realSat += found.changeSat;
        }
        vm.assertEq(bridge.books().vault, realSat, "the vault on Bitcoin is another");
    }

    // ------------------------------------------------------------------ once faults stop

    /// Honest relayers, an honest miner and time: every withdrawal ends paid, given back or queued, every deposit minted, gone, or its owner's.
    function endHonestly() external {
        // Losses may have taken all that the reserve had for fees. Half of the coins that there are go to it.
        uint64 givenSat = uint64(supplySat() / 2);
        if (givenSat != 0) fundReserve(DONOR, givenSat);
        for (uint256 round = 0; round < 80; ++round) {
            while (tellAny()) {}
            tellThefts();
            for (uint32 which = 1; which < fundings.length; ++which) {
                if (on(FUNDING, which) == 0 && on(DOUBLE, which) == 0) mineFunding(which);
                tellDeposit(which);
            }
            for (uint32 number = vault.vaultTransactionCount(); number != 0; --number) {
                tryVoid(number);
            }
            if (!mineAny()) planAny();
            mineEmpty(1);
        }
        // (While the reserve is used up, what is tied waits for its end, or for somebody who funds it.)
        for (uint256 id = bridge.withdrawalCount(); id != 0 && bridge.books().reserve > 50_000; --id) {
            vm.assertTrue(bridge.withdrawal(id).status != IBridge.WithdrawalStatus.Tied, "a withdrawal hangs");
        }
        for (uint32 which = 1; which < fundings.length; ++which) {
            IDeposits.Deposit memory found = deposit(fundings[which]);
            vm.assertTrue(found.minted || found.status != IDeposits.DepositStatus.Swept, "a deposit hangs");
            if (found.minted && found.status != IDeposits.DepositStatus.Gone) {
                vm.assertTrue(found.sweptBy != 0, "a deposit is not swept");
            }
        }
    }

    function tellAny() private returns (bool) {
        uint32 count = vault.vaultTransactionCount();
        for (uint32 number = count; number != 0; --number) {
            if (on(VAULT, number) == 0 && tell(number)) return true;
        }
        for (uint32 number = 1; number <= count; ++number) {
            if (tell(number)) return true;
        }
        return false;
    }

    function mineAny() private returns (bool) {
        for (uint32 number = 1; number <= vault.vaultTransactionCount(); ++number) {
            if (!valid(number)) continue;
            mineVault(number);
            return true;
        }
        return false;
    }

    function planAny() private {
        for (uint32 which = 1; which < fundings.length; ++which) {
            if (deposit(fundings[which]).sweptBy == 0 && on(FUNDING, which) != 0) tryBind(sweepOf(fundings[which], 1_000));
        }
        (uint32[] memory live,) = vault.liveOutputs(0, 1_000);
        for (uint256 i = 0; i < live.length; ++i) {
            IVault.Content memory content = payoutOf(live[i], 0, 1_000);
            for (uint256 id = 1; id <= bridge.withdrawalCount(); ++id) {
                IBridge.Withdrawal memory found = bridge.withdrawal(id);
                if (found.status == IBridge.WithdrawalStatus.Tied && found.tie == live[i]) content = and(content, id);
            }
            if (content.withdrawals.length == 0) continue;
            for (uint256 j = 0; !tryBind(content) && j < live.length; ++j) {
                if (live[j] != live[i]) content = from(content, live[j]);
            }
        }
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

    function targetSelectors() public view returns (FuzzSelector[] memory targets) {
        bytes4[16] memory chosen = [
            LedgerHandler.mineSome.selector,
            LedgerHandler.mineSome.selector,
            LedgerHandler.fundAgainOrTwice.selector,
            LedgerHandler.reorganiseSome.selector,
            LedgerHandler.fundDeposit.selector,
            LedgerHandler.queueWithdrawal.selector,
            LedgerHandler.actOnWithdrawal.selector,
            LedgerHandler.giveAndTake.selector,
            LedgerHandler.proposeSome.selector,
            LedgerHandler.proposeSome.selector,
            LedgerHandler.tellOne.selector,
            LedgerHandler.tellOne.selector,
            LedgerHandler.tellAboutDeposit.selector,
            LedgerHandler.voidSome.selector,
            LedgerHandler.stealSome.selector,
            LedgerHandler.tellThefts.selector
        ];
        bytes4[] memory selectors = new bytes4[](16);
        for (uint256 i = 0; i < 16; ++i) {
            selectors[i] = chosen[i];
        }
        targets = new FuzzSelector[](1);
        targets[0] = FuzzSelector(address(handler), selectors);
    }

    /// No coin without a settled output, nothing paid twice, what is live can be spent.
    function invariant_the_ledger_tells_the_truth_and_pays_once() public view {
        handler.requireAll();
    }

    /// From wherever the random walk has led.
    function afterInvariant() public {
        handler.endHonestly();
        handler.requireAll();
    }

    /// The random walk reaches every action: shown for long walks with fixed seeds, each of which then ends well.
    function test_long_walks_reach_every_action_and_end_well() public {
        bool[] memory reached = new bool[](actions().length);
        for (uint256 seed = 0; seed < 10; ++seed) {
            uint256 snapshot = vm.snapshotState();
            for (uint256 step = 0; step < 300; ++step) {
                walk(uint256(keccak256(abi.encode("walk", seed, step))));
                handler.requireAll();
            }
            for (uint256 i = 0; i < reached.length; ++i) {
                reached[i] = reached[i] || handler.done(actions()[i]) != 0;
            }
            handler.endHonestly();
            handler.requireAll();
            vm.revertToState(snapshot);
        }
        for (uint256 i = 0; i < reached.length; ++i) {
            vm.assertTrue(reached[i], actions()[i]);
        }
    }

    function walk(uint256 roll) private {
        uint256 argument = roll >> 16;
        uint256 action = roll % 18;
        if (action < 3) handler.mineSome(argument);
        else if (action < 6) handler.tellOne(argument);
        else if (action < 9) handler.proposeSome(argument);
        else if (action == 9) handler.tellAboutDeposit(argument);
        else if (action == 10) handler.fundAgainOrTwice(argument);
        else if (action == 11) handler.fundDeposit(argument >> 8, argument >> 16);
        else if (action == 12) handler.queueWithdrawal(argument >> 8, argument >> 16);
        else if (action == 13) handler.actOnWithdrawal(argument);
        else if (action == 14) handler.giveAndTake(argument);
        else if (action == 15) handler.tellThefts();
        else if (action == 16) handler.stealSome(argument);
        else if (argument % 3 != 0) handler.reorganiseSome(argument >> 8);
        else handler.voidSome(argument);
    }

    function actions() private pure returns (string[19] memory) {
        return [
            "mine",
            "fund",
            "withdraw",
            "raise",
            "cancel",
            "cover",
            "bind",
            "settle",
            "unsettle",
            "settle again",
            "mint",
            "reorganise",
            "prove again",
            "double spend",
            "claim",
            "repay",
            "leave",
            "steal",
            "output gone"
        ];
    }
}
