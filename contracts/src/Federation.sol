// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IFederation} from "./interfaces/IFederation.sol";
import {Taproot} from "./Taproot.sol";

/// The members and their group key. A key counts once every member has stated that its key generation ended with it, so
/// that no coins are sent to a key of which a share is missing.
contract Federation is IFederation {
    /// Both x-only; zero until they are in force.
    struct Keys {
        bytes32 group;
        bytes32 vault;
    }

    /// FROST identifiers are 16 bits; far fewer members keep every loop within a transaction's gas.
    uint256 private constant MAX_MEMBERS = 100;
    uint256 private constant MAX_NAME_BYTES = 64;

    bytes32 public immutable networkId;
    uint16 public immutable threshold;
    bytes32 public immutable recoveryLeaf;
    uint32 public constant epoch = 1;

    Member[] private _members;
    mapping(address account => uint16 index) public indexOf;
    mapping(uint32 epoch => Keys) private _keys;
    mapping(uint32 epoch => mapping(uint16 member => bytes32 groupKey)) private _confirmed;

    /// @param networkId_ hash of all that the operators agreed on.
    /// @param threshold_ signers needed, from 1 to the number of members.
    /// @param members at most 100; the place in the list, from 1, is a member's index.
    /// @param recoveryLeaf_ BIP341 hash of the vault's one script leaf.
    constructor(bytes32 networkId_, uint16 threshold_, Member[] memory members, bytes32 recoveryLeaf_) {
        if (threshold_ == 0 || threshold_ > members.length || members.length > MAX_MEMBERS) {
            revert BadThreshold(threshold_, members.length);
        }
        networkId = networkId_;
        threshold = threshold_;
        recoveryLeaf = recoveryLeaf_;
        for (uint256 i = 0; i < members.length; ++i) {
            _add(members[i], i + 1);
        }
    }

    function _add(Member memory added, uint256 index) private {
        if (added.account == address(0)) revert BadMember(index, "account is zero");
        if (indexOf[added.account] != 0) revert BadMember(index, "account is another member's too");
        if (added.encryptionKey.length != 33 || (added.encryptionKey[0] != 0x02 && added.encryptionKey[0] != 0x03)) {
            revert BadMember(index, "encryption key is not a compressed point of 33 bytes");
        }
        if (added.validatorKey.length != 96) revert BadMember(index, "validator key is not 96 bytes");
        if (bytes(added.name).length > MAX_NAME_BYTES) revert BadMember(index, "name is longer than 64 bytes");
        indexOf[added.account] = uint16(index);
        _members.push(added);
    }

    function confirmKey(bytes32 network, uint32 epoch_, bytes32 groupKey_, bytes32 vaultKeyX, bytes32 vaultKeyY) external {
        if (network != networkId) revert WrongNetwork(network, networkId);
        uint16 index = indexOf[msg.sender];
        if (index == 0) revert NotAMember(msg.sender);
        if (epoch_ != epoch) revert WrongEpoch(epoch_, epoch);
        if (_keys[epoch_].group != 0) revert KeyAlreadyActive(epoch_);
        if (!Taproot.isTweaked(groupKey_, recoveryLeaf, vaultKeyX, vaultKeyY)) revert TweakMismatch(groupKey_, vaultKeyX);

        _confirmed[epoch_][index] = groupKey_;
        emit KeyConfirmed(epoch_, index, groupKey_);
        if (_allConfirmed(epoch_, groupKey_)) {
            _keys[epoch_] = Keys(groupKey_, vaultKeyX);
            emit KeyActivated(epoch_, groupKey_, vaultKeyX);
        }
    }

    function _allConfirmed(uint32 epoch_, bytes32 groupKey_) private view returns (bool) {
        for (uint16 index = 1; index <= _members.length; ++index) {
            if (_confirmed[epoch_][index] != groupKey_) return false;
        }
        return true;
    }

    function memberCount() external view returns (uint16) {
        return uint16(_members.length);
    }

    function member(uint16 index) external view returns (Member memory) {
        if (index == 0 || index > _members.length) revert NoSuchMember(index, uint16(_members.length));
        return _members[index - 1];
    }

    function groupKey(uint32 epoch_) external view returns (bytes32) {
        return _keys[epoch_].group;
    }

    function vaultKey(uint32 epoch_) external view returns (bytes32) {
        return _keys[epoch_].vault;
    }
}
