// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// One-way payment channels in the native coin. A payer locks a deposit; each payment is a signed voucher for a growing
/// total, which anybody may cash in for the payee. Amounts are in wei, times in seconds since 1970. Ids start at 1.
interface IMicroChannel {
    /// What `channel` answers.
    struct Channel {
        /// Who locked the deposit, signs vouchers, and gets the rest back.
        address payer;
        /// Seconds that must pass between the payer's request to close and the withdrawal.
        uint32 closeDelaySeconds;
        /// Blocks that must pass too, so that a halted chain cannot rob the payee.
        uint32 closeDelayBlocks;
        /// Who is paid.
        address payee;
        /// All that was locked so far.
        uint128 deposit;
        /// All that was paid out to the payee so far.
        uint128 claimed;
        /// When closing: the earliest timestamp of `withdraw`; else zero.
        uint64 closableAt;
        /// When closing: the earliest block of `withdraw`; else zero.
        uint64 closableAtBlock;
        /// The rest went back to the payer; nothing can be claimed any more.
        bool closed;
    }

    /// What the payer signs, as EIP-712 typed data.
    struct Voucher {
        /// Id of the channel.
        uint256 channel;
        /// All that has been paid through the channel so far.
        uint256 total;
    }

    /// A channel was opened.
    /// @param id of the channel.
    /// @param payer who locked the coins.
    /// @param payee who is paid.
    /// @param amount locked.
    /// @param closeDelaySeconds seconds between a request to close and the withdrawal.
    /// @param closeDelayBlocks blocks between them.
    event Opened(
        uint256 indexed id,
        address indexed payer,
        address indexed payee,
        uint256 amount,
        uint32 closeDelaySeconds,
        uint32 closeDelayBlocks
    );

    /// More coins were locked.
    /// @param id of the channel.
    /// @param amount added.
    /// @param deposit all that was locked so far.
    event ToppedUp(uint256 indexed id, uint256 amount, uint256 deposit);

    /// The payee was paid.
    /// @param id of the channel.
    /// @param amount paid by this claim.
    /// @param total all that was paid so far.
    event Claimed(uint256 indexed id, uint256 amount, uint256 total);

    /// `claimMany` left a voucher out: claimed already, refused by the payee, or not valid.
    /// @param id of the channel.
    /// @param total in the voucher.
    event Skipped(uint256 indexed id, uint256 total);

    /// The payer asked to close; the payee has until then to claim.
    /// @param id of the channel.
    /// @param closableAt the earliest timestamp of `withdraw`.
    /// @param closableAtBlock the earliest block of `withdraw`.
    event CloseRequested(uint256 indexed id, uint64 closableAt, uint64 closableAtBlock);

    /// A channel was closed.
    /// @param id of the channel.
    /// @param refund given back to the payer.
    event Closed(uint256 indexed id, uint256 refund);

    /// The called account's code called back while coins were on their way.
    error Reentered();

    /// The payee is the zero address or this contract.
    /// @param payee in the call.
    error BadPayee(address payee);

    /// No coins were sent along, or the deposit would pass 2^128 - 1 wei.
    /// @param amount sent along.
    error AmountOutOfRange(uint256 amount);

    /// No channel has this id.
    /// @param id in the call.
    error NoSuchChannel(uint256 id);

    /// The channel was closed before.
    /// @param id of the channel.
    error AlreadyClosed(uint256 id);

    /// The payer asked to close before.
    /// @param id of the channel.
    error AlreadyClosing(uint256 id);

    /// The payer must ask to close first.
    /// @param id of the channel.
    error NotClosing(uint256 id);

    /// Only the payer may do this.
    /// @param caller of the function.
    /// @param payer of the channel.
    error NotPayer(address caller, address payer);

    /// Only the payee may do this.
    /// @param caller of the function.
    /// @param payee of the channel.
    error NotPayee(address caller, address payee);

    /// The voucher's total was claimed already.
    /// @param id of the channel.
    /// @param total in the voucher.
    /// @param claimed so far.
    error NothingNew(uint256 id, uint256 total, uint256 claimed);

