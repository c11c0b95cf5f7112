// What happened, in words: each event and each call of the ledger's contracts, for who never read them.
import type { ContractName } from "./decode.ts";

type Words = Record<string, string>;

export const EVENTS: Record<ContractName, Words> = {
  lightClient: {
    HeadersAdded: "The ledger learned new Bitcoin blocks",
    Reorganised: "Bitcoin's best chain changed: another branch has more work",
  },
  federation: {
    KeyConfirmed: "A member confirmed the federation's key",
    KeyActivated: "The federation has a key: all members confirmed it",
  },
  signingBoard: { Posted: "A member posted its part of a key or a signature" },
  bridge: {
    Claimable: "Coins were refused by their recipient's code, and can be claimed",
    Claimed: "Coins that waited were claimed",
    CoverRepaid: "Who covered a loss was paid back",
    Covered: "Somebody covered a loss",
    MaximumRaised: "The owner raised the most that a withdrawal pays",
    PauseLifted: "Members ended a guardian's pause",
    Paused: "A guardian paused payouts",
    Recovered: "What was lost came back",
    ReserveFunded: "The reserve was filled up",
    TieEnded: "A withdrawal came loose from its vault output, and waits in the queue again",
    WithdrawalCancelled: "The owner cancelled a withdrawal: the coins are back",
    WithdrawalPaid: "A withdrawal was paid on Bitcoin",
    WithdrawalQueued: "A withdrawal was asked for",
    WithdrawalRefunded: "A withdrawal that waited too long was given back",
    WithdrawalTied: "A payout of a withdrawal was fixed: its Bitcoin transaction is being signed",
    WithdrawalUnpaid: "The Bitcoin block that paid a withdrawal left the best chain",
  },
  vault: {
    Alarm: "A theft from the vault was shown: payouts stop",
    Approved: "A member approved a proposed vault transaction",
    Bound: "A vault transaction was fixed, byte for byte",
    OutputGone: "A vault output was spent by something that is no vault transaction",
    Proposed: "A member proposed a vault transaction",
    Settled: "A vault transaction is in a Bitcoin block",
    Unsettled: "The Bitcoin block of a vault transaction left the best chain",
    Voided: "A vault transaction can never confirm any more",
  },
  deposits: {
    DepositGone: "A deposit can never be swept: something else spent it",
    DepositLeft: "The Bitcoin block of a deposit left the best chain",
    DepositMinted: "Coins were minted for a deposit",
    DepositProven: "A payment to a deposit address was proven to the ledger",
  },
  microChannel: {
    ChannelClosed: "A payment channel was closed",
    ChannelOpened: "A payment channel was opened",
    CloseCancelled: "The closing of a payment channel was taken back",
    CloseRequested: "The payer asks to close a payment channel",
    Collected: "What was set aside in payment channels was fetched",
    SetAside: "Money was set aside for who did not take it",
    Settled: "A payment channel paid out",
    Skipped: "A voucher was left out: it was paid before",
    ToppedUp: "A payment channel was filled up",
  },
  wrappedBtc: {
    Approval: "An owner said how much another may move",
    AuthorizationCanceled: "A signed payment was cancelled",
    AuthorizationUsed: "A signed payment was used",
    Deposit: "Coins became wrapped coins",
    Transfer: "Wrapped coins moved",
    Withdrawal: "Wrapped coins became coins again, or a withdrawal to Bitcoin",
  },
};

/** Of the calls that people make; the others stand by their names. */
export const CALLS: Partial<Record<ContractName, Words>> = {
  lightClient: { submit: "Brings Bitcoin's headers" },
  federation: { confirmKey: "Confirms the federation's key" },
  signingBoard: { approve: "Approves a proposed vault transaction", postKeygen: "Posts a part of a key", postSigning: "Posts a part of a signature" },
  bridge: {
    cancel: "Cancels a withdrawal",
    claim: "Claims coins that a recipient's code refused",
    cover: "Covers a loss",
    end: "Frees a withdrawal from a vault output that has ended",
    fundReserve: "Fills the reserve",
    lift: "Votes to end a pause",
    pause: "Pauses payouts",
    raise: "Raises the most that a withdrawal pays",
    refund: "Gives an overdue withdrawal back to its owner",
    repay: "Pays back who covered a loss",
    withdraw: "Asks for bitcoin",
    withdrawFor: "Asks for bitcoin, in another's name",
  },
  vault: {
    alarm: "Shows a theft",
    bind: "Fixes a vault transaction",
    gone: "Shows that a vault output was spent by something else",
    propose: "Proposes a vault transaction",
    settle: "Shows a vault transaction in a Bitcoin block",
    unsettle: "Shows that a Bitcoin block left the best chain",
    voidOutput: "Shows that a vault transaction can never confirm",
  },
  deposits: {
    gone: "Shows that a deposit was spent by something else",
    left: "Shows that the block of a deposit left the best chain",
    mint: "Mints the coins of deposits that are deep enough",
    prove: "Proves a payment to a deposit address",
  },
  microChannel: {
    claim: "Takes a payment out of a channel, and closes it when asked to",
    close: "Closes a payment channel",
    collect: "Fetches what was set aside",
    fund: "Fills up a payment channel",
    open: "Opens a payment channel",
    openOnNetwork: "Opens a payment channel",
    openWithAuthorization: "Opens a payment channel by a signature",
    requestClose: "Asks to close a payment channel",
    settle: "Takes a payment out of a channel",
    topUp: "Fills up a payment channel",
    topUpWithAuthorization: "Fills up a payment channel by a signature",
    withdraw: "Takes back what a closed channel has left",
  },
  wrappedBtc: {
    approve: "Allows another to move wrapped coins",
    deposit: "Makes wrapped coins of coins",
    transfer: "Moves wrapped coins",
    transferFrom: "Moves another's wrapped coins",
    withdraw: "Makes coins of wrapped coins",
    withdrawToBitcoin: "Asks for bitcoin for wrapped coins",
  },
};

/** `maxFeeSat` as `most that it pays`; what has no words here stands by its name, in words as far as capital letters part it. */
const ARGUMENTS: Words = {
  id: "withdrawal",
  amountSat: "amount",
  maxFeeSat: "pays at most",
  chargeSat: "charge",
  changeSat: "change to the vault",
  mintedSat: "coins",
  lostSat: "lost",
  number: "vault transaction",
  output: "vault output",
  txid: "Bitcoin transaction",
  vout: "output number",
  outputKey: "output key",
  until: "until",
  groupKey: "key of the federation",
};

export function wordOf(argument: string): string {
  return ARGUMENTS[argument] ?? argument.replace(/Sat$/, "").replace(/([a-z])([A-Z])/g, "$1 $2").toLowerCase();
}

export const eventWords = (contract: ContractName, name: string): string => EVENTS[contract][name] ?? name;
export const callWords = (contract: ContractName, name: string): string => CALLS[contract]?.[name] ?? name;
