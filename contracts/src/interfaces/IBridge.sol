// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IBitcoinLightClient} from "./IBitcoinLightClient.sol";

/// The peg's ledger: deposits, withdrawals, and the vault transactions that settle both.
///
/// Amounts whose name ends in `Sat` are in satoshi; coins sent along or paid out are in wei (1 sat = 10^10 wei). Hashes of Bitcoin
/// are in internal byte order (as hashed), public keys x-only (BIP340), Bitcoin transactions raw bytes without witness, sizes in
/// bytes or virtual bytes (vB, BIP141). Numbers of vault transactions and ids of withdrawals start at 1; 0 means none.
interface IBridge {
    /// Confirmations that a vault transaction needs when deposits and withdrawals in it sum up to at most `upToSat`.
    struct Tier {
        /// Upper end of the tier, included.
        uint64 upToSat;
        /// Blocks, the one that holds the transaction counted; at least 1.
        uint32 confirmations;
    }

    /// Set when the contract is made, and never changed.
    struct Parameters {
        /// Blocks after which a depositor may take an unswept deposit back (a relative timelock, BIP68); at least 2.
        uint16 reclaimDelay;
        /// Smallest deposit that is swept.
        uint64 minDepositSat;
        /// Smallest withdrawal that is queued.
        uint64 minWithdrawalSat;
        /// Lowest fee rate of a vault transaction, in sat per vB; at least 1.
        uint32 minFeeRate;
        /// Highest fee rate of a vault transaction, in sat per vB.
        uint32 maxFeeRate;
        /// Ascending; the last has upToSat = type(uint64).max.
        Tier[] tiers;
    }

    /// What a deposit address commits to, together with the chain id, this contract's address and the reclaim delay.
    struct DepositTerms {
        /// Gets the coins.
        address recipient;
        /// X-only key that can take the deposit back on Bitcoin after the reclaim delay.
        bytes32 reclaimKey;
        /// The most that the deposit pays of its sweep's cost.
        uint64 maxFeeSat;
        /// Epoch of the group key that the address is made of.
        uint32 epoch;
    }

    /// Shows that a deposit address was paid.
    struct DepositProof {
        /// The transaction that pays it, stripped of its witness.
        bytes transaction;
        /// Place of the output that pays it, from 0.
        uint32 vout;
        /// What the address commits to.
        DepositTerms terms;
        /// The y coordinate of the deposit's taproot output key.
        bytes32 outputKeyY;
        /// That the transaction is in a block.
        IBitcoinLightClient.InclusionProof inclusion;
    }

    /// What a vault transaction is to spend and to pay.
    struct Proposal {
        /// `networkId` of the Federation, so that nobody can repeat it on another network.
        bytes32 network;
        /// Deposits to sweep, at most `maxDeposits`.
        DepositProof[] deposits;
        /// Numbers of settled vault transactions, whose output 0 is spent.
        uint256[] vaultInputs;
        /// Ids of queued withdrawals to pay.
        uint256[] withdrawals;
        /// Miners' fee of the transaction. Its participants share this and the anchor output's 240 sat.
        uint64 feeSat;
    }

    /// An input of a vault transaction, with all that a signature of it needs.
    struct SpentOutput {
        /// Transaction that made the output.
        bytes32 txid;
        /// Place of the output in it, from 0.
        uint32 vout;
        /// Amount of the output.
        uint64 amountSat;
        /// Taproot output key, x-only.
        bytes32 outputKey;
        /// Of the taproot tree: the deposit's leaf hash or the recovery leaf's.
        bytes32 merkleRoot;
        /// Epoch of the group key that signs.
        uint32 epoch;
    }

    /// Minted stays Minted when the vault transaction is unsettled: the loss is booked as a deficit.
    enum DepositStatus {
        /// Not in the ledger.
        None,
        /// In a vault transaction that has not settled yet.
        Sweeping,
        /// Its coins were paid out, or wait for `claim`.
        Minted
    }

