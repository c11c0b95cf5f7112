// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IMicroChannel} from "../interfaces/IMicroChannel.sol";
import {IERC20, IERC3009} from "../interfaces/IERC3009.sol";

/// What comes into the channels and what leaves them: coins, and tokens of any kind. A token is trusted with nothing but its own amounts: what it takes away
/// is missing from channels of this token only, from each in proportion, and what it refuses to pay waits for whom it is due to.
abstract contract Funds is IMicroChannel {
    /// What the draft calls a token, when it is the coin.
    address internal constant COIN = address(0);

    /// For a recipient's code: enough for a contract wallet to receive and log.
    uint256 private constant COIN_GAS = 50_000;
    /// For a token to move an amount: a proxy with hooks takes half of it.
    uint256 private constant TOKEN_GAS = 200_000;
    /// For a token to tell a balance.
    uint256 private constant BALANCE_GAS = 50_000;
    /// Of what is left, EIP-150 keeps a 64th back; a new entry of `owed` costs 22,100 and its event 2,000.
    uint256 private constant GAS_BEFORE_COIN = 90_000;
    uint256 private constant GAS_BEFORE_TOKEN = 340_000;

    /// What `deliver` and `collect` did not reach, by whom it is due to.
    mapping(address account => mapping(address token => uint256 amount)) public owed;
    /// Sum of what is in channels and in `owed`, by token; the coin's is not kept, as a balance of coins never shrinks by itself.
    mapping(address token => uint256 amount) internal _held;
    /// A whole word: a bool would be read once more to be packed.
    uint256 private transient _entered;

    modifier nonReentrant() {
        if (_entered != 0) revert Reentered();
        _entered = 1;
        _;
        _entered = 0;
    }

    // ------------------------------------------------------------------ what waits

    function collect(address account, address token) external nonReentrant returns (uint256) {
        return _collect(account, token, account);
    }

    function collectTo(address token, address to) external nonReentrant returns (uint256) {
        if (to == address(0) || to == address(this)) revert BadRecipient(to);
        return _collect(msg.sender, token, to);
    }

    function _collect(address account, address token, address to) private returns (uint256 amount) {
        amount = owed[account][token];
        if (amount == 0) revert NothingOwed(account, token);
        owed[account][token] = 0;
        emit Collected(account, token, to, amount);
        if (!_send(token, to, amount, gasleft(), gasleft())) revert TransferFailed(token, to);
    }

    // ------------------------------------------------------------------ in

    /// Takes an amount that the caller allowed; what arrived of it.
    function _take(address token, uint256 amount) internal returns (uint256) {
        if (token == COIN) {
            if (msg.value != amount) revert WrongValue(msg.value, amount);
            return amount;
        }
        if (msg.value != 0) revert WrongValue(msg.value, 0);
        uint256 before = _beforeArrival(token);
        bytes memory call = abi.encodeCall(IERC20.transferFrom, (msg.sender, address(this), amount));
        if (!_calls(token, call, gasleft())) revert TransferFailed(token, address(this));
        return _arrived(token, before);
    }

    /// Takes what a holder signed for (EIP-3009). By `receiveWithAuthorization` nobody else can bring what was signed.
    function _takeAuthorized(address token, Authorization memory signed, bool byReceipt) internal returns (uint256) {
        uint256 before = _beforeArrival(token);
        if (byReceipt) {
            IERC3009(token)
                .receiveWithAuthorization(
                    signed.from,
                    address(this),
                    signed.value,
                    signed.validAfter,
                    signed.validBefore,
                    signed.nonce,
                    signed.v,
                    signed.r,
                    signed.s
                );
        } else {
            IERC3009(token)
                .transferWithAuthorization(
                    signed.from,
                    address(this),
                    signed.value,
                    signed.validAfter,
                    signed.validBefore,
                    signed.nonce,
                    signed.v,
                    signed.r,
                    signed.s
                );
        }
        return _arrived(token, before);
    }

    /// A new deposit is not to pay for what a token took from older ones.
    function _beforeArrival(address token) private view returns (uint256 balance) {
        bool told;
        (told, balance) = _balance(token, gasleft());
        if (!told) revert NotAToken(token);
        if (balance < _held[token]) revert TokenMissing(token, balance, _held[token]);
    }

    function _arrived(address token, uint256 before) private returns (uint256 amount) {
        (bool told, uint256 balance) = _balance(token, gasleft());
        if (!told || balance <= before) revert TransferFailed(token, address(this));
        amount = balance - before;
        _held[token] += amount;
    }

    // ------------------------------------------------------------------ out

    /// Pays, or keeps for who refuses: nobody stops what is due to another.
    function _deliver(address token, address to, uint256 amount) internal {
        if (amount == 0) return;
        uint256 want = token == COIN ? GAS_BEFORE_COIN : GAS_BEFORE_TOKEN;
        if (gasleft() < want) revert MoreGasNeeded(gasleft(), want);
        if (_send(token, to, amount, token == COIN ? COIN_GAS : TOKEN_GAS, BALANCE_GAS)) return;
        owed[to][token] += amount;
        emit SetAside(to, token, amount);
    }

    function _send(address token, address to, uint256 amount, uint256 gasLimit, uint256 balanceGas) private returns (bool sent) {
        if (token == COIN) {
            assembly ("memory-safe") {
                sent := call(gasLimit, to, amount, 0, 0, 0, 0)
            }
            return sent;
        }
        (bool told, uint256 balance) = _balance(token, balanceGas);
        if (!told) return false;
        uint256 held = _held[token];
        uint256 share = balance < held ? amount * balance / held : amount;
        _held[token] = held - amount;
        sent = _calls(address(this), abi.encodeCall(this.moveToken, (token, to, share, balance)), gasLimit);
        if (!sent) _held[token] = held;
    }

    /// A step of `_send` that can be undone as a whole.
    function moveToken(address token, address to, uint256 amount, uint256 before) external {
        if (msg.sender != address(this)) revert Reentered();
        if (!_calls(token, abi.encodeCall(IERC20.transfer, (to, amount)), gasleft())) revert TransferFailed(token, to);
        (bool told, uint256 balance) = _balance(token, gasleft());
        // What a token takes on top of the amount is others'.
        if (!told || balance + amount < before) revert TransferFailed(token, to);
    }

    /// Whether a call went well and did not answer no. Of an answer one word is read.
    function _calls(address target, bytes memory data, uint256 gasLimit) private returns (bool ok) {
        assembly ("memory-safe") {
            mstore(0, 1)
            ok := call(gasLimit, target, 0, add(data, 32), mload(data), 0, 32)
            ok := and(ok, or(iszero(returndatasize()), and(gt(returndatasize(), 31), eq(mload(0), 1))))
        }
    }

    function _balance(address token, uint256 gasLimit) private view returns (bool told, uint256 amount) {
        bytes memory question = abi.encodeCall(IERC20.balanceOf, (address(this)));
        assembly ("memory-safe") {
            told := staticcall(gasLimit, token, add(question, 32), mload(question), 0, 32)
            told := and(told, gt(returndatasize(), 31))
            amount := mload(0)
        }
    }
}
