// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IBitcoinLightClient} from "./IBitcoinLightClient.sol";
import {IDeposits} from "./IDeposits.sol";
import {IFederation} from "./IFederation.sol";
import {IVault} from "./IVault.sol";

/// The peg's coins and books: withdrawals, delivery of coins, limits, losses and the reserve. It holds 21,000,000 coins at genesis: to mint is to pay out of its
/// balance, to burn is to pay into it.
///
/// Amounts whose name ends in `Sat` are in satoshi; coins sent along or paid out are in wei (1 sat = 10^10 wei). Other units as in IVault. Ids of
/// withdrawals start at 1.
interface IBridge {
    /// Coins for deposits less deep than the next tier's confirmations, in work. The last tier has `finalBlocks` and no limit.
    struct Tier {
        /// Confirmations of the deposit's funding from which on this tier mints; at least 1.
        uint32 confirmations;
        /// The most that may be minted below the next tier's confirmations within as much work as these take; ascending.
        uint64 upToSat;
    }

    /// Set when the contract is made, and never changed.
    struct Parameters {
        /// Blocks after which a depositor may take an unswept deposit back (a relative timelock, BIP68); at least 2.
        uint16 reclaimDelay;
        /// F: blocks that no reorganisation takes back. Ends of ties and losses wait for it.
        uint32 finalBlocks;
        /// Blocks after which a theft that is shown stops first ties.
        uint32 alarmBlocks;
        /// Smallest deposit that is taken.
        uint64 minDepositSat;
        /// Smallest withdrawal that is queued.
        uint64 minWithdrawalSat;
        /// For the reserve, of each deposit.
        uint64 pegInFeeSat;
        /// For the reserve, of each withdrawal.
        uint64 pegOutFeeSat;
        /// Fee rate that a new withdrawal's maximum must allow (`floorFee`).
        uint64 floorRate;
        /// Bounds of a vault transaction's rate.
        uint64 minRate;
        uint64 maxRate;
        /// From this much missing on (lost, unswept and overdrawn), nothing is tied for the first time.
        uint64 stopSat;
        /// Change below it is not made: it goes to the miners.
        uint64 usefulSat;
        /// The most that the peg holds; deposits beyond it are not swept.
        uint64 capSat;
        /// Payout window: ties for the first time at most this at once, and refills by as much in `windowSeconds`.
        uint64 windowSat;
        uint32 windowSeconds;
        /// Seconds after which anyone may give a queued withdrawal back.
        uint32 refundAfter;
        /// Seconds that a pause lasts, and seconds after its end before the next one may begin.
        uint32 pauseSeconds;
        uint32 pauseGapSeconds;
        /// The most inputs and the most payouts of a vault transaction.
        uint16 maxInputs;
        uint16 maxPayouts;
        /// Ascending in both fields; the last has `finalBlocks` and type(uint64).max.
        Tier[] tiers;
        /// Each of them may pause.
        address[] guardians;
    }

    /// Slots 0 and 1 of this contract. Always: supply + owed + reserve + unminted = vault + unswept + lost, where supply is 21,000,000 coins less this
    /// contract's balance, and `unclaimed` besides.
    struct Books {
        /// In live vault outputs.
        uint64 vault;
        /// To withdrawals that are queued or tied.
        uint64 owed;
        /// Brought by swept deposits that are not minted yet.
        uint64 unminted;
        /// Minted for deposits that nothing settled sweeps at the moment, less what was covered.
        uint64 unswept;
        /// Minted for deposits that are gone, and vault outputs that are gone, less what was covered or recovered.
        uint64 lost;
        /// For what fees do not pay; negative while overdrawn.
        int64 reserve;
        /// Coins that are somebody's and still in this contract: refused by their recipient, or cover to be repaid.
        uint64 unclaimed;
        /// Cover in force for what is unswept: `unswept` is smaller by it. (That for what is lost: `coveredLost`.)
        uint64 covered;
    }

