// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// The federation's bulletin board: messages of key generation and signing, ordered by the chain and kept as events only.
interface ISigningBoard {
    event Posted(bytes32 indexed session, uint16 indexed member, uint8 indexed kind, bytes payload);

    error NotAMember(address account);
    error PayloadTooLong(uint256 got, uint256 max);

    /// Members only. Kinds and payloads mean nothing to the contract.
    function post(bytes32 session, uint8 kind, bytes calldata payload) external;
}
