// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IMicroChannel} from "../src/interfaces/IMicroChannel.sol";
import {Channels} from "./Channels.sol";
import {OddToken} from "./OddTokens.sol";
import {Refuser} from "./Recipients.sol";
import {Wallet} from "./Wallets.sol";

/// Payers (two with keys, one contract that signs) and payees (one with a key, a contract, one that takes no coins) do anything with channels in coins, in
/// the wrapped coin and in a token that takes fees, often what is not allowed. A naive model says before each call whether it may succeed.
contract ChannelHandler is Channels {
    struct Model {
        address payer;
        address payee;
        address currency;
        uint256 deposit;
        uint256 settled;
        uint256 requestedAt;
        uint256 requestedAtBlock;
        bool closing;
        bool finalized;
        /// The largest total that was signed and is not more than the deposit, or zero.
        uint256 latest;
    }

    uint256 private constant MOST = 24;
    OddToken private odd;
    address[3] private payers;
    address[3] private payees;
    address[3] private currencies;
    bytes32[] private ids;
    mapping(bytes32 id => Model) private model;
    mapping(string action => uint256) public done;

    constructor() {
        createChannels();
        odd = new OddToken();
        payers = [alice, bob, address(new Wallet(alice))];
        payees = [PAYEE, address(new Wallet(bob)), address(new Refuser())];
        currencies = [COIN, address(token), address(odd)];
        for (uint256 i = 0; i < 3; ++i) {
            vm.deal(payers[i], 1e27);
            odd.mint(payers[i], 1e27);
            vm.prank(payers[i]);
            token.deposit{value: 1e26}();
            for (uint256 j = 1; j < 3; ++j) {
                vm.prank(payers[i]);
                OddToken(currencies[j]).approve(address(channels), type(uint256).max);
            }
        }
    }

    function call(address from, bytes memory data, uint256 coins, bool right, string memory what) private returns (bool ok) {
        vm.prank(from);
        (ok,) = address(channels).call{value: coins}(data);
        vm.assertTrue(ok == right, what);
        if (ok) ++done[what];
    }

    function any(uint256 which) private view returns (bytes32) {
        return ids.length == 0 ? bytes32(0) : ids[which % ids.length];
    }

    function signed(address payer, bytes32 id, uint256 total) private view returns (bytes memory) {
        if (payer == bob) return voucher(BOB_SECRET, id, total);
        bytes memory signature = voucher(id, total);
        return payer == alice ? signature : bytes.concat(hex"12", signature);
    }

    function live(bytes32 id) private view returns (bool) {
        return model[id].payer != address(0) && !model[id].finalized;
    }

    /// Of an amount, what comes out where the token keeps some.
    function arrives(address currency, uint256 amount) private view returns (uint256) {
        return currency == address(odd) ? amount - amount * odd.feeBps() / 10_000 : amount;
    }

    // ------------------------------------------------------------------ actions

    function openSome(uint256 who, uint256 whom, uint256 roll) external {
        if (ids.length == MOST) return;
        (address payer, address payee, address currency) = (payers[who % 3], payees[whom % 3], currencies[roll % 3]);
        uint128 amount = uint128((roll >> 8) % 1_000_000);
        bytes32 salt = bytes32((roll >> 128) % 4);
        bytes32 id = draftId(payer, payee, currency, salt, address(0));
        bool right = amount != 0 && arrives(currency, amount) != 0 && model[id].payer == address(0);
        bytes memory data =
            abi.encodeCall(channels.open, (payee, currency, amount, salt, address(0), new address[](0), new uint16[](0)));
        if (!call(payer, data, currency == COIN ? amount : 0, right, "open")) return;
        ids.push(id);
        Model storage made = model[id];
        (made.payer, made.payee, made.currency, made.deposit) = (payer, payee, currency, arrives(currency, amount));
    }

    function signSome(uint256 which, uint256 roll) external {
        Model storage of_ = model[any(which)];
        uint256 total = of_.deposit == 0 ? 0 : roll % (of_.deposit + 1);
        if (total > of_.latest) of_.latest = total;
    }

    /// Any total, right or wrong, by anybody.
    function claimSome(uint256 which, uint256 by, uint256 roll) external {
        bytes32 id = any(which);
        Model storage of_ = model[id];
        uint256 total = roll % 3 == 0 ? of_.latest : roll % 3 == 1 ? of_.settled : (roll >> 8) % (of_.deposit + 3);
        bool forged = roll % 7 == 0;
        bytes memory signature = signed(forged ? (of_.payer == bob ? alice : bob) : of_.payer, id, total);
        bool right = live(id) && total > of_.settled && total <= of_.deposit && !forged;
        bool settles = by % 2 == 0;
        address caller = by % 5 == 0 ? payers[by % 3] : of_.payee;
        bytes memory data = settles
            ? abi.encodeCall(channels.settle, (id, uint128(total), signature))
            : abi.encodeCall(channels.claim, (id, uint128(total), signature));
        if (settles) right = right && caller == of_.payee;
        if (call(caller, data, 0, right, settles ? "settle" : "claim")) of_.settled = total;
        if (of_.settled > of_.latest) of_.latest = of_.settled;
    }

    /// The latest vouchers of all channels, and one that is worth nothing.
    function claimAll(uint256 by) external {
        if (ids.length == 0) return;
        IMicroChannel.Voucher[] memory vouchers = new IMicroChannel.Voucher[](ids.length + 1);
        bytes[] memory signatures = new bytes[](ids.length + 1);
        for (uint256 i = 0; i < ids.length; ++i) {
            Model storage of_ = model[ids[i]];
            vouchers[i] = IMicroChannel.Voucher(ids[i], uint128(of_.latest));
            signatures[i] = signed(of_.payer, ids[i], of_.latest);
            if (live(ids[i]) && of_.latest > of_.settled) of_.settled = of_.latest;
        }
        call(payers[by % 3], abi.encodeCall(channels.claimMany, (vouchers, signatures)), 0, true, "claim many");
    }

    function addSome(uint256 which, uint256 by, uint256 roll) external {
        bytes32 id = any(which);
        Model storage of_ = model[id];
        uint128 amount = uint128(roll % 100_000);
        address from = payers[by % 3];
        bool tops = roll % 2 == 0;
        bool right = live(id) && arrives(of_.currency, amount) != 0 && (!tops || from == of_.payer);
        bytes memory data = tops ? abi.encodeCall(channels.topUp, (id, amount)) : abi.encodeCall(channels.fund, (id, amount));
        uint256 coins = of_.currency == COIN ? amount : 0;
        if (!call(from, data, coins, right, tops ? "top up" : "fund")) return;
        of_.deposit += arrives(of_.currency, amount);
        if (tops) of_.closing = false;
    }

    function requestSome(uint256 which, uint256 by) external {
        bytes32 id = any(which);
        Model storage of_ = model[id];
        address from = by % 4 == 0 ? payers[by % 3] : of_.payer;
        bool right = live(id) && from == of_.payer && !of_.closing;
        if (!call(from, abi.encodeCall(channels.requestClose, (id)), 0, right, "request close")) return;
        (of_.closing, of_.requestedAt, of_.requestedAtBlock) = (true, block.timestamp, block.number);
    }

    function withdrawSome(uint256 which, uint256 by) external {
        bytes32 id = any(which);
        Model storage of_ = model[id];
        address from = by % 4 == 0 ? payers[by % 3] : of_.payer;
        bool late = block.timestamp >= of_.requestedAt + GRACE && block.number >= of_.requestedAtBlock + GRACE_BLOCKS;
        bool right = live(id) && from == of_.payer && of_.closing && late;
        if (call(from, abi.encodeCall(channels.withdraw, (id)), 0, right, "withdraw")) of_.finalized = true;
    }

    function closeSome(uint256 which, uint256 by, uint256 roll) external {
        if (roll % 4 != 0) return;
        bytes32 id = any(which);
        Model storage of_ = model[id];
        address from = by % 4 == 0 ? of_.payer : of_.payee;
        uint256 total = roll % 8 == 0 ? of_.latest : 0;
        bool right = live(id) && from == of_.payee;
        bytes memory data = abi.encodeCall(channels.close, (id, uint128(total), signed(of_.payer, id, total)));
        if (!call(from, data, 0, right, "close")) return;
        if (total > of_.settled) of_.settled = total;
        of_.finalized = true;
    }

    function collectSome(uint256 who, uint256 roll) external {
        (address account, address currency) = (payees[who % 3], currencies[roll % 3]);
        uint256 waits = channels.owed(account, currency);
        bool elsewhere = roll % 2 == 0;
        bytes memory data = elsewhere
            ? abi.encodeCall(channels.collectTo, (currency, PAYEE))
            : abi.encodeCall(channels.collect, (account, currency));
        // Who refused coins still does.
        bool refuses = currency == COIN ? account == payees[2] : currency == address(odd) && odd.listed(account);
        bool right = waits != 0 && (elsewhere || !refuses);
        call(elsewhere ? account : bob, data, 0, right, "collect");
    }

    /// Fees come and go, and the refuser is listed or not.
    function changeToken(uint256 roll) external {
        odd.setFees(roll % 3 == 0 ? roll % 2_000 : 0, 0);
        odd.list(payees[2], roll % 2 == 0);
    }

    function wait_(uint256 roll) external {
        vm.warp(block.timestamp + roll % GRACE);
        vm.roll(block.number + (roll >> 64) % GRACE_BLOCKS);
    }

    // ------------------------------------------------------------------ what is always so

    function requireAll() external {
        uint256[3] memory sums;
        for (uint256 i = 0; i < ids.length; ++i) {
            Model storage of_ = model[ids[i]];
            IMicroChannel.Channel memory is_ = stateOf(ids[i]);
            vm.assertEq(is_.deposit, of_.deposit);
            // A claimed total never falls: the model's only grows.
            vm.assertEq(is_.settled, of_.settled);
            vm.assertLe(of_.settled, of_.deposit);
            vm.assertTrue(is_.finalized == of_.finalized);
            if (!of_.finalized) sums[place(of_.currency)] += of_.deposit - of_.settled;
        }
        for (uint256 j = 0; j < 3; ++j) {
            for (uint256 i = 0; i < 3; ++i) {
                sums[j] += channels.owed(payees[i], currencies[j]) + channels.owed(payers[i], currencies[j]);
            }
        }
        vm.assertEq(address(channels).balance, sums[0]);
        vm.assertEq(token.balanceOf(address(channels)), sums[1]);
        vm.assertLe(sums[2], odd.balanceOf(address(channels)));
        requireCollectable();
    }

    function place(address currency) private view returns (uint256) {
        return currency == COIN ? 0 : currency == address(token) ? 1 : 2;
    }

    /// Whatever happened: while the payer has not got the rest, the latest voucher is worth all that it says.
    function requireCollectable() private {
        for (uint256 i = 0; i < ids.length; ++i) {
            Model storage of_ = model[ids[i]];
            if (!live(ids[i]) || of_.latest <= of_.settled) continue;
            uint256 before = vm.snapshotState();
            uint256 had = hasOf(of_.payee, of_.currency);
            uint256 waited = channels.owed(of_.payee, of_.currency);
            uint256 amount = of_.latest - of_.settled;
            channels.claim(ids[i], uint128(of_.latest), signed(of_.payer, ids[i], of_.latest));
            bool paid = hasOf(of_.payee, of_.currency) == had + arrives(of_.currency, amount);
            vm.assertTrue(paid || channels.owed(of_.payee, of_.currency) == waited + amount, "not collected");
            vm.assertTrue(vm.revertToState(before));
        }
    }

    function hasOf(address account, address currency) private view returns (uint256) {
        return currency == COIN ? account.balance : OddToken(currency).balanceOf(account);
    }
}

