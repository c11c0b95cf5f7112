// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IBitcoinLightClient} from "./IBitcoinLightClient.sol";

/// The transactions that move bitcoin of the peg: proposed by a member, approved by the commitments of a threshold of members, bound for ever,
/// settled and unsettled by proofs.
///
///     Proposed --threshold commitments, bind--> Bound <--unsettle-- --settle--> Settled
///
/// Two kinds: a sweep spends deposits, a payout spends vault outputs (to pay withdrawals, or, without any, to move coins within the vault). Nothing
/// is locked: any number of bound transactions may spend the same deposit or vault output, since Bitcoin lets one of them confirm. The whole
/// machine is in docs/ledger.md.
///
/// Units: amounts whose name ends in `Sat` are in satoshi, rates in satoshi per 1000 virtual bytes, sizes in (virtual) bytes, times in seconds since
/// 1970. Bitcoin's hashes are in internal byte order (as hashed), Bitcoin transactions raw bytes without witness. Vault transaction n makes vault
/// output n, which is its output 0; both start at 1, and 0 means none.
interface IVault {
    /// An output on Bitcoin.
    struct Outpoint {
        /// Transaction that made it.
        bytes32 txid;
        /// Its place in that transaction, from 0.
        uint32 vout;
    }

    /// What a vault transaction spends and pays; `keccak256(abi.encode(content))` stands for it everywhere.
    struct Content {
        /// Epoch of the key of all its inputs.
        uint32 epoch;
        /// Fee rate, in satoshi per 1000 vB.
        uint64 rate;
        /// The most that the reserve adds to it.
        uint64 reserveSat;
        /// Deposits to sweep, strictly ascending by txid, then vout; empty in a payout.
        Outpoint[] deposits;
        /// Numbers of the vault outputs to spend; empty in a sweep. Withdrawals are tied to the first one. The others ascend strictly.
        uint32[] outputs;
        /// Ids of withdrawals to pay, strictly ascending; empty in a sweep.
        uint64[] withdrawals;
    }

    /// An open proposal of a member.
    struct Proposal {
        /// `keccak256(abi.encode(content))`.
        bytes32 content;
        /// Bit i: member i + 1 approved.
        uint128 approvals;
        /// When it was proposed, in seconds; 0: nothing is open here.
        uint40 openedAt;
        /// Epoch of its inputs, whose members approve; 0: nothing is open here.
        uint32 epoch;
        /// Its number; never comes back.
        uint64 number;
    }

    /// State of a vault transaction.
    enum VaultStatus {
        /// No such number.
        None,
        /// Fixed byte for byte, and counts as signed for ever; not shown to be in the best chain.
        Bound,
        /// Shown in a block of the best chain.
        Settled,
        /// Flagged: it can never confirm.
        Void
    }

    /// State of output 0 of a vault transaction.
    enum OutputStatus {
        /// No such vault transaction, or it makes no vault output.
        None,
        /// Its transaction is not settled.
        Pending,
        /// Settled and unspent.
        Live,
        /// A settled vault transaction spends it.
        Spent,
        /// Spent for good by something that is no vault transaction (theft, recovery).
        Gone,
        /// Can never exist.
        Void
    }

    /// What `vaultTransaction` answers.
    struct VaultTransaction {
        VaultStatus status;
        /// Of its output 0.
        OutputStatus output;
        /// Does not change when signatures are added.
        bytes32 txid;
        /// `keccak256(abi.encode(content))` of what was bound.
        bytes32 content;
        /// Amount of output 0; 0: it makes no vault output, and payouts start at output 0.
        uint64 changeSat;
        /// The settled vault transaction that spends output 0; 0: none.
        uint32 spentBy;
        /// Height of the block it settled in; 0 while it is not settled.
        uint32 height;
        /// First 8 bytes of the hash of that block.
        bytes8 blockHead;
        /// Epoch of the vault key that output 0 pays.
        uint32 epoch;
        /// Version of the script that output 0 pays: 1 is the group key with the recovery leaf alone.
        uint8 scriptVersion;
        /// Whether withdrawals may be tied to output 0 for the first time: its transaction is final (settled `finalBlocks` deep), or spends an output that
        /// was rooted when it was bound. So somebody can always end such a tie, whatever a reorganisation takes.
        bool rooted;
    }

