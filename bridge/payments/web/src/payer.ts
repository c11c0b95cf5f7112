// The payer of one channel: signs a growing total for each request, within limits, and saves it first.
import type { Address, Hex, LocalAccount } from "viem";
import { type Domain, domainOf, isSame, types } from "./contract.js";
import { type Receipt, overclaim, receiptSigner } from "./receipt.js";

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

interface State {
  channel: Hex;
  signed: string;
  spent: Record<string, string>;
  unanswered: Payment[];
  receipt: Receipt | null;
}

export class Payer {
  readonly #options: Options;
  readonly #state: State;
  #saving: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  private constructor(options: Options, state: State) {
    this.#options = options;
    this.#state = state;
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
    if (settled > BigInt(kept.signed)) kept.signed = settled.toString();
    return payer;
  }

  /** The largest total that was signed, or is about to be. */
  get signed(): bigint {
    return BigInt(this.#state.signed);
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
    const promised = this.#state.unanswered.reduce((sum, { price }) => sum + BigInt(price), 0n);
    return this.#state.receipt ? overclaim(this.#state.receipt, settled, promised) : 0n;
  }

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
    const { deposit, limits } = this.#options;
    if (price <= 0n) throw new Error(`a price of ${price} makes no payment`);
    if (this.#state.unanswered.length >= MOST_IN_FLIGHT) throw new Error(`${MOST_IN_FLIGHT} requests are not answered`);
    const total = this.signed + price;
    if (total > deposit) throw new Error(`the total would be ${total}, the channel's deposit is ${deposit}`);
    const spent = this.#state.spent;
    const here = BigInt(spent[endpoint] ?? 0) + price;
    const inAll = Object.values(spent).reduce((sum, amount) => sum + BigInt(amount), price);
    const limit = limits.endpoints?.[endpoint] ?? limits.each;
    if (here > limit) throw new Error(`${endpoint} would have cost ${here}, ${limit} are allowed`);
    if (inAll > limits.inAll) throw new Error(`all together would have cost ${inAll}, ${limits.inAll} are allowed`);
    const payment = { id, endpoint, price: price.toString(), total: total.toString() };
    this.#state.spent = { ...spent, [endpoint]: here.toString() };
    this.#state.signed = total.toString();
    this.#state.unanswered.push(payment);
    return payment;
  }

  /** Saves the state as it is now, or later; whoever waits while another save is under way shares the next. */
  #save(): Promise<void> {
    if (!this.#saving) {
      const write = () => this.#options.store.save(JSON.stringify(this.#state));
      this.#saving = Promise.resolve().then(write).finally(() => (this.#saving = undefined));
      return this.#saving;
    }
    this.#next ??= this.#saving.catch(() => {}).then(() => {
      this.#next = undefined;
      return this.#save();
    });
    return this.#next;
  }
}
