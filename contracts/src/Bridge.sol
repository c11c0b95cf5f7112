// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IBitcoinLightClient} from "./interfaces/IBitcoinLightClient.sol";
import {IFederation} from "./interfaces/IFederation.sol";
import {BridgeState} from "./bridge/BridgeState.sol";
import {NumberList} from "./bridge/NumberList.sol";
import {VaultTransactions} from "./bridge/VaultTransactions.sol";

/// The peg's ledger. It holds 21,000,000 coins at genesis: to mint is to pay out of its balance, to burn is to pay into it.
///
/// The rules are in the contracts it is made of, one for each concept: Deposits, Withdrawals, VaultTransactions (the state machine) over
/// BridgeState. This file has the parameters and the answers.
contract Bridge is VaultTransactions {
    using NumberList for NumberList.List;

    /// Reverts with InvalidParameters.
    /// @param parameters_ kept for ever.
    /// @param lightClient_ proves transactions and counts confirmations.
    /// @param federation_ says who may propose, and which keys are in force.
    constructor(Parameters memory parameters_, IBitcoinLightClient lightClient_, IFederation federation_)
        BridgeState(lightClient_, federation_)
    {
        // Half of it is the age up to which a deposit is swept.
        if (parameters_.reclaimDelay < 2) revert InvalidParameters("reclaimDelay is below 2 blocks");
        if (parameters_.minFeeRate == 0) revert InvalidParameters("minFeeRate is 0");
        if (parameters_.minFeeRate > parameters_.maxFeeRate) revert InvalidParameters("minFeeRate is above maxFeeRate");
        Tier[] memory tiers = parameters_.tiers;
        if (tiers.length == 0) revert InvalidParameters("no tiers");
        for (uint256 i = 0; i < tiers.length; ++i) {
            if (tiers[i].confirmations == 0) revert InvalidParameters("a tier has 0 confirmations");
            if (i != 0 && tiers[i].upToSat <= tiers[i - 1].upToSat) revert InvalidParameters("tiers do not ascend");
        }
        if (tiers[tiers.length - 1].upToSat != type(uint64).max) revert InvalidParameters("the last tier has an upper end");
        _parameters = parameters_;
    }

    function parameters() external view returns (Parameters memory) {
        return _parameters;
    }

    function ledger() external view returns (uint64 vaultSat, uint64 owedSat, uint64 heldSat, uint64 deficitSat) {
        Ledger memory books = _ledger;
        return (books.vaultSat, books.owedSat, books.heldSat, books.deficitSat);
    }

    function deposit(bytes32 txid, uint32 vout) external view returns (Deposit memory) {
        DepositRecord storage record = _deposits[_outpoint(txid, vout)];
        return
            Deposit(_depositStatus(record), record.recipient, record.amountSat, record.shareSat, record.number, record.outputKey);
    }

    function withdrawal(uint256 id) external view returns (Withdrawal memory) {
        WithdrawalRecord storage record = _withdrawals[id];
        return Withdrawal(
            _withdrawalStatus(record),
            record.owner,
            record.amountSat,
            record.maxFeeSat,
            record.shareSat,
            record.number,
            record.script
        );
    }

    function vaultTransaction(uint256 number) external view returns (VaultTransaction memory) {
        VaultRecord storage record = _vault[number];
        return VaultTransaction(
            record.status,
            _outputStatus(record),
            record.txid,
            record.feeSat,
            record.changeSat,
            record.valueSat,
            record.requiredConfirmations,
            record.blockHash,
            record.epoch
        );
    }

    function availableVaultOutputs(uint256 limit) external view returns (uint256[] memory) {
        return _available.behind(0, limit);
    }
}
