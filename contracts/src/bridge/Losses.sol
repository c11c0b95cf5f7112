// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Withdrawals} from "./Withdrawals.sol";

/// Exactly what is missing: coins of deposits that nothing settled sweeps at the moment (unswept), of deposits that are gone, and vault outputs that are
/// gone (lost). Whoever covers one of them is repaid out of that alone.
///
/// `unswept` less its cover and `lost` less its cover are what the books show.
/// - Cover of an unswept deposit is released when that deposit is swept again, and repaid once that is final.
/// - Cover of what is lost for ever stands in one line, the oldest first, since a recovery does not say which loss it is of: what deposits to the
///   reserve bring pays what nobody covered, then the line. So nobody is paid for having been quick to call.
abstract contract Losses is Withdrawals {
    /// Cover of one deposit, while it is unswept or swept again.
    struct Coverage {
        /// In force: given and not repaid.
        uint64 sat;
        /// All that was ever given before it was gone. (More than `sat` only once a reorganisation took back what was final: then the line has a gap.)
        uint64 givenSat;
        /// Where its cover stands in the line of those who cover losses, once it is gone.
        uint64 placeInLine;
    }

    struct Given {
        address by;
        uint64 amountSat;
        uint32 vout;
        bytes32 txid;
        uint64 repaidSat;
        /// Of a loss: place in the line. Else place among all that covers the same deposit.
        uint64 place;
        /// It was lost already.
        bool lost;
    }

    mapping(bytes32 outpoint => Coverage) private _covered;
    mapping(uint256 id => Given) private _given;
    uint256 public coverCount;

    // ------------------------------------------------------------------ for the vault and the deposits

    function bookSweep(uint64 changeSat, uint64 unmintedSat, uint64 mintedSat, bool up) external onlyBy(address(vault)) {
        Books memory sums = _books;
        // What the sweep brings beyond what belongs to depositors is the reserve's.
        int64 reserveSat = int64(changeSat) - int64(unmintedSat) - int64(mintedSat);
        if (up) {
            (sums.vault, sums.unminted, sums.reserve) =
            (sums.vault + changeSat, sums.unminted + unmintedSat, sums.reserve + reserveSat);
        } else {
            (sums.vault, sums.unminted, sums.reserve) =
            (sums.vault - changeSat, sums.unminted - unmintedSat, sums.reserve - reserveSat);
        }
        if (sums.lost != 0) _heal(sums);
        _books = sums;
    }

    function bookSwept(bytes32 outpoint, uint64 mintedSat, bool up) external onlyBy(address(deposits)) {
        Books memory sums = _books;
        uint64 coveredSat = _covered[outpoint].sat;
        uint64 openSat = mintedSat - coveredSat;
        if (up) {
            (sums.unswept, sums.covered, sums.unclaimed) =
            (sums.unswept - openSat, sums.covered - coveredSat, sums.unclaimed + coveredSat);
        } else {
            (sums.unswept, sums.covered, sums.unclaimed) =
            (sums.unswept + openSat, sums.covered + coveredSat, sums.unclaimed - coveredSat);
        }
        _books = sums;
    }

    function bookLostOutput(uint64 amountSat) external onlyBy(address(vault)) {
        Books memory sums = _books;
        (sums.vault, sums.lost) = (sums.vault - amountSat, sums.lost + amountSat);
        _heal(sums);
        _books = sums;
    }

    function bookLostDeposit(bytes32 outpoint, uint64 mintedSat) external onlyBy(address(deposits)) {
        Books memory sums = _books;
        Coverage storage covered = _covered[outpoint];
        uint64 openSat = mintedSat - covered.sat;
        (sums.unswept, sums.covered, sums.lost) = (sums.unswept - openSat, sums.covered - covered.sat, sums.lost + openSat);
        covered.placeInLine = _lineEnd;
        _lineEnd += covered.givenSat;
        _heal(sums);
        _books = sums;
    }

    function deliver(Delivery[] calldata deliveries) external onlyBy(address(deposits)) nonReentrant {
        _bookDeliveries(deliveries);
        // Last of all: recipients' code runs.
        for (uint256 i = 0; i < deliveries.length; ++i) {
            if (deliveries[i].recipient == address(this)) continue;
            _deliver(deliveries[i].recipient, deliveries[i].claimant, deliveries[i].amountSat);
        }
    }

    function _bookDeliveries(Delivery[] calldata deliveries) private {
        Books memory sums = _books;
        uint64 reserveSat = 0;
        for (uint256 i = 0; i < deliveries.length; ++i) {
            sums.unminted -= deliveries[i].amountSat;
            if (deliveries[i].recipient == address(this)) reserveSat += deliveries[i].amountSat;
        }
        if (reserveSat != 0) {
            recoveredSat += reserveSat;
            emit ReserveFunded(address(0), reserveSat);
            sums.reserve += int64(reserveSat);
            _heal(sums);
        }
        _books = sums;
    }

    // ------------------------------------------------------------------ giving coins up, and getting them back

    function cover(bytes32 txid, uint32 vout) external payable nonReentrant returns (uint256 id) {
        uint64 givenSat = _wholeSat(1, type(uint64).max);
        (uint64 openSat, bool lost) = _uncovered(txid, vout);
        if (givenSat > openSat) revert MoreThanMissing(givenSat, openSat);
        Coverage storage covered = _covered[_key(txid, vout)];
        id = ++coverCount;
        _given[id] = Given(msg.sender, givenSat, vout, txid, 0, lost ? _lineEnd : covered.givenSat, lost);
        covered.sat += givenSat;
        if (lost) {
            _lineEnd += givenSat;
            _books.lost -= givenSat;
        } else {
            covered.givenSat += givenSat;
            _books.unswept -= givenSat;
            _books.covered += givenSat;
        }
        emit Covered(id, msg.sender, txid, vout, givenSat);
    }

    function repay(uint256 id) external nonReentrant {
        Books memory sums = _books;
        _heal(sums);
        _books = sums;
        Given storage given = _given[id];
        (uint64 amountSat, bool lost) = _repayable(given);
        if (amountSat == 0) revert NothingToRepay(id);
        given.repaidSat += amountSat;
        if (!lost) _covered[_key(given.txid, given.vout)].sat -= amountSat;
        emit CoverRepaid(id, given.by, amountSat);
        _owe(given.by, amountSat);
    }

    function fundReserve() external payable nonReentrant {
        uint64 amountSat = _wholeSat(1, type(uint64).max);
        emit ReserveFunded(msg.sender, amountSat);
        Books memory sums = _books;
        sums.reserve += int64(amountSat);
        _heal(sums);
        _books = sums;
    }

    // ------------------------------------------------------------------ answers

    function coverOf(uint256 id) external view returns (Cover memory) {
        Given storage given = _given[id];
        (uint64 repayableSat,) = _repayable(given);
        return Cover(given.by, given.amountSat, given.txid, given.vout, given.repaidSat, repayableSat);
    }

    function uncovered(bytes32 txid, uint32 vout) external view returns (uint64 openSat) {
        (openSat,) = _uncovered(txid, vout);
    }

    /// What is missing with a deposit or a vault output, and whether that is for ever.
    function _uncovered(bytes32 txid, uint32 vout) private view returns (uint64 openSat, bool lost) {
        (uint64 unsweptSat, uint64 lostSat,) = deposits.missing(txid, vout);
        // No output pays both the vault and a deposit address.
        if (vout == 0) lostSat += vault.lostSat(txid);
        lost = lostSat != 0;
        if (!lost && unsweptSat == 0) return (0, false);
        openSat = unsweptSat + lostSat - _covered[_key(txid, vout)].sat;
        // What the reserve paid for is not noted loss by loss.
        if (lost) (openSat,) = _part(openSat, _books.lost);
    }

    /// What `repay` would give back, and whether out of the line.
    function _repayable(Given storage given) private view returns (uint64 amountSat, bool lost) {
        if (given.amountSat == 0) return (0, false);
        uint64 place = given.place;
        if (!given.lost) {
            (, uint64 lostSat, bool back) = deposits.missing(given.txid, given.vout);
            if (lostSat == 0) return (back ? given.amountSat - given.repaidSat : 0, false);
            place += _covered[_key(given.txid, given.vout)].placeInLine;
        }
        if (_lineServed <= place) return (0, true);
        (uint64 dueSat,) = _part(_lineServed - place, given.amountSat);
        return (dueSat > given.repaidSat ? dueSat - given.repaidSat : 0, true);
    }

    function _key(bytes32 txid, uint32 vout) private pure returns (bytes32) {
        return keccak256(abi.encode(txid, vout));
    }
}
