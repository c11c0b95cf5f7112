// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IBitcoinLightClient} from "./IBitcoinLightClient.sol";

/// The peg's ledger: deposits, withdrawals, and the vault transactions that settle both. Amounts are in satoshi.
interface IBridge {
    /// Confirmations that a vault transaction needs when deposits and withdrawals in it sum up to at most `upToSat`.
    struct Tier {
        uint64 upToSat;
        uint32 confirmations;
    }

    struct Parameters {
        /// Blocks after which a depositor may take an unswept deposit back.
        uint16 reclaimDelay;
        uint64 minDepositSat;
        uint64 minWithdrawalSat;
        /// sat per vB
        uint32 minFeeRate;
        uint32 maxFeeRate;
        /// Ascending; the last has upToSat = type(uint64).max.
        Tier[] tiers;
    }

    /// What a deposit address commits to.
    struct DepositTerms {
        address recipient;
        bytes32 reclaimKey;
        uint64 maxFeeSat;
        uint32 epoch;
    }

    struct DepositProof {
        /// Stripped of its witness.
        bytes transaction;
        uint32 vout;
        DepositTerms terms;
        /// The y coordinate of the deposit's taproot output key.
        bytes32 outputKeyY;
        IBitcoinLightClient.InclusionProof inclusion;
    }

    struct Proposal {
        DepositProof[] deposits;
        /// Numbers of settled vault transactions, whose output 0 is spent.
        uint256[] vaultInputs;
        uint256[] withdrawals;
        uint64 feeSat;
    }

    struct SpentOutput {
        bytes32 txid;
        uint32 vout;
        uint64 amountSat;
        /// P2TR, x-only.
        bytes32 outputKey;
        /// Of the taproot tree: the deposit's leaf hash or the recovery leaf's.
        bytes32 merkleRoot;
        uint32 epoch;
    }

    enum DepositStatus {
        None,
        Sweeping,
        Minted
    }
    enum WithdrawalStatus {
        None,
        Queued,
        Paying,
        Paid,
        Cancelled
    }
    enum VaultStatus {
        None,
        Proposed,
        Settled,
        Unsettled
    }
    enum OutputStatus {
        None,
        Pending,
        Available,
        Spending,
        Spent,
        Frozen
    }

    struct Deposit {
        DepositStatus status;
        address recipient;
        uint64 amountSat;
        uint64 shareSat;
        uint256 number;
        bytes32 outputKey;
    }

    struct Withdrawal {
        WithdrawalStatus status;
        address owner;
        uint64 amountSat;
        uint64 maxFeeSat;
        uint64 shareSat;
        uint256 number;
        bytes script;
    }

    struct VaultTransaction {
        VaultStatus status;
        OutputStatus output;
        bytes32 txid;
        uint64 feeSat;
        /// Output 0.
        uint64 changeSat;
        /// Deposits and withdrawals: decides the confirmations.
        uint64 valueSat;
        uint32 requiredConfirmations;
        /// Settled in; zero before.
        bytes32 blockHash;
        uint32 epoch;
    }

    event VaultTransactionProposed(
        uint256 indexed number,
        bytes32 indexed txid,
        address indexed proposer,
        uint64 feeSat,
        bytes transaction,
        SpentOutput[] inputs
    );
    event VaultTransactionSettled(uint256 indexed number, bytes32 indexed txid, bytes32 blockHash);
    event VaultTransactionUnsettled(uint256 indexed number, bytes32 indexed txid, bytes32 blockHash);
    event DepositSweeping(
        bytes32 indexed outputKey,
        address indexed recipient,
        bytes32 txid,
        uint32 vout,
        uint64 amountSat,
        uint64 shareSat,
        uint256 number
    );
    event DepositMinted(
        bytes32 indexed outputKey, address indexed recipient, bytes32 txid, uint32 vout, uint64 mintedSat, uint256 number
    );
    event WithdrawalQueued(uint256 indexed id, address indexed owner, uint64 amountSat, uint64 maxFeeSat, bytes script);
    event WithdrawalCancelled(uint256 indexed id);
    event WithdrawalPaying(uint256 indexed id, uint256 indexed number, uint64 shareSat);
    event WithdrawalPaid(uint256 indexed id, uint256 indexed number);
    /// A recipient did not accept its coins at settlement: they wait for `claim`.
    event Claimable(address indexed recipient, uint64 amountSat);
    event Claimed(address indexed recipient, address indexed to, uint64 amountSat);
    event DeficitCovered(address indexed by, uint64 amountSat);
    event ReserveFunded(address indexed by, uint64 amountSat);

