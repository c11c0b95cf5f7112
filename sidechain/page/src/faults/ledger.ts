// Errors of the ledger's contracts, by contract and by their names in the ABI. What is refused changes nothing, so most differ in what to do alone.
import type { ContractName } from "../abi/decode.ts";
import { type Words, said } from "./words.ts";

type Faults = Record<string, Words>;

const UNTOUCHED = "Nothing moved. What the ledger refuses changes nothing: if it was sent all the same, its gas is paid, and no more.";
const BY_MEMBERS = "Your coins, deposits and withdrawals are as they were. Members' nodes do this of themselves and try again.";

const owners = (title: string, happened: string, act: string): Words => said(title, happened, UNTOUCHED, act);
/** Of calls that members' nodes and relays make; somebody who sent one by hand reads it too. */
const members = (title: string, happened: string, act = "There is nothing for an owner to do. If you sent the call yourself, make it again from the ledger's present state."): Words => said(title, happened, BY_MEMBERS, act);

const REENTERED = owners("A call came back while coins were on their way", "Code that was paid, or that paid, called the contract again before the first call had ended. The contract allows one at a time.", "Use an account without code, or change the contract that calls so that it waits until the first call is over.");
const ONLY_BY = owners("Only another contract may call this", "This function is for one of the ledger's own contracts, and somebody else called it.", "Use the function that is meant for accounts: this page and the command line do.");
const WRONG_NETWORK = owners("The call is for another network", "It names the network that it is meant for, and that is not this one: so that nobody repeats here what was said elsewhere.", "Look which network your program or your record is of. The network's id is on the evidence page.");
const NOT_A_MEMBER = members("Only members of the federation may do this", "The account that called is no member's.", "Nothing, for an owner: this page never calls it. A member calls it with its member's account.");
const MALFORMED = members("A Bitcoin transaction cannot be read", "The bytes of the transaction end too early, or say something else than a transaction may.", "Fetch the transaction's bytes again, from another source, without its witness where the call wants it so.");
const MORE_GAS = owners("The call has too little gas", "Before it hands coins to an account, the contract makes sure that enough gas is left for the account's code. It was not.", "Send it again with more gas: let the wallet estimate it, and do not lower its limit.");
const TOO_FEW = members("It is not deep enough in Bitcoin's chain yet", "The ledger believes this only after more blocks, counted by their work.", "Wait for more Bitcoin blocks.");
const DOES_NOT_SPEND = members("The transaction does not spend what it is said to spend", "A proof names a Bitcoin transaction as the one that spent an output; it has no such input.");
const KILLER_IS_BOUND = members("That transaction is the vault's own", "What is said to have taken an output is a vault transaction that the ledger knows: it is shown by settling it.");
const NO_GROUP_KEY = members("No key is in force", "The federation has no key for this epoch yet: its members have not all confirmed one.", "Wait until the federation's page shows its key. Pay no deposit address of another key.");
const TRANSFER_FAILED = owners("The recipient did not take the coins", "The account that should have had the coins has code, and the code refused them.", "Name another account, best one without code; or let the contract accept coins.");

