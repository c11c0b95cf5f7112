// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IBitcoinLightClient} from "./IBitcoinLightClient.sol";
import {IVault} from "./IVault.sol";

/// What was paid to deposit addresses, one record a deposit. Each is proven in a call of its own, so that nobody's funding transaction is anybody else's
/// problem.
///
///     Proven --swept by a settled vault transaction--> Swept --mint, deep enough--> Minted      or Gone
///
/// Units as in IVault.
interface IDeposits {
    /// What a deposit address commits to, besides network, bridge and reclaim delay.
    struct Terms {
        /// Gets the coins. The bridge itself: the reserve gets them (and losses are made good first).
        address recipient;
        /// May fetch coins that the recipient did not take; zero: the recipient itself.
        address claimant;
        /// X-only key that can take the deposit back on Bitcoin after the reclaim delay.
        bytes32 reclaimKey;
        /// The most that the deposit pays for its sweep.
        uint64 maxFeeSat;
        /// Hash of data for the recipient; zero: none. Only committed to; a later version may deliver it.
        bytes32 dataHash;
        /// Epoch of the group key that the address is made of. (Committed to by the key.)
        uint32 epoch;
    }

    /// State of a deposit.
    enum DepositStatus {
        /// Not in the ledger.
        None,
        /// Shown in a block.
        Proven,
        /// In a settled vault transaction, not deep enough to be minted.
        Swept,
        /// Its coins were paid out, or wait for `claim`. Stays so if its sweep is unsettled.
        Minted,
        /// Can never be swept any more. (Minted before or not: see `minted`.)
        Gone
    }

    /// What `deposit` answers.
    struct Deposit {
        DepositStatus status;
        /// Whether its coins were made, whatever became of it since.
        bool minted;
        /// Whether it was in a bound sweep before. The first one asks for the whole charge.
        bool bound;
        address recipient;
        address claimant;
        /// Paid to the address.
        uint64 amountSat;
        uint64 maxFeeSat;
        /// Coins made for it; 0 before.
        uint64 mintedSat;
        /// The settled vault transaction that sweeps it; 0: none.
        uint32 sweptBy;
        /// Height of the block it was shown in last.
        uint32 height;
        /// First 8 bytes of the hash of that block.
        bytes8 blockHead;
        uint32 epoch;
        /// Whether it was shown by `left` to have left the best chain, and not shown there again: the cap does not count it.
        bool hasLeft;
    }

    // ------------------------------------------------------------------ events

    /// A deposit was shown in a block, for the first time or in another one than before.
    /// @param outputKey of the deposit address, x-only.
    /// @param recipient gets the coins.
    /// @param txid of the transaction that paid the address.
    /// @param vout the output that paid the address.
    /// @param amountSat paid to the address.
    /// @param leafHash of the address's one leaf: the merkle root with which its key path signs.
    /// @param terms that the address commits to.
    /// @param blockHash of the block.
    /// @param height of the block.
    event DepositProven(
        bytes32 indexed outputKey,
        address indexed recipient,
        bytes32 txid,
        uint32 vout,
        uint64 amountSat,
        bytes32 leafHash,
        Terms terms,
        bytes32 blockHash,
        uint32 height
    );

    /// The block that a deposit was shown in has left the best chain: it gives up its place in the cap, until it is shown again or swept.
    /// @param txid of the transaction that paid the address.
    /// @param vout the output that paid the address.
    event DepositLeft(bytes32 indexed txid, uint32 vout);

    /// A deposit can never be swept any more.
    /// @param txid of the transaction that paid the address.
    /// @param vout the output that paid the address.
    /// @param killer txid of what finally spends it, or what it was made of.
    /// @param lostSat coins that were made for it.
    event DepositGone(bytes32 indexed txid, uint32 vout, bytes32 killer, uint64 lostSat);

    /// A deposit's coins were made: paid out, or (see IBridge.Claimable) waiting to be taken.
    /// @param recipient gets the coins.
    /// @param txid of the transaction that paid the address.
    /// @param vout the output that paid the address.
    /// @param mintedSat the deposit's amount less its charge.
    /// @param number of the vault transaction that sweeps it.
    event DepositMinted(address indexed recipient, bytes32 indexed txid, uint32 vout, uint64 mintedSat, uint32 indexed number);

    // ------------------------------------------------------------------ errors

    /// The transaction has no such output.
    /// @param vout asked for, from 0.
    /// @param outputs that the transaction has.
    error NoSuchOutput(uint32 vout, uint256 outputs);

