// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// The federation's bulletin board: messages of key generation and signing, ordered by the chain and kept as events only.
interface ISigningBoard {
    /// A member's message. The contract gives no meaning to the session, the kind or the payload: the members do.
    /// @param session that the message belongs to.
    /// @param member index of the member that posted it, from 1.
    /// @param kind of the message.
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

    /// A member publishes a message. Reverts with WrongNetwork, NotAMember or PayloadTooLong.
    /// @param network `networkId` of the Federation.
    /// @param session that the message belongs to.
    /// @param kind of the message.
    /// @param payload its bytes, at most 16,384.
    function post(bytes32 network, bytes32 session, uint8 kind, bytes calldata payload) external;
}