    /// From Queued either to Cancelled, or to Paying and Paid; back to Paying when the vault transaction is unsettled.
    enum WithdrawalStatus {
        /// No such id.
        None,
        /// Waits for a vault transaction; its owner can cancel it.
        Queued,
        /// In a vault transaction that is not settled.
        Paying,
        /// In a settled vault transaction.
        Paid,
        /// Given back to its owner.
        Cancelled
    }

    /// Proposed, then Settled; Unsettled while the block it settled in has left the best chain and no other was shown.
    enum VaultStatus {
        /// No such number.
        None,
        /// Fixed in the ledger, not shown to be confirmed.
        Proposed,
        /// Shown in a block of the best chain with the confirmations it needs.
        Settled,
        /// Was settled, and its block has left the best chain.
        Unsettled
    }

    /// State of a vault transaction's output 0, which pays the vault.
    enum OutputStatus {
        /// No such vault transaction.
        None,
        /// Its transaction is proposed.
        Pending,
        /// Settled and not spent: a proposal may name it.
        Available,
        /// A proposed vault transaction spends it.
        Spending,
        /// A vault transaction that spends it has settled, now or once.
        Spent,
        /// Its transaction is unsettled.
        Frozen
    }

    /// What `deposit` answers.
    struct Deposit {
        DepositStatus status;
        /// Gets the coins.
        address recipient;
        /// Paid to the deposit address.
        uint64 amountSat;
        /// Its part of the sweep's cost; `amountSat - shareSat` is minted.
        uint64 shareSat;
        /// The vault transaction that sweeps it.
        uint256 number;
        /// Taproot output key of the deposit address, x-only.
        bytes32 outputKey;
    }

    /// What `withdrawal` answers.
    struct Withdrawal {
        WithdrawalStatus status;
        /// Who asked for it, and may cancel it while it is queued.
        address owner;
        /// Taken from the owner; `amountSat - shareSat` is paid on Bitcoin.
        uint64 amountSat;
        /// The most that it pays of the vault transaction's cost.
        uint64 maxFeeSat;
        /// Its part of the vault transaction's cost; 0 while queued.
        uint64 shareSat;
        /// The vault transaction that pays it; 0 while queued.
        uint256 number;
        /// Output script that is paid on Bitcoin.
        bytes script;
    }

    /// What `vaultTransaction` answers.
    struct VaultTransaction {
        VaultStatus status;
        /// Of output 0, which pays the vault.
        OutputStatus output;
        /// Does not change when signatures are added.
        bytes32 txid;
        /// Miners' fee.
        uint64 feeSat;
        /// Amount of output 0.
        uint64 changeSat;
        /// Sum of its deposits and withdrawals: decides the confirmations.
        uint64 valueSat;
        /// By the tier of `valueSat`.
        uint32 requiredConfirmations;
        /// The block it settled in; zero before, and while unsettled.
        bytes32 blockHash;
        /// Epoch of the vault key that output 0 pays.
        uint32 epoch;
    }

    // ------------------------------------------------------------------ events

    /// A vault transaction is fixed in the ledger: the federation may sign it once this block is final.
    /// @param number of the vault transaction.
    /// @param txid of `transaction`.
    /// @param proposer the member that proposed it.
    /// @param feeSat miners' fee.
    /// @param transaction unsigned, without witness.
    /// @param inputs what its inputs spend, in their order: deposits first.
    event VaultTransactionProposed(
        uint256 indexed number,
        bytes32 indexed txid,
        address indexed proposer,
        uint64 feeSat,
        bytes transaction,
        SpentOutput[] inputs
    );

    /// A vault transaction was shown to be confirmed, or to be in another block than before.
    /// @param number of the vault transaction.
    /// @param txid of the vault transaction.
    /// @param blockHash of the block that holds it.
    event VaultTransactionSettled(uint256 indexed number, bytes32 indexed txid, bytes32 blockHash);

    /// The block in which a vault transaction settled has left the best chain.
    /// @param number of the vault transaction.
    /// @param txid of the vault transaction.
    /// @param blockHash of the block that held it.
    event VaultTransactionUnsettled(uint256 indexed number, bytes32 indexed txid, bytes32 blockHash);

