// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {MerkleProof} from "../MerkleProof.sol";
import {Taproot} from "../Taproot.sol";
import {BitcoinTransaction} from "./BitcoinTransaction.sol";
import {BridgeState} from "./BridgeState.sol";
import {DepositScript} from "./DepositScript.sol";

/// Which outputs on Bitcoin are deposits, and the delivery of their coins.
abstract contract Deposits is BridgeState {
    uint32 private constant COINBASE_MATURITY = 100;
    /// For a recipient's code. Enough for a contract wallet to receive and log; the cost of 64 such recipients fits a transaction.
    uint256 private constant DELIVERY_GAS = 50_000;
    /// With it, the recipient is certain to get DELIVERY_GAS: EIP-150 keeps a 64th back, and the call itself costs up to 36,600.
    uint256 private constant GAS_BEFORE_DELIVERY = 110_000;

    /// The output that a proof shows. Reverts unless it pays to a deposit address of this bridge, is new, and may be swept.
    function _provenDeposit(DepositProof calldata proof) internal view returns (SpentOutput memory proven) {
        proven.epoch = proof.terms.epoch;
        proven.vout = proof.vout;
        bytes32 blockHash;
        (proven.txid, blockHash) = lightClient.requireIncluded(proof.transaction, proof.inclusion);
        _requireAge(proof, blockHash);

        uint64 known = _deposits[_outpoint(proven.txid, proven.vout)].number;
        if (known != 0) revert DepositKnown(proven.txid, proven.vout, known);
        address recipient = proof.terms.recipient;
        if (recipient == address(0) || recipient == address(this)) revert BadRecipient(recipient);

        bytes calldata script;
        (proven.amountSat, script) = BitcoinTransaction.output(proof.transaction, proof.vout);
        if (script.length != 34 || bytes2(script[0:2]) != 0x5120) revert NotTaproot(proven.txid, proven.vout);
        if (proven.amountSat < _parameters.minDepositSat) revert DepositTooSmall(proven.amountSat, _parameters.minDepositSat);

        proven.outputKey = bytes32(script[2:34]);
        proven.merkleRoot = DepositScript.leafHash(_networkId, proof.terms, _parameters.reclaimDelay);
        bytes32 groupKey = federation.groupKey(proven.epoch);
        if (groupKey == 0) revert NoGroupKey(proven.epoch);
        if (!Taproot.isTweaked(groupKey, proven.merkleRoot, proven.outputKey, proof.outputKeyY)) {
            revert WrongDepositKey(proven.outputKey, groupKey, proven.merkleRoot);
        }
    }

    function _requireAge(DepositProof calldata proof, bytes32 blockHash) private view {
        uint32 confirmations = lightClient.confirmations(blockHash);
        if (confirmations < COINBASE_MATURITY && MerkleProof.isCoinbase(proof.transaction)) {
            revert CoinbaseImmature(confirmations, COINBASE_MATURITY);
        }
        // docs/architecture.md#deposit-addresses: later its owner could reclaim it before the vault transaction confirms, and void that for all
        // others in it.
        uint32 max = _parameters.reclaimDelay / 2;
        if (confirmations > max) revert DepositTooOld(confirmations, max);
    }

    /// Pays coins out. A recipient that refuses them, or uses too much gas, cannot stop the caller: it finds them by `claim`.
    function _deliver(address recipient, uint64 amountSat) internal {
        if (gasleft() < GAS_BEFORE_DELIVERY) revert MoreGasNeeded(gasleft(), GAS_BEFORE_DELIVERY);
        uint256 amountWei = uint256(amountSat) * WEI_PER_SAT;
        bool delivered;
        assembly ("memory-safe") {
            // Its return data is not copied, so it cannot make this run out of gas either.
            delivered := call(DELIVERY_GAS, recipient, amountWei, 0, 0, 0, 0)
        }
        if (delivered) return;
        claimable[recipient] += amountSat;
        emit Claimable(recipient, amountSat);
    }

    function claim(address to) external nonReentrant {
        uint64 amountSat = claimable[msg.sender];
        if (amountSat == 0) revert NothingToClaim(msg.sender);
        claimable[msg.sender] = 0;
        emit Claimed(msg.sender, to, amountSat);
        _send(to, amountSat);
    }

    /// Pays coins to an account that its owner named; reverts when it refuses them.
    function _send(address to, uint64 amountSat) internal {
        (bool sent,) = to.call{value: uint256(amountSat) * WEI_PER_SAT}("");
        if (!sent) revert TransferFailed(to);
    }
}
