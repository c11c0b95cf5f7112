// Where the contracts keep their storage. Made by `npm run build` in contracts/ from what the compiler says; `npm run check` there compares.

/** Storage of `BitcoinLightClient`: the slots of its variables, and the fields of its structs. */
export const bitcoinLightClient = {
  best: { slot: 0, offset: 0, size: 32 },
  branches: 1n,
  headers: 2n,
  hashes: 3n,
  /** `struct BitcoinLightClient.Branch`. */
  Branch: {
    parent: { slot: 0, offset: 0, size: 4 },
    jump: { slot: 0, offset: 4, size: 4 },
    depth: { slot: 0, offset: 8, size: 4 },
    first: { slot: 0, offset: 12, size: 4 },
    last: { slot: 0, offset: 16, size: 4 },
    periodTime: { slot: 0, offset: 20, size: 4 },
    periodBits: { slot: 0, offset: 24, size: 4 },
  },
  /** `struct BitcoinLightClient.Stored`. */
  Stored: {
    time: { slot: 0, offset: 0, size: 4 },
    bits: { slot: 0, offset: 4, size: 4 },
    height: { slot: 0, offset: 8, size: 4 },
    branch: { slot: 0, offset: 12, size: 4 },
    work: { slot: 0, offset: 16, size: 16 },
  },
} as const;

/** Storage of `Federation`: the slots of its variables, and the fields of its structs. */
export const federation = {
  members: 0n,
  indexOf: 1n,
  keys: 2n,
  confirmed: 3n,
  /** `struct IFederation.Member`. */
  Member: {
    account: { slot: 0, offset: 0, size: 20 },
    encryptionKey: { slot: 1, offset: 0, size: 32 },
    validatorKey: { slot: 2, offset: 0, size: 32 },
    p2pKey: { slot: 3, offset: 0, size: 32 },
    name: { slot: 4, offset: 0, size: 32 },
  },
  /** `struct Federation.Keys`. */
  Keys: {
    group: { slot: 0, offset: 0, size: 32 },
    vault: { slot: 1, offset: 0, size: 32 },
  },
} as const;

/** Storage of `SigningBoard`: the slots of its variables, and the fields of its structs. */
export const signingBoard = {
  used: 0n,
  /** `struct SigningBoard.Used`. */
  Used: {
    byteCount: { slot: 0, offset: 0, size: 16 },
    since: { slot: 0, offset: 16, size: 16 },
  },
} as const;

/** Storage of `Bridge`: the slots of its variables, and the fields of its structs. */
export const bridge = {
  books: 0n,
  recoveredSat: { slot: 2, offset: 0, size: 8 },
  lineEnd: { slot: 2, offset: 8, size: 8 },
  lineServed: { slot: 2, offset: 16, size: 8 },
  lastWithdrawal: { slot: 2, offset: 24, size: 8 },
  parameters: 3n,
  claimable: 4n,
  window: 5n,
  pause: 6n,
  guardians: 7n,
  records: 8n,
  covered: 9n,
  given: 10n,
  coverCount: { slot: 11, offset: 0, size: 32 },
  /** `struct IBridge.Books`. */
  Books: {
    vault: { slot: 0, offset: 0, size: 8 },
    owed: { slot: 0, offset: 8, size: 8 },
    unminted: { slot: 0, offset: 16, size: 8 },
    unswept: { slot: 0, offset: 24, size: 8 },
    lost: { slot: 1, offset: 0, size: 8 },
    reserve: { slot: 1, offset: 8, size: 8 },
    unclaimed: { slot: 1, offset: 16, size: 8 },
    covered: { slot: 1, offset: 24, size: 8 },
  },
  /** `struct Bounds.Window`. */
  Window: {
    leftSat: { slot: 0, offset: 0, size: 8 },
    since: { slot: 0, offset: 8, size: 5 },
  },
  /** `struct Bounds.Pause`. */
  Pause: {
    number: { slot: 0, offset: 0, size: 4 },
    until: { slot: 0, offset: 4, size: 5 },
    allowedFrom: { slot: 0, offset: 9, size: 5 },
    votes: { slot: 0, offset: 14, size: 16 },
  },
  /** `struct Withdrawals.Record`. */
  Record: {
    owner: { slot: 0, offset: 0, size: 20 },
    kind: { slot: 0, offset: 20, size: 1 },
    length: { slot: 0, offset: 21, size: 1 },
    tail: { slot: 0, offset: 22, size: 8 },
    tie: { slot: 1, offset: 0, size: 4 },
    paidBy: { slot: 1, offset: 4, size: 4 },
    amountSat: { slot: 1, offset: 8, size: 8 },
    maxFeeSat: { slot: 1, offset: 16, size: 8 },
    askedAt: { slot: 1, offset: 24, size: 5 },
    closed: { slot: 1, offset: 29, size: 1 },
    program: { slot: 2, offset: 0, size: 32 },
  },
  /** `struct Losses.Coverage`. */
  Coverage: {
    sat: { slot: 0, offset: 0, size: 8 },
    givenSat: { slot: 0, offset: 8, size: 8 },
    placeInLine: { slot: 0, offset: 16, size: 8 },
  },
  /** `struct Losses.Given`. */
  Given: {
    by: { slot: 0, offset: 0, size: 20 },
    amountSat: { slot: 0, offset: 20, size: 8 },
    vout: { slot: 0, offset: 28, size: 4 },
    txid: { slot: 1, offset: 0, size: 32 },
    repaidSat: { slot: 2, offset: 0, size: 8 },
    place: { slot: 2, offset: 8, size: 8 },
    lost: { slot: 2, offset: 16, size: 1 },
  },
} as const;

