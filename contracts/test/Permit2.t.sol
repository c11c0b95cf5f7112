// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Token} from "./Token.sol";

/// The part of Permit2 that moves tokens by a signature (github.com/Uniswap/permit2, ISignatureTransfer).
interface IPermit2 {
    struct TokenPermissions {
        address token;
        uint256 amount;
    }

    struct PermitTransferFrom {
        TokenPermissions permitted;
        uint256 nonce;
        uint256 deadline;
    }

    struct SignatureTransferDetails {
        address to;
        uint256 requestedAmount;
    }

    error InvalidNonce();
    error InvalidSigner();

    function DOMAIN_SEPARATOR() external view returns (bytes32);
    function permitTransferFrom(
        PermitTransferFrom calldata permit,
        SignatureTransferDetails calldata details,
        address owner,
        bytes calldata signature
    ) external;
}

/// Permit2 as genesis makes it, and the token with it.
contract Permit2Test is Token {
    IPermit2 private constant PERMIT2 = IPermit2(0x000000000022D473030F116dDEE9F6B43aC78BA3);
    bytes32 private constant SALT = 0x0000000000000000000000000000000000000000d3af2663da51c10215000000;
    address private constant SPENDER = address(0x5BE4D);

    function setUp() public {
        createToken();
        vm.chainId(51717);
        // As genesis does: the creation code runs at the address, and what it returns stays there.
        vm.etch(address(PERMIT2), creationCode());
        (bool ok, bytes memory runtime) = address(PERMIT2).call("");
        vm.assertTrue(ok);
        vm.etch(address(PERMIT2), runtime);
    }

    function creationCode() private view returns (bytes memory) {
        bytes memory text = bytes(vm.readFile("create2/permit2.hex"));
        assembly {
            // Without the end of the line.
            mstore(text, sub(mload(text), 1))
        }
        return vm.parseBytes(string.concat("0x", string(text)));
    }

    function separator(uint256 chainId) private pure returns (bytes32) {
        bytes32 kind = keccak256("EIP712Domain(string name,uint256 chainId,address verifyingContract)");
        return keccak256(abi.encode(kind, keccak256("Permit2"), chainId, PERMIT2));
    }

    function test_its_code_makes_the_address_that_everybody_knows() public view {
        bytes32 code = keccak256(creationCode());
        bytes32 hash = keccak256(abi.encodePacked(hex"ff4e59b44847b379578588920cA78FbF26c0B4956C", SALT, code));
        vm.assertEq(address(uint160(uint256(hash))), address(PERMIT2));
    }

    function test_its_domain_is_this_chains_and_after_a_fork_the_new_ones() public {
        vm.assertEq(PERMIT2.DOMAIN_SEPARATOR(), separator(51717));
        vm.chainId(51718);
        vm.assertEq(PERMIT2.DOMAIN_SEPARATOR(), separator(51718));
    }

    function test_a_permit_moves_wrapped_coins_once() public {
        // The allowance by a permit too: Alice sends nothing.
        uint256 all = type(uint256).max;
        token.permit(alice, address(PERMIT2), all, all, sign(ALICE_SECRET, permitting(alice, address(PERMIT2), all, 0, all)));
        IPermit2.PermitTransferFrom memory permit =
            IPermit2.PermitTransferFrom(IPermit2.TokenPermissions(address(token), 2 ether), 7, block.timestamp);
        IPermit2.SignatureTransferDetails memory details = IPermit2.SignatureTransferDetails(PAYEE, 1.5 ether);
        bytes memory signature = signPermit(permit, SPENDER);
        vm.expectRevert(IPermit2.InvalidSigner.selector);
        vm.prank(bob);
        PERMIT2.permitTransferFrom(permit, details, alice, signature);
        vm.prank(SPENDER);
        PERMIT2.permitTransferFrom(permit, details, alice, signature);
        vm.assertEq(token.balanceOf(PAYEE), 1.5 ether);
        vm.assertEq(token.balanceOf(alice), 98.5 ether);
        vm.assertEq(token.allowance(alice, address(PERMIT2)), all);
        vm.expectRevert(IPermit2.InvalidNonce.selector);
        vm.prank(SPENDER);
        PERMIT2.permitTransferFrom(permit, details, alice, signature);
    }

    function signPermit(IPermit2.PermitTransferFrom memory permit, address spender) private pure returns (bytes memory) {
        string memory permissions = "TokenPermissions(address token,uint256 amount)";
        bytes32 kind = keccak256(
            abi.encodePacked(
                "PermitTransferFrom(TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline)", permissions
            )
        );
        bytes32 permitted = keccak256(abi.encode(keccak256(bytes(permissions)), permit.permitted));
        bytes32 message = keccak256(abi.encode(kind, permitted, spender, permit.nonce, permit.deadline));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(ALICE_SECRET, keccak256(bytes.concat(hex"1901", separator(51717), message)));
        return abi.encodePacked(r, s, v);
    }
}