    /// The voucher's total is more than was locked.
    /// @param id of the channel.
    /// @param total in the voucher.
    /// @param deposit locked so far.
    error BeyondDeposit(uint256 id, uint256 total, uint256 deposit);

    /// The voucher is not signed by the payer.
    /// @param id of the channel.
    /// @param signer that the signature gives; zero for one that is not 65 bytes (r, s, v = 27 or 28) with the lower s.
    /// @param payer of the channel.
    error BadSignature(uint256 id, address signer, address payer);

    /// One of the two delays has not passed.
    /// @param id of the channel.
    /// @param closableAt the earliest timestamp.
    /// @param closableAtBlock the earliest block.
    error TooEarly(uint256 id, uint64 closableAt, uint64 closableAtBlock);

    /// Each voucher needs one signature.
    /// @param vouchers in the call.
    /// @param signatures in the call.
    error LengthMismatch(uint256 vouchers, uint256 signatures);

    /// The account refused the coins.
    /// @param to where they should have gone.
    error TransferFailed(address to);

    /// Too little gas is left to pay a payee: send more.
    /// @param left gas at hand.
    /// @param want gas needed before a payment.
    error MoreGasNeeded(uint256 left, uint256 want);

    /// Opens a channel with the coins sent along; the caller is its payer. Reverts with BadPayee or AmountOutOfRange.
    /// @param payee who is paid.
    /// @param closeDelaySeconds seconds between a request to close and the withdrawal.
    /// @param closeDelayBlocks blocks between them.
    /// @return id of the channel.
    function open(address payee, uint32 closeDelaySeconds, uint32 closeDelayBlocks) external payable returns (uint256 id);

    /// Anyone adds the coins sent along to the deposit. Reverts with NoSuchChannel, AlreadyClosed or AmountOutOfRange.
    /// @param id of the channel.
    function topUp(uint256 id) external payable;

    /// Anyone: pays the payee the part of a voucher's total that was not claimed yet.
    ///
    /// Reverts with NoSuchChannel, AlreadyClosed, NothingNew, BeyondDeposit, BadSignature or TransferFailed.
    /// @param id of the channel.
    /// @param total in the voucher.
    /// @param signature of `voucherDigest` by the payer: r, s, v (65 bytes).
    function claim(uint256 id, uint256 total, bytes calldata signature) external;

    /// As claim, for many channels in one transaction. What is claimed already, refused by its payee (who gets 50,000 gas) or not valid is skipped:
    /// nobody's voucher stops another. Reverts with LengthMismatch or MoreGasNeeded.
    /// @param vouchers what was signed.
    /// @param signatures one for each voucher.
    function claimMany(Voucher[] calldata vouchers, bytes[] calldata signatures) external;

    /// The payer announces that it will take the rest back. Reverts with NoSuchChannel, AlreadyClosed, NotPayer or AlreadyClosing.
    /// @param id of the channel.
    function requestClose(uint256 id) external;

    /// The payer takes the rest back, after both delays. Reverts with NoSuchChannel, AlreadyClosed, NotPayer, NotClosing, TooEarly
    /// or TransferFailed.
    /// @param id of the channel.
    function withdraw(uint256 id) external;

    /// The payee gives the rest back to the payer at once. Reverts with NoSuchChannel, AlreadyClosed, NotPayee or TransferFailed.
    /// @param id of the channel.
    function close(uint256 id) external;

    /// A channel, open or closed. Reverts with NoSuchChannel.
    /// @param id of the channel.
    function channel(uint256 id) external view returns (Channel memory);

    /// The network whose vouchers these are: that of the Federation.
    function networkId() external view returns (bytes32);

    /// Channels so far, which is the last one's id.
    function channelCount() external view returns (uint256);

    /// The EIP-712 digest that the payer signs.
    /// @param id of the channel.
    /// @param total all that has been paid through the channel so far.
    function voucherDigest(uint256 id, uint256 total) external view returns (bytes32);

    /// The EIP-712 domain: name "Causeway MicroChannel", version "1", this chain and this contract; the network id is its salt.
    function domainSeparator() external view returns (bytes32);
}
