// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {SignatureCheck} from "../SignatureCheck.sol";
import {IMicroChannel} from "../interfaces/IMicroChannel.sol";

/// What payers sign (EIP-712), and names of channels.
abstract contract Vouchers is IMicroChannel {
    bytes32 private constant DOMAIN_TYPEHASH =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    bytes32 public constant VOUCHER_TYPEHASH = keccak256("Voucher(bytes32 channelId,uint128 cumulativeAmount)");
    bytes32 public constant LOCKED_VOUCHER_TYPEHASH = keccak256(
        "LockedVoucher(bytes32 channelId,uint128 cumulativeAmount,uint128 lockedAmount,bytes32 sha256Hash,uint64 lockExpiry)"
    );
    bytes32 public constant STREAM_TYPEHASH =
        keccak256("Stream(bytes32 channelId,uint128 cumulativeAmount,uint128 tickAmount,uint32 ticks,bytes32 root)");
    bytes32 public constant OPEN_TYPEHASH =
        keccak256("Open(bytes32 networkId,bytes32 channelId,address[] splitRecipients,uint16[] splitBps)");
    bytes32 public constant TOP_UP_TYPEHASH = keccak256("TopUp(bytes32 networkId,bytes32 channelId,uint96 number)");

    /// For a signer's code (EIP-1271): a wallet of several owners takes half of it.
    uint256 private constant SIGNATURE_GAS = 100_000;

    /// Hash of all that this network's operators agreed on.
    bytes32 public immutable networkId;

    constructor(bytes32 networkId_) {
        networkId = networkId_;
    }

    // ------------------------------------------------------------------ names

    function computeChannelId(address payer, address payee, address token, bytes32 salt, address authorizedSigner)
        public
        view
        returns (bytes32)
    {
        return keccak256(abi.encode(payer, payee, token, salt, authorizedSigner, address(this), block.chainid));
    }

    function openNonce(bytes32 channelId, address[] calldata splitRecipients, uint16[] calldata splitBps)
        public
        view
        returns (bytes32)
    {
        bytes32 recipients = keccak256(abi.encodePacked(splitRecipients));
        return keccak256(abi.encode(OPEN_TYPEHASH, networkId, channelId, recipients, keccak256(abi.encodePacked(splitBps))));
    }

    function topUpNonce(bytes32 channelId, uint96 number) public view returns (bytes32) {
        bytes32 bound = keccak256(abi.encode(TOP_UP_TYPEHASH, networkId, channelId, number));
        return bytes32(bytes20(bound)) | bytes32(uint256(number));
    }

    // ------------------------------------------------------------------ digests

    /// Computed anew each time, so that it is right at a predeployed address and after a fork of the chain.
    function domainSeparator() public view returns (bytes32) {
        bytes32 named = keccak256("EVM Payment Channel");
        return keccak256(abi.encode(DOMAIN_TYPEHASH, named, keccak256("1"), block.chainid, address(this)));
    }

    function eip712Domain()
        external
        view
        returns (bytes1, string memory, string memory, uint256, address, bytes32, uint256[] memory)
    {
        // Name, version, chain id and contract; no salt.
        return (hex"0f", "EVM Payment Channel", "1", block.chainid, address(this), bytes32(0), new uint256[](0));
    }

    function getVoucherDigest(bytes32 channelId, uint128 cumulativeAmount) public view returns (bytes32) {
        return _voucherDigest(domainSeparator(), channelId, cumulativeAmount);
    }

    /// For many vouchers at once, whose domain is one.
    function _voucherDigest(bytes32 domain, bytes32 channelId, uint256 cumulativeAmount) internal pure returns (bytes32 digest) {
        bytes32 kind = VOUCHER_TYPEHASH;
        assembly ("memory-safe") {
            // Behind what is in use, which stays free.
            let free := mload(0x40)
            mstore(free, kind)
            mstore(add(free, 32), channelId)
            mstore(add(free, 64), cumulativeAmount)
            digest := keccak256(free, 96)
        }
        return _digest(domain, digest);
    }

    function getLockedVoucherDigest(bytes32 channelId, uint128 cumulativeAmount, Lock calldata lock)
        public
        view
        returns (bytes32)
    {
        return _digest(
            keccak256(
                abi.encode(
                    LOCKED_VOUCHER_TYPEHASH, channelId, cumulativeAmount, lock.lockedAmount, lock.sha256Hash, lock.lockExpiry
                )
            )
        );
    }

    function getStreamDigest(bytes32 channelId, uint128 cumulativeAmount, Stream calldata stream) public view returns (bytes32) {
        return _digest(
            keccak256(abi.encode(STREAM_TYPEHASH, channelId, cumulativeAmount, stream.tickAmount, stream.ticks, stream.root))
        );
    }

    function _digest(bytes32 message) private view returns (bytes32) {
        return _digest(domainSeparator(), message);
    }

    function _digest(bytes32 domain, bytes32 message) private pure returns (bytes32 digest) {
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, hex"1901")
            mstore(add(free, 2), domain)
            mstore(add(free, 34), message)
            digest := keccak256(free, 66)
        }
    }

    function _isSigned(address signer, bytes32 digest, bytes calldata signature) internal view returns (bool) {
        if (SignatureCheck.isKeySigned(signer, digest, signature)) return true;
        return signer.code.length != 0 && SignatureCheck.isSignedBy(signer, digest, signature, SIGNATURE_GAS);
    }
}