    /// From Queued to Cancelled, Refunded, or to Tied and Paid; back to Tied when what paid it is unsettled, back to Queued when its tie ends.
    enum WithdrawalStatus {
        /// No such id.
        None,
        /// Tied to no vault output, or to one that has ended.
        Queued,
        /// Whatever pays it spends the vault output it is tied to.
        Tied,
        /// In a settled vault transaction.
        Paid,
        /// Given back to its owner, who asked for it.
        Cancelled,
        /// Given back to its owner after `refundAfter`.
        Refunded
    }

    /// What `withdrawal` answers.
    struct Withdrawal {
        WithdrawalStatus status;
        /// Who asked for it.
        address owner;
        /// Taken from the owner; this less the charge is paid on Bitcoin.
        uint64 amountSat;
        /// The most that it pays.
        uint64 maxFeeSat;
        /// When it was asked for, seconds since 1970.
        uint40 askedAt;
        /// The vault output it is tied to (also when that has ended and `end` was not called); 0: none.
        uint32 tie;
        /// The settled vault transaction that pays it; 0: none.
        uint32 paidBy;
        /// Output script that is paid on Bitcoin.
        bytes script;
    }

    /// What `limits` answers.
    struct Limits {
        /// The most that the peg holds.
        uint64 capSat;
        /// What it holds, and what bound sweeps will bring.
        uint64 capUsedSat;
        /// Payout window: its size, what is left now, and seconds in which it refills.
        uint64 windowSat;
        uint64 windowLeftSat;
        uint32 windowSeconds;
        /// Until when first ties are paused; in the past: not paused.
        uint40 pausedUntil;
        /// From when on a guardian may pause.
        uint40 pauseAllowedFrom;
        /// Number of the last pause, and members that voted to lift it.
        uint32 pauseNumber;
        uint16 liftVotes;
        /// Whether a shown theft stops first ties.
        bool alarmed;
        /// What is missing, and from where on that stops first ties.
        uint64 missingSat;
        uint64 stopSat;
        /// Whether anything stops first ties now (pause, alarm, deficit).
        bool stopped;
        uint16 maxInputs;
        uint16 maxPayouts;
        /// By tier: minted less deep than the next tier's confirmations, in the last two windows.
        uint64[] tierUsedSat;
    }

    /// What `coverOf` answers.
    struct Cover {
        /// Who gave it, and gets it back.
        address by;
        uint64 amountSat;
        /// The deposit, or vault output, that it covers.
        bytes32 txid;
        uint32 vout;
        /// Given back so far.
        uint64 repaidSat;
        /// What `repay` would give back now.
        uint64 repayableSat;
    }

    // ------------------------------------------------------------------ events

    /// Coins were taken in, to be paid on Bitcoin.
    /// @param id of the withdrawal.
    /// @param owner who sent the coins, or whom the sender named.
    /// @param amountSat taken in.
    /// @param maxFeeSat the most of it that goes to fees.
    /// @param script output script to pay.
    event WithdrawalQueued(uint256 indexed id, address indexed owner, uint64 amountSat, uint64 maxFeeSat, bytes script);

    /// A withdrawal's owner pays more, if need be.
    /// @param id of the withdrawal.
    /// @param maxFeeSat the most of it that goes to fees now.
    event MaximumRaised(uint256 indexed id, uint64 maxFeeSat);

    /// A bound vault transaction pays a withdrawal.
    /// @param id of the withdrawal.
    /// @param output the vault output it is tied to.
    /// @param number of the vault transaction.
    /// @param chargeSat what it pays if this one confirms.
    event WithdrawalTied(uint256 indexed id, uint32 indexed output, uint32 indexed number, uint64 chargeSat);

    /// A withdrawal is queued again: what it was tied to can pay it no more.
    /// @param id of the withdrawal.
    /// @param output it was tied to.
    event TieEnded(uint256 indexed id, uint32 indexed output);

