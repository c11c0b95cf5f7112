// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ByteWriter} from "../ByteWriter.sol";
import {IBitcoinLightClient} from "../interfaces/IBitcoinLightClient.sol";
import {BitcoinTransaction} from "./BitcoinTransaction.sol";
import {FeeShares} from "./FeeShares.sol";
import {NumberList} from "./NumberList.sol";
import {Withdrawals} from "./Withdrawals.sol";

/// The one kind of transaction that moves bitcoin of the peg, and its states:
///
///     Proposed --settle--> Settled --unsettle (its block left the best chain)--> Unsettled --settle--> Settled
///
/// A vault transaction settles after all those whose outputs it spends, and is unsettled before them. So the settled ones always form whole
/// chains, and `vaultSat` is the sum of settled outputs that no settled or once settled one spends.
abstract contract VaultTransactions is Withdrawals {
    using BitcoinTransaction for bytes;
    using BitcoinTransaction for ByteWriter.Writer;
    using NumberList for NumberList.List;

    /// As many as one settlement can mint within a transaction's gas (EIP-7825: 2^24), whatever the recipients do.
    uint256 private constant MAX_DEPOSITS = 64;
    /// Dust limit of a taproot output.
    uint64 private constant MIN_CHANGE_SAT = 330;
    /// amount, script length, `5120<key>`
    uint256 private constant CHANGE_BYTES = 43;
    uint256 private constant ANCHOR_BYTES = 13;

    /// A vault transaction in the making.
    struct Draft {
        uint256 number;
        uint32 epoch;
        SpentOutput[] inputs;
        /// Sum of the deposits.
        uint256 depositsSat;
        /// Sum of the vault outputs spent.
        uint256 spentSat;
        /// Sum of the withdrawals before fees.
        uint256 grossSat;
        /// Of the withdrawals.
        bytes[] scripts;
        /// By participant: deposits first, then withdrawals.
        uint256[] weights;
        uint64[] shares;
        uint256 outputBytes;
    }

    // ------------------------------------------------------------------ propose

    function propose(Proposal calldata proposal) external nonReentrant returns (uint256 number) {
        if (proposal.network != _networkId) revert WrongNetwork(proposal.network, _networkId);
        if (federation.indexOf(msg.sender) == 0) revert NotAMember(msg.sender);
        _requireShape(proposal);

        Draft memory draft;
        draft.number = number = ++vaultTransactionCount;
        draft.epoch = federation.epoch();
        _takeInputs(proposal, draft);
        _takeWithdrawals(proposal, draft);
        uint256 cost = uint256(proposal.feeSat) + BitcoinTransaction.ANCHOR_SAT;
        if (draft.weights.length == 0) _payFromReserve(cost);
        else draft.shares = FeeShares.split(cost, draft.weights);
        _shareAmongDeposits(proposal, draft);
        _shareAmongWithdrawals(proposal, draft);

        uint256 stripped =
            BitcoinTransaction.strippedSize(draft.inputs.length, proposal.withdrawals.length + 2, draft.outputBytes);
        _requireFee(proposal.feeSat, BitcoinTransaction.vsize(stripped, draft.inputs.length));
        uint64 changeSat = _change(draft, cost);
        bytes memory transaction = _write(proposal, draft, stripped, changeSat);
        bytes32 txid = sha256(bytes.concat(sha256(transaction)));
        _record(proposal, draft, txid, changeSat);
        emit VaultTransactionProposed(number, txid, msg.sender, proposal.feeSat, transaction, draft.inputs);
    }

    function maxDeposits() external pure returns (uint256) {
        return MAX_DEPOSITS;
    }

    function _requireShape(Proposal calldata proposal) private view {
        if (proposal.deposits.length > MAX_DEPOSITS) revert TooManyDeposits(proposal.deposits.length, MAX_DEPOSITS);
        if (proposal.deposits.length + proposal.vaultInputs.length == 0) revert NoInputs();
        // docs/architecture.md#reorganisations: no withdrawal while there is a deficit.
        if (proposal.withdrawals.length != 0 && _ledger.deficitSat != 0) revert WithdrawalsStopped(_ledger.deficitSat);
    }

    /// Binds deposits and vault outputs to the draft. Anything that is bound already is refused, so nothing can be named twice.
    function _takeInputs(Proposal calldata proposal, Draft memory draft) private {
        uint256 deposits = proposal.deposits.length;
        draft.inputs = new SpentOutput[](deposits + proposal.vaultInputs.length);
        for (uint256 i = 0; i < deposits; ++i) {
            SpentOutput memory input = draft.inputs[i] = _provenDeposit(proposal.deposits[i]);
            DepositRecord storage record = _deposits[_outpoint(input.txid, input.vout)];
            record.recipient = proposal.deposits[i].terms.recipient;
            record.number = uint64(draft.number);
            record.amountSat = input.amountSat;
            record.outputKey = input.outputKey;
            draft.depositsSat += input.amountSat;
        }
        for (uint256 i = 0; i < proposal.vaultInputs.length; ++i) {
            uint256 spent = proposal.vaultInputs[i];
            VaultRecord storage record = _vault[spent];
            OutputStatus status = _outputStatus(record);
            if (status != OutputStatus.Available) revert OutputNotAvailable(spent, status);
            record.spentBy = uint32(draft.number);
            _available.remove(spent);
            draft.spentSat += record.changeSat;
            draft.inputs[deposits + i] = SpentOutput(
                record.txid, 0, record.changeSat, federation.vaultKey(record.epoch), federation.recoveryLeaf(), record.epoch
            );
        }
    }

    /// Binds withdrawals to the draft, in the same way.
    function _takeWithdrawals(Proposal calldata proposal, Draft memory draft) private {
        uint256 deposits = proposal.deposits.length;
        draft.weights = new uint256[](deposits + proposal.withdrawals.length);
        draft.scripts = new bytes[](proposal.withdrawals.length);
        draft.outputBytes = CHANGE_BYTES + ANCHOR_BYTES;
        for (uint256 i = 0; i < deposits; ++i) {
            draft.weights[i] = FeeShares.DEPOSIT_WEIGHT;
        }
        for (uint256 i = 0; i < proposal.withdrawals.length; ++i) {
            uint256 id = proposal.withdrawals[i];
            WithdrawalRecord storage record = _withdrawals[id];
            WithdrawalStatus status = _withdrawalStatus(record);
            if (status != WithdrawalStatus.Queued) revert WithdrawalNotQueued(id, status);
            record.number = uint64(draft.number);
            _queue.remove(id);
            bytes memory script = draft.scripts[i] = record.script;
            draft.weights[deposits + i] = FeeShares.withdrawalWeight(script.length);
            draft.grossSat += record.amountSat;
            draft.outputBytes += 9 + script.length;
        }
    }

    function _payFromReserve(uint256 cost) private {
        if (_ledger.heldSat < cost) revert ReserveTooSmall(_ledger.heldSat, cost);
        _ledger.heldSat -= uint64(cost);
    }

    function _shareAmongDeposits(Proposal calldata proposal, Draft memory draft) private {
        for (uint256 i = 0; i < proposal.deposits.length; ++i) {
            SpentOutput memory input = draft.inputs[i];
            DepositTerms calldata terms = proposal.deposits[i].terms;
            uint64 shareSat = draft.shares[i];
            if (shareSat > terms.maxFeeSat) revert ShareTooLarge(i, shareSat, terms.maxFeeSat);
            if (shareSat >= input.amountSat) revert ShareTooLarge(i, shareSat, input.amountSat - 1);
            _deposits[_outpoint(input.txid, input.vout)].shareSat = shareSat;
            emit DepositSweeping(
                input.outputKey, terms.recipient, input.txid, input.vout, input.amountSat, shareSat, draft.number
            );
        }
    }

    function _shareAmongWithdrawals(Proposal calldata proposal, Draft memory draft) private {
        uint256 deposits = proposal.deposits.length;
        for (uint256 i = 0; i < proposal.withdrawals.length; ++i) {
            uint256 id = proposal.withdrawals[i];
            WithdrawalRecord storage record = _withdrawals[id];
            uint64 shareSat = draft.shares[deposits + i];
            if (shareSat > record.maxFeeSat) revert ShareTooLarge(deposits + i, shareSat, record.maxFeeSat);
            record.shareSat = shareSat;
            emit WithdrawalPaying(id, draft.number, shareSat);
        }
    }

    function _requireFee(uint64 feeSat, uint256 vsize) private view {
        if (vsize > BitcoinTransaction.MAX_VSIZE) revert TransactionTooLarge(vsize, BitcoinTransaction.MAX_VSIZE);
        uint256 minSat = _parameters.minFeeRate * vsize;
        uint256 maxSat = _parameters.maxFeeRate * vsize;
        if (feeSat < minSat || feeSat > maxSat) revert FeeOutOfBounds(feeSat, minSat, maxSat);
    }

    /// All that comes in and is neither paid out nor spent on the transaction goes back to the vault.
    function _change(Draft memory draft, uint256 cost) private pure returns (uint64) {
        uint256 inputsSat = draft.depositsSat + draft.spentSat;
        uint256 outputsSat = draft.grossSat + cost;
        for (uint256 i = draft.weights.length - draft.scripts.length; i < draft.weights.length; ++i) {
            outputsSat -= draft.shares[i];
        }
        if (inputsSat < outputsSat + MIN_CHANGE_SAT) revert ChangeTooSmall(inputsSat, outputsSat, MIN_CHANGE_SAT);
        return uint64(inputsSat - outputsSat);
    }

    function _write(Proposal calldata proposal, Draft memory draft, uint256 stripped, uint64 changeSat)
        private
        view
        returns (bytes memory)
    {
        bytes32 vaultKey = federation.vaultKey(draft.epoch);
        if (vaultKey == 0) revert NoGroupKey(draft.epoch);
        ByteWriter.Writer memory writer = BitcoinTransaction.start(stripped, draft.inputs);
        ByteWriter.putCount(writer, draft.scripts.length + 2);
        writer.putOutput(changeSat, bytes.concat(hex"5120", vaultKey));
        for (uint256 i = 0; i < draft.scripts.length; ++i) {
            uint64 shareSat = draft.shares[proposal.deposits.length + i];
            writer.putOutput(_withdrawals[proposal.withdrawals[i]].amountSat - shareSat, draft.scripts[i]);
        }
        writer.putOutput(BitcoinTransaction.ANCHOR_SAT, BitcoinTransaction.ANCHOR_SCRIPT);
        return writer.finish();
    }

    function _record(Proposal calldata proposal, Draft memory draft, bytes32 txid, uint64 changeSat) private {
        VaultRecord storage record = _vault[draft.number];
        uint256 valueSat = draft.depositsSat + draft.grossSat;
        record.txid = txid;
        record.feeSat = proposal.feeSat;
        record.changeSat = changeSat;
        record.valueSat = uint64(valueSat);
        record.requiredConfirmations = _requiredConfirmations(valueSat);
        record.status = VaultStatus.Proposed;
        record.deposits = uint16(proposal.deposits.length);
        record.spentSat = uint64(draft.spentSat);
        record.grossSat = uint64(draft.grossSat);
        record.epoch = draft.epoch;
        for (uint256 i = 0; i < proposal.withdrawals.length; ++i) {
            record.withdrawals.push(uint64(proposal.withdrawals[i]));
        }
        _numberOf[txid] = draft.number;
    }

    /// docs/architecture.md#confirmations-by-value
    function _requiredConfirmations(uint256 valueSat) private view returns (uint32) {
        uint256 tier = 0;
        while (_parameters.tiers[tier].upToSat < valueSat) {
            ++tier;
        }
        return _parameters.tiers[tier].confirmations;
    }

    // ------------------------------------------------------------------ settle

    function settle(uint256 number, bytes calldata transaction, IBitcoinLightClient.InclusionProof calldata inclusion)
        external
        nonReentrant
    {
        VaultRecord storage record = _vault[number];
        if (record.status == VaultStatus.None) revert NoSuchVaultTransaction(number);
        if (record.status == VaultStatus.Settled && lightClient.confirmations(record.blockHash) != 0) {
            revert AlreadySettled(number);
        }
        (bytes32 txid, bytes32 blockHash) = lightClient.requireIncluded(transaction, inclusion);
        if (txid != record.txid) revert WrongTransaction(txid, record.txid);
        uint32 confirmations = lightClient.confirmations(blockHash);
        if (confirmations < record.requiredConfirmations) {
            revert TooFewConfirmations(confirmations, record.requiredConfirmations);
        }
        _requireInputsSettled(number, record.deposits, transaction);

        VaultStatus before = record.status;
        record.status = VaultStatus.Settled;
        record.blockHash = blockHash;
        emit VaultTransactionSettled(number, txid, blockHash);
        // Its block left the best chain, and another holds it before anyone unsettled it: only the block is new.
        if (before == VaultStatus.Settled) return;

        if (before == VaultStatus.Proposed) _bookSettled(record);
        else _bookSettledAgain(record);
        if (record.spentBy == 0) _available.append(number);
        for (uint256 i = 0; i < record.withdrawals.length; ++i) {
            emit WithdrawalPaid(record.withdrawals[i], number);
        }
        if (before == VaultStatus.Proposed) _mint(number, record.deposits, transaction);
    }

    function _requireInputsSettled(uint256 number, uint256 deposits, bytes calldata transaction) private view {
        uint256 inputs = transaction.inputCount();
        for (uint256 i = deposits; i < inputs; ++i) {
            (bytes32 txid,) = transaction.outpoint(i);
            uint256 input = _numberOf[txid];
            if (_vault[input].status != VaultStatus.Settled) revert InputNotSettled(number, input);
        }
    }

    function _bookSettled(VaultRecord storage record) private {
        _ledger.vaultSat = _ledger.vaultSat + record.changeSat - record.spentSat;
        _ledger.owedSat -= record.grossSat;
    }

    /// Reverses the books of `unsettle`. The part that was covered meanwhile goes to the reserve.
    function _bookSettledAgain(VaultRecord storage record) private {
        uint64 bookedSat = record.lostSat + record.grossSat;
        uint64 openSat = bookedSat < _ledger.deficitSat ? bookedSat : _ledger.deficitSat;
        _ledger.vaultSat += record.lostSat;
        _ledger.owedSat -= record.grossSat;
        _ledger.deficitSat -= openSat;
        _ledger.heldSat += bookedSat - openSat;
        record.lostSat = 0;
    }

    /// Only at the first settlement; all books are closed before, since recipients' code runs.
    function _mint(uint256 number, uint256 deposits, bytes calldata transaction) private {
        for (uint256 i = 0; i < deposits; ++i) {
            (bytes32 txid, uint32 vout) = transaction.outpoint(i);
            DepositRecord storage record = _deposits[_outpoint(txid, vout)];
            uint64 mintedSat = record.amountSat - record.shareSat;
            emit DepositMinted(record.outputKey, record.recipient, txid, vout, mintedSat, number);
            _deliver(record.recipient, mintedSat);
        }
    }

    // ------------------------------------------------------------------ unsettle

    function unsettle(uint256 number) external nonReentrant {
        // docs/architecture.md#reorganisations
        VaultRecord storage record = _vault[number];
        if (record.status != VaultStatus.Settled) revert NotSettled(number, record.status);
        bytes32 blockHash = record.blockHash;
        uint32 confirmations = lightClient.confirmations(blockHash);
        if (confirmations != 0) revert StillConfirmed(number, confirmations);
        uint256 spender = record.spentBy;
        VaultStatus spenderStatus = _vault[spender].status;
        if (spenderStatus == VaultStatus.Settled) revert SpenderSettled(number, spender);

        if (spender == 0) _available.remove(number);
        // Once settled, the spender took this output out of the vault; its own loss, booked already, has it.
        uint64 lostSat = spenderStatus == VaultStatus.Unsettled ? 0 : record.changeSat;
        record.status = VaultStatus.Unsettled;
        record.blockHash = 0;
        record.lostSat = lostSat;
        _ledger.vaultSat -= lostSat;
        _ledger.owedSat += record.grossSat;
        _ledger.deficitSat += lostSat + record.grossSat;
        emit VaultTransactionUnsettled(number, record.txid, blockHash);
    }

    // ------------------------------------------------------------------ giving coins up

    function coverDeficit() external payable nonReentrant {
        uint64 amountSat = _wholeSat(msg.value);
        if (amountSat > _ledger.deficitSat) revert MoreThanDeficit(amountSat, _ledger.deficitSat);
        _ledger.deficitSat -= amountSat;
        emit DeficitCovered(msg.sender, amountSat);
    }

    function fundReserve() external payable nonReentrant {
        uint64 amountSat = _wholeSat(msg.value);
        _ledger.heldSat += amountSat;
        emit ReserveFunded(msg.sender, amountSat);
    }
}
