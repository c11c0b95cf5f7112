// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {MerkleProof} from "./MerkleProof.sol";
import {Taproot} from "./Taproot.sol";
import {BestChain} from "./bridge/BestChain.sol";
import {BitcoinTransaction} from "./bridge/BitcoinTransaction.sol";
import {Charges} from "./bridge/Charges.sol";
import {DepositScript} from "./bridge/DepositScript.sol";
import {Tiers} from "./bridge/Tiers.sol";
import {IBitcoinLightClient} from "./interfaces/IBitcoinLightClient.sol";
import {IBridge} from "./interfaces/IBridge.sol";
import {IDeposits} from "./interfaces/IDeposits.sol";
import {IFederation} from "./interfaces/IFederation.sol";
import {IVault} from "./interfaces/IVault.sol";

/// Which outputs on Bitcoin are deposits, and what became of each. docs/ledger.md has the machine.
contract Deposits is IDeposits, Tiers {
    using BestChain for IBitcoinLightClient;
    using BitcoinTransaction for bytes;

    /// Two slots, and one more if its terms name a claimant.
    struct Record {
        /// Zero: not in the ledger.
        address recipient;
        uint32 height;
        /// The settled vault transaction that sweeps it; 0: none.
        uint32 sweptBy;
        uint8 flags;
        /// More epochs than there will be: a group key must be in force for it.
        uint24 epoch;
        uint64 amountSat;
        uint64 maxFeeSat;
        uint64 mintedSat;
        bytes8 blockHead;
        address claimant;
    }

    struct Pending {
        uint64 sat;
        /// Always true, so that the slot is never zero: it changes with every sweep.
        bool kept;
    }

    /// While a sweep is bound.
    struct Taking {
        uint32 epoch;
        uint64 rate;
        /// Left of the cap, and what of it is promised to bound sweeps.
        uint64 roomSat;
        uint64 pendingSat;
        int256 chargesSat;
        /// What maxima leave unpaid of whole charges.
        uint256 shortSat;
        uint256 count;
        uint256 forReserve;
        bool minted;
    }

    /// What is the same for all deposits that are minted in one call.
    struct Minting {
        uint32 number;
        uint64 rate;
        uint32 sweptAt;
        /// Height of the best chain, its work, and that of one block.
        uint32 tip;
        uint256 work;
        uint256 unit;
        /// A deposit that cannot be minted is an error.
        bool strict;
    }

    /// Was in a bound sweep before.
    uint8 private constant BOUND = 1;
    uint8 private constant MINTED = 2;
    uint8 private constant GONE = 4;
    /// Bound, and off the best chain when somebody showed that: the cap does not count it.
    uint8 private constant LEFT = 8;
    uint32 private constant COINBASE_MATURITY = 100;

    mapping(bytes32 outpoint => Record) private _records;
    Pending private _pending;

    IBridge private immutable _bridge;
    IVault private immutable _vault;
    IBitcoinLightClient private immutable _client;
    IFederation private immutable _federation;
    bytes32 private immutable _networkId;
    uint64 private immutable _minDepositSat;
    uint64 private immutable _pegInFeeSat;
    uint32 private immutable _finalBlocks;
    uint16 private immutable _reclaimDelay;

    /// No call while coins are on their way to somebody's code.
    modifier unlocked() {
        _bridge.requireUnlocked();
        _;
    }

    modifier onlyBy(address caller) {
        if (msg.sender != caller) revert IVault.OnlyBy(msg.sender, caller);
        _;
    }

    /// @param bridge_ which names the other contracts, and has the parameters.
    constructor(IBridge bridge_) Tiers(bridge_.parameters().tiers) {
        (_bridge, _vault, _client, _federation) = (bridge_, bridge_.vault(), bridge_.lightClient(), bridge_.federation());
        _networkId = _federation.networkId();
        IBridge.Parameters memory parameters = bridge_.parameters();
        (_minDepositSat, _pegInFeeSat) = (parameters.minDepositSat, parameters.pegInFeeSat);
        (_finalBlocks, _reclaimDelay) = (parameters.finalBlocks, parameters.reclaimDelay);
    }

    // ------------------------------------------------------------------ prove

    function prove(
        bytes calldata transaction,
        uint32 vout,
        Terms calldata terms,
        bytes32 outputKeyY,
        IBitcoinLightClient.InclusionProof calldata inclusion
    ) external unlocked {
        (bytes32 txid, bytes32 blockHash, uint32 height) = _client.requireIncluded(transaction, inclusion);
        _requireMature(transaction, blockHash);
        Record storage record = _records[_key(txid, vout)];
        bool known = record.recipient != address(0);
        bool counts = record.flags & LEFT == 0;
        if (known && counts && _client.holds(record.height, record.blockHead)) revert AlreadyProven(txid, vout);

        bytes32 leafHash = DepositScript.leafHash(_networkId, address(_bridge), terms, _reclaimDelay);
        (uint64 amountSat, bytes32 outputKey) = _paid(transaction, txid, vout);
        _requireKey(terms.epoch, leafHash, outputKey, outputKeyY);
        if (!known) _record(record, terms, amountSat);
        (record.height, record.blockHead) = (height, bytes8(blockHash));
        if (known) _countAgain(record);
        emit DepositProven(outputKey, terms.recipient, txid, vout, amountSat, leafHash, terms, blockHash, height);
    }

    function _record(Record storage record, Terms calldata terms, uint64 amountSat) private {
        address recipient = terms.recipient;
        bool ledger = recipient == address(this) || recipient == address(_vault);
        if (recipient == address(0) || ledger) revert BadRecipient(recipient);
        if (amountSat < _minDepositSat) revert DepositTooSmall(amountSat, _minDepositSat);
        (record.recipient, record.epoch) = (recipient, uint24(terms.epoch));
        (record.amountSat, record.maxFeeSat) = (amountSat, terms.maxFeeSat);
        if (terms.claimant != address(0)) record.claimant = terms.claimant;
    }

    /// docs/ledger.md, "left": it is back, and what is bound may sweep it.
    function _countAgain(Record storage record) private {
        if (record.flags & LEFT == 0) return;
        record.flags &= ~LEFT;
        if (record.flags & GONE == 0) _pending.sat += record.amountSat;
    }

    function _requireMature(bytes calldata transaction, bytes32 blockHash) private view {
        if (!MerkleProof.isCoinbase(transaction)) return;
        uint32 confirmations = _client.confirmations(blockHash);
        if (confirmations < COINBASE_MATURITY) revert CoinbaseImmature(confirmations, COINBASE_MATURITY);
    }

    function _paid(bytes calldata transaction, bytes32 txid, uint32 vout)
        private
        pure
        returns (uint64 amountSat, bytes32 outputKey)
    {
        bytes calldata script;
        (amountSat, script) = transaction.output(vout);
        if (script.length != 34 || bytes2(script[0:2]) != 0x5120) revert NotTaproot(txid, vout);
        outputKey = bytes32(script[2:34]);
    }

    function _requireKey(uint32 epoch, bytes32 leafHash, bytes32 outputKey, bytes32 outputKeyY) private view {
        bytes32 groupKey = _federation.groupKey(epoch);
        if (groupKey == 0) revert IVault.NoGroupKey(epoch);
        if (!Taproot.isTweaked(groupKey, leafHash, outputKey, outputKeyY)) {
            revert WrongDepositKey(outputKey, groupKey, leafHash);
        }
    }

    // ------------------------------------------------------------------ gone

    function gone(
        bytes32 txid,
        uint32 vout,
        bytes[] calldata path,
        uint256 input,
        bytes calldata killer,
        IBitcoinLightClient.InclusionProof calldata inclusion
    ) external unlocked {
        Record storage record = _proven(txid, vout);
        if (record.sweptBy != 0 || record.flags & GONE != 0) revert NotSweepable(txid, vout, record.sweptBy);
        (bytes32 killerTxid,, uint32 killedAt) = _client.requireIncluded(killer, inclusion);
        uint256 depth = _client.depth(killedAt);
        if (depth < _finalBlocks) revert IVault.TooFewConfirmations(depth, _finalBlocks);
        _requireKills(txid, vout, path, input, killer, killerTxid);

        if (_isCounted(record)) _pending.sat -= record.amountSat;
        record.flags |= GONE;
        emit DepositGone(txid, vout, killerTxid, record.mintedSat);
        if (record.flags & MINTED != 0) _bridge.bookLostDeposit(_key(txid, vout), record.mintedSat);
    }

    function left(bytes32 txid, uint32 vout) external unlocked {
        Record storage record = _proven(txid, vout);
        if (!_isCounted(record) || _client.holds(record.height, record.blockHead)) revert NothingToGiveUp(txid, vout);
        record.flags |= LEFT;
        _pending.sat -= record.amountSat;
        emit DepositLeft(txid, vout);
    }

    /// Whether it is in `_pending`.
    function _isCounted(Record storage record) private view returns (bool) {
        return record.flags & (BOUND | MINTED | GONE | LEFT) == BOUND && record.sweptBy == 0;
    }

    /// The killer spends the deposit, or what an ancestor of it spent, and is no ancestor itself.
    function _requireKills(
        bytes32 txid,
        uint32 vout,
        bytes[] calldata path,
        uint256 input,
        bytes calldata killer,
        bytes32 killerTxid
    ) private view {
        if (path.length == 0) {
            uint32 number = _vault.numberOf(killerTxid);
            if (number != 0) revert IVault.KillerIsBound(killerTxid, number);
            if (!killer.spends(txid, vout)) revert IVault.DoesNotSpend(killerTxid);
            return;
        }
        _requirePath(txid, path, killerTxid);
        (bytes32 takenTxid, uint32 takenVout) = path[0].outpoint(input);
        if (takenTxid == 0) revert NullOutpoint();
        if (!killer.spends(takenTxid, takenVout)) revert IVault.DoesNotSpend(killerTxid);
    }

    /// From the last, which makes the deposit, to the first.
    function _requirePath(bytes32 txid, bytes[] calldata path, bytes32 killerTxid) private pure {
        for (uint256 i = path.length; i != 0; --i) {
            bytes32 made = sha256(bytes.concat(sha256(path[i - 1])));
            if (made == killerTxid) revert KillerIsAncestor(killerTxid);
            bool fits = i == path.length ? made == txid : path[i].spendsAny(made);
            if (!fits) revert BrokenPath(i - 1);
        }
    }

    // ------------------------------------------------------------------ for the vault

    function take(IVault.Outpoint[] calldata wanted, uint32 epoch, uint64 rate, uint64 roomSat)
        external
        onlyBy(address(_vault))
        returns (IVault.Outpoint[] memory kept, uint64[] memory amountsSat, int256 chargesSat, uint256 shortSat, bool exempt)
    {
        (kept, amountsSat) = (new IVault.Outpoint[](wanted.length), new uint64[](wanted.length));
        Taking memory taking;
        (taking.epoch, taking.rate, taking.roomSat, taking.pendingSat) = (epoch, rate, roomSat, _pending.sat);
        for (uint256 i = 0; i < wanted.length; ++i) {
            uint64 amountSat = _take(taking, wanted[i]);
            if (amountSat != 0) (kept[taking.count - 1], amountsSat[taking.count - 1]) = (wanted[i], amountSat);
        }
        if (taking.pendingSat != _pending.sat) _pending = Pending(taking.pendingSat, true);
        uint256 count = taking.count;
        assembly ("memory-safe") {
            mstore(kept, count)
            mstore(amountsSat, count)
        }
        // Not by one deposit to the reserve among others: it would be a pass for what these leave unpaid.
        return (kept, amountsSat, taking.chargesSat, taking.shortSat, taking.minted || taking.forReserve == count);
    }

    /// Its amount; 0: skipped.
    function _take(Taking memory taking, IVault.Outpoint calldata wanted) private returns (uint64 amountSat) {
        Record storage record = _records[_key(wanted.txid, wanted.vout)];
        if (!_sweepable(record, taking.epoch)) return 0;
        amountSat = record.amountSat;
        if (record.flags & (BOUND | MINTED) == 0) {
            // docs/ledger.md, "first binding": the whole charge, and the cap.
            bool fits = uint256(taking.pendingSat) + amountSat <= taking.roomSat;
            if (!fits || !_paysFor(record, taking.rate)) return 0;
            taking.pendingSat += amountSat;
            record.flags |= BOUND;
        }
        uint256 chargeSat = amountSat - _worth(record, taking.rate);
        taking.chargesSat += int256(chargeSat);
        if (record.flags & MINTED != 0) taking.minted = true;
        else taking.shortSat += _short(chargeSat, Charges.deposit(taking.rate, _pegInFeeSat));
        if (record.recipient == address(_bridge)) ++taking.forReserve;
        ++taking.count;
    }

    function _short(uint256 chargeSat, uint256 full) private pure returns (uint256) {
        return chargeSat < full ? full - chargeSat : 0;
    }

    function _sweepable(Record storage record, uint32 epoch) private view returns (bool) {
        return record.recipient != address(0) && record.sweptBy == 0 && record.flags & GONE == 0 && record.epoch == epoch
            && _client.holds(record.height, record.blockHead);
    }

    function _paysFor(Record storage record, uint64 rate) private view returns (bool) {
        uint256 full = Charges.deposit(rate, _pegInFeeSat);
        return full <= record.maxFeeSat && full < record.amountSat;
    }

    function sweep(uint32 number, IVault.Outpoint[] calldata swept, uint64 rate, bool up)
        external
        onlyBy(address(_vault))
        returns (uint64 unmintedSat, uint64 mintedSat)
    {
        uint64 pending = _pending.sat;
        for (uint256 i = 0; i < swept.length; ++i) {
            Record storage record = _records[_key(swept[i].txid, swept[i].vout)];
            if (record.sweptBy != (up ? 0 : number) || record.flags & GONE != 0) {
                revert NotSweepable(swept[i].txid, swept[i].vout, record.sweptBy);
            }
            if (record.flags & MINTED != 0) {
                record.sweptBy = up ? number : 0;
                mintedSat += record.mintedSat;
                _bridge.bookSwept(_key(swept[i].txid, swept[i].vout), record.mintedSat, up);
                continue;
            }
            unmintedSat += _worth(record, rate);
            if (_isCounted(record)) pending -= record.amountSat;
            record.sweptBy = up ? number : 0;
            record.flags &= ~LEFT;
            if (!up) pending += record.amountSat;
        }
        if (pending != _pending.sat) _pending = Pending(pending, true);
    }

    /// The coins made for it, or those that would be made at a rate. It depends on nothing that can change.
    function _worth(Record storage record, uint64 rate) private view returns (uint64) {
        if (record.flags & MINTED != 0) return record.mintedSat;
        return uint64(Charges.brings(record.amountSat, record.maxFeeSat, Charges.deposit(rate, _pegInFeeSat)));
    }

    // ------------------------------------------------------------------ mint

    function mint(uint32 number, IVault.Content calldata content, uint256[] calldata which) external unlocked {
        uint32 sweptAt = _vault.requireSettled(number, keccak256(abi.encode(content)));
        Minting memory minting = _begin(number, content.rate, sweptAt, true);
        IBridge.Delivery[] memory deliveries = new IBridge.Delivery[](which.length);
        for (uint256 i = 0; i < which.length; ++i) {
            deliveries[i] = _mint(minting, content.deposits[which[i]]);
        }
        _bridge.deliver(deliveries);
    }

    function mintDeep(uint32 number, IVault.Outpoint[] calldata swept, uint64 rate, uint32 sweptAt)
        external
        onlyBy(address(_vault))
    {
        Minting memory minting = _begin(number, rate, sweptAt, false);
        IBridge.Delivery[] memory deliveries = new IBridge.Delivery[](swept.length);
        uint256 count = 0;
        for (uint256 i = 0; i < swept.length; ++i) {
            IBridge.Delivery memory delivery = _mint(minting, swept[i]);
            if (delivery.recipient != address(0)) deliveries[count++] = delivery;
        }
        assembly ("memory-safe") {
            mstore(deliveries, count)
        }
        if (count != 0) _bridge.deliver(deliveries);
    }

    function _begin(uint32 number, uint64 rate, uint32 sweptAt, bool strict) private view returns (Minting memory) {
        (uint32 tip, uint256 work, uint256 unit) = _client.tipWork();
        return Minting(number, rate, sweptAt, tip, work, unit, strict);
    }

    /// No recipient: not minted.
    function _mint(Minting memory minting, IVault.Outpoint calldata swept) private returns (IBridge.Delivery memory delivery) {
        Record storage record = _records[_key(swept.txid, swept.vout)];
        bool mintable = record.sweptBy == minting.number && record.flags & MINTED == 0;
        if (!mintable && minting.strict) revert NotMintable(swept.txid, swept.vout, minting.number);
        if (!mintable) return delivery;
        // Never more than the headers counted: most that are not deep enough need no other question.
        uint256 counted = minting.tip < record.height ? 0 : minting.tip + 1 - record.height;
        if (!minting.strict && !_mayFit(record.amountSat, counted)) return delivery;
        uint256 depth = _depth(record, minting.sweptAt);
        if (!_admit(record.amountSat, depth, minting.work, minting.unit)) {
            if (minting.strict) revert NotDeepEnough(swept.txid, swept.vout, depth);
            return delivery;
        }
        uint64 coinsSat = _worth(record, minting.rate);
        record.flags |= MINTED;
        record.mintedSat = coinsSat;
        emit DepositMinted(record.recipient, swept.txid, swept.vout, coinsSat, minting.number);
        address claimant = record.claimant == address(0) ? record.recipient : record.claimant;
        return IBridge.Delivery(record.recipient, claimant, coinsSat);
    }

    /// docs/ledger.md, "depth": of the funding; of the sweep where the funding's block has left the best chain. Where the sweep came so late that its
    /// owner might have reclaimed the deposit, the sweep itself must be final.
    function _depth(Record storage record, uint32 sweptAt) private view returns (uint256 depth) {
        bool late = sweptAt > uint256(record.height) + _reclaimDelay / 2;
        if (late && _client.depth(sweptAt) < _finalBlocks) return 0;
        bool there;
        (there, depth) = _client.find(record.height, record.blockHead);
        if (!there) depth = _client.depth(sweptAt);
    }

    // ------------------------------------------------------------------ answers

    function deposit(bytes32 txid, uint32 vout) external view returns (Deposit memory) {
        Record storage record = _records[_key(txid, vout)];
        return Deposit(
            _status(record),
            record.flags & MINTED != 0,
            record.flags & BOUND != 0,
            record.recipient,
            record.claimant,
            record.amountSat,
            record.maxFeeSat,
            record.mintedSat,
            record.sweptBy,
            record.height,
            record.blockHead,
            record.epoch,
            record.flags & LEFT != 0
        );
    }

    function missing(bytes32 txid, uint32 vout) external view returns (uint64 unsweptSat, uint64 lostSat, bool back) {
        Record storage record = _records[_key(txid, vout)];
        if (record.flags & GONE != 0) return (0, record.mintedSat, false);
        if (record.sweptBy == 0) return (record.mintedSat, 0, false);
        return (0, 0, _vault.isFinal(record.sweptBy));
    }

    function pendingSat() external view returns (uint64) {
        return _pending.sat;
    }

    function charge(uint64 rate) external view returns (uint64) {
        return uint64(Charges.deposit(rate, _pegInFeeSat));
    }

    function tierUsedSat() external view returns (uint64[] memory usedSat) {
        (, uint256 work, uint256 unit) = _client.tipWork();
        usedSat = new uint64[](_tierCount() - 1);
        for (uint256 i = 0; i < usedSat.length; ++i) {
            usedSat[i] = uint64(_used(i, work, unit));
        }
    }

    function _status(Record storage record) private view returns (DepositStatus) {
        if (record.recipient == address(0)) return DepositStatus.None;
        if (record.flags & GONE != 0) return DepositStatus.Gone;
        if (record.flags & MINTED != 0) return DepositStatus.Minted;
        return record.sweptBy == 0 ? DepositStatus.Proven : DepositStatus.Swept;
    }

    function _proven(bytes32 txid, uint32 vout) private view returns (Record storage record) {
        record = _records[_key(txid, vout)];
        if (record.recipient == address(0)) revert NotProven(txid, vout);
    }

    function _key(bytes32 txid, uint32 vout) private pure returns (bytes32) {
        return keccak256(abi.encode(txid, vout));
    }
}
