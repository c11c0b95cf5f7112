// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// One-way payment channels in the coin and in any ERC-20. A payer locks a deposit; each payment is a signed voucher for a growing total. Functions named
/// by the public draft "EVM Session" (draft-evm-session-00) are marked so, and work for its clients unchanged. A token of address zero is the coin: its
/// amount is sent along. Amounts are in the token's smallest unit, times in seconds since 1970.
interface IMicroChannel {
    /// What `getChannel` answers; all zero for a channel that never was. The draft's fields, then ours.
    struct Channel {
        /// Who locked the deposit, and gets the rest back.
        address payer;
        /// Who is paid.
        address payee;
        /// In which token; zero for the coin.
        address token;
        /// Who signs vouchers; zero for the payer.
        address authorizedSigner;
        /// All that was locked so far.
        uint128 deposit;
        /// All that was paid out so far.
        uint128 settled;
        /// When the payer asked to close; zero if it did not.
        uint64 closeRequestedAt;
        /// The rest went back to the payer; nothing can be claimed any more.
        bool finalized;
        /// Who gets parts of what the payee is paid,
        address[] splitRecipients;
        /// and how many ten-thousandths.
        uint16[] splitBps;
        /// In which block the payer asked to close.
        uint64 closeRequestedAtBlock;
    }

    /// What a channel's id is made of, besides chain and contract.
    struct Terms {
        address payer;
        address payee;
        address token;
        bytes32 salt;
        address authorizedSigner;
    }

    /// What is signed, as EIP-712 typed data of this name and these fields (the draft's).
    struct Voucher {
        bytes32 channelId;
        /// All that has been paid through the channel so far.
        uint128 cumulativeAmount;
    }

    /// The part of a `LockedVoucher` that is paid only to who knows a secret. Signed with the channel's id and a total, in front.
    struct Lock {
        /// What is paid on top of the total.
        uint128 lockedAmount;
        /// SHA-256 of the secret, which has 32 bytes, as in Lightning: one that only one of both takes would rob who passes payments on.
        bytes32 sha256Hash;
        /// From then on the secret is worth nothing.
        uint64 lockExpiry;
    }

    /// The part of a `Stream` by which a secret is revealed backwards, hash by hash: each is a payment. Signed with the channel's id and a total, in front.
    struct Stream {
        /// What each adds to the total.
        uint128 tickAmount;
        /// The most there are.
        uint32 ticks;
        /// The hash (keccak256, of 32 bytes) of the first.
        bytes32 root;
    }

    /// What a holder signed for (EIP-3009).
    struct Authorization {
        address from;
        uint256 value;
        uint256 validAfter;
        uint256 validBefore;
        bytes32 nonce;
        uint8 v;
        bytes32 r;
        bytes32 s;
    }

    /// A channel was opened; its splits are in `getChannel`.
    event ChannelOpened(
        bytes32 indexed channelId,
        address indexed payer,
        address indexed payee,
        address token,
        address authorizedSigner,
        bytes32 salt,
        uint256 deposit
    );

    /// Its deposit grew by what arrived.
    event ToppedUp(bytes32 indexed channelId, uint256 amount, uint256 deposit);

    /// A voucher was claimed: `amount` more, `total` in all.
    event Settled(bytes32 indexed channelId, uint256 amount, uint256 total);

    /// `claimMany` left a voucher out: claimed already, of no open channel, beyond the deposit, or not signed.
    event Skipped(bytes32 indexed channelId, uint256 total);

    /// The payer asked to close; the rest is its own from this time and this block on.
    event CloseRequested(bytes32 indexed channelId, uint256 closableAt, uint256 closableAtBlock);

    /// The payer added to the deposit instead.
    event CloseCancelled(bytes32 indexed channelId);

    /// A channel was closed: paid out in all, and given back.
    event ChannelClosed(bytes32 indexed channelId, uint256 settled, uint256 refund);

    /// An account did not take what it was due: it waits for `collect`.
    event SetAside(address indexed account, address indexed token, uint256 amount);

    /// What waited was paid.
    event Collected(address indexed account, address indexed token, address to, uint256 amount);

    /// The called account's code called back while money was on its way.
    error Reentered();

    /// The coins sent along are not the amount; with a token none are.
    error WrongValue(uint256 sent, uint256 want);

    /// It tells no balance.
    error NotAToken(address token);

    /// The token took away from what was locked before, and would from this.
    error TokenMissing(address token, uint256 balance, uint256 held);

    /// The token, or the account, refused.
    error TransferFailed(address token, address to);