    /// A Bitcoin transaction cannot be read.
    /// @param reason where it ends too early.
    error Malformed(string reason);

    /// The output is not a P2TR output.
    /// @param txid of the transaction.
    /// @param vout of the output.
    error NotTaproot(bytes32 txid, uint32 vout);

    /// The output's key is not made of the terms, the group key and the given y coordinate.
    /// @param gotX x-only key in the output.
    /// @param groupKey x-only, of the terms' epoch.
    /// @param leafHash that the terms make.
    error WrongDepositKey(bytes32 gotX, bytes32 groupKey, bytes32 leafHash);

    /// The recipient can never have coins: the zero address, or a contract of the ledger other than the bridge.
    /// @param recipient in the terms.
    error BadRecipient(address recipient);

    /// Below the smallest deposit that is taken.
    /// @param gotSat amount of the deposit.
    /// @param minSat `minDepositSat`.
    error DepositTooSmall(uint64 gotSat, uint64 minSat);

    /// Bitcoin does not let a coinbase output be spent yet.
    /// @param confirmations of the deposit.
    /// @param want confirmations from which on it is taken.
    error CoinbaseImmature(uint32 confirmations, uint32 want);

    /// Proven already, in a block that is in the best chain.
    /// @param txid of the deposit.
    /// @param vout of the deposit.
    error AlreadyProven(bytes32 txid, uint32 vout);

    /// The deposit is in the best chain, or has no place in the cap to give up: no bound sweep has it, or it was swept, minted, gone, or shown before.
    /// @param txid of the deposit.
    /// @param vout of the deposit.
    error NothingToGiveUp(bytes32 txid, uint32 vout);

    /// No such deposit was proven.
    /// @param txid of the deposit.
    /// @param vout of the deposit.
    error NotProven(bytes32 txid, uint32 vout);

    /// Another settled vault transaction sweeps the deposit, or it is gone.
    /// @param txid of the deposit.
    /// @param vout of the deposit.
    /// @param sweptBy the settled vault transaction; 0: it is gone.
    error NotSweepable(bytes32 txid, uint32 vout, uint32 sweptBy);

    /// The deposit is minted, or not swept by this vault transaction.
    /// @param txid of the deposit.
    /// @param vout of the deposit.
    /// @param number of the vault transaction.
    error NotMintable(bytes32 txid, uint32 vout, uint32 number);

    /// The deposit is not deep enough for what was minted below the next tier's depth: try later.
    /// @param txid of the deposit.
    /// @param vout of the deposit.
    /// @param confirmations it has, in work.
    error NotDeepEnough(bytes32 txid, uint32 vout, uint256 confirmations);

    /// The transaction that is said to kill a deposit made it: it is its funding, or an ancestor.
    /// @param txid of the transaction.
    error KillerIsAncestor(bytes32 txid);

    /// A transaction of the path does not make what the next one spends, or does not make the deposit.
    /// @param index of the transaction in the path.
    error BrokenPath(uint256 index);

    /// The path names a coinbase's null outpoint, which every coinbase spends.
    error NullOutpoint();

    // ------------------------------------------------------------------ anyone

    /// Shows that a deposit address was paid; again, when the block it was shown in has left the best chain: then only the block changes. Members may
    /// send it in their free lane.
    ///
    /// Reverts with IVault.Reentered, the light client's errors of `requireIncluded`, CoinbaseImmature, AlreadyProven, BadRecipient, NoSuchOutput,
    /// Malformed, NotTaproot, DepositTooSmall, IVault.NoGroupKey or WrongDepositKey.
    /// @param transaction that pays the address, without witness.
    /// @param vout the output that pays the address, from 0.
    /// @param terms that the address commits to.
    /// @param outputKeyY y coordinate of the address's taproot output key.
    /// @param inclusion that the transaction is in a block.
    function prove(
        bytes calldata transaction,
        uint32 vout,
        Terms calldata terms,
        bytes32 outputKeyY,
        IBitcoinLightClient.InclusionProof calldata inclusion
    ) external;

