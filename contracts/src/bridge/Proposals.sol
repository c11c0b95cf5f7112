// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IBridge} from "../interfaces/IBridge.sol";
import {IFederation} from "../interfaces/IFederation.sol";
import {IVault} from "../interfaces/IVault.sol";

/// What members propose and approve. Each member has a few places, so nobody fills anything for others, and a proposal binds nothing. Each place has a
/// quota of bytes too: what is proposed is an event, which nodes keep for ever.
///
/// A proposal's number is made of the place's generation (upper 40 bits), the member (16) and the place (8), so it never comes back.
abstract contract Proposals is IVault {
    struct Place {
        bytes32 content;
        /// Bit i: member i + 1.
        uint128 approvals;
        /// Proposals made here so far.
        uint40 generation;
        /// When the last one was proposed.
        uint40 openedAt;
        /// 0: it is bound, or there is none yet. More epochs than there will be.
        uint24 epoch;
        /// Of the quota, when the last one was proposed.
        uint24 usedBytes;
    }

    /// A member can have a payout, a sweep, a further version and a refresh open.
    uint8 public constant QUOTA = 4;
    /// Nothing is signed before `bind`, so an approval that lies longer than this is at an old rate and lapses.
    uint40 public constant APPROVAL_SECONDS = 1 hours;
    /// Of calls that propose at one place, and refills evenly in an hour: some 70 of the largest proposals, or 550 small ones.
    uint256 public constant PROPOSAL_QUOTA_BYTES = 524_288;
    uint256 private constant QUOTA_SECONDS = 1 hours;
    /// So that small proposals are bounded too: their event, and what a transaction is besides.
    uint256 private constant PROPOSAL_BYTES = 256;

    mapping(uint16 member => mapping(uint8 place => Place)) private _places;

    IBridge internal immutable _bridge;
    IFederation internal immutable _federation;
    address private immutable _board;
    bytes32 private immutable _networkId;
    uint256 private immutable _threshold;
    uint64 private immutable _minRate;
    uint64 private immutable _maxRate;
    uint256 private immutable _maxInputs;
    uint256 private immutable _maxPayouts;

    /// No call while coins are on their way to somebody's code.
    modifier unlocked() {
        _bridge.requireUnlocked();
        _;
    }

    constructor(IBridge bridge_, IBridge.Parameters memory parameters, address board) {
        _bridge = bridge_;
        _federation = bridge_.federation();
        _board = board;
        (_networkId, _threshold) = (_federation.networkId(), _federation.threshold());
        (_minRate, _maxRate) = (parameters.minRate, parameters.maxRate);
        (_maxInputs, _maxPayouts) = (parameters.maxInputs, parameters.maxPayouts);
    }

    function propose(bytes32 network, uint8 place, Content calldata content) external unlocked returns (uint64 proposal) {
        if (network != _networkId) revert WrongNetwork(network, _networkId);
        uint16 member = _federation.indexOf(msg.sender);
        if (member == 0) revert NotAMember(msg.sender);
        if (place >= QUOTA) revert NoSuchPlace(place, QUOTA);
        _requireShape(content);

        Place storage opened = _places[member][place];
        uint256 usedBytes = _admit(member, place, opened);
        uint40 generation = opened.generation + 1;
        opened.content = hashOf(content);
        (opened.approvals, opened.generation, opened.openedAt) = (0, generation, uint40(block.timestamp));
        (opened.epoch, opened.usedBytes) = (uint24(content.epoch), uint24(usedBytes));
        proposal = _number(generation, member, place);
        emit Proposed(proposal, member, opened.content, content);
    }

    /// What of the place's quota is used with this call. All of the call counts, however it is encoded and whatever is behind it.
    function _admit(uint16 member, uint8 place, Place storage opened) private view returns (uint256) {
        uint256 drained = (block.timestamp - opened.openedAt) * PROPOSAL_QUOTA_BYTES / QUOTA_SECONDS;
        uint256 used = opened.usedBytes > drained ? opened.usedBytes - drained : 0;
        uint256 want = msg.data.length + PROPOSAL_BYTES;
        if (used + want > PROPOSAL_QUOTA_BYTES) revert ProposalsOverQuota(member, place, PROPOSAL_QUOTA_BYTES - used, want);
        return used + want;
    }

    function _requireShape(Content calldata content) private view {
        if (_federation.groupKey(content.epoch) == 0) revert NoGroupKey(content.epoch);
        if (content.rate < _minRate || content.rate > _maxRate) revert RateOutOfBounds(content.rate, _minRate, _maxRate);
        bool sweeps = content.deposits.length != 0;
        if (sweeps ? content.outputs.length + content.withdrawals.length != 0 : content.outputs.length == 0) {
            revert MixedOrEmpty();
        }
        uint256 inputs = content.deposits.length + content.outputs.length;
        if (inputs > _maxInputs || content.withdrawals.length > _maxPayouts) {
            revert TooMany(inputs, _maxInputs, content.withdrawals.length, _maxPayouts);
        }
        _requireAscending(content);
    }

    /// So that nothing is named twice.
    function _requireAscending(Content calldata content) private pure {
        for (uint256 i = 1; i < content.deposits.length; ++i) {
            (Outpoint calldata last, Outpoint calldata next) = (content.deposits[i - 1], content.deposits[i]);
            if (last.txid > next.txid || (last.txid == next.txid && last.vout >= next.vout)) revert NotAscending(i);
        }
        for (uint256 i = 1; i < content.outputs.length; ++i) {
            bool first = content.outputs[i] == content.outputs[0];
            if (first || (i > 1 && content.outputs[i] <= content.outputs[i - 1])) revert NotAscending(i);
        }
        for (uint256 i = 1; i < content.withdrawals.length; ++i) {
            if (content.withdrawals[i] <= content.withdrawals[i - 1]) revert NotAscending(i);
        }
    }

    function approve(uint64 proposal, bytes32 contentHash, uint16 member) external {
        if (msg.sender != _board) revert OnlyBy(msg.sender, _board);
        Place storage opened = _open(proposal);
        if (opened.content != contentHash) revert WrongContent(contentHash, opened.content);
        uint128 bit = uint128(1) << (member - 1);
        if (opened.approvals & bit != 0) revert AlreadyApproved(proposal, member);
        opened.approvals |= bit;
        emit Approved(proposal, member);
    }

    /// Closes a proposal that was approved. Its number never comes back, so commitments for it meet one transaction only.
    function _takeApproved(uint64 proposal, Content calldata content) internal {
        Place storage opened = _open(proposal);
        bytes32 hash = hashOf(content);
        if (opened.content != hash) revert WrongContent(hash, opened.content);
        uint256 approvals = _count(opened.approvals);
        if (approvals < _threshold) revert NotApproved(approvals, _threshold);
        opened.epoch = 0;
    }

    function _open(uint64 proposal) private view returns (Place storage opened) {
        opened = _places[uint16(proposal >> 8)][uint8(proposal)];
        bool open = opened.epoch != 0 && opened.generation == proposal >> 24;
        if (!open || block.timestamp > opened.openedAt + APPROVAL_SECONDS) revert NotOpen(proposal);
    }

    function proposalAt(uint16 member, uint8 place) external view returns (Proposal memory) {
        Place storage found = _places[member][place];
        uint64 number = _number(found.generation, member, place);
        uint40 openedAt = found.epoch == 0 ? 0 : found.openedAt;
        return Proposal(found.content, found.approvals, openedAt, found.epoch, number);
    }

    function hashOf(Content calldata content) public pure returns (bytes32) {
        return keccak256(abi.encode(content));
    }

    function _number(uint40 generation, uint16 member, uint8 place) private pure returns (uint64) {
        return uint64(generation) << 24 | uint64(member) << 8 | place;
    }

    function _count(uint128 bits) private pure returns (uint256 count) {
        for (; bits != 0; bits &= bits - 1) {
            ++count;
        }
    }
}