    /// A deposit is in a proposed vault transaction.
    /// @param outputKey of the deposit address, x-only.
    /// @param recipient gets the coins.
    /// @param txid of the transaction that paid the address.
    /// @param vout the output that paid the address.
    /// @param amountSat paid to the address.
    /// @param shareSat its part of the sweep's cost.
    /// @param number of the vault transaction.
    event DepositSweeping(
        bytes32 indexed outputKey,
        address indexed recipient,
        bytes32 txid,
        uint32 vout,
        uint64 amountSat,
        uint64 shareSat,
        uint256 number
    );

    /// A deposit's coins were paid out, or (see Claimable) wait for their recipient.
    /// @param outputKey of the deposit address, x-only.
    /// @param recipient gets the coins.
    /// @param txid of the transaction that paid the address.
    /// @param vout the output that paid the address.
    /// @param mintedSat the deposit's amount less its share of the cost.
    /// @param number of the vault transaction.
    event DepositMinted(
        bytes32 indexed outputKey, address indexed recipient, bytes32 txid, uint32 vout, uint64 mintedSat, uint256 number
    );

    /// Coins were taken in, to be paid on Bitcoin.
    /// @param id of the withdrawal.
    /// @param owner who sent the coins.
    /// @param amountSat taken in.
    /// @param maxFeeSat the most of it that goes to fees.
    /// @param script output script to pay.
    event WithdrawalQueued(uint256 indexed id, address indexed owner, uint64 amountSat, uint64 maxFeeSat, bytes script);

    /// A withdrawal's coins went back to its owner.
    /// @param id of the withdrawal.
    event WithdrawalCancelled(uint256 indexed id);

    /// A withdrawal is in a proposed vault transaction, and can no longer be cancelled.
    /// @param id of the withdrawal.
    /// @param number of the vault transaction.
    /// @param shareSat its part of the cost.
    event WithdrawalPaying(uint256 indexed id, uint256 indexed number, uint64 shareSat);

    /// The vault transaction that pays a withdrawal has settled.
    /// @param id of the withdrawal.
    /// @param number of the vault transaction.
    event WithdrawalPaid(uint256 indexed id, uint256 indexed number);

    /// A recipient did not accept its coins at settlement: they wait for `claim`.
    /// @param recipient of the deposit.
    /// @param amountSat added to what waits.
    event Claimable(address indexed recipient, uint64 amountSat);

    /// Waiting coins were taken.
    /// @param recipient whose coins they were.
    /// @param to where they went.
    /// @param amountSat all that waited.
    event Claimed(address indexed recipient, address indexed to, uint64 amountSat);

    /// Somebody gave coins up against the deficit.
    /// @param by who sent them.
    /// @param amountSat that the deficit fell by.
    event DeficitCovered(address indexed by, uint64 amountSat);

    /// Somebody gave coins up for the reserve.
    /// @param by who sent them.
    /// @param amountSat that the reserve rose by.
    event ReserveFunded(address indexed by, uint64 amountSat);

    // ------------------------------------------------------------------ errors: making the contract, and who may call

    /// The constructor's parameters contradict each other.
    /// @param reason which rule they break.
    error InvalidParameters(string reason);

    /// A recipient's code called back while coins were on their way.
    error Reentered();

    /// The proposal is for another network: whoever has the same members could repeat it here.
    /// @param got network in the call.
    /// @param want this one.
    error WrongNetwork(bytes32 got, bytes32 want);

    /// Only members of the federation may propose.
    /// @param account that called.
    error NotAMember(address account);

    // ------------------------------------------------------------------ errors: proposing

    /// The federation has no key in force for this epoch.
    /// @param epoch that was asked for.
    error NoGroupKey(uint32 epoch);

    /// A proposal without deposits and without vault outputs.
    error NoInputs();

    /// More deposits than one settlement can mint.
    /// @param got deposits in the proposal.
    /// @param max `maxDeposits`.
    error TooManyDeposits(uint256 got, uint256 max);

    /// The transaction has no such output.
    /// @param vout asked for, from 0.
    /// @param outputs that the transaction has.
    error NoSuchOutput(uint32 vout, uint256 outputs);

