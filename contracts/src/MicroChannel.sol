// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IMicroChannel} from "./interfaces/IMicroChannel.sol";

/// A payer's deposit for one payee, paid out by vouchers that the payer signs off-chain (EIP-712). A voucher names the total paid so far, so only the
/// last one matters and none can be cashed twice. The payer gets the rest back only after a delay in time and in blocks, in which the payee or anybody
/// for it can still bring the last voucher.
contract MicroChannel is IMicroChannel {
    bytes32 private constant DOMAIN_TYPE =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract,bytes32 salt)");
    bytes32 private constant VOUCHER_TYPE = keccak256("Voucher(uint256 channel,uint256 total)");
    /// Half of secp256k1's order: of the two signatures (s and order - s) only the lower is accepted (EIP-2).
    uint256 private constant MAX_S = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0;

    /// For a payee's code in `claimMany`, and what must be left so that it is certain to get that (see Coins.sol).
    uint256 private constant DELIVERY_GAS = 50_000;
    uint256 private constant GAS_BEFORE_DELIVERY = 110_000;

    /// Hash of all that this network's operators agreed on; the domain's salt.
    bytes32 public immutable networkId;
    uint256 public channelCount;
    mapping(uint256 id => Channel) private _channels;
    bool private transient _entered;

    modifier nonReentrant() {
        if (_entered) revert Reentered();
        _entered = true;
        _;
        _entered = false;
    }

    /// @param networkId_ so that no voucher of another network is worth anything here, even with the same chain id.
    constructor(bytes32 networkId_) {
        networkId = networkId_;
    }

    // ------------------------------------------------------------------ payer

    function open(address payee, uint32 closeDelaySeconds, uint32 closeDelayBlocks) external payable returns (uint256 id) {
        if (payee == address(0) || payee == address(this)) revert BadPayee(payee);
        id = ++channelCount;
        Channel storage opened = _channels[id];
        (opened.payer, opened.payee) = (msg.sender, payee);
        (opened.closeDelaySeconds, opened.closeDelayBlocks) = (closeDelaySeconds, closeDelayBlocks);
        opened.deposit = _amount(0);
        emit Opened(id, msg.sender, payee, msg.value, closeDelaySeconds, closeDelayBlocks);
    }

    function topUp(uint256 id) external payable {
        Channel storage topped = _open(id);
        topped.deposit = _amount(topped.deposit);
        emit ToppedUp(id, msg.value, topped.deposit);
    }

    function requestClose(uint256 id) external {
        Channel storage closing = _open(id);
        if (msg.sender != closing.payer) revert NotPayer(msg.sender, closing.payer);
        if (closing.closableAtBlock != 0) revert AlreadyClosing(id);
        closing.closableAt = uint64(block.timestamp) + closing.closeDelaySeconds;
        closing.closableAtBlock = uint64(block.number) + closing.closeDelayBlocks;
        emit CloseRequested(id, closing.closableAt, closing.closableAtBlock);
    }

    function withdraw(uint256 id) external nonReentrant {
        Channel storage closing = _open(id);
        if (msg.sender != closing.payer) revert NotPayer(msg.sender, closing.payer);
        if (closing.closableAtBlock == 0) revert NotClosing(id);
        if (block.timestamp < closing.closableAt || block.number < closing.closableAtBlock) {
            revert TooEarly(id, closing.closableAt, closing.closableAtBlock);
        }
        _close(id, closing);
    }

    // ------------------------------------------------------------------ payee, or anybody for it

    function claim(uint256 id, uint256 total, bytes calldata signature) external nonReentrant {
        (address payee, uint256 amount) = _claim(id, total, signature);
        _send(payee, amount);
    }

    function claimMany(Voucher[] calldata vouchers, bytes[] calldata signatures) external nonReentrant {
        if (vouchers.length != signatures.length) revert LengthMismatch(vouchers.length, signatures.length);
        for (uint256 i = 0; i < vouchers.length; ++i) {
            (uint256 id, uint256 total) = (vouchers[i].channel, vouchers[i].total);
            Channel storage paying = _channels[id];
            uint256 before = paying.claimed;
            bool valid = paying.payer != address(0) && !paying.closed && total > before && total <= paying.deposit
                && _recover(voucherDigest(id, total), signatures[i]) == paying.payer;
            if (!valid) {
                emit Skipped(id, total);
                continue;
            }
            // Noted before coins leave; taken back where the payee refuses them.
            paying.claimed = uint128(total);
            if (_trySend(paying.payee, total - before)) {
                emit Claimed(id, total - before, total);
            } else {
                paying.claimed = uint128(before);
                emit Skipped(id, total);
            }
        }
    }

    function close(uint256 id) external nonReentrant {
        Channel storage closing = _open(id);
        if (msg.sender != closing.payee) revert NotPayee(msg.sender, closing.payee);
        _close(id, closing);
    }

    // ------------------------------------------------------------------ answers

    function channel(uint256 id) external view returns (Channel memory) {
        if (_channels[id].payer == address(0)) revert NoSuchChannel(id);
        return _channels[id];
    }

    function voucherDigest(uint256 id, uint256 total) public view returns (bytes32) {
        return keccak256(abi.encodePacked("\x19\x01", domainSeparator(), keccak256(abi.encode(VOUCHER_TYPE, id, total))));
    }

    /// Computed anew each time, so that it is right at a predeployed address and after a fork of the chain.
    function domainSeparator() public view returns (bytes32) {
        bytes32 named = keccak256("Causeway MicroChannel");
        return keccak256(abi.encode(DOMAIN_TYPE, named, keccak256("1"), block.chainid, address(this), networkId));
    }

    // ------------------------------------------------------------------ steps

    function _claim(uint256 id, uint256 total, bytes calldata signature) private returns (address payee, uint256 amount) {
        Channel storage paying = _open(id);
        if (total <= paying.claimed) revert NothingNew(id, total, paying.claimed);
        if (total > paying.deposit) revert BeyondDeposit(id, total, paying.deposit);
        address signer = _recover(voucherDigest(id, total), signature);
        if (signer != paying.payer) revert BadSignature(id, signer, paying.payer);

        amount = total - paying.claimed;
        paying.claimed = uint128(total);
        emit Claimed(id, amount, total);
        return (paying.payee, amount);
    }

    function _close(uint256 id, Channel storage closing) private {
        closing.closed = true;
        uint256 refund = closing.deposit - closing.claimed;
        emit Closed(id, refund);
        _send(closing.payer, refund);
    }

    function _open(uint256 id) private view returns (Channel storage found) {
        found = _channels[id];
        if (found.payer == address(0)) revert NoSuchChannel(id);
        if (found.closed) revert AlreadyClosed(id);
    }

    function _amount(uint256 before) private view returns (uint128) {
        uint256 sum = before + msg.value;
        if (msg.value == 0 || sum > type(uint128).max) revert AmountOutOfRange(msg.value);
        return uint128(sum);
    }

    /// Zero for a signature that is not 65 bytes (r, s, v = 27 or 28), not the lower of its two forms, or not of anybody.
    function _recover(bytes32 digest, bytes calldata signature) private pure returns (address) {
        if (signature.length != 65 || uint256(bytes32(signature[32:64])) > MAX_S) return address(0);
        return ecrecover(digest, uint8(signature[64]), bytes32(signature[0:32]), bytes32(signature[32:64]));
    }

    function _send(address to, uint256 amount) private {
        if (amount == 0) return;
        (bool sent,) = to.call{value: amount}("");
        if (!sent) revert TransferFailed(to);
    }

    /// With gas enough for a wallet to receive and log, and without its return data: one payee stops no other.
    function _trySend(address to, uint256 amount) private returns (bool sent) {
        if (gasleft() < GAS_BEFORE_DELIVERY) revert MoreGasNeeded(gasleft(), GAS_BEFORE_DELIVERY);
        assembly ("memory-safe") {
            sent := call(DELIVERY_GAS, to, amount, 0, 0, 0, 0)
        }
    }
}
