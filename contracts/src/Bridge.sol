// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Coins} from "./bridge/Coins.sol";
import {Bounds} from "./bridge/Bounds.sol";
import {Losses} from "./bridge/Losses.sol";
import {Withdrawals} from "./bridge/Withdrawals.sol";
import {IBitcoinLightClient} from "./interfaces/IBitcoinLightClient.sol";
import {IDeposits} from "./interfaces/IDeposits.sol";
import {IFederation} from "./interfaces/IFederation.sol";
import {IVault} from "./interfaces/IVault.sol";

/// The peg's coins and books. It holds 21,000,000 coins at genesis: to mint is to pay out of its balance, to burn is to pay into it.
///
/// The rules are in the contracts it is made of, one for each concept: Losses (what is missing, and cover), over Withdrawals, Bounds and Coins (books, lock,
/// delivery). Which bitcoin moves is Vault's, what was paid in Deposits'. This file checks the parameters.
contract Bridge is Losses {
    /// Reverts with InvalidParameters.
    /// @param parameters_ kept for ever.
    /// @param lightClient_ proves transactions and counts confirmations.
    /// @param federation_ says who the members are, and which keys are in force.
    /// @param vault_ address at which the Vault is, or will be.
    /// @param deposits_ address at which the Deposits are, or will be.
    constructor(
        Parameters memory parameters_,
        IBitcoinLightClient lightClient_,
        IFederation federation_,
        IVault vault_,
        IDeposits deposits_
    ) Coins(parameters_, lightClient_, federation_, vault_, deposits_) Bounds(parameters_) Withdrawals(parameters_) {
        // Half of it is the age up to which a sweep needs no depth of its own.
        if (parameters_.reclaimDelay < 2) revert InvalidParameters("reclaimDelay is below 2 blocks");
        if (parameters_.minRate == 0) revert InvalidParameters("minRate is 0");
        if (parameters_.minRate > parameters_.maxRate) revert InvalidParameters("minRate is above maxRate");
        if (parameters_.maxRate > 1e9) revert InvalidParameters("maxRate is above 1,000,000 sat per vB");
        if (parameters_.floorRate > parameters_.maxRate) revert InvalidParameters("floorRate is above maxRate");
        if (parameters_.stopSat == 0) revert InvalidParameters("stopSat is 0");
        if (parameters_.windowSeconds == 0) revert InvalidParameters("windowSeconds is 0");
        if (parameters_.maxInputs == 0 || parameters_.maxPayouts == 0) revert InvalidParameters("no inputs or payouts");
        if (parameters_.alarmBlocks == 0) revert InvalidParameters("alarmBlocks is 0");
        _requireTiers(parameters_);
    }

    function _requireTiers(Parameters memory parameters_) private pure {
        Tier[] memory tiers = parameters_.tiers;
        if (tiers.length == 0) revert InvalidParameters("no tiers");
        if (tiers[0].confirmations == 0) revert InvalidParameters("a tier has 0 confirmations");
        for (uint256 i = 1; i < tiers.length; ++i) {
            bool ascends = tiers[i].upToSat > tiers[i - 1].upToSat && tiers[i].confirmations > tiers[i - 1].confirmations;
            if (!ascends) revert InvalidParameters("tiers do not ascend");
        }
        Tier memory last = tiers[tiers.length - 1];
        if (last.upToSat != type(uint64).max) revert InvalidParameters("the last tier has an upper end");
        if (last.confirmations != parameters_.finalBlocks) revert InvalidParameters("the last tier is not final");
    }
}