    /// The vault transaction that pays a withdrawal has settled.
    /// @param id of the withdrawal.
    /// @param number of the vault transaction.
    event WithdrawalPaid(uint256 indexed id, uint32 indexed number);

    /// The vault transaction that paid a withdrawal is unsettled: it is tied again.
    /// @param id of the withdrawal.
    /// @param number of the vault transaction.
    event WithdrawalUnpaid(uint256 indexed id, uint32 indexed number);

    /// A withdrawal's coins went back to its owner, who asked for it.
    /// @param id of the withdrawal.
    event WithdrawalCancelled(uint256 indexed id);

    /// A withdrawal's coins went back to its owner, because nothing paid it for `refundAfter`.
    /// @param id of the withdrawal.
    event WithdrawalRefunded(uint256 indexed id);

    /// Coins were not accepted: they wait for `claim`.
    /// @param account that may claim them.
    /// @param amountSat added to what waits.
    event Claimable(address indexed account, uint64 amountSat);

    /// Waiting coins were taken.
    /// @param account whose coins they were.
    /// @param to where they went.
    /// @param amountSat all that waited.
    event Claimed(address indexed account, address indexed to, uint64 amountSat);

    /// Somebody made good for what is missing with a deposit or a vault output.
    /// @param id of the cover.
    /// @param by who sent the coins.
    /// @param txid of what is covered.
    /// @param vout of what is covered.
    /// @param amountSat that `repay` gives back if that comes back.
    event Covered(uint256 indexed id, address indexed by, bytes32 txid, uint32 vout, uint64 amountSat);

    /// Cover was given back.
    /// @param id of the cover.
    /// @param by who had covered.
    /// @param amountSat given back.
    event CoverRepaid(uint256 indexed id, address indexed by, uint64 amountSat);

    /// The reserve rose by coins that somebody gave up (zero address: by a deposit to it).
    /// @param by who sent them.
    /// @param amountSat that it rose by.
    event ReserveFunded(address indexed by, uint64 amountSat);

    /// The reserve paid for losses, out of what deposits to it brought.
    /// @param lostSat that nobody had covered.
    /// @param coverSat for those who had covered losses, the oldest first; `repay` gives it to them.
    event Recovered(uint64 lostSat, uint64 coverSat);

    /// A guardian paused first ties.
    /// @param number of the pause.
    /// @param guardian who did it.
    /// @param until seconds since 1970.
    event Paused(uint32 indexed number, address indexed guardian, uint40 until);

    /// A threshold of members ended a pause.
    /// @param number of the pause.
    event PauseLifted(uint32 indexed number);

    // ------------------------------------------------------------------ errors

    /// The constructor's parameters contradict each other.
    /// @param reason which rule they break.
    error InvalidParameters(string reason);

    /// Coins sent along must be whole satoshis.
    /// @param valueWei sent along.
    error NotWholeSat(uint256 valueWei);

    /// Nothing, too little, or more than may be.
    /// @param gotSat sent along.
    /// @param minSat the least accepted.
    /// @param maxSat the most accepted.
    error AmountOutOfRange(uint256 gotSat, uint64 minSat, uint64 maxSat);

    /// The payout would be dust or nothing if the whole maximum were taken.
    /// @param amountSat of the withdrawal.
    /// @param maxFeeSat the most of it that goes to fees.
    /// @param dustSat smallest output that Bitcoin Core relays to the script.
    error FeeLeavesDust(uint64 amountSat, uint64 maxFeeSat, uint64 dustSat);

    /// The maximum is below what a usual week asks for.
    /// @param gotSat in the call.
    /// @param minSat `floorFee` of the script, or one more than before for `raise`.
    error MaximumTooLow(uint64 gotSat, uint64 minSat);

    /// Not P2PKH, P2SH, or a witness program that Bitcoin Core relays.
    /// @param script asked for.
    error ScriptNotStandard(bytes script);