    /// The output is not a P2TR output.
    /// @param txid of the transaction.
    /// @param vout of the output.
    error NotTaproot(bytes32 txid, uint32 vout);

    /// The output's key is not made of the terms, the group key and the given y coordinate.
    /// @param gotX x-only key in the output.
    /// @param groupKey x-only, of the terms' epoch.
    /// @param leafHash that the terms make.
    error WrongDepositKey(bytes32 gotX, bytes32 groupKey, bytes32 leafHash);

    /// The recipient is the zero address or this contract.
    /// @param recipient in the terms.
    error BadRecipient(address recipient);

    /// The deposit is in a vault transaction already.
    /// @param txid of the deposit.
    /// @param vout of the deposit.
    /// @param number of that vault transaction.
    error DepositKnown(bytes32 txid, uint32 vout, uint256 number);

    /// Below the smallest deposit that is swept.
    /// @param gotSat amount of the deposit.
    /// @param minSat `minDepositSat`.
    error DepositTooSmall(uint64 gotSat, uint64 minSat);

    /// Swept only while its owner is far from the right to reclaim it (half of the delay), so that no race can void a vault transaction.
    /// @param confirmations of the deposit.
    /// @param max half of `reclaimDelay`, in blocks.
    error DepositTooOld(uint32 confirmations, uint32 max);

    /// Bitcoin does not let a coinbase output be spent yet.
    /// @param confirmations of the deposit.
    /// @param want confirmations from which on it is swept.
    error CoinbaseImmature(uint32 confirmations, uint32 want);

    /// The vault output cannot be spent now.
    /// @param number of the vault transaction that made it.
    /// @param status of the output.
    error OutputNotAvailable(uint256 number, OutputStatus status);

    /// Only a queued withdrawal can be paid, cancelled or paged from.
    /// @param id of the withdrawal.
    /// @param status of the withdrawal.
    error WithdrawalNotQueued(uint256 id, WithdrawalStatus status);

    /// No withdrawal is proposed while there is a deficit.
    /// @param deficitSat not covered yet.
    error WithdrawalsStopped(uint64 deficitSat);

    /// The fee is outside the rates allowed for the transaction's size.
    /// @param gotSat proposed fee.
    /// @param minSat `minFeeRate` times the size.
    /// @param maxSat `maxFeeRate` times the size.
    error FeeOutOfBounds(uint64 gotSat, uint256 minSat, uint256 maxSat);

    /// A participant would pay more than it agreed to, or all it has.
    /// @param participant its place: deposits first, then withdrawals, from 0.
    /// @param shareSat its part of the cost.
    /// @param maxSat the most it can pay.
    error ShareTooLarge(uint256 participant, uint64 shareSat, uint64 maxSat);

    /// Larger than a version 3 transaction may be (BIP431).
    /// @param gotVsize size once signed, in vB.
    /// @param maxVsize limit in vB.
    error TransactionTooLarge(uint256 gotVsize, uint256 maxVsize);

    /// What remains for the vault is dust, or the inputs do not suffice.
    /// @param inputsSat sum of deposits and vault outputs.
    /// @param outputsSat sum of payouts, anchor and fee.
    /// @param minSat the smallest change.
    error ChangeTooSmall(uint256 inputsSat, uint256 outputsSat, uint64 minSat);

    /// A vault transaction without participants is paid from the reserve, which holds too little.
    /// @param heldSat in the reserve.
    /// @param wantSat cost of the transaction.
    error ReserveTooSmall(uint64 heldSat, uint256 wantSat);

    /// A Bitcoin transaction cannot be read.
    /// @param reason where it ends too early.
    error Malformed(string reason);

    // ------------------------------------------------------------------ errors: settling and unsettling

    /// No vault transaction has this number.
    /// @param number asked for.
    error NoSuchVaultTransaction(uint256 number);

    /// The proven transaction is not the one in the ledger.
    /// @param gotTxid proven.
    /// @param wantTxid in the ledger.
    error WrongTransaction(bytes32 gotTxid, bytes32 wantTxid);