contract MicroChannelInvariant is Channels {
    ChannelHandler private handler;

    function setUp() public {
        handler = new ChannelHandler();
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    function invariant_channels_have_their_money_and_payees_collect_first() public {
        handler.requireAll();
    }

    /// That the walk above says something: everything is done in it, and often.
    function test_the_random_walk_reaches_everything() public {
        for (uint256 step = 0; step < 2_500; ++step) {
            walk(uint256(keccak256(abi.encode("channels", step))));
            if (step % 50 == 0) handler.requireAll();
            // Channels are few, so that they meet; then others.
            if (step % 400 == 399) handler = new ChannelHandler();
        }
        handler.requireAll();
    }

    function test_short_walks_do_everything() public {
        for (uint256 step = 0; step < 1_500; ++step) {
            walk(uint256(keccak256(abi.encode("everything", step))));
        }
        string[10] memory actions =
            ["open", "settle", "claim", "claim many", "top up", "fund", "request close", "withdraw", "close", "collect"];
        for (uint256 i = 0; i < actions.length; ++i) {
            vm.assertTrue(handler.done(actions[i]) > 2, actions[i]);
        }
    }

    function walk(uint256 roll) private {
        (uint256 a, uint256 b, uint256 c) = (roll >> 16, roll >> 32, uint256(keccak256(abi.encode(roll))));
        uint256 action = roll % 16;
        if (action < 2) handler.openSome(a, b, c);
        else if (action < 4) handler.signSome(a, c);
        else if (action < 7) handler.claimSome(a, b, c);
        else if (action == 7) handler.claimAll(a);
        else if (action < 10) handler.addSome(a, b, c);
        else if (action == 10) handler.requestSome(a, b);
        else if (action == 11) handler.withdrawSome(a, b);
        else if (action == 12) handler.closeSome(a, b, c);
        else if (action == 13) handler.collectSome(a, c);
        else if (action == 14) handler.changeToken(c);
        else handler.wait_(c);
    }
}
