// The payer of one channel: signs a growing total for each request, or reveals ticks, within limits, and saves it first.
import { type Address, type Hex, type LocalAccount, toHex } from "viem";
import { type Domain, domainOf, isSame, types } from "./contract.js";
import { type Receipt, overclaim, receiptSigner } from "./receipt.js";
import { saver } from "./saving.js";
import { MAX_TICKS, type SignedStream, type StreamTerms, type Tick, chain, streamData } from "./stream.js";

/** Requests of one channel that are not answered: as many as are made for. */
export const MOST_IN_FLIGHT = 64;

/** A promise of all that was paid so far. Amounts are decimal digits. */
export interface Voucher {
  channelId: Hex;
  cumulativeAmount: string;
  signature: Hex;
}

/** A request that costs something. */
export interface Request {
  /** The same for the same request: its Idempotency-Key. */
  id: string;
  endpoint: string;
  price: bigint;
}

/** Keeps one string. `save` ends when it is durable. */
export interface Store {
  load(): Promise<string | null | undefined>;
  save(text: string): Promise<void>;
}

/** In the token's smallest unit. */
export interface Limits {
  inAll: bigint;
  /** Of an endpoint without a limit of its own. */
  each: bigint;
  endpoints?: Record<string, bigint>;
}

export interface Options {
  domain: Domain;
  channel: Hex;
  deposit: bigint;
  /** What the chain says was paid out. */
  settled?: bigint;
  /** Signs the channel's vouchers. */
  account: LocalAccount;
  /** The payee, or whom it names. */
  receiptSigner: Address;
  limits: Limits;
  store: Store;
}

interface Payment {
  id: string;
  endpoint: string;
  price: string;
  total: string;
}

/** A stream that is under way. It begins at the largest total that was signed, and each tick raises that: so it ends when anything else does. */
interface Streaming {
  terms: StreamTerms;
  /** The last tick. */
  seed: Hex;
  endpoint: string;
  /** Ticks that were promised, whether or not they ever left. */
  given: number;
}

interface State {
  channel: Hex;
  signed: string;
  spent: Record<string, string>;
  unanswered: Payment[];
  receipt: Receipt | null;
  stream?: Streaming | null;
  /** What all ticks promised. */
  ticked?: string;
}

export class Payer {
  readonly #options: Options;
  readonly #state: State;
  #deposit: bigint;
  #chain: Hex[] = [];
  readonly #save: () => Promise<void>;

  private constructor(options: Options, state: State) {
    this.#options = options;
    this.#state = state;
    this.#deposit = options.deposit;
    this.#save = saver(options.store, () => JSON.stringify(this.#state));
  }

  /** Goes on where the store says it was. */
  static async start(options: Options): Promise<Payer> {
    const text = await options.store.load();
    const fresh: State = { channel: options.channel, signed: "0", spent: {}, unanswered: [], receipt: null };
    const kept: State = text ? JSON.parse(text) : fresh;
    if (kept.channel !== options.channel) throw new Error(`the store is of channel ${kept.channel}, not ${options.channel}`);
    const payer = new Payer(options, kept);
    // What was settled was signed once, whatever the store says.
    const settled = options.settled ?? 0n;
    if (settled > BigInt(kept.signed)) [kept.signed, kept.stream] = [settled.toString(), null];
    return payer;
  }

