// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Coins} from "./Coins.sol";
import {IBridge} from "../interfaces/IBridge.sol";
import {IVault} from "../interfaces/IVault.sol";

/// What stops or slows first ties: pause, alarm, deficit, payout window. Nothing here ever stops a further version of what is tied, nor settle,
/// unsettle, mint, gone, end, cancel or refund.
abstract contract Bounds is Coins {
    /// A bucket that fills evenly: what may be tied for the first time.
    struct Window {
        uint64 leftSat;
        uint40 since;
    }

    struct Pause {
        uint32 number;
        uint40 until;
        uint40 allowedFrom;
        /// Bit i: member i + 1 wants it lifted.
        uint128 votes;
    }

    Window private _window;
    Pause private _pause;
    mapping(address account => bool) private _guardians;

    uint64 internal immutable _windowSat;
    uint32 private immutable _windowSeconds;
    uint32 private immutable _pauseSeconds;
    uint32 private immutable _pauseGapSeconds;
    uint64 private immutable _capSat;
    uint16 private immutable _maxInputs;
    uint16 private immutable _maxPayouts;

    constructor(Parameters memory parameters_) {
        for (uint256 i = 0; i < parameters_.guardians.length; ++i) {
            _guardians[parameters_.guardians[i]] = true;
        }
        (_windowSat, _windowSeconds) = (parameters_.windowSat, parameters_.windowSeconds);
        (_pauseSeconds, _pauseGapSeconds) = (parameters_.pauseSeconds, parameters_.pauseGapSeconds);
        (_capSat, _maxInputs, _maxPayouts) = (parameters_.capSat, parameters_.maxInputs, parameters_.maxPayouts);
        _window = Window(_windowSat, uint40(block.timestamp));
    }

    // ------------------------------------------------------------------ pause

    function pause() external {
        if (!_guardians[msg.sender]) revert NotAGuardian(msg.sender);
        if (block.timestamp < _pause.allowedFrom) revert PauseTooEarly(_pause.allowedFrom);
        uint40 until = uint40(block.timestamp + _pauseSeconds);
        _pause = Pause(_pause.number + 1, until, until + _pauseGapSeconds, 0);
        emit Paused(_pause.number, msg.sender, until);
    }

    function lift(bytes32 network, uint32 number) external {
        if (network != _networkId) revert IVault.WrongNetwork(network, _networkId);
        uint16 member = federation.indexOf(msg.sender);
        if (member == 0) revert IVault.NotAMember(msg.sender);
        if (number != _pause.number || !_isPaused()) revert NotPaused(number, _pause.number);
        _pause.votes |= uint128(1) << (member - 1);
        if (_votes() < federation.threshold()) return;
        // The time before the next one stays: whoever paused without need cannot do so again at once.
        _pause.until = uint40(block.timestamp);
        emit PauseLifted(number);
    }

    function _isPaused() private view returns (bool) {
        return block.timestamp < _pause.until;
    }

    function _votes() private view returns (uint16 count) {
        for (uint128 votes = _pause.votes; votes != 0; votes &= votes - 1) {
            ++count;
        }
    }

    // ------------------------------------------------------------------ first ties

    /// Whether nothing may be tied for the first time.
    function _isStopped() internal view returns (bool) {
        return _isPaused() || _missing() >= _stopSat || vault.alarmed();
    }

    function _windowLeft() internal view returns (uint256) {
        uint256 size = _windowSat;
        uint256 left = _window.leftSat + size * (block.timestamp - _window.since) / _windowSeconds;
        return left < size ? left : size;
    }

    function _setWindow(uint256 leftSat) internal {
        _window = Window(uint64(leftSat), uint40(block.timestamp));
    }

    // ------------------------------------------------------------------ answers

    function limits() external view returns (IBridge.Limits memory answer) {
        answer.capSat = _capSat;
        answer.capUsedSat = _books.vault + _books.unswept + _books.lost + deposits.pendingSat();
        answer.windowSat = _windowSat;
        answer.windowLeftSat = uint64(_windowLeft());
        answer.windowSeconds = _windowSeconds;
        (answer.pausedUntil, answer.pauseAllowedFrom) = (_pause.until, _pause.allowedFrom);
        (answer.pauseNumber, answer.liftVotes) = (_pause.number, _votes());
        answer.alarmed = vault.alarmed();
        (answer.missingSat, answer.stopSat, answer.stopped) = (_missing(), _stopSat, _isStopped());
        (answer.maxInputs, answer.maxPayouts) = (_maxInputs, _maxPayouts);
        answer.tierUsedSat = deposits.tierUsedSat();
    }
}
