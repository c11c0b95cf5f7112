//! What bounds a block and its transactions, and the price of gas. Every validator must have the same.

/// Gas a single transaction may ask for. EIP-7825: 2^24.
pub const MAX_TRANSACTION_GAS: u64 = 1 << 24;

/// Bytes of transactions (as they are in the block's RLP) in one block. Keeps a block within what validators gossip in one interval.
pub const MAX_BLOCK_BYTES: usize = 4 << 20;

/// Bytes of one transaction. The limit of Ethereum's mempools (128 KiB) times four: a proof of a whole difficulty period's
/// headers (2016 * 80 bytes) fits.
pub const MAX_TRANSACTION_BYTES: usize = 512 << 10;

/// Gas of all blocks above the last final one together; more blocks are empty. Finality is two or three blocks behind when all is well,
/// and somewhat more while a disk is slow. What they change is kept in memory.
pub const MAX_UNFINAL_GAS: u64 = 800_000_000;

/// Bytes of transactions in all blocks above the last final one together.
pub const MAX_UNFINAL_BYTES: usize = 8 * MAX_BLOCK_BYTES;

/// Bytes of free-lane transactions in one block.
pub const MAX_FREE_BYTES: usize = 1 << 20;

/// Bytes of one member's free-lane transactions in one block: half of all, so that one member leaves room for the others.
pub const MAX_MEMBER_BYTES: usize = MAX_FREE_BYTES / 2;
const _: () = assert!(MAX_MEMBER_BYTES >= MAX_TRANSACTION_BYTES, "every free transaction fits into an empty block");

/// One member's free-lane transactions in one block: more than a relayer posts in a second for all its sessions. Each costs
/// every validator a signature check, however little gas it asks for.
pub const MAX_MEMBER_TRANSACTIONS: usize = 64;

/// Lowest base fee, in wei per gas. Ethereum's formula alone would let an idle chain fall to 7 wei and give space away; at
/// this floor a transfer (21,000 gas) costs 2.1 sat.
pub const MIN_BASE_FEE: u64 = 1_000_000;