  /** The largest total that was signed, or is about to be. */
  get signed(): bigint {
    return BigInt(this.#state.signed);
  }

  /** What is in the channel. */
  get deposit(): bigint {
    return this.#deposit;
  }

  /** More was added to it. */
  grow(deposit: bigint): void {
    if (deposit > this.#deposit) this.#deposit = deposit;
  }

  /** The receipt with the largest sum. */
  get receipt(): Receipt | null {
    return this.#state.receipt;
  }

  /** Requests that wait for an answer, as `pay` takes them: to be sent again after a start. */
  unanswered(): Request[] {
    return this.#state.unanswered.map(({ id, endpoint, price }) => ({ id, endpoint, price: BigInt(price) }));
  }

  /** Promises what a request costs; the voucher, once that is saved. The same request gets the same voucher. */
  async pay({ id, endpoint, price }: Request): Promise<Voucher> {
    const payment = this.#planned(id, endpoint, price) ?? this.#plan(id, endpoint, price);
    await this.#save();
    return this.#sign(BigInt(payment.total));
  }

  /** A voucher of a total that was promised before, or of less: it gives a payee nothing that it has not got. */
  async again(total: bigint): Promise<Voucher> {
    if (total > this.signed) throw new Error(`a total of ${total} was never promised, the largest is ${this.signed}`);
    return this.#sign(total);
  }

  /** Takes the payee's receipt for a request. Throws if it is not the payee's, or over more than was promised. */
  async answer(receipt: Receipt): Promise<void> {
    const { domain, channel, receiptSigner: want } = this.#options;
    const payment = this.#state.unanswered.find(({ total }) => total === receipt.cumulativeAmount);
    if (receipt.channelId !== channel || !payment) throw new Error(`no request waits for a receipt over ${receipt.cumulativeAmount}`);
    if (BigInt(receipt.price) > BigInt(payment.price)) throw new Error(`receipt is over ${receipt.price}, promised were ${payment.price}`);
    const got = await receiptSigner(domain, receipt);
    if (!isSame(got, want)) throw new Error(`receipt is signed by ${got}, expected ${want}`);
    this.#state.unanswered = this.#state.unanswered.filter((other) => other !== payment);
    if (!this.#state.receipt || BigInt(receipt.charged) > BigInt(this.#state.receipt.charged)) this.#state.receipt = receipt;
    await this.#save();
  }

  /** The payee has this total, as it says without a signature: nobody waits for what is below any more. It stays promised. */
  async arrived(total: bigint): Promise<void> {
    this.#state.unanswered = this.#state.unanswered.filter((payment) => BigInt(payment.total) > total);
    await this.#save();
  }

  /** By how much the payee was paid too much, if so much was settled on the chain; `receipt` shows it. */
  overclaim(settled: bigint): bigint {
    const ticked = BigInt(this.#state.ticked ?? 0);
    const promised = this.#state.unanswered.reduce((sum, { price }) => sum + BigInt(price), ticked);
    return this.#state.receipt ? overclaim(this.#state.receipt, settled, promised) : 0n;
  }

  // ------------------------------------------------------------------ ticks

  /** The stream that is under way, and how many ticks it has left. */
  get streaming(): { root: Hex; tickAmount: bigint; left: number } | undefined {
    const stream = this.#state.stream;
    if (!stream) return undefined;
    const { root, tickAmount, ticks } = stream.terms;
    return { root, tickAmount: BigInt(tickAmount), left: ticks - stream.given };
  }

  /** Signs for a stream of ticks, once that is saved. One that is under way for the same and has ticks left goes on: `given` is the last tick that was promised of it, which may not have
   * arrived. */
  async stream({ endpoint, tickAmount, most = MAX_TICKS }: { endpoint: string; tickAmount: bigint; most?: number }): Promise<{ signed: SignedStream; given?: Tick }> {
    const before = this.#state.stream;
    const goesOn = before && before.endpoint === endpoint && BigInt(before.terms.tickAmount) === tickAmount && before.given < before.terms.ticks;
    const { terms, given } = goesOn ? before : this.#begin(endpoint, tickAmount, most);
    await this.#save();
    const signed = { ...terms, signature: await this.#options.account.signTypedData(streamData(this.#options.domain, terms)) };
    return given > 0 ? { signed, given: this.promised(terms.root, given) } : { signed };
  }

  /** Promises so many ticks more of the stream that is under way; they come once that is saved. */
  async give(root: Hex, count: number): Promise<Tick[]> {
    const stream = this.#state.stream;
    if (!stream || stream.terms.root !== root) throw new Error(`no stream ${root} is under way`);
    const left = stream.terms.ticks - stream.given;
    if (!Number.isInteger(count) || count < 1 || count > left) throw new Error(`${count} ticks of a stream that has ${left} left`);
    const [after, price] = [stream.given, BigInt(stream.terms.tickAmount) * BigInt(count)];
    this.#count(stream.endpoint, price);
    stream.given += count;
    this.#state.ticked = (BigInt(this.#state.ticked ?? 0) + price).toString();
    // The chain is this stream's, whatever begins while it is saved.
    const hashes = this.#hashes(stream);
    await this.#save();
    return hashes.slice(after + 1, after + count + 1).map((tick, at) => ({ root, number: after + 1 + at, tick }));
  }

  /** A tick that was promised before. */
  promised(root: Hex, number: number): Tick {
    const stream = this.#state.stream;
    if (!stream || stream.terms.root !== root || !(number > 0 && number <= stream.given)) throw new Error(`tick ${number} of stream ${root} was never promised`);
    return { root, number, tick: this.#hashes(stream)[number]! };
  }

  /** Gives no more ticks of it: for who lets a voucher of all that was promised stand for ticks that may not have arrived (`again`). */
  endStream(): void {
    this.#state.stream = null;
  }

  #begin(endpoint: string, tickAmount: bigint, most: number): Streaming {
    if (tickAmount <= 0n) throw new Error(`a price of ${tickAmount} makes no payment`);
    const affordable = (this.#deposit - this.signed) / tickAmount;
    const ticks = Math.min(most, MAX_TICKS, affordable > BigInt(MAX_TICKS) ? MAX_TICKS : Number(affordable));
    if (ticks < 1) throw new Error(`the total would be ${this.signed + tickAmount}, the channel's deposit is ${this.#deposit}`);
    const seed = toHex(crypto.getRandomValues(new Uint8Array(32)));
    const root = chain(seed, ticks)[0]!;
    const terms = { channelId: this.#options.channel, cumulativeAmount: this.signed.toString(), tickAmount: tickAmount.toString(), ticks, root };
    return (this.#state.stream = { terms, seed, endpoint, given: 0 });
  }

  #hashes({ terms, seed }: Streaming): Hex[] {
    if (this.#chain[0] !== terms.root) this.#chain = chain(seed, terms.ticks);
    return this.#chain;
  }

  // ------------------------------------------------------------------ promises

  async #sign(total: bigint): Promise<Voucher> {
    const { domain, account, channel } = this.#options;
    const message = { channelId: channel, cumulativeAmount: total };
    const signature = await account.signTypedData({ domain: domainOf("EVM Payment Channel", domain), types, primaryType: "Voucher", message });
    return { channelId: channel, cumulativeAmount: total.toString(), signature };
  }

  #planned(id: string, endpoint: string, price: bigint): Payment | undefined {
    const before = this.#state.unanswered.find((payment) => payment.id === id);
    if (before && (before.endpoint !== endpoint || BigInt(before.price) !== price)) throw new Error(`request ${id} was to pay ${before.price} to ${before.endpoint}`);
    return before;
  }

  #plan(id: string, endpoint: string, price: bigint): Payment {
    if (price <= 0n) throw new Error(`a price of ${price} makes no payment`);
    if (this.#state.unanswered.length >= MOST_IN_FLIGHT) throw new Error(`${MOST_IN_FLIGHT} requests are not answered`);
    const total = this.#count(endpoint, price);
    const payment = { id, endpoint, price: price.toString(), total: total.toString() };
    this.#state.unanswered.push(payment);
    // It takes the units that would have been the next tick's.
    this.#state.stream = null;
    return payment;
  }

  /** Counts what is promised, within the deposit and the limits; the new total. */
  #count(endpoint: string, price: bigint): bigint {
    const { limits } = this.#options;
    const total = this.signed + price;
    if (total > this.#deposit) throw new Error(`the total would be ${total}, the channel's deposit is ${this.#deposit}`);
    const spent = this.#state.spent;
    const here = BigInt(spent[endpoint] ?? 0) + price;
    const inAll = Object.values(spent).reduce((sum, amount) => sum + BigInt(amount), price);
    const limit = limits.endpoints?.[endpoint] ?? limits.each;
    if (here > limit) throw new Error(`${endpoint} would have cost ${here}, ${limit} are allowed`);
    if (inAll > limits.inAll) throw new Error(`all together would have cost ${inAll}, ${limits.inAll} are allowed`);
    this.#state.spent = { ...spent, [endpoint]: here.toString() };
    this.#state.signed = total.toString();
    return total;
  }
}