    /// Nothing waits for the account.
    error NothingOwed(address account, address token);

    /// Too little gas is left to pay an account: send more.
    error MoreGasNeeded(uint256 left, uint256 want);

    /// The account is the zero address or this contract.
    error BadRecipient(address to);

    /// There are more than 16 parts, one is zero, or they leave nothing for the payee.
    error BadSplits(uint256 count, uint256 sumBps);

    /// Nothing was locked, or more than 2^88 - 1.
    error AmountOutOfRange(uint256 amount);

    /// Its payer opened this channel before.
    error ChannelExists(bytes32 channelId);

    /// The call is meant for another network.
    error WrongNetwork(bytes32 got, bytes32 want);

    /// What was signed does not name the channel by its nonce (`openNonce`, `topUpNonce`), so somebody else could have chosen it. Without, only the wrapped
    /// coin is taken, for a channel without splits whose vouchers the payer signs itself.
    error UnboundAuthorization(address token, address authorizedSigner, uint256 splits);

    error NoSuchChannel(bytes32 channelId);
    error AlreadyClosed(bytes32 channelId);
    error AlreadyClosing(bytes32 channelId);

    /// The payer must ask to close first.
    error NotClosing(bytes32 channelId);

    /// One of the two delays has not passed.
    error TooEarly(bytes32 channelId, uint256 closableAt, uint256 closableAtBlock);

    error NotPayer(address caller, address payer);
    error NotPayee(address caller, address payee);

    /// The total was claimed already.
    error NothingNew(bytes32 channelId, uint256 total, uint256 settled);

    /// The total is more than was locked.
    error BeyondDeposit(bytes32 channelId, uint256 total, uint256 deposit);

    /// Not signed by the channel's signer: by its key in 65 bytes (r, the lower s, v = 27 or 28), or as its code says with 100,000 gas (EIP-1271).
    error BadSignature(bytes32 channelId, address signer);

    /// The secret comes too late.
    error LockExpired(bytes32 channelId, uint256 lockExpiry);

    /// SHA-256 of the preimage is another one.
    error WrongPreimage(bytes32 channelId, bytes32 sha256Hash);

    /// More than were signed for, or than the 1,024 that one claim takes.
    error TooManyTicks(bytes32 channelId, uint256 ticks, uint256 most);

    /// Hashed so often it is not the root.
    error WrongTick(bytes32 channelId, uint256 ticks);

    /// Each needs one of the other.
    error LengthMismatch(uint256 left, uint256 right);

    // ------------------------------------------------------------------ opening

    /// (Draft.) Opens a channel whose payer is the caller; of a token, what it allowed this contract.
    /// @param payee who is paid.
    /// @param token in which token; zero for the coin.
    /// @param deposit how much; what arrives of it is the channel's.
    /// @param salt a random number.
    /// @param authorizedSigner who signs vouchers; zero for the payer.
    /// @param splitRecipients who gets parts of what the payee is paid: at most 16,
    /// @param splitBps and how many ten-thousandths: together fewer than 10,000.
    /// @return channelId `computeChannelId` of these.
    function open(
        address payee,
        address token,
        uint128 deposit,
        bytes32 salt,
        address authorizedSigner,
        address[] calldata splitRecipients,
        uint16[] calldata splitBps
    ) external payable returns (bytes32 channelId);

    /// As open, on the network `network` only: the transaction opens nothing on another one with the same chain id, so neither do the channel's vouchers pay there.
    function openOnNetwork(
        bytes32 network,
        address payee,
        address token,
        uint128 deposit,
        bytes32 salt,
        address authorizedSigner,
        address[] calldata splitRecipients,
        uint16[] calldata splitBps
    ) external payable returns (bytes32 channelId);

    /// (Draft.) As open, for the payer `from`, with what it signed for the token (EIP-3009) to pay this contract. Anybody may bring it.
    ///
    /// What is signed is ReceiveWithAuthorization if `nonce` is `openNonce` of the channel, and as in the draft TransferWithAuthorization if it is any other;
    /// then reverts with UnboundAuthorization where that would let others take the money.
    function openWithAuthorization(
        address payee,
        address token,
        uint128 deposit,
        bytes32 salt,
        address authorizedSigner,
        address from,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        uint8 v,
        bytes32 r,
        bytes32 s,
        address[] calldata splitRecipients,
        uint16[] calldata splitBps
    ) external returns (bytes32 channelId);

    // ------------------------------------------------------------------ more money

