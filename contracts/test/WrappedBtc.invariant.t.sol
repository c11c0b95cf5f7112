// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Forcing} from "./Recipients.sol";
import {Token} from "./Token.sol";
import {Twice, Wallet} from "./Wallets.sol";

/// Four holders (two with keys, one contract that signs, one that calls back) do anything with the token, often what is not allowed. A naive model says
/// before each call whether it may succeed, and what everybody has after it.
contract TokenHandler is Token {
    struct Signed {
        Authorization terms;
        /// 0: transfer, 1: receive, 2: cancel.
        uint256 purpose;
        bytes signature;
    }

    uint256 private constant NONCES = 32;
    address[4] private holders;
    Signed[] private kept;
    mapping(address holder => uint256) private has;
    mapping(address owner => mapping(address spender => uint256)) private may;
    mapping(address owner => uint256) private permits;
    mapping(address authorizer => mapping(bytes32 nonce => uint256)) private uses;
    uint256 private all;
    uint256 private forced;
    mapping(string action => uint256) public done;

    constructor() {
        createToken();
        holders = [alice, bob, address(new Wallet(alice)), address(new Twice(address(token)))];
        (has[alice], all) = (100 ether, 100 ether);
        for (uint256 i = 0; i < 4; ++i) {
            vm.deal(holders[i], 1_000 ether);
        }
    }

    function anybody(uint256 roll) private view returns (address) {
        uint256 who = roll % 6;
        return who < 4 ? holders[who] : who == 4 ? address(0) : address(token);
    }

    /// What somebody has, a part of it, or a bit more.
    function amount(uint256 roll, uint256 most) private pure returns (uint256) {
        uint256 kind = roll % 5;
        if (kind == 0) return most;
        if (kind == 1 && most < type(uint256).max) return most + 1;
        return most == 0 ? 0 : (roll >> 8) % (most < 1_000 ether ? most : 1_000 ether);
    }

    function call(address from, bytes memory data, uint256 coins, bool right, string memory what) private {
        vm.prank(from);
        (bool ok,) = address(token).call{value: coins}(data);
        vm.assertTrue(ok == right, what);
        if (ok) ++done[what];
    }

    function moves(address from, address to, uint256 value) private {
        has[from] -= value;
        has[to] += value;
    }

    function takes(address to) private view returns (bool) {
        return to != address(0) && to != address(token);
    }

    // ------------------------------------------------------------------ actions

    function wrapSome(uint256 who, uint256 roll) external {
        address from = holders[who % 4];
        uint256 value = roll % 10 ether;
        vm.deal(from, from.balance + value);
        call(from, roll % 2 == 0 ? bytes("") : abi.encodeCall(token.deposit, ()), value, true, "wrap");
        (has[from], all) = (has[from] + value, all + value);
    }

    function unwrapSome(uint256 who, uint256 roll) external {
        address from = holders[who % 4];
        uint256 value = amount(roll, has[from]);
        uint256 before = from.balance;
        bool right = value <= has[from];
        call(from, abi.encodeCall(token.withdraw, (value)), 0, right, "unwrap");
        if (!right) return;
        (has[from], all) = (has[from] - value, all - value);
        vm.assertEq(from.balance, before + value);
    }

    /// The one that calls back asks for as much again: it has it only if it had twice as much.
    function unwrapTwice(uint256 roll) external {
        address from = holders[3];
        uint256 value = has[from] == 0 ? 0 : roll % has[from];
        Twice(payable(from)).run(value);
        uint256 taken = value != 0 && 2 * value <= has[from] ? 2 * value : value;
        (has[from], all) = (has[from] - taken, all - taken);
        ++done["unwrap twice"];
    }

    function transferSome(uint256 who, uint256 whom, uint256 roll) external {
        (address from, address to) = (holders[who % 4], anybody(whom));
        uint256 value = amount(roll, has[from]);
        bool right = takes(to) && value <= has[from];
        call(from, abi.encodeCall(token.transfer, (to, value)), 0, right, "transfer");
        if (right) moves(from, to, value);
    }

    function approveSome(uint256 who, uint256 whom, uint256 roll) external {
        (address owner, address spender) = (holders[who % 4], anybody(whom));
        uint256 value = roll % 4 == 0 ? type(uint256).max - (roll >> 8) % 2 : roll % 200 ether;
        call(owner, abi.encodeCall(token.approve, (spender, value)), 0, spender != address(0), "approve");
        if (spender != address(0)) may[owner][spender] = value;
    }

    function transferSomeFrom(uint256 who, uint256 whose, uint256 whom, uint256 roll) external {
        (address spender, address from, address to) = (holders[who % 4], holders[whose % 4], anybody(whom));
        uint256 allowed = may[from][spender];
        uint256 value = amount(roll, roll % 2 == 0 ? allowed : has[from]);
        bool right = takes(to) && value <= has[from] && value <= allowed;
        call(spender, abi.encodeCall(token.transferFrom, (from, to, value)), 0, right, "transfer from");
        if (!right) return;
        if (allowed != type(uint256).max) may[from][spender] -= value;
        moves(from, to, value);
    }

    function permitSome(uint256 who, uint256 whom, uint256 roll) external {
        (address owner, address spender) = (holders[who % 3], anybody(whom));
        // Once in four the number is that of the last permit, or of the next but one.
        uint256 number = roll % 4 != 0 ? permits[owner] : permits[owner] == 0 ? 1 : permits[owner] - 1;
        uint256 deadline = block.timestamp + 1 - (roll >> 8) % 3;
        uint256 value = roll >> 128;
        bytes memory signature = signed(owner, permitting(owner, spender, value, number, deadline));
        bool right = number == permits[owner] && block.timestamp <= deadline && spender != address(0);
        bytes memory data =
            abi.encodeWithSignature("permit(address,address,uint256,uint256,bytes)", owner, spender, value, deadline, signature);
        call(PAYEE, data, 0, right, "permit");
        if (!right) return;
        (may[owner][spender], permits[owner]) = (value, permits[owner] + 1);
    }

    /// Nonces are of few, so that they meet.
    function authorizeSome(uint256 who, uint256 whom, uint256 roll) external {
        address from = holders[who % 3];
        uint256 validAfter = block.timestamp + 2 - (roll >> 16) % 5;
        Authorization memory a = Authorization(
            from,
            anybody(whom),
            amount(roll, has[from]),
            validAfter,
            validAfter + (roll >> 24) % 8,
            bytes32((roll >> 32) % NONCES)
        );
        uint256 purpose = (roll >> 40) % 3;
        bytes32 message = purpose == 2 ? cancelling(from, a.nonce) : hashed(purpose == 0 ? "Transfer" : "Receive", a);
        kept.push(Signed(a, purpose, signed(from, message)));
    }

    /// Anyone brings what anyone signed, as often as he likes, for its purpose or for another.
    function bringSome(uint256 who, uint256 which, uint256 roll) external {
        if (kept.length == 0) return;
        // Mostly one of the last, whose time is now.
        uint256 back = which % (which % 4 == 0 || kept.length < 4 ? kept.length : 4);
        Signed memory brought = kept[kept.length - 1 - back];
        Authorization memory a = brought.terms;
        address by = roll % 2 == 0 && a.to != address(0) ? a.to : holders[who % 4];
        uint256 purpose = (roll >> 8) % 4 == 0 ? (roll >> 16) % 3 : brought.purpose;
        bool right = purpose == brought.purpose && uses[a.from][a.nonce] == 0;
        if (purpose == 2) {
            bytes memory cancel =
                abi.encodeWithSignature("cancelAuthorization(address,bytes32,bytes)", a.from, a.nonce, brought.signature);
            call(by, cancel, 0, right, "cancel");
        } else {
            bool now_ = a.validAfter < block.timestamp && block.timestamp < a.validBefore;
            right = right && now_ && takes(a.to) && a.value <= has[a.from] && (purpose == 0 || by == a.to);
            string memory fields = "WithAuthorization(address,address,uint256,uint256,uint256,bytes32,bytes)";
            bytes4 selector = bytes4(keccak256(bytes(string.concat(purpose == 0 ? "transfer" : "receive", fields))));
            bytes memory data =
                abi.encodeWithSelector(selector, a.from, a.to, a.value, a.validAfter, a.validBefore, a.nonce, brought.signature);
            call(by, data, 0, right, purpose == 0 ? "transfer authorized" : "receive authorized");
            if (right) moves(a.from, a.to, a.value);
        }
        if (right) ++uses[a.from][a.nonce];
    }

    function wait_(uint256 roll) external {
        vm.warp(block.timestamp + roll % 4);
    }

    function force(uint256 roll) external {
        uint256 value = roll % 1 ether;
        vm.deal(address(this), value);
        new Forcing{value: value}(address(token));
        forced += value;
    }

    function signed(address holder, bytes32 message) private view returns (bytes memory) {
        if (holder == bob) return sign(BOB_SECRET, message);
        bytes memory signature = sign(ALICE_SECRET, message);
        return holder == alice ? signature : bytes.concat(hex"12", signature);
    }

    // ------------------------------------------------------------------ what is always so

    function requireAll() external view {
        uint256 sum = 0;
        for (uint256 i = 0; i < 4; ++i) {
            address holder = holders[i];
            vm.assertEq(token.balanceOf(holder), has[holder]);
            vm.assertEq(token.nonces(holder), permits[holder]);
            sum += has[holder];
            for (uint256 j = 0; j < 6; ++j) {
                vm.assertEq(token.allowance(holder, anybody(j)), may[holder][anybody(j)]);
            }
            for (uint256 nonce = 0; nonce < NONCES; ++nonce) {
                vm.assertLe(uses[holder][bytes32(nonce)], 1);
                vm.assertTrue(token.authorizationState(holder, bytes32(nonce)) == (uses[holder][bytes32(nonce)] == 1));
            }
        }
        vm.assertEq(token.totalSupply(), sum);
        vm.assertEq(sum, all);
        vm.assertEq(address(token).balance, sum + forced);
        vm.assertEq(token.balanceOf(address(token)) + token.balanceOf(address(0)), 0);
    }
}