    // ------------------------------------------------------------------ events

    /// A member proposes a vault transaction. Binds nothing.
    /// @param proposal its number, named by approvals and by `bind`.
    /// @param member index of the proposer, from 1.
    /// @param contentHash of `content`.
    /// @param content what it is to spend and pay.
    event Proposed(uint64 indexed proposal, uint16 indexed member, bytes32 contentHash, Content content);

    /// A member approved a proposal by its commitments.
    /// @param proposal its number.
    /// @param member index, from 1.
    event Approved(uint64 indexed proposal, uint16 indexed member);

    /// A vault transaction is fixed and counts as signed for ever: members sign it once this block is final.
    /// @param number of the vault transaction.
    /// @param txid of `transaction`.
    /// @param proposal it was made of.
    /// @param content what is left of the proposal's content: what was not to be had any more is skipped. `settle`, `unsettle`, `mint` and
    /// `voidOutput` want exactly this.
    /// @param changeSat amount of output 0, which pays the vault; 0: there is no such output.
    /// @param amountsSat of its inputs, in their order: deposits, or vault outputs.
    /// @param transaction unsigned, without witness.
    event Bound(
        uint32 indexed number,
        bytes32 indexed txid,
        uint64 indexed proposal,
        Content content,
        uint64 changeSat,
        uint64[] amountsSat,
        bytes transaction
    );

    /// A vault transaction was shown in a block of the best chain, for the first time or in another block than before.
    /// @param number of the vault transaction.
    /// @param txid of the vault transaction.
    /// @param blockHash of the block that holds it.
    /// @param height of that block.
    event Settled(uint32 indexed number, bytes32 indexed txid, bytes32 blockHash, uint32 height);

    /// The block in which a vault transaction settled has left the best chain: all that its settlement did is undone.
    /// @param number of the vault transaction.
    /// @param txid of the vault transaction.
    event Unsettled(uint32 indexed number, bytes32 indexed txid);

    /// A vault transaction can never confirm. What is tied to its output is free.
    /// @param number of the vault transaction.
    event Voided(uint32 indexed number);

    /// A vault output was spent for good by something that is no vault transaction.
    /// @param number of the vault output.
    /// @param killer txid of what spent it.
    /// @param amountSat that is lost.
    event OutputGone(uint32 indexed number, bytes32 killer, uint64 amountSat);

    /// Something that is no vault transaction spends a vault output: no withdrawal is tied while that block stays in the best chain.
    /// @param number of the vault output.
    /// @param killer txid of what spends it.
    /// @param height of its block.
    event Alarm(uint32 indexed number, bytes32 killer, uint32 height);

    /// A theft stops first ties already.
    error AlreadyAlarmed();

    // ------------------------------------------------------------------ errors: making the contract, and who may call

    /// Only that contract may call this function.
    /// @param caller of the function.
    /// @param want the contract that may.
    error OnlyBy(address caller, address want);

    /// A recipient's code called back while coins were on their way.
    error Reentered();

    /// The call is for another network: whoever has the same members could repeat it here.
    /// @param got network in the call.
    /// @param want this one.
    error WrongNetwork(bytes32 got, bytes32 want);

    /// Only members of the federation may propose.
    /// @param account that called.
    error NotAMember(address account);

    // ------------------------------------------------------------------ errors: proposing and approving

    /// A member has `QUOTA` places for proposals, from 0.
    /// @param place asked for.
    /// @param quota places.
    error NoSuchPlace(uint8 place, uint8 quota);

    /// What is proposed is kept by all nodes for ever: `PROPOSAL_QUOTA_BYTES` of calls an hour at a place, 256 more for each.
    /// @param member index of the caller.
    /// @param place at which it proposes.
    /// @param leftBytes of the quota now.
    /// @param wantBytes of this call.
    error ProposalsOverQuota(uint16 member, uint8 place, uint256 leftBytes, uint256 wantBytes);

    /// A transaction is either a sweep (deposits only) or a payout (vault outputs, and withdrawals if any).
    error MixedOrEmpty();