    /// A withdrawal for the zero address or this contract, which could never take its coins back.
    /// @param owner in the call.
    error BadOwner(address owner);

    /// Only its owner may do this to a withdrawal.
    /// @param caller of the function.
    /// @param owner of the withdrawal.
    error NotOwner(address caller, address owner);

    /// The withdrawal has a status in which this cannot be done.
    /// @param id of the withdrawal.
    /// @param status of the withdrawal.
    error WrongStatus(uint256 id, WithdrawalStatus status);

    /// Anyone may give a withdrawal back from then on.
    /// @param id of the withdrawal.
    /// @param from seconds since 1970.
    error TooEarly(uint256 id, uint256 from);

    /// What the withdrawal is tied to has not ended.
    /// @param id of the withdrawal.
    /// @param output it is tied to.
    error TieHolds(uint256 id, uint32 output);

    /// More coins than are missing with that deposit or vault output.
    /// @param gotSat sent along.
    /// @param missingSat `uncovered`.
    error MoreThanMissing(uint64 gotSat, uint64 missingSat);

    /// What the cover is for is not back for good, nothing recovered has reached it in the line, or it was repaid.
    /// @param id of the cover.
    error NothingToRepay(uint256 id);

    /// No coins wait for the caller.
    /// @param account that called.
    error NothingToClaim(address account);

    /// The account refused the coins.
    /// @param to where they should have gone.
    error TransferFailed(address to);

    /// Too little gas is left to deliver coins to a recipient: send more.
    /// @param left gas at hand.
    /// @param want gas needed before a delivery.
    error MoreGasNeeded(uint256 left, uint256 want);

    /// Only guardians may pause.
    /// @param account that called.
    error NotAGuardian(address account);

    /// A pause cannot follow another without time between.
    /// @param from seconds since 1970 from which on it may.
    error PauseTooEarly(uint256 from);

    /// There is no such pause to lift.
    /// @param number in the call.
    /// @param current number of the last pause.
    error NotPaused(uint32 number, uint32 current);

    // ------------------------------------------------------------------ owners of withdrawals

    /// Queues a payout of the coins sent along (whole satoshis; at most the payout window).
    ///
    /// Reverts with IVault.Reentered, NotWholeSat, AmountOutOfRange, ScriptNotStandard, MaximumTooLow or FeeLeavesDust.
    /// @param script output script to pay on Bitcoin.
    /// @param maxFeeSat the most of the coins that goes to fees; at least `floorFee`.
    /// @return id of the withdrawal.
    function withdraw(bytes calldata script, uint64 maxFeeSat) external payable returns (uint256 id);

    /// The same for another account, which owns the withdrawal: it alone raises and cancels it, and it has the coins of a refund. (A contract whose users
    /// withdraw through it names them, so that nothing comes back to it.)
    ///
    /// Reverts with BadOwner, or as `withdraw`.
    /// @param owner of the withdrawal.
    /// @param script output script to pay on Bitcoin.
    /// @param maxFeeSat the most of the coins that goes to fees; at least `floorFee`.
    /// @return id of the withdrawal.
    function withdrawFor(address owner, bytes calldata script, uint64 maxFeeSat) external payable returns (uint256 id);

    /// The owner raises a withdrawal's maximum, queued or tied. What is bound already keeps its charge; the next version may cost more.
    /// Reverts with IVault.Reentered, WrongStatus, NotOwner, MaximumTooLow or FeeLeavesDust.
    /// @param id of the withdrawal.
    /// @param maxFeeSat the most of the coins that goes to fees.
    function raise(uint256 id, uint64 maxFeeSat) external;

    /// The owner takes a queued withdrawal's coins back. Reverts with IVault.Reentered, WrongStatus, NotOwner or TransferFailed.
    /// @param id of the withdrawal.
    function cancel(uint256 id) external;

    // ------------------------------------------------------------------ anyone