    /// (Draft.) The payer adds to the deposit, and takes a request to close back.
    function topUp(bytes32 channelId, uint128 additionalDeposit) external payable;

    /// Anybody adds to the deposit. A request to close stays: nobody can hold the payer.
    function fund(bytes32 channelId, uint128 additionalDeposit) external payable;

    /// (Draft.) As topUp, with what the payer signed: ReceiveWithAuthorization if `nonce` is a `topUpNonce` of the channel, else TransferWithAuthorization;
    /// then reverts with UnboundAuthorization unless the token is the wrapped coin and the payer signs its vouchers itself.
    function topUpWithAuthorization(
        bytes32 channelId,
        uint128 additionalDeposit,
        address from,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external;

    // ------------------------------------------------------------------ claims

    /// (Draft.) The payee is paid what a voucher adds to what was paid before.
    function settle(bytes32 channelId, uint128 cumulativeAmount, bytes calldata signature) external;

    /// As settle, by anybody for the payee.
    function claim(bytes32 channelId, uint128 cumulativeAmount, bytes calldata signature) external;

    /// As claim, for many channels. What is worth nothing (any more) is left out. Those of one payee and token that follow each other are paid by one transfer.
    function claimMany(Voucher[] calldata vouchers, bytes[] calldata signatures) external;

    /// As claim, of a LockedVoucher: total and locked amount, with the secret, before the lock's time.
    function claimLocked(
        bytes32 channelId,
        uint128 cumulativeAmount,
        Lock calldata lock,
        bytes32 preimage,
        bytes calldata signature
    ) external;

    /// As claim, of a Stream: the total, and `ticks` times what a tick adds.
    /// @param tick what is the root when it is hashed `ticks` times.
    function claimStream(
        bytes32 channelId,
        uint128 cumulativeAmount,
        Stream calldata stream,
        uint32 ticks,
        bytes32 tick,
        bytes calldata signature
    ) external;

    // ------------------------------------------------------------------ closing

    /// (Draft.) The payee is paid as by settle, and the rest goes back to the payer. With no more than was settled before, no signature is asked for.
    function close(bytes32 channelId, uint128 cumulativeAmount, bytes calldata signature) external;

    /// (Draft.) The payer announces that it will take the rest back.
    function requestClose(bytes32 channelId) external;

    /// (Draft.) The payer takes the rest back, after both delays.
    function withdraw(bytes32 channelId) external;

    // ------------------------------------------------------------------ what waits

    /// Pays an account what it did not take before. Anybody may.
    function collect(address account, address token) external returns (uint256 amount);

    /// As collect, of what the caller is due, to another account.
    function collectTo(address token, address to) external returns (uint256 amount);

    function owed(address account, address token) external view returns (uint256 amount);

    // ------------------------------------------------------------------ answers

    function getChannel(bytes32 channelId) external view returns (Channel memory);

    /// The network: that of the Federation.
    function networkId() external view returns (bytes32);

    /// The token that lets nobody but this contract bring what was signed for it.
    function wrappedCoin() external view returns (address);

    /// Seconds between a request to close and the withdrawal,
    function CLOSE_GRACE_PERIOD() external view returns (uint64);

    /// and blocks, so that a chain that stands still robs nobody.
    function CLOSE_GRACE_BLOCKS() external view returns (uint64);

    /// (Draft.) keccak256 of these, this contract and the chain's id, ABI encoded.
    function computeChannelId(address payer, address payee, address token, bytes32 salt, address authorizedSigner)
        external
        view
        returns (bytes32);

    /// The nonce by which an authorization is for one channel on this network: the EIP-712 hash of Open.
    function openNonce(bytes32 channelId, address[] calldata splitRecipients, uint16[] calldata splitBps)
        external
        view
        returns (bytes32);

    /// A nonce by which an authorization is for one channel on this network: 20 bytes of the EIP-712 hash of TopUp, and any number that was not used.
    function topUpNonce(bytes32 channelId, uint96 number) external view returns (bytes32);

    /// EIP-712: name "EVM Payment Channel", version "1", this chain and this contract (the draft's).
    function domainSeparator() external view returns (bytes32);

    function getVoucherDigest(bytes32 channelId, uint128 cumulativeAmount) external view returns (bytes32);
    function getLockedVoucherDigest(bytes32 channelId, uint128 cumulativeAmount, Lock calldata lock)
        external
        view
        returns (bytes32);
    function getStreamDigest(bytes32 channelId, uint128 cumulativeAmount, Stream calldata stream) external view returns (bytes32);
}
