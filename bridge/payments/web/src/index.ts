// The payer's side of payment channels: in web pages and in Node.
export { type Domain, type Terms, abi, channelId, openCall, openNonce, topUpNonce, types } from "./contract.js";
export { type Receipt, overclaim, receiptSigner } from "./receipt.js";
export { type Limits, MOST_IN_FLIGHT, type Options, Payer, type Request, type Store, type Voucher } from "./payer.js";
export { type Challenge, challenges } from "./challenge.js";
export { MAX_TICKS, type SignedStream, type StreamTerms, type Tick, chain, streamDigest } from "./stream.js";
export { Events, type ServerEvent } from "./events.js";
export type { Ended, KeptChannel, PastChannel } from "./kept.js";
export { type SessionReceipt, type Stopped, PaymentError } from "./said.js";
export { type Paying, type WalletOptions, Wallet } from "./wallet.js";
