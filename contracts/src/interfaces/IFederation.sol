// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// Who the federation is, and the keys it has agreed on.
interface IFederation {
    struct Member {
        address account;
        /// Compressed secp256k1 point (33 bytes): key generation packages for this member are encrypted to it.
        bytes encryptionKey;
        /// BLS12-381 public key of the MinSig scheme (G2, 96 bytes).
        bytes validatorKey;
        bytes32 p2pKey;
        string name;
    }

    event KeyConfirmed(uint32 indexed epoch, uint16 indexed member, bytes32 groupKey);
    event KeyActivated(uint32 indexed epoch, bytes32 groupKey, bytes32 vaultKey);

    error BadThreshold(uint16 threshold, uint256 members);
    error BadMember(uint256 index, string reason);
    error NotAMember(address account);
    error NoSuchMember(uint16 index, uint16 count);
    error WrongEpoch(uint32 got, uint32 want);
    error KeyAlreadyActive(uint32 epoch);
    /// The vault key is not the group key tweaked by the recovery leaf.
    error TweakMismatch(bytes32 groupKey, bytes32 vaultKeyX);

    function memberCount() external view returns (uint16);

    /// Signers needed.
    function threshold() external view returns (uint16);

    /// index 1..n: the FROST identifier.
    function member(uint16 index) external view returns (Member memory);

    /// 0: not a member.
    function indexOf(address account) external view returns (uint16);

    /// The current epoch; starts at 1.
    function epoch() external view returns (uint32);

    /// X-only; zero until all members confirmed the same key.
    function groupKey(uint32 epoch) external view returns (bytes32);

    /// X-only taproot output key of the vault: the group key tweaked by the recovery leaf. Zero until it is active.
    function vaultKey(uint32 epoch) external view returns (bytes32);

    /// Hash (BIP341 TapLeaf) of the vault's one script leaf.
    function recoveryLeaf() external view returns (bytes32);

    /// A member states the key that its key generation ended with. Once all members state the same one, it is active.
    /// Until then a member may state another.
    function confirmKey(uint32 epoch, bytes32 groupKey, bytes32 vaultKeyX, bytes32 vaultKeyY) external;
}