    /// Gives a withdrawal that was not paid for `refundAfter` back to its owner (who can claim the coins if it refuses them).
    /// Reverts with IVault.Reentered, WrongStatus, TooEarly or MoreGasNeeded.
    /// @param id of the withdrawal.
    function refund(uint256 id) external;

    /// Notes that a withdrawal is queued again. (`bind`, `cancel` and `refund` find that out themselves.)
    /// Reverts with IVault.Reentered, WrongStatus or TieHolds.
    /// @param id of the withdrawal.
    function end(uint256 id) external;

    /// Takes coins that wait for the caller. Reverts with IVault.Reentered, NothingToClaim or TransferFailed.
    /// @param to gets the coins.
    function claim(address to) external;

    /// Makes good, with the coins sent along (whole satoshis), for what is missing with one deposit (minted and unswept, or gone) or one vault output that
    /// is Gone. It is noted by that, see `repay`. (For the reserve's overdraft there is `fundReserve`.)
    /// Reverts with IVault.Reentered, NotWholeSat, AmountOutOfRange or MoreThanMissing.
    /// @param txid of what is covered.
    /// @param vout of what is covered; 0 for a vault output.
    /// @return id of the cover, for `repay`.
    function cover(bytes32 txid, uint32 vout) external payable returns (uint256 id);

    /// Gives cover back to whoever gave it: of a deposit, when that is swept again and this is final; of a loss, when what deposits to the reserve brought
    /// has paid all that nobody covered, and then the cover given before. Anyone may call; the coins wait for `claim`.
    /// Reverts with IVault.Reentered or NothingToRepay.
    /// @param id of the cover.
    function repay(uint256 id) external;

    /// Gives the coins sent along (whole satoshis) up for the reserve. Reverts with IVault.Reentered, NotWholeSat or AmountOutOfRange.
    function fundReserve() external payable;

    // ------------------------------------------------------------------ guardians and members

    /// A guardian stops first ties for `pauseSeconds`. Everything else goes on. Reverts with NotAGuardian or PauseTooEarly.
    function pause() external;

    /// A member votes to end a pause; the threshold ends it. Reverts with IVault.WrongNetwork, IVault.NotAMember or NotPaused.
    /// @param network `networkId` of the Federation.
    /// @param number of the pause.
    function lift(bytes32 network, uint32 number) external;

    // ------------------------------------------------------------------ for Vault and Deposits alone (IVault.OnlyBy otherwise)

    /// Chooses the withdrawals of a payout that is being bound, ties the new ones to the first output, and writes their outputs.
    /// @param number of the vault transaction.
    /// @param content of the proposal.
    /// @param outputs its live vault outputs, in order.
    /// @param rooted whether withdrawals may be tied to the first one that were not before.
    /// @return kept ids of the withdrawals that it pays.
    /// @return serialised their outputs, one behind the other.
    /// @return sums gross amounts, charges, how many of `outputs` are needed for the ties, and what maxima leave unpaid of whole charges.
    function tie(uint32 number, IVault.Content calldata content, uint32[] calldata outputs, bool rooted)
        external
        returns (uint64[] memory kept, bytes memory serialised, uint256[4] memory sums);

    /// Notes that a payout has settled (`up`) or is unsettled.
    /// @param number of the vault transaction.
    /// @param withdrawals that it pays.
    /// @param changeSat of its output 0.
    /// @param spentSat sum of its inputs.
    /// @param up settled or unsettled.
    function bookPayout(uint32 number, uint64[] calldata withdrawals, uint64 changeSat, uint64 spentSat, bool up) external;

    /// Notes that a sweep has settled (`up`) or is unsettled.
    /// @param changeSat of its output 0.
    /// @param unmintedSat what deposits that are not minted bring.
    /// @param mintedSat what was minted for the others.
    /// @param up settled or unsettled.
    function bookSweep(uint64 changeSat, uint64 unmintedSat, uint64 mintedSat, bool up) external;

