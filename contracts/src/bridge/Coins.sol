// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IBitcoinLightClient} from "../interfaces/IBitcoinLightClient.sol";
import {IBridge} from "../interfaces/IBridge.sol";
import {IDeposits} from "../interfaces/IDeposits.sol";
import {IFederation} from "../interfaces/IFederation.sol";
import {IVault} from "../interfaces/IVault.sol";

/// The books, the one lock of the ledger's three contracts, and the delivery of coins.
abstract contract Coins is IBridge {
    uint256 internal constant WEI_PER_SAT = 1e10;
    /// For a recipient's code. Enough for a contract wallet to receive and log; the cost of 64 such recipients fits a transaction.
    uint256 private constant DELIVERY_GAS = 50_000;
    /// With it, the recipient is certain to get DELIVERY_GAS: EIP-150 keeps a 64th back, and the call itself costs up to 36,600.
    uint256 private constant GAS_BEFORE_DELIVERY = 110_000;

    /// Slots 0 and 1: nodes and auditors read them by proof.
    Books internal _books;
    /// Slot 2. What deposits to the reserve brought and no loss has used yet; of it, the reserve still has what fees did not take.
    uint64 public recoveredSat;
    /// Whoever covers a loss stands in line, satoshi by satoshi: it ends here,
    uint64 internal _lineEnd;
    /// and is served up to here.
    uint64 internal _lineServed;
    uint64 internal _lastWithdrawal;

    /// ABI encoded, as `parameters` answers them. What functions need of them is in the code.
    bytes private _parameters;
    mapping(address account => uint64 amountSat) public claimable;

    bool private transient _entered;

    IVault public immutable vault;
    IDeposits public immutable deposits;
    IBitcoinLightClient public immutable lightClient;
    IFederation public immutable federation;
    bytes32 internal immutable _networkId;
    uint64 internal immutable _stopSat;

    /// Coins leave only at the end of a function; this guards the rest of the ledger meanwhile.
    modifier nonReentrant() {
        requireUnlocked();
        _entered = true;
        _;
        _entered = false;
    }

    modifier onlyBy(address caller) {
        if (msg.sender != caller) revert IVault.OnlyBy(msg.sender, caller);
        _;
    }

    constructor(
        Parameters memory parameters_,
        IBitcoinLightClient lightClient_,
        IFederation federation_,
        IVault vault_,
        IDeposits deposits_
    ) {
        (lightClient, federation, vault, deposits) = (lightClient_, federation_, vault_, deposits_);
        _networkId = federation_.networkId();
        _parameters = abi.encode(parameters_);
        _stopSat = parameters_.stopSat;
    }

    function requireUnlocked() public view {
        if (_entered) revert IVault.Reentered();
    }

    function claim(address to) external nonReentrant {
        uint64 amountSat = claimable[msg.sender];
        if (amountSat == 0) revert NothingToClaim(msg.sender);
        claimable[msg.sender] = 0;
        _books.unclaimed -= amountSat;
        emit Claimed(msg.sender, to, amountSat);
        _send(to, amountSat);
    }

    function books() external view returns (Books memory) {
        return _books;
    }

    function parameters() external view returns (Parameters memory) {
        bytes memory encoded = _parameters;
        assembly {
            return(add(encoded, 32), mload(encoded))
        }
    }

    /// Pays coins out. An account that refuses them, or uses too much gas, cannot stop the caller: `claimant` finds them by `claim`.
    function _deliver(address to, address claimant, uint64 amountSat) internal {
        if (amountSat == 0) return;
        if (gasleft() < GAS_BEFORE_DELIVERY) revert MoreGasNeeded(gasleft(), GAS_BEFORE_DELIVERY);
        uint256 amountWei = uint256(amountSat) * WEI_PER_SAT;
        bool delivered;
        assembly ("memory-safe") {
            // Its return data is not copied, so it cannot make this run out of gas either.
            delivered := call(DELIVERY_GAS, to, amountWei, 0, 0, 0, 0)
        }
        if (delivered) return;
        _books.unclaimed += amountSat;
        _owe(claimant, amountSat);
    }

    /// Notes coins, which the books have as unclaimed already.
    function _owe(address account, uint64 amountSat) internal {
        claimable[account] += amountSat;
        emit Claimable(account, amountSat);
    }

    /// Pays coins to an account that its owner named; reverts when it refuses them.
    function _send(address to, uint64 amountSat) internal {
        (bool sent,) = to.call{value: uint256(amountSat) * WEI_PER_SAT}("");
        if (!sent) revert TransferFailed(to);
    }

    function _wholeSat(uint64 minSat, uint64 maxSat) internal view returns (uint64) {
        if (msg.value % WEI_PER_SAT != 0) revert NotWholeSat(msg.value);
        uint256 amountSat = msg.value / WEI_PER_SAT;
        if (amountSat < minSat || amountSat > maxSat) revert AmountOutOfRange(amountSat, minSat, maxSat);
        return uint64(amountSat);
    }

    // ------------------------------------------------------------------ the reserve pays for losses

    /// docs/ledger.md, "heal": what deposits to the reserve brought pays for losses, in whichever order the two are shown: first for what nobody covered,
    /// then for those who did. Called wherever a loss or the reserve grows, so the reserve never keeps what a loss could have.
    function _heal(Books memory sums) internal {
        uint64 healSat = recoveredSat;
        if (healSat == 0 || sums.reserve <= 0) return;
        if (int64(healSat) > sums.reserve) healSat = uint64(sums.reserve);
        (uint64 lostSat, uint64 leftSat) = _part(healSat, sums.lost);
        (uint64 coverSat,) = _part(leftSat, coveredLost());
        uint64 usedSat = lostSat + coverSat;
        if (usedSat == 0) return;
        recoveredSat -= usedSat;
        _lineServed += coverSat;
        (sums.lost, sums.reserve, sums.unclaimed) =
        (sums.lost - lostSat, sums.reserve - int64(usedSat), sums.unclaimed + coverSat);
        emit Recovered(lostSat, coverSat);
    }

    function coveredLost() public view returns (uint64) {
        return _lineEnd - _lineServed;
    }

    /// The part of an amount that fits, and what is left.
    function _part(uint64 amountSat, uint64 mostSat) internal pure returns (uint64 part, uint64 left) {
        part = amountSat < mostSat ? amountSat : mostSat;
        return (part, amountSat - part);
    }

    /// What is missing: lost, unswept and overdrawn.
    function _missing() internal view returns (uint64) {
        return _books.lost + _books.unswept + _overdraft();
    }

    function _overdraft() internal view returns (uint64) {
        return _books.reserve < 0 ? uint64(-_books.reserve) : 0;
    }
}
