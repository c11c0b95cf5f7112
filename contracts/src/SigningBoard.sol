// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IFederation} from "./interfaces/IFederation.sol";
import {ISigningBoard} from "./interfaces/ISigningBoard.sol";
import {IVault} from "./interfaces/IVault.sol";

/// Order, a quota for each member, and the count of approvals: a member's post is an event.
contract SigningBoard is ISigningBoard {
    /// What a member has posted of late: it drains evenly, a full quota in an hour.
    struct Used {
        uint128 byteCount;
        uint128 since;
    }

    /// A round of key generation among 100 members fits.
    uint256 private constant MAX_PAYLOAD_BYTES = 16_384;
    /// 64 rounds of key generation, or some 400 signings of ten inputs, an hour.
    uint256 public constant QUOTA_BYTES = 1_048_576;
    uint256 private constant QUOTA_SECONDS = 1 hours;
    /// So that empty posts are bounded too: 4,096 in a quota.
    uint256 public constant POST_BYTES = 256;
    /// Commitments for a proposal.
    uint8 private constant COMMITMENTS = 0;

    mapping(uint16 member => Used) private _used;

    IFederation public immutable federation;
    IVault public immutable vault;
    bytes32 private immutable _networkId;

    /// @param federation_ says who may post.
    /// @param vault_ says which sessions are open.
    constructor(IFederation federation_, IVault vault_) {
        (federation, vault) = (federation_, vault_);
        _networkId = federation_.networkId();
    }

    function approve(bytes32 network, uint64 proposal, bytes32 contentHash, bytes calldata payload) external {
        uint16 member = _admit(network, payload.length);
        vault.approve(proposal, contentHash, member);
        emit Posted(proposalSession(proposal), member, COMMITMENTS, payload);
    }

    function postSigning(bytes32 network, uint32 number, uint32 attempt, uint8 kind, bytes calldata payload) external {
        uint16 member = _admit(network, payload.length);
        bool bound = vault.vaultTransaction(number).status == IVault.VaultStatus.Bound;
        if (!bound || kind == COMMITMENTS || attempt == 0) revert SessionClosed();
        emit Posted(signingSession(number, attempt), member, kind, payload);
    }

    function postKeygen(bytes32 network, uint32 epoch, uint32 attempt, uint8 kind, bytes calldata payload) external {
        uint16 member = _admit(network, payload.length);
        bool wanted = epoch == federation.epoch() && federation.groupKey(epoch) == 0;
        if (!wanted || kind == COMMITMENTS) revert SessionClosed();
        emit Posted(keygenSession(epoch, attempt), member, kind, payload);
    }

    function proposalSession(uint64 proposal) public view returns (bytes32) {
        return _session("proposal", proposal, 0);
    }

    function signingSession(uint32 number, uint32 attempt) public view returns (bytes32) {
        return _session("signing", number, attempt);
    }

    function keygenSession(uint32 epoch, uint32 attempt) public view returns (bytes32) {
        return _session("keygen", epoch, attempt);
    }

    function quotaLeft(uint16 member) external view returns (uint256) {
        return QUOTA_BYTES - _drained(member);
    }

    function _session(bytes32 subject, uint256 number, uint256 attempt) private view returns (bytes32) {
        return keccak256(abi.encode(_networkId, subject, number, attempt));
    }

    /// The caller's index; the post is taken off its quota.
    function _admit(bytes32 network, uint256 payloadBytes) private returns (uint16 member) {
        if (network != _networkId) revert WrongNetwork(network, _networkId);
        member = federation.indexOf(msg.sender);
        if (member == 0) revert NotAMember(msg.sender);
        if (payloadBytes > MAX_PAYLOAD_BYTES) revert PayloadTooLong(payloadBytes, MAX_PAYLOAD_BYTES);
        uint256 used = _drained(member);
        uint256 want = payloadBytes + POST_BYTES;
        if (used + want > QUOTA_BYTES) revert OverQuota(member, QUOTA_BYTES - used, want);
        _used[member] = Used(uint128(used + want), uint128(block.timestamp));
    }

    function _drained(uint16 member) private view returns (uint256) {
        Used storage used = _used[member];
        uint256 drained = (block.timestamp - used.since) * QUOTA_BYTES / QUOTA_SECONDS;
        return used.byteCount > drained ? used.byteCount - drained : 0;
    }
}