    error InvalidParameters(string reason);
    error Reentered();
    error NotAMember(address account);
    error NoGroupKey(uint32 epoch);
    error NoInputs();
    error TooManyDeposits(uint256 got, uint256 max);
    error NoSuchOutput(uint32 vout, uint256 outputs);
    /// The output is not a P2TR output.
    error NotTaproot(bytes32 txid, uint32 vout);
    /// The output's key is not what the terms, the group key and the given y coordinate make.
    error WrongDepositKey(bytes32 gotX, bytes32 groupKey, bytes32 leafHash);
    error BadRecipient(address recipient);
    error DepositKnown(bytes32 txid, uint32 vout, uint256 number);
    error DepositTooSmall(uint64 gotSat, uint64 minSat);
    /// Swept only while its owner is far from the right to reclaim it (half of the delay), so that no race can void a vault transaction.
    error DepositTooOld(uint32 confirmations, uint32 max);
    error CoinbaseImmature(uint32 confirmations, uint32 want);
    error OutputNotAvailable(uint256 number, OutputStatus status);
    error WithdrawalNotQueued(uint256 id, WithdrawalStatus status);
    error WithdrawalsStopped(uint64 deficitSat);
    error FeeOutOfBounds(uint64 gotSat, uint256 minSat, uint256 maxSat);
    error ShareTooLarge(uint256 participant, uint64 shareSat, uint64 maxSat);
    error TransactionTooLarge(uint256 gotVsize, uint256 maxVsize);
    error ChangeTooSmall(uint256 inputsSat, uint256 outputsSat, uint64 minSat);
    error ReserveTooSmall(uint64 heldSat, uint256 wantSat);
    error NoSuchVaultTransaction(uint256 number);
    error WrongTransaction(bytes32 gotTxid, bytes32 wantTxid);
    error TooFewConfirmations(uint32 got, uint32 want);
    error AlreadySettled(uint256 number);
    error NotSettled(uint256 number, VaultStatus status);
    /// A vault transaction settles after those whose outputs it spends.
    error InputNotSettled(uint256 number, uint256 input);
    error StillConfirmed(uint256 number, uint32 confirmations);
    /// A vault transaction is unsettled after the one that spends its output.
    error SpenderSettled(uint256 number, uint256 spender);
    error NotWholeSat(uint256 valueWei);
    error AmountOutOfRange(uint256 gotSat, uint64 minSat);
    /// The payout would be dust or nothing if the whole fee were taken.
    error FeeLeavesDust(uint64 amountSat, uint64 maxFeeSat, uint64 dustSat);
    error ScriptNotStandard(bytes script);
    error NotOwner(address caller, address owner);
    error MoreThanDeficit(uint64 gotSat, uint64 deficitSat);
    error NothingToClaim(address account);
    error TransferFailed(address to);
    error MoreGasNeeded(uint256 left, uint256 want);
    error Malformed(string reason);

    /// A federation member fixes the next vault transaction, byte for byte. Numbers start at 1.
    function propose(Proposal calldata) external returns (uint256 number);

    /// Anyone shows that a vault transaction is confirmed: deposits in it are minted, withdrawals paid. Also for one that is settled,
    /// once its block has left the best chain: then only the block changes.
    function settle(uint256 number, bytes calldata transaction, IBitcoinLightClient.InclusionProof calldata inclusion) external;

    /// Anyone shows that the block in which a vault transaction settled has left the best chain.
    function unsettle(uint256 number) external;

    /// Queues a payout of the coins sent along to `script` on Bitcoin, of which at most `maxFeeSat` goes to fees.
    function withdraw(bytes calldata script, uint64 maxFeeSat) external payable returns (uint256 id);

    /// The owner takes a queued withdrawal's coins back.
    function cancel(uint256 id) external;

    /// Takes coins that could not be delivered at settlement, for the caller, to any account.
    function claim(address to) external;

    /// Gives coins up to make good for a deficit.
    function coverDeficit() external payable;

    /// Gives coins up to pay for vault transactions that have no participants.
    function fundReserve() external payable;

    function deposit(bytes32 txid, uint32 vout) external view returns (Deposit memory);

    function withdrawal(uint256 id) external view returns (Withdrawal memory);

    function vaultTransaction(uint256 number) external view returns (VaultTransaction memory);

    function vaultTransactionCount() external view returns (uint256);

    /// Ids start at 1.
    function withdrawalCount() external view returns (uint256);

    /// The oldest first.
    function queuedWithdrawals(uint256 limit) external view returns (uint256[] memory ids);

    /// As queuedWithdrawals, from the one behind `id`, which must itself be queued.
    function queuedWithdrawalsAfter(uint256 id, uint256 limit) external view returns (uint256[] memory ids);

    function availableVaultOutputs(uint256 limit) external view returns (uint256[] memory numbers);

    function ledger() external view returns (uint64 vaultSat, uint64 owedSat, uint64 heldSat, uint64 deficitSat);

    function parameters() external view returns (Parameters memory);

    /// Satoshis that `claim` would deliver.
    function claimable(address account) external view returns (uint64);

    /// Deposits that one vault transaction may sweep: what one settlement can mint within a transaction's gas.
    function maxDeposits() external view returns (uint256);
}
