// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IBitcoinLightClient} from "../interfaces/IBitcoinLightClient.sol";
import {IBridge} from "../interfaces/IBridge.sol";
import {IFederation} from "../interfaces/IFederation.sol";
import {NumberList} from "./NumberList.sol";

/// The ledger's storage. Statuses that can be derived are not stored: a deposit, a withdrawal and a vault output have the status that the
/// vault transaction they are in gives them (docs/adr/0012).
abstract contract BridgeState is IBridge {
    /// In satoshi. Invariant (docs/architecture.md#the-block-rule): supply + owed + held <= vault + deficit, where supply is 21,000,000
    /// coins less this contract's balance.
    struct Ledger {
        /// In settled vault outputs.
        uint64 vaultSat;
        /// To withdrawals that are queued or being paid.
        uint64 owedSat;
        /// For vault transactions without participants.
        uint64 heldSat;
        /// Lost by reorganisations and not covered yet.
        uint64 deficitSat;
    }

    struct DepositRecord {
        address recipient;
        /// The vault transaction that sweeps it; 0: not in the ledger.
        uint64 number;
        uint64 amountSat;
        /// Its part of the sweep's cost.
        uint64 shareSat;
        bytes32 outputKey;
    }

    struct WithdrawalRecord {
        address owner;
        /// The vault transaction that pays it; 0: none yet.
        uint64 number;
        bool cancelled;
        uint64 amountSat;
        uint64 maxFeeSat;
        /// Its part of the vault transaction's cost; 0 while queued.
        uint64 shareSat;
        bytes script;
    }

    struct VaultRecord {
        bytes32 txid;
        /// The block it settled in; zero before, and while unsettled.
        bytes32 blockHash;
        uint64 feeSat;
        /// Amount of output 0.
        uint64 changeSat;
        /// Sum of its deposits and withdrawals.
        uint64 valueSat;
        uint32 requiredConfirmations;
        VaultStatus status;
        /// How many of its inputs are deposits: the first ones; the others are vault outputs.
        uint16 deposits;
        /// Sum of the vault outputs it spends.
        uint64 spentSat;
        /// Sum of its withdrawals before fees.
        uint64 grossSat;
        /// While unsettled: what left `vaultSat`.
        uint64 lostSat;
        uint32 epoch;
        /// The vault transaction that spends its output 0; 0 if none.
        uint32 spentBy;
        /// Ids of the withdrawals it pays.
        uint64[] withdrawals;
    }

    uint256 internal constant WEI_PER_SAT = 1e10;

    /// Slot 0: nodes and auditors read it by its proof.
    Ledger internal _ledger;
    Parameters internal _parameters;

    mapping(bytes32 outpoint => DepositRecord) internal _deposits;
    mapping(uint256 id => WithdrawalRecord) internal _withdrawals;
    mapping(uint256 number => VaultRecord) internal _vault;
    mapping(bytes32 txid => uint256 number) internal _numberOf;
    NumberList.List internal _queue;
    NumberList.List internal _available;
    uint256 public withdrawalCount;
    uint256 public vaultTransactionCount;
    mapping(address account => uint64 amountSat) public claimable;

    bool private transient _entered;

    IBitcoinLightClient public immutable lightClient;
    IFederation public immutable federation;
    bytes32 internal immutable _networkId;

    /// Coins leave only at the end of a function; this guards the rest of the contract meanwhile.
    modifier nonReentrant() {
        if (_entered) revert Reentered();
        _entered = true;
        _;
        _entered = false;
    }

    constructor(IBitcoinLightClient lightClient_, IFederation federation_) {
        lightClient = lightClient_;
        federation = federation_;
        _networkId = federation_.networkId();
    }

    function _outpoint(bytes32 txid, uint32 vout) internal pure returns (bytes32) {
        return keccak256(abi.encode(txid, vout));
    }

    function _wholeSat(uint256 valueWei) internal pure returns (uint64) {
        if (valueWei % WEI_PER_SAT != 0) revert NotWholeSat(valueWei);
        uint256 amountSat = valueWei / WEI_PER_SAT;
        if (amountSat == 0 || amountSat > type(uint64).max) revert AmountOutOfRange(amountSat, 1);
        return uint64(amountSat);
    }

    function _withdrawalStatus(WithdrawalRecord storage record) internal view returns (WithdrawalStatus) {
        if (record.owner == address(0)) return WithdrawalStatus.None;
        if (record.cancelled) return WithdrawalStatus.Cancelled;
        if (record.number == 0) return WithdrawalStatus.Queued;
        return _vault[record.number].status == VaultStatus.Settled ? WithdrawalStatus.Paid : WithdrawalStatus.Paying;
    }

    function _depositStatus(DepositRecord storage record) internal view returns (DepositStatus) {
        if (record.number == 0) return DepositStatus.None;
        // Minted stays minted: a reorganisation is booked as a deficit, not taken from the recipient.
        return _vault[record.number].status == VaultStatus.Proposed ? DepositStatus.Sweeping : DepositStatus.Minted;
    }

    function _outputStatus(VaultRecord storage record) internal view returns (OutputStatus) {
        if (record.status == VaultStatus.None) return OutputStatus.None;
        if (record.status == VaultStatus.Proposed) return OutputStatus.Pending;
        if (record.status == VaultStatus.Unsettled) return OutputStatus.Frozen;
        if (record.spentBy == 0) return OutputStatus.Available;
        VaultStatus spender = _vault[record.spentBy].status;
        return spender == VaultStatus.Settled || spender == VaultStatus.Unsettled ? OutputStatus.Spent : OutputStatus.Spending;
    }
}