    /// Not deep enough yet: try later.
    /// @param got confirmations of its block.
    /// @param want confirmations it needs.
    error TooFewConfirmations(uint32 got, uint32 want);

    /// Settled, and its block is still in the best chain.
    /// @param number of the vault transaction.
    error AlreadySettled(uint256 number);

    /// Only a settled vault transaction can be unsettled.
    /// @param number of the vault transaction.
    /// @param status of the vault transaction.
    error NotSettled(uint256 number, VaultStatus status);

    /// A vault transaction settles after those whose outputs it spends.
    /// @param number of the vault transaction.
    /// @param input the vault transaction to settle first.
    error InputNotSettled(uint256 number, uint256 input);

    /// The block it settled in is in the best chain.
    /// @param number of the vault transaction.
    /// @param confirmations of that block.
    error StillConfirmed(uint256 number, uint32 confirmations);

    /// A vault transaction is unsettled after the one that spends its output.
    /// @param number of the vault transaction.
    /// @param spender the vault transaction to unsettle first.
    error SpenderSettled(uint256 number, uint256 spender);

    /// Too little gas is left to deliver coins to a recipient: send more.
    /// @param left gas at hand.
    /// @param want gas needed before a delivery.
    error MoreGasNeeded(uint256 left, uint256 want);

    // ------------------------------------------------------------------ errors: coins in and out

    /// Coins sent along must be whole satoshis.
    /// @param valueWei sent along.
    error NotWholeSat(uint256 valueWei);

    /// Nothing, too little, or more than 2^64 - 1 satoshis.
    /// @param gotSat sent along.
    /// @param minSat the least accepted.
    error AmountOutOfRange(uint256 gotSat, uint64 minSat);

    /// The payout would be dust or nothing if the whole fee were taken.
    /// @param amountSat sent along.
    /// @param maxFeeSat the most of it that goes to fees.
    /// @param dustSat smallest output that Bitcoin Core relays to the script.
    error FeeLeavesDust(uint64 amountSat, uint64 maxFeeSat, uint64 dustSat);

    /// Not P2PKH, P2SH, or a witness program that Bitcoin Core relays.
    /// @param script asked for.
    error ScriptNotStandard(bytes script);

    /// Only its owner may cancel a withdrawal.
    /// @param caller of the function.
    /// @param owner of the withdrawal.
    error NotOwner(address caller, address owner);

    /// More coins than the deficit needs.
    /// @param gotSat sent along.
    /// @param deficitSat to be covered.
    error MoreThanDeficit(uint64 gotSat, uint64 deficitSat);

    /// No coins wait for the caller.
    /// @param account that called.
    error NothingToClaim(address account);

    /// The account refused the coins.
    /// @param to where they should have gone.
    error TransferFailed(address to);

    // ------------------------------------------------------------------ vault transactions

    /// A federation member fixes the next vault transaction, byte for byte. Nothing changes when it reverts.
    ///
    /// Reverts with WrongNetwork, NotAMember, TooManyDeposits, NoInputs or WithdrawalsStopped; for a deposit with the light client's errors of
    /// `requireIncluded`, CoinbaseImmature, DepositTooOld, DepositKnown, BadRecipient, NoSuchOutput, Malformed, NotTaproot,
    /// DepositTooSmall, NoGroupKey or WrongDepositKey; with OutputNotAvailable, WithdrawalNotQueued, ReserveTooSmall, ShareTooLarge,
    /// TransactionTooLarge, FeeOutOfBounds or ChangeTooSmall.
    /// @param proposal what it spends and pays.
    /// @return number of the vault transaction, one more than the last.
    function propose(Proposal calldata proposal) external returns (uint256 number);

    /// Anyone shows that a vault transaction is confirmed: deposits in it are minted, withdrawals paid. Also for one that is settled,
    /// once its block has left the best chain: then only the block changes.
    ///
    /// Reverts with NoSuchVaultTransaction, AlreadySettled, the light client's errors of `requireIncluded`, WrongTransaction,
    /// TooFewConfirmations, InputNotSettled or MoreGasNeeded.
    /// @param number of the vault transaction.
    /// @param transaction without witness.
    /// @param inclusion that it is in a block.
    function settle(uint256 number, bytes calldata transaction, IBitcoinLightClient.InclusionProof calldata inclusion) external;

