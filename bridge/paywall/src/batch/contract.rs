//! The functions and events of x402's contracts that are used here (x402-foundation/x402, `contracts/evm/src/x402BatchSettlement.sol`, version 1).

use alloy_sol_types::sol;

sol! {
    /// What a channel is: its id is the EIP-712 hash of it.
    #[derive(Debug, PartialEq, Eq)]
    struct ChannelConfig {
        address payer;
        address payerAuthorizer;
        address receiver;
        address receiverAuthorizer;
        address token;
        uint40 withdrawDelay;
        bytes32 salt;
    }

    #[derive(Debug, PartialEq, Eq)]
    struct Voucher { ChannelConfig channel; uint128 maxClaimableAmount; }

    #[derive(Debug, PartialEq, Eq)]
    struct VoucherClaim { Voucher voucher; bytes signature; uint128 totalClaimed; }

    interface BatchSettlement {
        event Refunded(bytes32 indexed channelId, address indexed sender, uint128 amount);

        function deposit(ChannelConfig config, uint128 amount, address collector, bytes collectorData) external;
        function claim(VoucherClaim[] voucherClaims) external;
        function claimWithSignature(VoucherClaim[] voucherClaims, bytes authorizerSignature) external;
        function settle(address receiver, address token) external;
        function refund(ChannelConfig config, uint128 amount) external;
        function refundWithSignature(ChannelConfig config, uint128 amount, uint256 nonce, bytes receiverAuthorizerSignature) external;
        function initiateWithdraw(ChannelConfig config, uint128 amount) external;
        function multicall(bytes[] data) external returns (bytes[] results);

        function channels(bytes32 channelId) external view returns (uint128 balance, uint128 totalClaimed);
        function pendingWithdrawals(bytes32 channelId) external view returns (uint128 amount, uint40 initiatedAt);
        function refundNonce(bytes32 channelId) external view returns (uint256);
        function receivers(address receiver, address token) external view returns (uint128 totalClaimed, uint128 totalSettled);
    }
}
