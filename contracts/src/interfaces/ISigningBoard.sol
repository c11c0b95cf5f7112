// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// The federation's bulletin board: messages of key generation and signing, ordered by the chain and kept as events only. It takes posts for open
/// sessions alone, and from each member as much as its quota allows, so that what a reader must keep is bounded.
///
/// Each session has an id, which `proposalSession`, `signingSession` and `keygenSession` compute.
interface ISigningBoard {
    /// A member's message. The contract gives no meaning to kind and payload: the members do.
    /// @param session that the message belongs to.
    /// @param member index of the member that posted it, from 1.
    /// @param kind of the message; 0 in a proposal's session (commitments, which count as approval).
    /// @param payload its bytes.
    event Posted(bytes32 indexed session, uint16 indexed member, uint8 indexed kind, bytes payload);

    /// The message is for another network: whoever has the same members could repeat it here.
    /// @param got network in the call.
    /// @param want this one.
    error WrongNetwork(bytes32 got, bytes32 want);

    /// Only members may post.
    /// @param account that called.
    error NotAMember(address account);

    /// The message is larger than any that key generation or signing needs.
    /// @param got bytes.
    /// @param max bytes.
    error PayloadTooLong(uint256 got, uint256 max);

    /// The session takes no posts: the vault transaction is not bound, is settled or void, or the epoch's key is in force; or kind
    /// or attempt is 0 where it may not be.
    error SessionClosed();

    /// The member has posted too much of late.
    /// @param member its index.
    /// @param leftBytes of its quota.
    /// @param wantBytes that the post takes: its payload and `POST_BYTES`.
    error OverQuota(uint16 member, uint256 leftBytes, uint256 wantBytes);

    /// A member posts its commitments for a proposal, which approves it ("I am about to sign this"): once, while the proposal is open.
    ///
    /// Reverts with WrongNetwork, NotAMember, PayloadTooLong, OverQuota, IVault.NotOpen, IVault.WrongContent or IVault.AlreadyApproved.
    /// @param network `networkId` of the Federation.
    /// @param proposal its number.
    /// @param contentHash of what the member approves.
    /// @param payload the commitments: the first attempt of what `bind` makes of the proposal.
    function approve(bytes32 network, uint64 proposal, bytes32 contentHash, bytes calldata payload) external;

    /// A member posts for a bound vault transaction that is not settled.
    /// Reverts with WrongNetwork, NotAMember, PayloadTooLong, OverQuota or SessionClosed.
    /// @param network `networkId` of the Federation.
    /// @param number of the vault transaction.
    /// @param attempt at signing it, from 1 (the proposal's commitments are the first attempt's).
    /// @param kind of the message, not 0.
    /// @param payload its bytes.
    function postSigning(bytes32 network, uint32 number, uint32 attempt, uint8 kind, bytes calldata payload) external;

    /// A member posts for the generation of an epoch's key that is not in force yet.
    /// Reverts as `postSigning` does.
    /// @param network `networkId` of the Federation.
    /// @param epoch of the key.
    /// @param attempt at making it, from 0.
    /// @param kind of the message, not 0.
    /// @param payload its bytes.
    function postKeygen(bytes32 network, uint32 epoch, uint32 attempt, uint8 kind, bytes calldata payload) external;

    /// Session of a proposal's commitments: keccak256(abi.encode(network, bytes32("proposal"), number, 0)).
    function proposalSession(uint64 proposal) external view returns (bytes32);

    /// Session of an attempt at signing: keccak256(abi.encode(network, bytes32("signing"), number, attempt)).
    function signingSession(uint32 number, uint32 attempt) external view returns (bytes32);

    /// Session of an attempt at making a key: keccak256(abi.encode(network, bytes32("keygen"), epoch, attempt)).
    function keygenSession(uint32 epoch, uint32 attempt) external view returns (bytes32);

    /// Bytes that a member may post now.
    /// @param member its index, from 1.
    function quotaLeft(uint16 member) external view returns (uint256);

    /// Bytes of a full quota; it refills evenly within an hour.
    function QUOTA_BYTES() external view returns (uint256);

    /// What each post takes of the quota besides its payload.
    function POST_BYTES() external view returns (uint256);
}