    /// Anyone shows that the block in which a vault transaction settled has left the best chain. Its output and its withdrawals
    /// are booked as a deficit until it settles again. Reverts with NotSettled, StillConfirmed or SpenderSettled.
    /// @param number of the vault transaction.
    function unsettle(uint256 number) external;

    // ------------------------------------------------------------------ withdrawals and coins

    /// Queues a payout of the coins sent along (whole satoshis). Reverts with NotWholeSat, AmountOutOfRange, ScriptNotStandard or
    /// FeeLeavesDust.
    /// @param script output script to pay on Bitcoin.
    /// @param maxFeeSat the most of the coins that goes to fees.
    /// @return id of the withdrawal.
    function withdraw(bytes calldata script, uint64 maxFeeSat) external payable returns (uint256 id);

    /// The owner takes a queued withdrawal's coins back. Reverts with WithdrawalNotQueued, NotOwner or TransferFailed.
    /// @param id of the withdrawal.
    function cancel(uint256 id) external;

    /// Takes coins that could not be delivered to the caller at settlement. Reverts with NothingToClaim or TransferFailed.
    /// @param to gets the coins.
    function claim(address to) external;

    /// Gives the coins sent along (whole satoshis) up to make good for a deficit. Reverts with NotWholeSat, AmountOutOfRange or
    /// MoreThanDeficit.
    function coverDeficit() external payable;

    /// Gives the coins sent along (whole satoshis) up to pay for vault transactions that have no participants. Reverts with
    /// NotWholeSat or AmountOutOfRange.
    function fundReserve() external payable;

    // ------------------------------------------------------------------ answers

    /// A deposit; status None when the ledger does not know it.
    /// @param txid of the transaction that paid the address.
    /// @param vout of the output, from 0.
    function deposit(bytes32 txid, uint32 vout) external view returns (Deposit memory);

    /// A withdrawal; status None when there is no such id.
    /// @param id of the withdrawal.
    function withdrawal(uint256 id) external view returns (Withdrawal memory);

    /// A vault transaction; status None when there is no such number.
    /// @param number of the vault transaction.
    function vaultTransaction(uint256 number) external view returns (VaultTransaction memory);

    /// Vault transactions so far, which is the last one's number.
    function vaultTransactionCount() external view returns (uint256);

    /// Withdrawals so far, which is the last one's id.
    function withdrawalCount() external view returns (uint256);

    /// Queued withdrawals, the oldest first.
    /// @param limit the most ids to answer.
    function queuedWithdrawals(uint256 limit) external view returns (uint256[] memory ids);

    /// The next page of `queuedWithdrawals`. Reverts with WithdrawalNotQueued.
    /// @param id the last one seen, which must itself be queued.
    /// @param limit the most ids to answer.
    function queuedWithdrawalsAfter(uint256 id, uint256 limit) external view returns (uint256[] memory ids);

    /// Vault outputs that a proposal may spend, in the order in which they settled.
    /// @param limit the most numbers to answer.
    /// @return numbers of the vault transactions that made them.
    function availableVaultOutputs(uint256 limit) external view returns (uint256[] memory numbers);

    /// The sums of the ledger, in satoshi. Always: supply + owed + held <= vault + deficit, where supply is 21,000,000 coins less this
    /// contract's balance.
    /// @return vaultSat in settled vault outputs.
    /// @return owedSat to withdrawals that are queued or being paid.
    /// @return heldSat reserve for vault transactions without participants.
    /// @return deficitSat lost by reorganisations and not covered.
    function ledger() external view returns (uint64 vaultSat, uint64 owedSat, uint64 heldSat, uint64 deficitSat);

    /// What the contract was made with.
    function parameters() external view returns (Parameters memory);

    /// Satoshis that `claim` would deliver.
    /// @param account that would call it.
    function claimable(address account) external view returns (uint64);

    /// Deposits that one vault transaction may sweep: as many as one settlement can mint within a transaction's gas.
    function maxDeposits() external view returns (uint256);
}
