// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {SignatureCheck} from "./SignatureCheck.sol";
import {IBridge} from "./interfaces/IBridge.sol";
import {IWrappedBtc} from "./interfaces/IWrappedBtc.sol";

/// The coin as a token, for contracts and clients that know tokens only. Tokens are made of coins that come in and are gone before coins leave, so it always
/// has a coin for each. Nobody has a power over it: no owner, no pause, no list.
contract WrappedBtc is IWrappedBtc {
    string public constant name = "Causeway Wrapped BTC";
    string public constant symbol = "cwBTC";
    string public constant version = "1";
    /// As the coin's (docs/adr/0033-the-wrapped-coin-counts-in-wei.md).
    uint8 public constant decimals = 18;

    bytes32 private constant DOMAIN_TYPEHASH =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    bytes32 public constant PERMIT_TYPEHASH =
        keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
    bytes32 public constant TRANSFER_WITH_AUTHORIZATION_TYPEHASH = keccak256(
        "TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
    );
    bytes32 public constant RECEIVE_WITH_AUTHORIZATION_TYPEHASH = keccak256(
        "ReceiveWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
    );
    bytes32 public constant CANCEL_AUTHORIZATION_TYPEHASH = keccak256("CancelAuthorization(address authorizer,bytes32 nonce)");

    /// What an authorization allows.
    struct Terms {
        address from;
        address to;
        uint256 value;
        uint256 validAfter;
        uint256 validBefore;
        bytes32 nonce;
    }

    IBridge public immutable bridge;
    /// Payment channels. What is signed for them is brought by them alone: brought by a stranger it would arrive for no channel.
    address public immutable channels;

    uint256 public totalSupply;
    mapping(address account => uint256 wei_) public balanceOf;
    mapping(address owner => mapping(address spender => uint256 wei_)) public allowance;
    mapping(address owner => uint256 next) public nonces;
    mapping(address authorizer => mapping(bytes32 nonce => bool spent)) public authorizationState;

    /// @param bridge_ takes withdrawals to Bitcoin.
    /// @param channels_ payment channels.
    constructor(IBridge bridge_, address channels_) {
        (bridge, channels) = (bridge_, channels_);
    }

    // ------------------------------------------------------------------ coins

    /// Coins of a deposit for this contract, or of a withdrawal that it would own, are nobody's here: Bridge keeps them for whoever may claim them.
    receive() external payable {
        if (msg.sender == address(bridge)) revert NotFromBridge();
        _make(msg.sender, msg.value);
    }

    function deposit() external payable {
        _make(msg.sender, msg.value);
    }

    function withdraw(uint256 value) external {
        _unmake(msg.sender, value);
        (bool sent,) = msg.sender.call{value: value}("");
        if (!sent) revert TransferFailed(msg.sender);
    }

    function withdrawToBitcoin(uint256 value, bytes calldata script, uint64 maxFeeSat) external returns (uint256 id) {
        _unmake(msg.sender, value);
        return bridge.withdrawFor{value: value}(msg.sender, script, maxFeeSat);
    }

    // ------------------------------------------------------------------ ERC-20

    function transfer(address to, uint256 value) external returns (bool) {
        _move(msg.sender, to, value);
        return true;
    }

    function approve(address spender, uint256 value) external returns (bool) {
        _approve(msg.sender, spender, value);
        return true;
    }

    function transferFrom(address from, address to, uint256 value) external returns (bool) {
        uint256 allowed = allowance[from][msg.sender];
        if (allowed != type(uint256).max) {
            require(value <= allowed, "WrappedBtc: transfer amount exceeds allowance");
            unchecked {
                allowance[from][msg.sender] = allowed - value;
            }
        }
        _move(from, to, value);
        return true;
    }

    // ------------------------------------------------------------------ permits

    function permit(address owner, address spender, uint256 value, uint256 deadline, uint8 v, bytes32 r, bytes32 s) external {
        _permit(owner, spender, value, deadline, abi.encodePacked(r, s, v));
    }

    function permit(address owner, address spender, uint256 value, uint256 deadline, bytes calldata signature) external {
        _permit(owner, spender, value, deadline, signature);
    }

    // ------------------------------------------------------------------ authorizations

    function transferWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external {
        Terms memory terms = Terms(from, to, value, validAfter, validBefore, nonce);
        _moveAuthorized(TRANSFER_WITH_AUTHORIZATION_TYPEHASH, terms, abi.encodePacked(r, s, v));
    }

    function transferWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        bytes calldata signature
    ) external {
        Terms memory terms = Terms(from, to, value, validAfter, validBefore, nonce);
        _moveAuthorized(TRANSFER_WITH_AUTHORIZATION_TYPEHASH, terms, signature);
    }

    function receiveWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external {
        _requirePayee(to);
        Terms memory terms = Terms(from, to, value, validAfter, validBefore, nonce);
        _moveAuthorized(RECEIVE_WITH_AUTHORIZATION_TYPEHASH, terms, abi.encodePacked(r, s, v));
    }

    function receiveWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        bytes calldata signature
    ) external {
        _requirePayee(to);
        Terms memory terms = Terms(from, to, value, validAfter, validBefore, nonce);
        _moveAuthorized(RECEIVE_WITH_AUTHORIZATION_TYPEHASH, terms, signature);
    }

    function cancelAuthorization(address authorizer, bytes32 nonce, uint8 v, bytes32 r, bytes32 s) external {
        _cancel(authorizer, nonce, abi.encodePacked(r, s, v));
    }

    function cancelAuthorization(address authorizer, bytes32 nonce, bytes calldata signature) external {
        _cancel(authorizer, nonce, signature);
    }

    // ------------------------------------------------------------------ the domain

    /// Computed anew each time, so that it is right at a predeployed address and after a fork of the chain.
    function DOMAIN_SEPARATOR() public view returns (bytes32) {
        bytes32 named = keccak256(bytes(name));
        return keccak256(abi.encode(DOMAIN_TYPEHASH, named, keccak256(bytes(version)), block.chainid, address(this)));
    }

    function eip712Domain()
        external
        view
        returns (bytes1, string memory, string memory, uint256, address, bytes32, uint256[] memory)
    {
        // Name, version, chain id and contract; no salt.
        return (hex"0f", name, version, block.chainid, address(this), bytes32(0), new uint256[](0));
    }

    // ------------------------------------------------------------------ steps

    function _make(address to, uint256 value) private {
        totalSupply += value;
        balanceOf[to] += value;
        emit Deposit(to, value);
        emit Transfer(address(0), to, value);
    }

    function _unmake(address from, uint256 value) private {
        _take(from, value);
        totalSupply -= value;
        emit Withdrawal(from, value);
        emit Transfer(from, address(0), value);
    }

    function _move(address from, address to, uint256 value) private {
        require(to != address(0), "WrappedBtc: transfer to the zero address");
        require(to != address(this), "WrappedBtc: transfer to the token itself");
        _take(from, value);
        balanceOf[to] += value;
        emit Transfer(from, to, value);
    }

    function _take(address from, uint256 value) private {
        uint256 balance = balanceOf[from];
        require(value <= balance, "WrappedBtc: transfer amount exceeds balance");
        unchecked {
            balanceOf[from] = balance - value;
        }
    }

    function _approve(address owner, address spender, uint256 value) private {
        require(spender != address(0), "WrappedBtc: approve to the zero address");
        allowance[owner][spender] = value;
        emit Approval(owner, spender, value);
    }

    function _permit(address owner, address spender, uint256 value, uint256 deadline, bytes memory signature) private {
        require(block.timestamp <= deadline, "WrappedBtc: permit is expired");
        bytes32 message = keccak256(abi.encode(PERMIT_TYPEHASH, owner, spender, value, nonces[owner]++, deadline));
        _requireSigned(owner, message, signature);
        _approve(owner, spender, value);
    }

    function _moveAuthorized(bytes32 typeHash, Terms memory terms, bytes memory signature) private {
        if (terms.to == channels) _requirePayee(terms.to);
        require(block.timestamp > terms.validAfter, "WrappedBtc: authorization is not yet valid");
        require(block.timestamp < terms.validBefore, "WrappedBtc: authorization is expired");
        _requireUnused(terms.from, terms.nonce);
        _requireSigned(terms.from, keccak256(abi.encode(typeHash, terms)), signature);
        authorizationState[terms.from][terms.nonce] = true;
        emit AuthorizationUsed(terms.from, terms.nonce);
        _move(terms.from, terms.to, terms.value);
    }

    function _cancel(address authorizer, bytes32 nonce, bytes memory signature) private {
        _requireUnused(authorizer, nonce);
        _requireSigned(authorizer, keccak256(abi.encode(CANCEL_AUTHORIZATION_TYPEHASH, authorizer, nonce)), signature);
        authorizationState[authorizer][nonce] = true;
        emit AuthorizationCanceled(authorizer, nonce);
    }

    function _requirePayee(address to) private view {
        require(to == msg.sender, "WrappedBtc: caller must be the payee");
    }

    function _requireUnused(address authorizer, bytes32 nonce) private view {
        require(!authorizationState[authorizer][nonce], "WrappedBtc: authorization is used or canceled");
    }

    function _requireSigned(address signer, bytes32 message, bytes memory signature) private view {
        bytes32 digest = keccak256(abi.encodePacked("\x19\x01", DOMAIN_SEPARATOR(), message));
        require(SignatureCheck.isSignedBy(signer, digest, signature), "WrappedBtc: invalid signature");
    }
}
