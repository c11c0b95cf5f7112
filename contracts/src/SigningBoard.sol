// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IFederation} from "./interfaces/IFederation.sol";
import {ISigningBoard} from "./interfaces/ISigningBoard.sol";

/// No storage, only order: a member's post is an event.
contract SigningBoard is ISigningBoard {
    /// A round of key generation among 100 members fits.
    uint256 private constant MAX_PAYLOAD_BYTES = 16_384;

    IFederation public immutable federation;
    bytes32 private immutable _networkId;

    /// @param federation_ says who may post.
    constructor(IFederation federation_) {
        federation = federation_;
        _networkId = federation_.networkId();
    }

    function post(bytes32 network, bytes32 session, uint8 kind, bytes calldata payload) external {
        if (network != _networkId) revert WrongNetwork(network, _networkId);
        uint16 member = federation.indexOf(msg.sender);
        if (member == 0) revert NotAMember(msg.sender);
        if (payload.length > MAX_PAYLOAD_BYTES) revert PayloadTooLong(payload.length, MAX_PAYLOAD_BYTES);
        emit Posted(session, member, kind, payload);
    }
}