    /// More inputs or payouts than a vault transaction may have.
    /// @param inputs in the content.
    /// @param maxInputs `maxInputs`.
    /// @param payouts in the content.
    /// @param maxPayouts `maxPayouts`.
    error TooMany(uint256 inputs, uint256 maxInputs, uint256 payouts, uint256 maxPayouts);

    /// Deposits, withdrawals and the outputs behind the first must ascend strictly, so that none is named twice.
    /// @param index of the first that does not.
    error NotAscending(uint256 index);

    /// The rate is outside the ledger's bounds.
    /// @param got in sat per 1000 vB.
    /// @param min `minRate`.
    /// @param max `maxRate`.
    error RateOutOfBounds(uint64 got, uint64 min, uint64 max);

    /// No key is in force for this epoch.
    /// @param epoch that was asked for.
    error NoGroupKey(uint32 epoch);

    /// No such proposal is open: its place was used again, it was bound, or it is older than an hour.
    /// @param proposal its number.
    error NotOpen(uint64 proposal);

    /// The content is not what was proposed or bound.
    /// @param got hash of the content in the call.
    /// @param want hash in the ledger.
    error WrongContent(bytes32 got, bytes32 want);

    /// A member approves a proposal once.
    /// @param proposal its number.
    /// @param member its index, from 1.
    error AlreadyApproved(uint64 proposal, uint16 member);

    // ------------------------------------------------------------------ errors: binding

    /// Too few members approved.
    /// @param got approvals.
    /// @param want threshold of the federation.
    error NotApproved(uint256 got, uint256 want);

    /// The first vault output cannot be spent now. (Others that cannot are skipped.)
    /// @param number of the vault output.
    /// @param status of the vault output.
    error OutputNotLive(uint32 number, OutputStatus status);

    /// The vault output has another epoch than the content.
    /// @param number of the vault output.
    /// @param got its epoch.
    /// @param want the content's.
    error WrongEpoch(uint32 number, uint32 got, uint32 want);

    /// After skipping what is not to be had any more nothing is left to pay, or to sweep.
    error NothingLeft();

    /// Nothing is left to pay, since nothing is tied to the first vault output yet, and nothing may be: it is not `rooted`. It is once its transaction is
    /// final, and so is what spends it together with a rooted one.
    /// @param number of the vault output.
    error NotRooted(uint32 number);

    /// The inputs do not suffice.
    /// @param inputsSat sum of the inputs.
    /// @param outputsSat sum of payouts and cost.
    error TooLittle(uint256 inputsSat, uint256 outputsSat);

    /// The reserve would add more than the content names, or than it holds and may be overdrawn by.
    /// @param wantSat that would be added.
    /// @param namedSat `reserveSat` of the content.
    /// @param reserveSat in the reserve; negative while overdrawn.
    error ReserveTooSmall(uint256 wantSat, uint64 namedSat, int64 reserveSat);

    /// Larger than a version 3 transaction may be (BIP431).
    /// @param gotVsize size once signed, in vB.
    /// @param maxVsize limit in vB.
    error TransactionTooLarge(uint256 gotVsize, uint256 maxVsize);

    /// This very transaction is bound already.
    /// @param number it has.
    error AlreadyBound(uint32 number);

    // ------------------------------------------------------------------ errors: facts

    /// No vault transaction has this number.
    /// @param number asked for.
    error NoSuchVaultTransaction(uint32 number);

    /// The proven transaction does not have this number in the ledger.
    /// @param gotTxid proven.
    /// @param wantTxid that has it; zero: none.
    error WrongTransaction(bytes32 gotTxid, bytes32 wantTxid);

    /// Settled, and its block is in the best chain.
    /// @param number of the vault transaction.
    error AlreadySettled(uint32 number);

    /// Only a settled vault transaction can be unsettled, minted from, or lose its output.
    /// @param number of the vault transaction.
    error NotSettled(uint32 number);

    /// The block it settled in is in the best chain.
    /// @param number of the vault transaction.
    error StillConfirmed(uint32 number);

    /// The block it settled in has left the best chain: unsettle it, or settle it in its new block.
    /// @param number of the vault transaction.
    error BlockLeft(uint32 number);

