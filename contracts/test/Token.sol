// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {WrappedBtc} from "../src/WrappedBtc.sol";
import {IBridge} from "../src/interfaces/IBridge.sol";
import {Base} from "./Base.sol";

/// A token, two holders with keys, and what they sign: hashed here by the words of the standards, not by the contract's.
abstract contract Token is Base {
    struct Authorization {
        address from;
        address to;
        uint256 value;
        uint256 validAfter;
        uint256 validBefore;
        bytes32 nonce;
    }

    uint256 internal constant ALICE_SECRET = 0xA11CE;
    uint256 internal constant BOB_SECRET = 0xB0B;
    address internal constant BRIDGE = address(0xB41D6E);
    address internal constant PAYEE = address(0xBEEF01);
    WrappedBtc internal token;
    address internal alice;
    address internal bob;

    function createToken() internal {
        createToken(address(0xC4A77E15));
    }

    function createToken(address channels) internal {
        token = new WrappedBtc(IBridge(BRIDGE), channels);
        alice = vm.createWallet(ALICE_SECRET).addr;
        bob = vm.createWallet(BOB_SECRET).addr;
        vm.warp(1_000);
        wrap(alice, 100 ether);
    }

    function wrap(address holder, uint256 value) internal {
        vm.deal(holder, holder.balance + value);
        vm.prank(holder);
        token.deposit{value: value}();
    }

    function says(string memory words) internal pure returns (bytes memory) {
        return abi.encodeWithSignature("Error(string)", string.concat("WrappedBtc: ", words));
    }

    // ------------------------------------------------------------------ what is signed

    function domain(uint256 chainId, address place) internal pure returns (bytes32) {
        bytes32 kind = keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
        return keccak256(abi.encode(kind, keccak256("Causeway Wrapped BTC"), keccak256("1"), chainId, place));
    }

    function digest(bytes32 message) internal view returns (bytes32) {
        return keccak256(bytes.concat(hex"1901", domain(block.chainid, address(token)), message));
    }

    /// @param verb Transfer or Receive.
    function hashed(string memory verb, Authorization memory a) internal pure returns (bytes32) {
        string memory fields =
            "WithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)";
        bytes32 kind = keccak256(bytes(string.concat(verb, fields)));
        return keccak256(abi.encode(kind, a.from, a.to, a.value, a.validAfter, a.validBefore, a.nonce));
    }

    function cancelling(address authorizer, bytes32 nonce) internal pure returns (bytes32) {
        return keccak256(abi.encode(keccak256("CancelAuthorization(address authorizer,bytes32 nonce)"), authorizer, nonce));
    }

    function permitting(address owner, address spender, uint256 value, uint256 nonce, uint256 deadline)
        internal
        pure
        returns (bytes32)
    {
        bytes32 kind = keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
        return keccak256(abi.encode(kind, owner, spender, value, nonce, deadline));
    }

    function sign(uint256 secret, bytes32 message) internal view returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(secret, digest(message));
        return abi.encodePacked(r, s, v);
    }

    /// From Alice to the payee, valid now.
    function authorization(uint256 value, bytes32 nonce) internal view returns (Authorization memory) {
        return Authorization(alice, PAYEE, value, 0, block.timestamp + 60, nonce);
    }

    // ------------------------------------------------------------------ what is brought

    function bring(Authorization memory a, bytes memory signature) internal {
        token.transferWithAuthorization(a.from, a.to, a.value, a.validAfter, a.validBefore, a.nonce, signature);
    }

    function bringByParts(Authorization memory a, bytes memory signature) internal {
        (uint8 v, bytes32 r, bytes32 s) = parts(signature);
        token.transferWithAuthorization(a.from, a.to, a.value, a.validAfter, a.validBefore, a.nonce, v, r, s);
    }

    function receive_(Authorization memory a, bytes memory signature) internal {
        token.receiveWithAuthorization(a.from, a.to, a.value, a.validAfter, a.validBefore, a.nonce, signature);
    }

    function parts(bytes memory signature) internal pure returns (uint8 v, bytes32 r, bytes32 s) {
        assembly {
            r := mload(add(signature, 32))
            s := mload(add(signature, 64))
        }
        v = uint8(signature[64]);
    }
}