contract WrappedBtcInvariant is Token {
    TokenHandler private handler;

    function setUp() public {
        handler = new TokenHandler();
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    function invariant_every_token_has_its_coin_and_every_authorization_one_use() public view {
        handler.requireAll();
    }

    /// That the walk above says something: everything is done in it, and often.
    function test_the_random_walk_reaches_everything() public {
        for (uint256 step = 0; step < 3_000; ++step) {
            walk(uint256(keccak256(abi.encode("walk", step))));
            if (step % 100 == 0) handler.requireAll();
        }
        handler.requireAll();
        string[10] memory actions = [
            "wrap",
            "unwrap",
            "unwrap twice",
            "transfer",
            "approve",
            "transfer from",
            "permit",
            "cancel",
            "transfer authorized",
            "receive authorized"
        ];
        for (uint256 i = 0; i < actions.length; ++i) {
            vm.assertTrue(handler.done(actions[i]) > 2, actions[i]);
        }
    }

    function walk(uint256 roll) private {
        (uint256 a, uint256 b, uint256 c) = (roll >> 16, roll >> 32, uint256(keccak256(abi.encode(roll))));
        uint256 action = roll % 14;
        if (action == 0) handler.wrapSome(a, b);
        else if (action == 1) handler.unwrapSome(a, c);
        else if (action == 2) handler.unwrapTwice(c);
        else if (action == 3) handler.transferSome(a, b, c);
        else if (action == 4) handler.approveSome(a, b, c);
        else if (action == 5) handler.transferSomeFrom(a, b, c, c >> 64);
        else if (action == 6) handler.permitSome(a, b, c);
        else if (action < 9) handler.authorizeSome(a, b, c);
        else if (action < 12) handler.bringSome(a, b, c);
        else if (action == 12) handler.wait_(a);
        else handler.force(a);
    }
}