    /// A vault transaction settles after those whose outputs it spends, and nothing else settled spends them.
    /// @param number of the vault transaction.
    /// @param input the vault output.
    /// @param status of the vault output.
    error InputNotLive(uint32 number, uint32 input, OutputStatus status);

    /// A vault transaction is unsettled after the one that spends its output.
    /// @param number of the vault transaction.
    /// @param spender the vault transaction to unsettle first.
    error SpenderSettled(uint32 number, uint32 spender);

    /// The input does not show that the transaction can never confirm.
    /// @param number of the vault transaction.
    /// @param input place of the input.
    error NotVoid(uint32 number, uint256 input);

    /// The transaction does not spend what it is said to spend.
    /// @param txid of the transaction.
    error DoesNotSpend(bytes32 txid);

    /// A bound vault transaction spends the output: settle that instead.
    /// @param txid of the killer.
    /// @param number it has.
    error KillerIsBound(bytes32 txid, uint32 number);

    /// Not deep enough yet: try later.
    /// @param got confirmations, in work.
    /// @param want confirmations.
    error TooFewConfirmations(uint256 got, uint256 want);

    // ------------------------------------------------------------------ members

    /// A member proposes a vault transaction at one of its `QUOTA` places; what was open there is dropped. Binds nothing.
    ///
    /// Reverts with Reentered, WrongNetwork, NotAMember, NoSuchPlace, ProposalsOverQuota, NoGroupKey, MixedOrEmpty, TooMany, NotAscending or RateOutOfBounds.
    /// @param network `networkId` of the Federation.
    /// @param place 0 to QUOTA - 1.
    /// @param content what to spend and pay.
    /// @return proposal its number.
    function propose(bytes32 network, uint8 place, Content calldata content) external returns (uint64 proposal);

    /// The signing board counts a member's commitments as its approval. Reverts with OnlyBy, NotOpen, WrongContent or AlreadyApproved.
    /// @param proposal its number.
    /// @param contentHash of what the member approves.
    /// @param member index, from 1.
    function approve(uint64 proposal, bytes32 contentHash, uint16 member) external;

    // ------------------------------------------------------------------ anyone

    /// Fixes an approved proposal as a vault transaction: skips what is not to be had any more, ties withdrawals to the first output, writes the bytes.
    ///
    /// Skipped: withdrawals that are paid, given back, tied elsewhere, or not tied yet and too poor for the rate, beyond the payout window, or stopped by
    /// a pause, an alarm, a deficit, a first output that is not rooted, or an epoch that is not in force; outputs behind the first that are not live or not needed; deposits that are swept,
    /// gone, off the best chain, too poor, or beyond the cap.
    ///
    /// Reverts with Reentered, NotOpen, WrongContent, NotApproved, OutputNotLive, WrongEpoch, NothingLeft, NotRooted, TooLittle,
    /// ReserveTooSmall,
    /// TransactionTooLarge or AlreadyBound.
    /// @param proposal its number.
    /// @param content as it was proposed.
    /// @return number of the vault transaction.
    function bind(uint64 proposal, Content calldata content) external returns (uint32 number);

    /// Shows a vault transaction in the best chain (one confirmation): its inputs are spent, its withdrawals paid, its deposits swept and, where deep
    /// enough, minted. For one that is settled in a block that has left the best chain only the block changes.
    ///
    /// Reverts with Reentered, the light client's errors of `requireIncluded`, WrongTransaction, WrongContent, AlreadySettled,
    /// InputNotLive or IDeposits.NotSweepable.
    /// @param number of the vault transaction.
    /// @param content as it was bound.
    /// @param transaction without witness.
    /// @param inclusion that it is in a block.
    function settle(
        uint32 number,
        Content calldata content,
        bytes calldata transaction,
        IBitcoinLightClient.InclusionProof calldata inclusion
    ) external;

    /// Shows that the block in which a vault transaction settled has left the best chain: the exact reverse of `settle`. Minted coins stay minted.
    ///
    /// Reverts with Reentered, NotSettled, WrongContent, StillConfirmed or SpenderSettled.
    /// @param number of the vault transaction.
    /// @param content as it was bound.
    function unsettle(uint32 number, Content calldata content) external;

