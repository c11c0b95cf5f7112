// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// One-way payment channels in the native coin. A payer locks a deposit; each payment is a signed voucher for a growing
/// total, which anybody may cash in for the payee. Amounts are in wei.
interface IMicroChannel {
    struct Channel {
        address payer;
        /// Seconds that must pass between the payer's request to close and the withdrawal.
        uint32 closeDelaySeconds;
        /// Blocks that must pass too, so that a halted chain cannot rob the payee.
        uint32 closeDelayBlocks;
        address payee;
        uint128 deposit;
        uint128 claimed;
        /// When closing: the earliest timestamp and block of `withdraw`; else zero.
        uint64 closableAt;
        uint64 closableAtBlock;
        bool closed;
    }

    struct Voucher {
        uint256 channel;
        /// All that has been paid through the channel so far.
        uint256 total;
    }

    event Opened(
        uint256 indexed id,
        address indexed payer,
        address indexed payee,
        uint256 amount,
        uint32 closeDelaySeconds,
        uint32 closeDelayBlocks
    );
    event ToppedUp(uint256 indexed id, uint256 amount, uint256 deposit);
    event Claimed(uint256 indexed id, uint256 amount, uint256 total);
    event CloseRequested(uint256 indexed id, uint64 closableAt, uint64 closableAtBlock);
    event Closed(uint256 indexed id, uint256 refund);

    error Reentered();
    error BadPayee(address payee);
    error AmountOutOfRange(uint256 amount);
    error NoSuchChannel(uint256 id);
    error AlreadyClosed(uint256 id);
    error AlreadyClosing(uint256 id);
    error NotClosing(uint256 id);
    error NotPayer(address caller, address payer);
    error NotPayee(address caller, address payee);
    error NothingNew(uint256 id, uint256 total, uint256 claimed);
    error BeyondDeposit(uint256 id, uint256 total, uint256 deposit);
    error BadSignature(uint256 id, address signer, address payer);
    error TooEarly(uint256 id, uint64 closableAt, uint64 closableAtBlock);
    error LengthMismatch(uint256 vouchers, uint256 signatures);
    error TransferFailed(address to);

    function open(address payee, uint32 closeDelaySeconds, uint32 closeDelayBlocks) external payable returns (uint256 id);

    /// Anyone adds to the deposit.
    function topUp(uint256 id) external payable;

    /// Anyone: pays the payee what the voucher adds to the total claimed so far.
    function claim(uint256 id, uint256 total, bytes calldata signature) external;

    /// As claim, for many channels in one transaction; reverts as a whole.
    function claimMany(Voucher[] calldata vouchers, bytes[] calldata signatures) external;

    function requestClose(uint256 id) external;

    /// The payer takes the rest back, after both delays.
    function withdraw(uint256 id) external;

    /// The payee gives the rest back to the payer at once.
    function close(uint256 id) external;

    function channel(uint256 id) external view returns (Channel memory);

    function channelCount() external view returns (uint256);

    /// The EIP-712 digest that the payer signs.
    function voucherDigest(uint256 id, uint256 total) external view returns (bytes32);

    function domainSeparator() external view returns (bytes32);
}