/** Storage of `Vault`: the slots of its variables, and the fields of its structs. */
export const vault = {
  places: 0n,
  outputs: 1n,
  txids: 2n,
  vaultTransactionCount: { slot: 3, offset: 0, size: 4 },
  alarm: 4n,
  /** `struct Proposals.Place`. */
  Place: {
    content: { slot: 0, offset: 0, size: 32 },
    approvals: { slot: 1, offset: 0, size: 16 },
    generation: { slot: 1, offset: 16, size: 5 },
    openedAt: { slot: 1, offset: 21, size: 5 },
    epoch: { slot: 1, offset: 26, size: 3 },
    usedBytes: { slot: 1, offset: 29, size: 3 },
  },
  /** `struct Binding.Output`. */
  Output: {
    content: { slot: 0, offset: 0, size: 32 },
    changeSat: { slot: 1, offset: 0, size: 8 },
    spentBy: { slot: 1, offset: 8, size: 4 },
    height: { slot: 1, offset: 12, size: 4 },
    blockHead: { slot: 1, offset: 16, size: 8 },
    epoch: { slot: 1, offset: 24, size: 3 },
    flags: { slot: 1, offset: 27, size: 1 },
    number: { slot: 1, offset: 28, size: 4 },
  },
  /** `struct Vault.Shown`. */
  Shown: {
    number: { slot: 0, offset: 0, size: 4 },
    height: { slot: 0, offset: 4, size: 4 },
    blockHead: { slot: 0, offset: 8, size: 8 },
  },
} as const;

/** Storage of `Deposits`: the slots of its variables, and the fields of its structs. */
export const deposits = {
  tiers: 0n,
  buckets: 1n,
  records: 2n,
  pending: 3n,
  /** `struct Tiers.Bucket`. */
  Bucket: {
    currentSat: { slot: 0, offset: 0, size: 8 },
    previousSat: { slot: 0, offset: 8, size: 8 },
    since: { slot: 0, offset: 16, size: 16 },
  },
  /** `struct Deposits.Record`. */
  Record: {
    recipient: { slot: 0, offset: 0, size: 20 },
    height: { slot: 0, offset: 20, size: 4 },
    sweptBy: { slot: 0, offset: 24, size: 4 },
    flags: { slot: 0, offset: 28, size: 1 },
    epoch: { slot: 0, offset: 29, size: 3 },
    amountSat: { slot: 1, offset: 0, size: 8 },
    maxFeeSat: { slot: 1, offset: 8, size: 8 },
    mintedSat: { slot: 1, offset: 16, size: 8 },
    blockHead: { slot: 1, offset: 24, size: 8 },
    claimant: { slot: 2, offset: 0, size: 20 },
  },
  /** `struct Deposits.Pending`. */
  Pending: {
    sat: { slot: 0, offset: 0, size: 8 },
    kept: { slot: 0, offset: 8, size: 1 },
  },
} as const;

/** Storage of `MicroChannel`: the slots of its variables, and the fields of its structs. */
export const microChannel = {
  owed: 0n,
  held: 1n,
  channels: 2n,
  splits: 3n,
  /** `struct MicroChannel.Record`. */
  Record: {
    payer: { slot: 0, offset: 0, size: 20 },
    deposit: { slot: 0, offset: 20, size: 11 },
    flags: { slot: 0, offset: 31, size: 1 },
    payee: { slot: 1, offset: 0, size: 20 },
    settled: { slot: 1, offset: 20, size: 11 },
    token: { slot: 2, offset: 0, size: 20 },
    authorizedSigner: { slot: 3, offset: 0, size: 20 },
    closeRequestedAt: { slot: 3, offset: 20, size: 6 },
    closeRequestedAtBlock: { slot: 3, offset: 26, size: 6 },
  },
  /** `struct MicroChannel.Split`. */
  Split: {
    recipient: { slot: 0, offset: 0, size: 20 },
    bps: { slot: 0, offset: 20, size: 2 },
  },
} as const;

/** Storage of `WrappedBtc`: the slots of its variables, and the fields of its structs. */
export const wrappedBtc = {
  totalSupply: { slot: 0, offset: 0, size: 32 },
  balanceOf: 1n,
  allowance: 2n,
  nonces: 3n,
  authorizationState: 4n,
} as const;
