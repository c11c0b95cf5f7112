// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IBridge} from "./IBridge.sol";

/// The coin as a token: ERC-20, with permits (EIP-2612) and authorizations (EIP-3009), both also by `bytes` and by contracts that sign (EIP-1271).
/// One unit is one wei of the coin, so one satoshi is 10^10 of them.
///
/// What the standards name reverts with the words of the most used token that has them (FiatToken 2.2), because clients tell causes apart by these:
/// "authorization is expired", "authorization is not yet valid", "authorization is used or canceled", "caller must be the payee", "invalid signature",
/// "permit is expired", "transfer amount exceeds balance", "transfer amount exceeds allowance". Only what no standard names has errors of its own.
interface IWrappedBtc {
    // ------------------------------------------------------------------ ERC-20

    /// Tokens moved; from the zero address when they were made of coins, to it when they became coins again.
    event Transfer(address indexed from, address indexed to, uint256 value);

    /// An owner said how much a spender may move.
    event Approval(address indexed owner, address indexed spender, uint256 value);

    function name() external view returns (string memory);
    function symbol() external view returns (string memory);
    function decimals() external view returns (uint8);

    /// All tokens. The contract has as many coins (more if somebody forced coins on it: nobody's).
    function totalSupply() external view returns (uint256);
    function balanceOf(address account) external view returns (uint256);
    function allowance(address owner, address spender) external view returns (uint256);

    /// Reverts if `to` is the zero address or this contract, from which nobody could take them.
    function transfer(address to, uint256 value) external returns (bool);
    function approve(address spender, uint256 value) external returns (bool);

    /// As `transfer`. An allowance of 2^256 - 1 is never used up.
    function transferFrom(address from, address to, uint256 value) external returns (bool);

    // ------------------------------------------------------------------ coins

    /// Coins became tokens.
    /// @param to has the tokens.
    /// @param value in wei.
    event Deposit(address indexed to, uint256 value);

    /// Tokens became coins again, or a withdrawal to Bitcoin.
    /// @param from had the tokens.
    /// @param value in wei.
    event Withdrawal(address indexed from, uint256 value);

    /// The account refused the coins.
    /// @param to where they should have gone.
    error TransferFailed(address to);

    /// Coins that Bridge delivers make no tokens: they would be Bridge's.
    error NotFromBridge();

    /// Tokens for the coins sent along, which are the sender's. (A plain transfer of coins does the same.)
    function deposit() external payable;

    /// Coins for tokens of the caller. Reverts with TransferFailed if the caller does not take them.
    /// @param value in wei.
    function withdraw(uint256 value) external;

    /// Bitcoin for tokens of the caller, who owns the withdrawal: raises it, cancels it, and has the *coins* back if it ends so.
    ///
    /// Reverts as IBridge.withdraw does; the value must be whole satoshis.
    /// @param value in wei.
    /// @param script output script to pay on Bitcoin.
    /// @param maxFeeSat the most that goes to fees.
    /// @return id of the withdrawal.
    function withdrawToBitcoin(uint256 value, bytes calldata script, uint64 maxFeeSat) external returns (uint256 id);

    /// Where withdrawals to Bitcoin go.
    function bridge() external view returns (IBridge);

    /// Payment channels (MicroChannel): what is signed to pay this account is brought by itself alone.
    function channels() external view returns (address);

    // ------------------------------------------------------------------ EIP-712, EIP-5267

    function version() external view returns (string memory);
    function DOMAIN_SEPARATOR() external view returns (bytes32);
    function eip712Domain()
        external
        view
        returns (
            bytes1 fields,
            string memory name,
            string memory version,
            uint256 chainId,
            address verifyingContract,
            bytes32 salt,
            uint256[] memory extensions
        );

    // ------------------------------------------------------------------ EIP-2612

    function PERMIT_TYPEHASH() external view returns (bytes32);

    /// The number that the owner's next permit names.
    function nonces(address owner) external view returns (uint256);

    /// Sets an allowance that the owner signed.
    /// @param deadline the last second of the permit.
    function permit(address owner, address spender, uint256 value, uint256 deadline, uint8 v, bytes32 r, bytes32 s) external;

    /// @param signature r, s, v, or what the owner's code takes.
    function permit(address owner, address spender, uint256 value, uint256 deadline, bytes calldata signature) external;

    // ------------------------------------------------------------------ EIP-3009

    /// An authorization was used.
    event AuthorizationUsed(address indexed authorizer, bytes32 indexed nonce);

    /// An authorization was cancelled.
    event AuthorizationCanceled(address indexed authorizer, bytes32 indexed nonce);

    function TRANSFER_WITH_AUTHORIZATION_TYPEHASH() external view returns (bytes32);
    function RECEIVE_WITH_AUTHORIZATION_TYPEHASH() external view returns (bytes32);
    function CANCEL_AUTHORIZATION_TYPEHASH() external view returns (bytes32);

    /// Whether an authorization was used or cancelled.
    function authorizationState(address authorizer, bytes32 nonce) external view returns (bool);

    /// Moves tokens as `from` signed; anyone may bring it, but to `channels`.
    /// @param validAfter it is valid in seconds after this one,
    /// @param validBefore and before this one.
    /// @param nonce chosen by `from`, at random.
    function transferWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external;

    /// @param signature r, s, v, or what the code of `from` takes.
    function transferWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        bytes calldata signature
    ) external;

    /// The same for `to` alone, so that nobody brings it in front of a call that wants to count what it received.
    function receiveWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external;

    /// @param signature r, s, v, or what the code of `from` takes.
    function receiveWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        bytes calldata signature
    ) external;

    /// Ends an authorization that was not used, as its authorizer signed.
    function cancelAuthorization(address authorizer, bytes32 nonce, uint8 v, bytes32 r, bytes32 s) external;

    /// @param signature r, s, v, or what the authorizer's code takes.
    function cancelAuthorization(address authorizer, bytes32 nonce, bytes calldata signature) external;
}