export const LEDGER: Record<ContractName, { by: string; faults: Faults }> = {
  bridge: {
    by: "The bridge",
    faults: {
      AmountOutOfRange: owners("The amount is too small or too large", "A withdrawal has a least amount, and at most what the payout window lets out at once. What was sent along is outside of that.", "Withdraw an amount between the two that the page of withdrawals names, in parts if it is more."),
      BadOwner: owners("A withdrawal needs an owner who can take it back", "It was asked for in the name of the zero address, or of the bridge itself, which could never have its coins back.", "Name an account of yours as owner."),
      FeeLeavesDust: owners("Too little would be left after the fee", "With the whole maximum taken off, less would arrive than Bitcoin nodes relay to this kind of address.", "Withdraw more, or choose a lower maximum fee."),
      InvalidParameters: members("The bridge's parameters contradict each other", "The contract was made with parameters that break its own rules. It happens when a network is set up, and never after.", "Nothing, for an owner. Whoever sets up a network reads the reason in the error."),
      MaximumTooLow: owners("The maximum fee is too low", "A new withdrawal pays at least the floor, what a usual week asks for; a raised maximum is higher than the one before.", "Choose a higher maximum: it is the most that is paid, and what is paid is the day's cost."),
      MoreGasNeeded: MORE_GAS,
      MoreThanMissing: owners("More than is missing", "Somebody covers a loss with more coins than are missing there; perhaps another was quicker.", "Look at what is still missing, and send no more than that."),
      NotAGuardian: owners("Only guardians may pause payouts", "The account that called is no guardian's.", "Use a guardian's account; who they are the federation's page shows."),
      NotAMember: NOT_A_MEMBER,
      NotOwner: owners("Only the owner may do this", "A withdrawal is raised or cancelled by the account that owns it, and another one called.", "Choose in the wallet the account that the withdrawal's page names as its owner. Who asked for a withdrawal in another's name does not own it."),
      NotPaused: members("There is no such pause", "A member votes to end a pause that is over, or that never was."),
      NotWholeSat: owners("The amount is no whole number of satoshis", "Bitcoin has eight decimal places, and coins here have eighteen: what goes out has to be whole satoshis.", "Send an amount with at most eight decimal places. This page does so of itself."),
      NothingToClaim: said("Nothing waits for this account", "Coins that a recipient's code refused wait for the account that was named for them. None wait for the one that called: they were claimed before, or wait for another account.", UNTOUCHED, "Look at your account's page: claimed coins are in its balance. If coins wait for another account, connect that one."),
      NothingToRepay: owners("This cover is not to be repaid yet", "What was covered is not back for good, what came back has not reached this cover in the line, or it was repaid before.", "Ask again when the reserve got something back: covers are repaid in the order in which they were given."),
      OnlyBy: ONLY_BY,
      PauseTooEarly: members("A pause cannot follow another at once", "Between two pauses there is a time in which withdrawals are paid, so that guardians cannot hold up payouts for ever.", "Wait until the time that the error names."),
      Reentered: REENTERED,
      ScriptNotStandard: owners("Bitcoin nodes would not relay a payment to this", "What should be paid is no kind of address that the bridge pays: P2PKH, P2SH, or a witness program that Bitcoin Core relays.", "Ask the payee for an address of another kind, best one that begins with bc1, tb1 or bcrt1."),
      TieHolds: owners("Its payout may still be paid", "The withdrawal is tied to a Bitcoin transaction that members sign or signed. It comes back to the queue only when that transaction can never confirm any more.", "Wait: mostly it is paid. If it is slow, raise its maximum, and the federation replaces the transaction by one that pays more."),
      TooEarly: owners("It is too early to give this back", "A withdrawal that waits in the queue can be given back to its owner by anybody after a time. The time is not over.", "Its page says from when on. Until then its owner can cancel it at once, while it is queued."),
      TransferFailed: said("The account did not take the coins", "Coins went to an account whose code refused them.", "Nothing moved: the coins wait in the bridge for the same account as before.", "Claim them to another account, best one without code: causeway claim --to ACCOUNT."),
      WrongNetwork: WRONG_NETWORK,
      WrongStatus: said("It is too late, or too early, for this", "The withdrawal is in a state in which this cannot be done. Mostly it went on while you looked: its payout was fixed, it was paid, or it was given back.", "Nothing moved by this. The withdrawal's page shows where its money is now.", "Open the withdrawal's page again. One that is tied cannot be cancelled any more, as its payment may be on its way; its maximum can still be raised."),
    },
  },
  wrappedBtc: {
    by: "Wrapped coins",
    faults: {
      NotFromBridge: owners("The bridge's coins are not wrapped", "The bridge wanted to deliver coins to the contract of wrapped coins. The tokens would be the bridge's, so the contract refuses them.", "Name an account of yours as recipient, and wrap the coins from there. Coins that were refused wait for their claimant: see its page."),
      TransferFailed: TRANSFER_FAILED,
    },
  },
  deposits: {
    by: "Deposits",
    faults: {
      AlreadyProven: said("This deposit is proven already", "Somebody was quicker: the ledger knows the payment, in a block of the best chain.", "The deposit is safe with the ledger. Only the gas of the second proof is paid, if it was sent.", "Nothing: its page shows how far it is."),
      BadRecipient: said("This recipient can never have coins", "A deposit address was made for the zero address, or for one of the ledger's contracts. Such a deposit is not taken.", "What was paid there is not swept: it is yours again after the timelock, with the record of the address.", "Take it back with causeway reclaim, and make a new address for an account of yours."),
      BrokenPath: members("The proof has a gap", "The Bitcoin transactions that are shown do not lead from one to the next, up to the deposit."),
      CoinbaseImmature: said("Newly mined coins are too young", "The deposit was paid by a miner's reward itself, which Bitcoin lets nobody spend for 100 blocks.", "The deposit is where it was paid, and is taken later.", "Wait for the blocks that are missing."),
      DepositTooSmall: said("The deposit is too small", "It is less than the bridge takes: sweeping it would cost too large a part of it.", "It is not swept and makes no coins. It is yours again after the timelock, with the record of the address; two small payments do not add up to a large one.", "Take it back with causeway reclaim when its page says so, if that is worth the fee, and pay the least amount or more."),
      DoesNotSpend: DOES_NOT_SPEND,
      KillerIsAncestor: members("That transaction made the deposit", "What is said to have taken the deposit is what paid it, or came before that."),
      KillerIsBound: KILLER_IS_BOUND,
      Malformed: MALFORMED,
      NoGroupKey: NO_GROUP_KEY,
      NoSuchOutput: members("The transaction has no such output", "The proof names an output by a number that the Bitcoin transaction does not have.", "Count the outputs from 0, and name the one that pays the deposit address."),
      NotDeepEnough: said("The deposit needs more confirmations", "Large deposits, and many at once, wait for more Bitcoin blocks, so that no reorganisation of Bitcoin can make coins of nothing.", "The deposit is safe. Its coins are minted when the blocks are there.", "Wait: its page says how many blocks are missing."),
      NotMintable: said("There is nothing to mint here", "The deposit was minted before, or another vault transaction sweeps it.", "If it was minted, its coins are with the recipient: see the deposit's page.", "Open the deposit's page. Minting happens of itself."),
      NotProven: said("The ledger does not know this deposit", "No such payment was proven to it.", "What was paid is on Bitcoin, at the deposit address. Members prove it as soon as they see it, if the address was registered.", "Tell the federation again of the address: causeway register ADDRESS, with its record. To prove the payment yourself: causeway status ADDRESS --prove."),
      NotSweepable: members("This deposit cannot be swept any more", "Another vault transaction swept it, or it was spent by something else."),
      NotTaproot: members("The output is of another kind", "A deposit address is a taproot output, and the one that the proof names is not.", "Name the output that pays the deposit address."),
      NothingToGiveUp: members("This deposit holds no place in the cap", "It is in the best chain, or was swept, minted, spent, or given up before."),
      NullOutpoint: members("A miner's reward spends nothing", "The proof names the empty input that every miner's reward has."),
      OnlyBy: ONLY_BY,
      TooFewConfirmations: TOO_FEW,
      WrongDepositKey: said("The address is not made of these terms", "The key in the output is not what recipient, timelock and the federation's key make together: the record is another one, or is damaged.", "What was paid is where it was. With the right record the federation takes it, or you take it back.", "Use the record that was saved for this very address."),
    },
  },
  vault: {
    by: "The vault",
    faults: {
      AlreadyAlarmed: members("The alarm is on already", "A theft from the vault was shown before: payouts are stopped by it.", "See the overview for what is missing."),
      AlreadyApproved: members("This member approved before", "A member approves a proposal once."),
      AlreadyBound: members("This transaction is fixed already", "Somebody was quicker to fix the very same vault transaction."),
      AlreadySettled: members("It is settled already", "Somebody was quicker to show this vault transaction in its block."),
      BlockLeft: members("Its block is in the best chain no more", "Bitcoin reorganised. The vault transaction has to be shown in its new block, or unsettled."),
      DoesNotSpend: DOES_NOT_SPEND,
      InputNotLive: members("What it spends is not settled", "A vault transaction settles after those whose outputs it spends."),
      KillerIsBound: KILLER_IS_BOUND,
      Malformed: MALFORMED,
      MixedOrEmpty: members("A vault transaction is a sweep or a payout", "It mixes deposits with vault outputs, or has none of either."),
      NoGroupKey: NO_GROUP_KEY,
      NoSuchPlace: members("A member has no such place for proposals", "Places are counted from 0, and are few."),
      NoSuchVaultTransaction: members("There is no vault transaction of this number", "So many were not made yet."),
      NotAMember: NOT_A_MEMBER,
      NotApproved: members("Too few members approved", "A vault transaction is fixed when a threshold of members approved it."),
      NotAscending: members("What a proposal names is out of order", "Deposits, withdrawals and outputs have to ascend, so that none is named twice."),
      NotOpen: members("This proposal is open no more", "Its place was used again, it was fixed, or it is older than an hour."),
      NotRooted: members("The output waits for its own transaction", "Nothing may be tied to a vault output before what made it is final."),
      NotSettled: members("It is not settled", "Only a vault transaction that is in a Bitcoin block can be minted from, or unsettled."),
      NotVoid: members("It may still confirm", "The input does not show that the vault transaction can never confirm."),
      NothingLeft: members("Nothing is left to pay or to sweep", "What the proposal names was paid, cancelled or spent meanwhile."),
      OnlyBy: ONLY_BY,
      OutputNotLive: members("The vault output cannot be spent now", "It was spent, or its transaction is not there any more."),
      ProposalsOverQuota: members("This member proposed too much of late", "All nodes keep what is proposed for ever, so each member has a quota."),
      RateOutOfBounds: members("The fee rate is outside the ledger's bounds", "A vault transaction pays neither less nor more than the ledger allows."),
      Reentered: REENTERED,
      ReserveTooSmall: members("The reserve has too little for this", "The vault transaction would need more of the reserve than it names, or than there is."),
      SpenderSettled: members("What spends its output is settled", "Vault transactions are unsettled in the reverse order of their spending."),
      StillConfirmed: members("Its block is in the best chain", "Only what left Bitcoin's best chain is unsettled."),
      TooFewConfirmations: TOO_FEW,
      TooLittle: members("The inputs do not suffice", "Payouts and cost are more than what the vault transaction spends."),
      TooMany: members("Too many inputs or payouts", "A vault transaction has fewer, so that it can always be signed and relayed."),
      TransactionTooLarge: members("The vault transaction is too large", "Bitcoin nodes relay such a transaction up to a size (BIP431)."),
      WrongContent: members("It is not what was proposed", "The content in the call has another hash than the ledger keeps."),
      WrongEpoch: members("It is of another epoch", "The vault output is held by another key of the federation than the content names."),
      WrongNetwork: WRONG_NETWORK,
      WrongTransaction: members("That is another transaction", "The Bitcoin transaction in the proof is not the one that the ledger has under this number."),
    },
  },
  microChannel: {
    by: "Payment channels",
    faults: {
      AlreadyClosed: said("The channel is closed", "It was paid out and its rest given back before.", "Its money went to payer and payee when it was closed. What an account did not take waits for it.", "Fetch what waits with collect. Open a new channel to pay more."),
      AlreadyClosing: owners("Closing was asked for before", "The delay runs from the first time, and is not started again.", "Wait until the delay is over, then take the rest back."),
      AmountOutOfRange: owners("Nothing was locked, or too much", "A channel is opened and filled with more than nothing, and less than 2^88.", "Send another amount. A token that takes a fee of each transfer may have left nothing."),
      BadRecipient: owners("This account cannot be paid", "It is the zero address or the contract of the channels itself.", "Name an account that can have money."),
      BadSignature: said("The signature is not the signer's", "A voucher or a permission was signed by another key than the channel names, for another channel, or was changed on its way.", "Nothing was paid by it. What was signed well before counts as before.", "A payee asks for a voucher that is signed by the channel's signer. A payer looks which key and which network its program signs with."),
      BadSplits: owners("The parts do not fit", "A payment is split into at most 16 parts, none of them zero, and something is left for the payee.", "Change the parts."),
      BeyondDeposit: owners("More was signed for than the channel has", "The total of the voucher is more than was locked.", "The payer fills the channel up, or the payee claims with an older voucher."),
      ChannelExists: owners("There is such a channel already", "Its payer opened the same channel before: payee, token, signer and salt are all the same.", "Use the one that is open, or choose another salt."),
      LengthMismatch: owners("The lists have different lengths", "Each entry of one list needs one of the other.", "Correct the program that made the call."),
      LockExpired: owners("The secret came too late", "The payment was locked until a time, and the time is over.", "Claim with the last voucher that is not locked. Ask the payer for a new one."),
      MoreGasNeeded: MORE_GAS,
      NoSuchChannel: owners("There is no such channel", "No channel was opened with this id.", "Check id and network; wait until its opening is in a block."),
      NotAToken: owners("There is no token at this address", "What is named as token tells no balance.", "Check the token's address."),
      NotClosing: owners("Closing was not asked for", "The payer takes the rest back after asking to close, and a delay.", "Ask to close first."),
      NotPayee: owners("Only the payee may do this", "Another account called.", "Use the account that the channel names as payee."),
      NotPayer: owners("Only the payer may do this", "Another account called.", "Use the account that the channel names as payer."),
      NothingNew: said("The voucher was claimed already", "As much or more was paid out of the channel before.", "What the voucher is worth is paid. Nothing moved now.", "Claim with a newer voucher."),
      NothingOwed: owners("Nothing waits for this account", "No money was set aside for it in this token, or it was fetched before.", "Check account and token."),
      Reentered: REENTERED,
      TokenMissing: owners("The token took back what was locked", "The contract holds less of the token than its channels have. The token's own rules did that, and it refuses more of it.", "Lock nothing in this token. Ask whoever made it."),
      TooEarly: owners("A delay is not over", "Between asking to close and taking the rest back there are a time and a number of blocks, in which the payee can claim.", "Wait until both that the error names have passed."),
      TooManyTicks: owners("More ticks than were signed for", "A claim takes at most those of the voucher, and 1,024 at a time.", "Claim fewer at a time."),
      TransferFailed: owners("The token or the account refused", "The transfer of the money failed: the balance or the allowance is too small, or the recipient's code said no.", "Check the balance, what the token allows to the contract, and the recipient."),
      UnboundAuthorization: owners("The permission names no channel", "The signed permission could be used for a channel that somebody else chose.", "Sign it with the channel's own nonce, as the client library does."),
      WrongNetwork: WRONG_NETWORK,
      WrongPreimage: owners("That is not the secret", "Its hash is another than the one that was agreed on.", "Use the secret that belongs to this payment."),
      WrongTick: owners("The tick is not of this channel", "Hashed so often as it says it does not lead to the channel's root.", "Use the tick that belongs to this voucher."),
      WrongValue: owners("The coins sent along are not the amount", "A channel in coins is opened with exactly its amount; one in a token with no coins.", "Send exactly the amount."),
    },
  },
  lightClient: {
    by: "The ledger's view of Bitcoin",
    faults: {
      AmbiguousCheckpoint: members("The checkpoint hides its target", "A network cannot begin at this block of Bitcoin."),
      AmbiguousLength: members("A transaction of 64 bytes is not believed", "It could be an inner node of the block's tree.", "A deposit by such a transaction is not taken: take it back after the timelock."),
      AmbiguousNode: members("The proof can be read in two ways", "A node of its path could be a transaction, and the tree's depth is not shown.", "Show the depth by the first transaction's path too: causeway status ADDRESS --prove does."),
      BadLength: members("Headers have 80 bytes each", "What was sent has another length."),
      BadTarget: members("A Bitcoin header names a wrong target", "Its difficulty is not what the rules ask for."),
      BadWork: members("A Bitcoin header has too little work", "Its hash is above its target."),
      DuplicatedSibling: members("The proof shows a copy", "A right node of the tree equals its left one: it is no transaction (CVE-2012-2459)."),
      ImpossibleWork: members("The checkpoint's work cannot be", "It is less than its own, or more than any chain has."),
      IndexBeyondTree: members("The block has no such place", "A tree of this depth has fewer transactions."),
      InvalidBits: members("A target cannot be read", "The header's target is negative, zero, or easier than the network allows."),
      LeftmostMismatch: members("The first transaction's path leads elsewhere", "It does not join the path of the transaction that is proven."),
      NobodyToTrust: members("Nobody brings this network's headers", "Its blocks are signed, and no federation was named whose members bring them."),
      NotAMember: NOT_A_MEMBER,
      NotATransaction: members("What is shown first is no transaction", "It has the zeros of a miner's reward where a hash should be."),
      NotOnBestChain: members("The block is in the best chain no more", "A branch with more work has left it.", "Look up in which block the transaction is now, and prove it there."),
      NothingNew: members("These headers are known", "Somebody was quicker."),
      PrecompileFailed: members("The hash could not be computed", "The built-in SHA-256 failed, for want of gas.", "Send it again with more gas."),
      RootMismatch: members("The proof does not lead to the block's root", "The transaction is not in this block, or its proof was changed.", "Make the proof again."),
      Timewarp: members("A header's time jumps back too far", "The first block of a period may not be much older than the last one before it (BIP94)."),
      TooDeep: members("The tree is deeper than a block's", "No block has so many transactions."),
      TooNew: members("A header's time is ahead", "It is more than Bitcoin allows ahead of this chain's clock.", "Wait until the clock has caught up."),
      TooOld: members("A header's time is too old", "It is not after the median of the eleven before it."),
      TransactionTooLarge: members("The transaction is larger than a block", "Bitcoin has none of that size."),
      Unconnected: members("A header's parent is missing", "Earlier headers have to be brought first."),
      UnknownHeader: members("The ledger does not know this block", "No header with this hash was brought yet, or it is of another chain.", "Wait until the ledger has it: the overview says how far it is."),
      WrongDepth: members("The paths begin at different depths", "The first transaction's path does not begin where the other one does."),
      WrongEpochTime: members("The checkpoint's time is wrong", "It is the first block of its period, and has another time."),
    },
  },
  federation: {
    by: "The federation",
    faults: {
      BadMember: members("A member breaks a rule", "It happens when a network is set up, and never after."),
      BadThreshold: members("The threshold does not fit the members", "It happens when a network is set up, and never after."),
      KeyAlreadyActive: members("The key is in force", "It does not change any more."),
      NoSuchMember: members("There is no such member", "Members are counted from 1."),
      NotAMember: NOT_A_MEMBER,
      TweakMismatch: members("The vault's key is not made of the group's key", "A member confirmed two keys that do not belong together."),
      WrongEpoch: members("That is another epoch", "Keys are confirmed for the present epoch alone."),
      WrongNetwork: WRONG_NETWORK,
    },
  },
  signingBoard: {
    by: "The signing board",
    faults: {
      NotAMember: NOT_A_MEMBER,
      OverQuota: members("This member posted too much of late", "All nodes keep what is posted, so each member has a quota."),
      PayloadTooLong: members("The message is too long", "No part of a key or a signature is so long."),
      SessionClosed: members("Nothing is signed here any more", "The vault transaction is settled, void or not fixed, or the key is in force."),
      WrongNetwork: WRONG_NETWORK,
    },
  },
};
