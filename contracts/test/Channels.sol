// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {MicroChannel} from "../src/MicroChannel.sol";
import {IMicroChannel} from "../src/interfaces/IMicroChannel.sol";
import {Token} from "./Token.sol";

/// Channels, the wrapped coin that knows them, and what payers sign: hashed here by the words of the draft and of EIP-3009, not by the contracts'.
abstract contract Channels is Token {
    /// Of the vectors too.
    bytes32 internal constant NETWORK = bytes32(uint256(0x0101010101010101010101010101010101010101010101010101010101010101));
    address internal constant COIN = address(0);
    uint64 internal constant GRACE = 1 days;
    uint64 internal constant GRACE_BLOCKS = 1_000;
    bytes32 internal constant SALT = keccak256("salt");
    MicroChannel internal channels;

    function createChannels() internal {
        createToken(vm.computeCreateAddress(address(this), vm.getNonce(address(this)) + 1));
        channels = new MicroChannel(NETWORK, address(token), GRACE, GRACE_BLOCKS);
        vm.assertEq(token.channels(), address(channels));
        vm.deal(alice, 100 ether);
        vm.deal(bob, 100 ether);
        vm.roll(100);
    }

    // ------------------------------------------------------------------ opening

    /// Alice's, in coins.
    function open(address payee, uint256 amount) internal returns (bytes32) {
        return open(payee, amount, SALT);
    }

    function open(address payee, uint256 amount, bytes32 salt) internal returns (bytes32) {
        vm.prank(alice);
        return channels.open{value: amount}(payee, COIN, uint128(amount), salt, address(0), new address[](0), new uint16[](0));
    }

    /// Alice's, in tokens.
    function openIn(address currency, address payee, uint256 amount) internal returns (bytes32 id) {
        vm.prank(alice);
        (bool approved,) = currency.call(abi.encodeWithSignature("approve(address,uint256)", address(channels), amount));
        vm.assertTrue(approved);
        vm.prank(alice);
        return channels.open(payee, currency, uint128(amount), SALT, address(0), new address[](0), new uint16[](0));
    }

    function openSplit(uint256 amount, address recipient, uint16 bps) internal returns (bytes32) {
        (address[] memory recipients, uint16[] memory parts) = one(recipient, bps);
        vm.prank(alice);
        return channels.open{value: amount}(PAYEE, COIN, uint128(amount), SALT, address(0), recipients, parts);
    }

    function one(address recipient, uint16 bps) internal pure returns (address[] memory recipients, uint16[] memory parts) {
        (recipients, parts) = (new address[](1), new uint16[](1));
        (recipients[0], parts[0]) = (recipient, bps);
    }

    // ------------------------------------------------------------------ what is signed

    function draftId(address payer, address payee, address currency, bytes32 salt, address signer)
        internal
        view
        returns (bytes32)
    {
        return keccak256(abi.encode(payer, payee, currency, salt, signer, address(channels), block.chainid));
    }

    function draftDigest(bytes32 message) internal view returns (bytes32) {
        bytes32 kind = keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
        bytes32 separator =
            keccak256(abi.encode(kind, keccak256("EVM Payment Channel"), keccak256("1"), block.chainid, address(channels)));
        return keccak256(abi.encodePacked("\x19\x01", separator, message));
    }

    function signDigest(uint256 secret, bytes32 digest_) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(secret, digest_);
        return abi.encodePacked(r, s, v);
    }

    function voucher(uint256 secret, bytes32 id, uint256 total) internal view returns (bytes memory) {
        bytes32 kind = keccak256("Voucher(bytes32 channelId,uint128 cumulativeAmount)");
        return signDigest(secret, draftDigest(keccak256(abi.encode(kind, id, total))));
    }

    /// Alice's.
    function voucher(bytes32 id, uint256 total) internal view returns (bytes memory) {
        return voucher(ALICE_SECRET, id, total);
    }

    function claim(bytes32 id, uint256 total) internal {
        channels.claim(id, uint128(total), voucher(id, total));
    }

    /// Alice pays the channels, as a token reads it.
    function payment(uint256 value, bytes32 nonce) internal view returns (Authorization memory) {
        return Authorization(alice, address(channels), value, 0, block.timestamp + 60, nonce);
    }

    // ------------------------------------------------------------------ closing

    function requestClose(bytes32 id) internal {
        vm.prank(alice);
        channels.requestClose(id);
    }

    function withdraw(bytes32 id) internal {
        vm.prank(alice);
        channels.withdraw(id);
    }

    function waitOut() internal {
        vm.warp(block.timestamp + GRACE);
        vm.roll(block.number + GRACE_BLOCKS);
    }

    function stateOf(bytes32 id) internal view returns (IMicroChannel.Channel memory) {
        return channels.getChannel(id);
    }

    function refused(bytes4 selector, bytes32 id) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(selector, id);
    }
}