    /// Shows that a deposit can never be swept: `killer`, `finalBlocks` deep, spends the deposit itself (empty `path`; then it is no bound vault
    /// transaction, which would be settled instead) or an input of `path[0]`. Each of `path` spends an output of the one before, the last makes the
    /// deposit; the killer is none of them.
    ///
    /// Reverts with IVault.Reentered, NotProven, NotSweepable, the light client's errors, IVault.TooFewConfirmations, IVault.KillerIsBound,
    /// KillerIsAncestor, BrokenPath, NullOutpoint, IVault.DoesNotSpend or Malformed.
    /// @param txid of the deposit.
    /// @param vout of the deposit.
    /// @param path transactions without witness, from the one whose input was taken to the one that paid the address; may be empty.
    /// @param input of `path[0]` that the killer spends, from 0; without meaning for an empty path.
    /// @param killer without witness.
    /// @param inclusion that the killer is in a block.
    function gone(
        bytes32 txid,
        uint32 vout,
        bytes[] calldata path,
        uint256 input,
        bytes calldata killer,
        IBitcoinLightClient.InclusionProof calldata inclusion
    ) external;

    /// Shows that the block that a deposit of a bound sweep was shown in has left the best chain: its place in the cap is free (`pendingSat`) until `prove`
    /// shows it again, or its sweep settles. Reverts with IVault.Reentered, NotProven or NothingToGiveUp.
    /// @param txid of the transaction that paid the address.
    /// @param vout of the output, from 0.
    function left(bytes32 txid, uint32 vout) external;

    /// Makes coins for deposits of a settled sweep, each once, and delivers them. (`settle` does so at once for what is deep enough by then.)
    ///
    /// Reverts with IVault.Reentered, IVault.NotSettled, IVault.BlockLeft, IVault.WrongContent, NotMintable, NotDeepEnough or IBridge.MoreGasNeeded.
    /// @param number of the vault transaction.
    /// @param content as it was bound.
    /// @param which places of the deposits in `content.deposits`.
    function mint(uint32 number, IVault.Content calldata content, uint256[] calldata which) external;

    // ------------------------------------------------------------------ for Vault alone (IVault.OnlyBy otherwise)

    /// Chooses the deposits of a sweep that is being bound; the others are skipped.
    /// @param wanted outpoints that the content names.
    /// @param epoch of the content.
    /// @param rate of the content.
    /// @param roomSat what the cap still has room for.
    /// @return kept those that can be swept.
    /// @return amountsSat of these.
    /// @return chargesSat sum of what they pay: of those minted before, all above what was minted.
    /// @return shortSat what maxima leave unpaid of whole charges.
    /// @return exempt whether the reserve's state must not stop the sweep: one was minted before, or all go to the reserve.
    function take(IVault.Outpoint[] calldata wanted, uint32 epoch, uint64 rate, uint64 roomSat)
        external
        returns (IVault.Outpoint[] memory kept, uint64[] memory amountsSat, int256 chargesSat, uint256 shortSat, bool exempt);

    /// Notes that a sweep has settled (`up`) or is unsettled.
    /// @param number of the vault transaction.
    /// @param swept its deposits.
    /// @param rate of its content.
    /// @param up settled or unsettled.
    /// @return unmintedSat what those that are not minted bring.
    /// @return mintedSat what was minted for the others.
    function sweep(uint32 number, IVault.Outpoint[] calldata swept, uint64 rate, bool up)
        external
        returns (uint64 unmintedSat, uint64 mintedSat);

    /// Mints what is deep enough of a sweep that has just settled.
    /// @param number of the vault transaction.
    /// @param swept its deposits.
    /// @param rate of its content.
    /// @param sweptAt height of the block it settled in.
    function mintDeep(uint32 number, IVault.Outpoint[] calldata swept, uint64 rate, uint32 sweptAt) external;

    // ------------------------------------------------------------------ answers

    /// A deposit; status None when it was not proven.
    /// @param txid of the transaction that paid the address.
    /// @param vout of the output, from 0.
    function deposit(bytes32 txid, uint32 vout) external view returns (Deposit memory);

    /// What is missing with a deposit that was minted.
    /// @param txid of the transaction that paid the address.
    /// @param vout of the output, from 0.
    /// @return unsweptSat minted for it, if nothing settled sweeps it at the moment.
    /// @return lostSat minted for it, if it is gone.
    /// @return back whether it is swept, and that is final.
    function missing(bytes32 txid, uint32 vout) external view returns (uint64 unsweptSat, uint64 lostSat, bool back);

    /// Of deposits in bound sweeps, those that are neither settled, minted, gone, nor shown to have `left`: the cap counts them.
    function pendingSat() external view returns (uint64);

    /// By tier but the last: minted less deep than the next tier's confirmations, in the last two windows.
    function tierUsedSat() external view returns (uint64[] memory);

    /// What a deposit pays for its sweep at a rate; first bound only if this is at most its maximum and less than its amount.
    /// @param rate in sat per 1000 vB.
    function charge(uint64 rate) external view returns (uint64);
}