    /// Notes that a deposit that was minted is swept again (`up`), or unswept. (Its coins' part of the sweep is in `bookSweep`.)
    /// @param outpoint `keccak256(abi.encode(txid, vout))` of the deposit.
    /// @param mintedSat for the deposit.
    /// @param up swept or unswept.
    function bookSwept(bytes32 outpoint, uint64 mintedSat, bool up) external;

    /// Coins that are to be delivered.
    struct Delivery {
        /// This contract: they are for the reserve, and losses are made good first. Zero: no delivery.
        address recipient;
        /// May claim what the recipient does not take.
        address claimant;
        uint64 amountSat;
    }

    /// Makes coins for swept deposits, and delivers them last of all.
    /// @param deliveries one for each.
    function deliver(Delivery[] calldata deliveries) external;

    /// Books a live vault output as lost.
    /// @param amountSat of the output.
    function bookLostOutput(uint64 amountSat) external;

    /// Books what was minted for a deposit that is gone as lost.
    /// @param outpoint `keccak256(abi.encode(txid, vout))` of the deposit.
    /// @param mintedSat for the deposit.
    function bookLostDeposit(bytes32 outpoint, uint64 mintedSat) external;

    // ------------------------------------------------------------------ answers

    /// The sums of the ledger, in satoshi.
    function books() external view returns (Books memory);

    /// A withdrawal; status None when there is no such id.
    /// @param id of the withdrawal.
    function withdrawal(uint256 id) external view returns (Withdrawal memory);

    /// Withdrawals so far, which is the last one's id.
    function withdrawalCount() external view returns (uint256);

    /// Queued withdrawals, one page, the oldest first.
    /// @param after_ only ids above this one.
    /// @param limit the most ids to look at.
    /// @return ids that are Queued, ascending.
    /// @return next to ask with for the next page; 0: there is none.
    function queuedWithdrawals(uint256 after_, uint256 limit) external view returns (uint256[] memory ids, uint256 next);

    /// Tied withdrawals, one page, the oldest first; arguments and answers as for `queuedWithdrawals`.
    function tiedWithdrawals(uint256 after_, uint256 limit) external view returns (uint256[] memory ids, uint256 next);

    /// What a withdrawal pays at a rate, exactly. It is tied for the first time only if that is at most its maximum.
    /// @param scriptLength bytes of its script.
    /// @param rate in sat per 1000 vB.
    function charge(uint256 scriptLength, uint64 rate) external view returns (uint64);

    /// The least maximum of a new withdrawal.
    /// @param scriptLength bytes of its script.
    function floorFee(uint256 scriptLength) external view returns (uint64);

    /// What limits deposits and withdrawals now.
    function limits() external view returns (Limits memory);

    /// What the contract was made with.
    function parameters() external view returns (Parameters memory);

    /// Satoshis that `claim` would deliver.
    /// @param account that would call it.
    function claimable(address account) external view returns (uint64);

    /// Covers so far, which is the last one's id.
    function coverCount() external view returns (uint256);

    /// A cover; `by` is zero when there is no such id.
    /// @param id of the cover, from 1.
    function coverOf(uint256 id) external view returns (Cover memory);

    /// What `cover` takes for a deposit or a vault output; 0 when nothing is missing with it.
    /// @param txid of it.
    /// @param vout of it.
    function uncovered(bytes32 txid, uint32 vout) external view returns (uint64);

    /// Cover in force for what is lost: `lost` is smaller by it.
    function coveredLost() external view returns (uint64);

    /// What deposits to the reserve brought and no loss has used. The reserve pays so much for losses, as far as fees have left it there.
    function recoveredSat() external view returns (uint64);

    /// The other contracts of the ledger, and those it asks.
    function vault() external view returns (IVault);
    function deposits() external view returns (IDeposits);
    function lightClient() external view returns (IBitcoinLightClient);
    function federation() external view returns (IFederation);

    /// Reverts with IVault.Reentered while coins are on their way. The lock of all three contracts.
    function requireUnlocked() external view;
}
