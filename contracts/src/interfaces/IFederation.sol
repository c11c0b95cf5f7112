// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// Which network this is, who its federation is, and the keys it has agreed on. X-only keys are those of BIP340; epochs start at 1.
interface IFederation {
    /// One operator: a relayer and a validator.
    struct Member {
        /// Account that the relayer sends from.
        address account;
        /// Compressed secp256k1 point (33 bytes): key generation packages for this member are encrypted to it.
        bytes encryptionKey;
        /// BLS12-381 public key of the MinSig scheme (G2, 96 bytes): checks the validator's votes.
        bytes validatorKey;
        /// Ed25519 public key of the validator in the validators' network.
        bytes32 p2pKey;
        /// For people; at most 64 bytes.
        string name;
    }

    /// A member states the key that its key generation ended with.
    /// @param epoch of the key.
    /// @param member its index, from 1.
    /// @param groupKey x-only.
    event KeyConfirmed(uint32 indexed epoch, uint16 indexed member, bytes32 groupKey);

    /// All members stated the same key: from now on it is in force.
    /// @param epoch of the key.
    /// @param groupKey x-only.
    /// @param vaultKey x-only, the group key tweaked by the recovery leaf.
    event KeyActivated(uint32 indexed epoch, bytes32 groupKey, bytes32 vaultKey);

    /// The threshold is 0 or more than the members, or there are too many members.
    /// @param threshold signers needed.
    /// @param members in the constructor's list.
    error BadThreshold(uint16 threshold, uint256 members);

    /// A member in the constructor's list breaks a rule.
    /// @param index of the member, from 1.
    /// @param reason which rule.
    error BadMember(uint256 index, string reason);

    /// What was said is for another network: its members, or some of them, may be the same.
    /// @param got network in the call.
    /// @param want this one.
    error WrongNetwork(bytes32 got, bytes32 want);

    /// Only members may confirm a key.
    /// @param account that called.
    error NotAMember(address account);

    /// No member has this index.
    /// @param index asked for.
    /// @param count of members.
    error NoSuchMember(uint16 index, uint16 count);

    /// Keys are confirmed for the current epoch only.
    /// @param got epoch in the call.
    /// @param want the current epoch.
    error WrongEpoch(uint32 got, uint32 want);

    /// The epoch's key is in force and does not change any more.
    /// @param epoch of the key.
    error KeyAlreadyActive(uint32 epoch);

    /// The vault key is not the group key tweaked by the recovery leaf.
    /// @param groupKey x-only, in the call.
    /// @param vaultKeyX x coordinate of the vault key in the call.
    error TweakMismatch(bytes32 groupKey, bytes32 vaultKeyX);

    /// Hash of all that this network's operators agreed on before it started. No two networks have the same, whatever their members and
    /// chain ids are.
    function networkId() external view returns (bytes32);

    /// Members, n.
    function memberCount() external view returns (uint16);

    /// Signers needed, t of n.
    function threshold() external view returns (uint16);

    /// A member. Reverts with NoSuchMember.
    /// @param index 1..n: the FROST identifier.
    function member(uint16 index) external view returns (Member memory);

    /// The index of an account's member.
    /// @param account of the member.
    /// @return 1..n; 0: not a member.
    function indexOf(address account) external view returns (uint16);

    /// The current epoch.
    function epoch() external view returns (uint32);

    /// The key that the members hold shares of.
    /// @param epoch of the key.
    /// @return x-only; zero until all members confirmed the same key.
    function groupKey(uint32 epoch) external view returns (bytes32);

    /// The taproot output key of the vault: the group key tweaked by the recovery leaf.
    /// @param epoch of the key.
    /// @return x-only; zero until it is in force.
    function vaultKey(uint32 epoch) external view returns (bytes32);

    /// Hash (BIP341 TapLeaf) of the vault's one script leaf.
    function recoveryLeaf() external view returns (bytes32);

    /// A member states the key that its key generation ended with. Once all members state the same one, it is in force.
    /// Until then a member may state another.
    ///
    /// Reverts with WrongNetwork, NotAMember, WrongEpoch, KeyAlreadyActive or TweakMismatch.
    /// @param network `networkId`, so that nobody can repeat it on another network.
    /// @param epoch the current one.
    /// @param groupKey x-only.
    /// @param vaultKeyX x coordinate of the vault key.
    /// @param vaultKeyY y coordinate of the vault key.
    function confirmKey(bytes32 network, uint32 epoch, bytes32 groupKey, bytes32 vaultKeyX, bytes32 vaultKeyY) external;
}