    /// Shows by one of its inputs that a vault transaction can never confirm: the input is Gone, or finally spent by another, or the output of one
    /// that is void. What is tied to its output is free then.
    ///
    /// Reverts with Reentered, NoSuchVaultTransaction, WrongContent or NotVoid.
    /// @param number of the vault transaction.
    /// @param content as it was bound.
    /// @param input place of the input, from 0.
    function voidOutput(uint32 number, Content calldata content, uint256 input) external;

    /// Shows that something that is no vault transaction spends a live vault output, `finalBlocks` deep: it is Gone, and its amount lost.
    ///
    /// Reverts with Reentered, InputNotLive (by number 0), the light client's errors, KillerIsBound, DoesNotSpend or TooFewConfirmations.
    /// @param number of the vault output.
    /// @param killer what spends it, without witness.
    /// @param inclusion that the killer is in a block.
    function gone(uint32 number, bytes calldata killer, IBitcoinLightClient.InclusionProof calldata inclusion) external;

    /// The same, `alarmBlocks` deep: no withdrawal is tied as long as that block is in the best chain and the loss is not booked by `gone`.
    /// Reverts with AlreadyAlarmed while another does so, else as `gone` does.
    /// @param number of the vault output.
    /// @param killer what spends it, without witness.
    /// @param inclusion that the killer is in a block.
    function alarm(uint32 number, bytes calldata killer, IBitcoinLightClient.InclusionProof calldata inclusion) external;

    // ------------------------------------------------------------------ answers

    /// A vault transaction and its output; status None when there is no such number.
    /// @param number of the vault transaction.
    function vaultTransaction(uint32 number) external view returns (VaultTransaction memory);

    /// Vault transactions so far, which is the last one's number.
    function vaultTransactionCount() external view returns (uint32);

    /// The number of a bound transaction; 0: none.
    /// @param txid of the transaction.
    function numberOf(bytes32 txid) external view returns (uint32);

    /// What is at a member's place; `openedAt` is 0 when nothing was ever proposed there or it was bound.
    /// @param member index, from 1.
    /// @param place 0 to QUOTA - 1.
    function proposalAt(uint16 member, uint8 place) external view returns (Proposal memory);

    /// Live vault outputs, one page.
    /// @param after_ only numbers above this one.
    /// @param limit the most numbers to look at.
    /// @return numbers that are Live, ascending.
    /// @return next to ask with for the next page; 0: there is none.
    function liveOutputs(uint32 after_, uint32 limit) external view returns (uint32[] memory numbers, uint32 next);

    /// Whether a vault output is finally spent, Gone or Void, so that nothing tied to it can be paid by it any more.
    /// @param number of the vault output.
    function ended(uint32 number) external view returns (bool);

    /// Whether a vault transaction is settled, `finalBlocks` deep.
    /// @param number of the vault transaction.
    function isFinal(uint32 number) external view returns (bool);

    /// What is lost with output 0 of a vault transaction: its amount if that is Gone, else 0.
    /// @param txid of the transaction.
    function lostSat(bytes32 txid) external view returns (uint64);

    /// Whether a shown theft stops first ties now.
    function alarmed() external view returns (bool);

    /// Reverts unless a sweep is settled, its block in the best chain, and its content this one: NotSettled, BlockLeft or WrongContent.
    /// @param number of the vault transaction.
    /// @param contentHash of its content.
    /// @return height of the block it settled in.
    function requireSettled(uint32 number, bytes32 contentHash) external view returns (uint32 height);

    /// Hash that stands for a content.
    /// @param content what a vault transaction spends and pays.
    function hashOf(Content calldata content) external pure returns (bytes32);

    /// Places for proposals that each member has.
    function QUOTA() external view returns (uint8);

    /// Seconds within which a proposal is approved and bound.
    function APPROVAL_SECONDS() external view returns (uint40);

    /// Bytes of calls that propose at one place; they refill evenly in an hour.
    function PROPOSAL_QUOTA_BYTES() external view returns (uint256);
}
