// A `fetch` that pays when it is asked to (402), within limits: by MPP's `session` over a channel, or by its `charge`. Streamed answers (SSE) are paid as they come.
//
// A server names its payee itself, so another may name the same: a liar, or one whose books are apart. A channel therefore pays the origin that it was opened for, and no other.
import { type Address, type Hex, type LocalAccount, hexToBytes, keccak256, parseSignature, toHex } from "viem";
import { type Asked, type Challenge, asked, challenges, credential, fromBase64url } from "./challenge.js";
import { type Domain, type Terms, channelId, isSame, nobody, openNonce, topUpNonce, types } from "./contract.js";
import { Events } from "./events.js";
import { Payer, type Store, type Voucher } from "./payer.js";
import type { Tick } from "./stream.js";

/** Seconds for which an authorization is signed: as long as an answer may take, and not for ever. */
const VALID_S = 600;
/** How often a request is sent with a payment: the first may find a challenge that expired, or a payee that has less than was thought. */
const MOST_TRIES = 4;
/** Seconds that must be left of an authorization that is shown again. */
const LEAST_LEFT_S = 60;
/** Ticks that go at once. */
const MOST_TICKS_AT_ONCE = 256;
const ENDLESS = (1n << 128n) - 1n;

export interface WalletOptions {
  /** Pays: signs authorizations of the token, and vouchers. */
  account: LocalAccount;
  chainId: number;
  /** The only token that it pays with, by its EIP-712 name and version. */
  token: { address: Address; name: string; version: string };
  /** The only contract in which it locks deposits. */
  escrow: Address;
  /** Binds deposits to one network, so that nobody can lead them elsewhere (docs/adr/0035). */
  network?: Hex;
  /** In the token's smallest unit: the most for one fetch, and for all. */
  limits: { each: bigint; inAll: bigint };
  /** What a new channel holds, and what is added to one that is used up. Without it no channel is opened, and nothing is added. */
  deposit?: bigint;
  /** Whom alone it pays. */
  payees?: Address[];
  /** How much may be promised beyond what was delivered by our own count, where the unit can be counted: else one unit, or the payee's least step. */
  ahead?: bigint;
  /** Pays streamed answers by ticks, 32 bytes each, instead of a signature each (docs/adr/0040). */
  ticks?: boolean;
  /** Keeps one string under each name. */
  store: (name: string) => Store;
  fetch?: typeof fetch;
  /** Told after each payment. */
  onPaid?: (paid: Paying) => void;
}

/** What was promised for a fetch so far. */
export interface Paying {
  intent: "session" | "charge";
  payee: Address;
  amount: bigint;
  channel?: Hex;
  receipt?: SessionReceipt;
}

/** What a payee says of a session. It is not signed, and is believed only against what was promised. */
export interface SessionReceipt {
  channelId?: Hex;
  acceptedCumulative?: string;
  spent?: string;
  units?: number;
  reference?: string;
  [more: string]: unknown;
}

export type Stopped = "limit" | "deposit" | "asks-too-much" | "refused" | "unpayable";

/** Why nothing is paid, or no more. */
export class PaymentError extends Error {
  readonly why: Stopped;
  /** The payee's problem document, if it sent one. */
  readonly problem: Record<string, unknown> | undefined;

  constructor(why: Stopped, message: string, problem?: Record<string, unknown>) {
    super(message);
    this.name = "PaymentError";
    this.why = why;
    this.problem = problem;
  }
}

/** A channel of a payee, as it is kept. */
interface Session {
  terms: Terms;
  channel: Hex;
  /** The server that it was opened for. One that an older version kept has none, and pays nobody by itself. */
  origin?: string;
  deposit: string;
  /** How often that was added to: the number of the next addition. */
  topUps?: number;
  /** An addition that the payee did not answer yet. */
  adding?: { amount: string; validBefore: string; nonce: Hex };
  /** What deliveries cost so far: our own count where there is one, else what the payee says. */
  spent: string;
  /** The signed deposit, until the payee answered it. */
  opening?: { authorization: Record<string, string>; signature: Hex };
}

/** A channel that is kept, as {@link Wallet.channels} lists it. */
export interface KeptChannel {
  channel: Hex;
  payee: Address;
  /** The server that it pays. */
  origin: string | undefined;
  deposit: bigint;
  spent: bigint;
}

interface Kept {
  spent: string;
  sessions: Record<string, Session>;
}

/** What one fetch may cost, and did. */
interface Allowance {
  paid: bigint;
  endpoint: string;
}

interface Demand {
  challenge: Challenge;
  asked: Asked;
}

/** A fetch that is paid by a session. */
interface Metered {
  demand: Demand;
  session: Session;
  payer: Payer;
  allowance: Allowance;
}

/** Buffered, so that it can be sent again. */
interface Page {
  url: string;
  method: string;
  headers: Headers;
  body: ArrayBuffer | undefined;
  signal: AbortSignal;
}

export class Wallet {
  readonly #options: WalletOptions;
  readonly #kept: Kept;
  readonly #payers = new Map<Hex, Promise<Payer>>();
  /** Channels that are being made: fetches at the same time make one. */
  readonly #making = new Map<string, Promise<Session>>();
  /** Channels that are being added to, and those to which ticks are given: one after the other. */
  readonly #adding = new Map<Hex, Promise<void>>();
  readonly #ticking = new Map<Hex, Promise<void>>();
  /** Streams of ticks that were shown to their payees. */
  readonly #shown = new Set<Hex>();
  /** What fetches that are under way need of each channel: they do not count on the same money. */
  readonly #reserved = new Map<Hex, bigint>();

  private constructor(options: WalletOptions, kept: Kept) {
    this.#options = options;
    this.#kept = kept;
  }

  /** Goes on where the store says it was. */
  static async start(options: WalletOptions): Promise<Wallet> {
    const text = await options.store("wallet").load();
    return new Wallet(options, text ? JSON.parse(text) : { spent: "0", sessions: {} });
  }

  /** All that was promised. */
  get spent(): bigint {
    return BigInt(this.#kept.spent);
  }

  /** As `fetch`. Throws {@link PaymentError}; of a streamed answer, its body does. */
  fetch = async (input: RequestInfo | URL, init?: RequestInit): Promise<Response> => {
    const request = new Request(input, init);
    const body = request.body ? await request.arrayBuffer() : undefined;
    const page: Page = { url: request.url, method: request.method, headers: new Headers(request.headers), body, signal: request.signal };
    const first = await this.#ask(page);
    if (first.status !== 402) return first;
    const demands = this.#demands(first);
    await first.body?.cancel();
    if (first.redirected) page.url = redirected(page, first.url);
    const allowance = { paid: 0n, endpoint: `${page.method} ${new URL(page.url).origin}${new URL(page.url).pathname}` };
    page.headers.set("idempotency-key", page.headers.get("idempotency-key") ?? crypto.randomUUID());
    const session = demands.find(({ challenge, asked }) => challenge.intent === "session" && this.#canPay(page, asked));
    if (session) return this.#bySession(page, session, allowance);
    const charge = demands.find(({ challenge }) => challenge.intent === "charge");
    if (charge) return this.#byCharge(page, charge, allowance);
    throw new PaymentError("unpayable", "the server asks for payment in no way that this payer pays");
  };

  /** Channels that are kept. */
  get channels(): KeptChannel[] {
    return Object.values(this.#kept.sessions).map(({ channel, terms, origin, deposit, spent }) => ({
      channel, payee: terms.payee, origin, deposit: BigInt(deposit), spent: BigInt(spent),
    }));
  }

  /** Closes the channel with a server through it: what was not spent comes back. `url`: a page of it that is paid by session. `channel`: another one of the same payee, as one that an
   * older version kept. */
  async close(url: string, channel?: Hex): Promise<SessionReceipt | undefined> {
    const page: Page = { url, method: "GET", headers: new Headers(), body: undefined, signal: new AbortController().signal };
    const first = await this.#ask(page);
    const demand = this.#demands(first).find(({ challenge }) => challenge.intent === "session");
    await first.body?.cancel();
    const named = channel && Object.entries(this.#kept.sessions).find(([, kept]) => kept.channel === channel)?.[0];
    const name = demand && (named ?? this.#name(page, demand.asked.recipient));
    const session = name !== undefined && (!channel || named) ? this.#kept.sessions[name] : undefined;
    if (!demand || !session || !isSame(session.terms.payee, demand.asked.recipient)) throw new PaymentError("unpayable", `no channel is open with the server of ${url}`);
    const payer = await this.#payer(session);
    // Less than was promised gives the payee nothing new.
    const total = BigInt(session.spent) < payer.signed ? BigInt(session.spent) : payer.signed;
    const voucher = await payer.again(total);
    const { channelId, cumulativeAmount, signature } = voucher;
    const close = (voucher: Voucher) => this.#closed(page, demand, { action: "close", ...voucher });
    const receipt = await close({ channelId, cumulativeAmount, signature }).catch(async (why: unknown) => {
      // What was claimed everybody can read: the payer shows that it is itself by a little more.
      const required = why instanceof PaymentError && why.problem?.["code"] === "voucher-published" && why.problem["requiredCumulative"];
      if (typeof required !== "string" || !isNumber(required)) throw why;
      const allowance = { paid: 0n, endpoint: `close ${new URL(url).origin}` };
      return close(await this.#promise({ demand, session, payer, allowance }, BigInt(required)));
    });
    delete this.#kept.sessions[name!];
    await this.#save();
    return receipt;
  }

  /** A payee that still answers a request of the channel says so, and is asked again. */
  async #closed(page: Page, demand: Demand, payload: object): Promise<SessionReceipt | undefined> {
    for (let tries = 1; ; tries += 1) {
      const response = await this.#ask(page, demand, payload);
      if (response.ok) {
        await response.body?.cancel();
        return receiptOf(response);
      }
      const why = await refused(response);
      if ((response.status !== 409 && response.status < 500) || tries > MOST_TRIES) throw why;
      await new Promise((resolve) => setTimeout(resolve, 500 * 2 ** tries));
    }
  }

  // ------------------------------------------------------------------ demands

  #demands(response: Response): Demand[] {
    const { chainId, token, payees } = this.#options;
    const found = challenges(response.headers.get("www-authenticate") ?? "");
    return found.flatMap((challenge) => {
      // A server does not choose in which other field it is paid.
      if (challenge.header && challenge.header.toLowerCase() !== "payment-authorization") return [];
      if (challenge.method !== "evm" || (challenge.expires && Date.parse(challenge.expires) <= Date.now())) return [];
      try {
        const what = asked(challenge);
        const isOurs = what.chainId === chainId && isSame(what.currency, token.address) && !what.splits;
        const isKnown = !payees || payees.some((payee) => isSame(payee, what.recipient));
        return isOurs && isKnown ? [{ challenge, asked: what }] : [];
      } catch {
        return [];
      }
    });
  }

  #canPay(page: Page, { escrowContract, feePayer, recipient }: Asked): boolean {
    const isOpen = this.#kept.sessions[this.#name(page, recipient)] !== undefined;
    const isOurs = escrowContract !== undefined && isSame(escrowContract, this.#options.escrow);
    return isOurs && (isOpen || (feePayer && this.#options.deposit !== undefined));
  }

  /** Of a channel: one for each server and payee. Older versions had no origin in it. */
  #name({ url }: Page, payee: Address): string {
    return `${this.#options.chainId}/${this.#options.escrow}/${payee}/${new URL(url).origin}`.toLowerCase();
  }

  // ------------------------------------------------------------------ charges

  async #byCharge(page: Page, { challenge, asked }: Demand, allowance: Allowance): Promise<Response> {
    if (!asked.credentialTypes.includes("authorization")) throw new PaymentError("unpayable", "the server takes no authorization of the token");
    await this.#allow(asked.amount, allowance);
    const nonce = keccak256(toHex(`${challenge.id}${challenge.realm}`));
    const until = challenge.expires ? BigInt(Math.floor(Date.parse(challenge.expires) / 1000)) : now() + BigInt(VALID_S);
    const signed = await this.#authorize("TransferWithAuthorization", asked.recipient, asked.amount, until, nonce);
    const payload = { type: "authorization", ...signed.authorization, signature: signed.signature };
    const response = await this.#ask(page, { challenge, asked }, payload);
    if (response.status === 402) throw await refused(response);
    this.#options.onPaid?.({ intent: "charge", payee: asked.recipient, amount: allowance.paid });
    return response;
  }

  async #authorize(primaryType: "TransferWithAuthorization" | "ReceiveWithAuthorization", to: Address, value: bigint, validBefore: bigint, nonce: Hex) {
    const { account, chainId, token } = this.#options;
    const domain = { name: token.name, version: token.version, chainId, verifyingContract: token.address };
    const message = { from: account.address, to, value, validAfter: 0n, validBefore, nonce };
    const signature = await account.signTypedData({ domain, types, primaryType, message });
    const authorization = { from: account.address, to, value: value.toString(), validAfter: "0", validBefore: validBefore.toString(), nonce };
    return { authorization, signature: canonical(signature) };
  }

  // ------------------------------------------------------------------ sessions

  async #bySession(page: Page, first: Demand, allowance: Allowance): Promise<Response> {
    const session = await this.#session(page, first.asked);
    const payer = await this.#payer(session);
    const reserve = (amount: bigint) => this.#reserved.set(session.channel, (this.#reserved.get(session.channel) ?? 0n) + amount);
    reserve(first.asked.amount);
    try {
      return await this.#paid(page, { demand: first, session, payer, allowance });
    } finally {
      reserve(-first.asked.amount);
    }
  }

  async #paid(page: Page, paying: Metered): Promise<Response> {
    const { session, payer } = paying;
    let least = this.#reserved.get(session.channel) ?? paying.demand.asked.amount;
    for (let tries = 1; ; tries += 1) {
      const voucher = await this.#cover(page, paying, BigInt(session.spent) + least);
      const { demand } = paying;
      const response = await this.#ask(page, demand, payloadOf(session, voucher));
      if (response.ok) {
        await this.#took(paying, receiptOf(response), voucher);
        return response.headers.get("content-type")?.startsWith("text/event-stream")
          ? new Response(this.#metered(response, page, paying), response)
          : response;
      }
      const again = this.#again(response, demand);
      const why = await refused(response);
      if (response.status !== 402 || !again || tries === MOST_TRIES) throw why;
      paying.demand = again;
      // What the payee says that it lacks is given within the allowance, and no further.
      const lacks = why.problem?.["requiredCumulative"];
      if (typeof lacks !== "string" || !isNumber(lacks)) continue;
      least = BigInt(lacks) - BigInt(session.spent);
      const most = (this.#reserved.get(session.channel) ?? demand.asked.amount) + this.#ahead(demand.asked);
      // What is charged for by the page or the event costs what its demand says. An older request may have been charged for meanwhile.
      if (isCountedHere(demand.asked) && BigInt(lacks) - max(BigInt(session.spent), payer.signed) > most) {
        throw new PaymentError("asks-too-much", `the server asks for ${lacks} in all, and delivered ${session.spent}`);
      }
    }
  }

  /** The channel with a payee; a new one is kept before it is shown to anybody. */
  async #session(page: Page, wanted: Asked): Promise<Session> {
    const name = this.#name(page, wanted.recipient);
    const before = this.#kept.sessions[name];
    if (before) return before;
    const making = this.#making.get(name) ?? this.#make(name, new URL(page.url).origin, wanted).finally(() => this.#making.delete(name));
    this.#making.set(name, making);
    return making;
  }

  async #make(name: string, origin: string, wanted: Asked): Promise<Session> {
    const { account, escrow, network, deposit = 0n, token } = this.#options;
    const salt = toHex(crypto.getRandomValues(new Uint8Array(32)));
    const terms: Terms = { payer: account.address, payee: wanted.recipient, token: token.address, salt, authorizedSigner: nobody };
    const channel = channelId(this.#domain, terms);
    const kind = network ? "ReceiveWithAuthorization" : "TransferWithAuthorization";
    const nonce = network ? openNonce(network, channel) : toHex(crypto.getRandomValues(new Uint8Array(32)));
    const signed = await this.#authorize(kind, escrow, deposit, now() + BigInt(VALID_S), nonce);
    const opening = { authorization: { type: "eip-3009", ...signed.authorization }, signature: signed.signature };
    const session: Session = { terms, channel, origin, deposit: deposit.toString(), spent: "0", opening };
    this.#kept.sessions[name] = session;
    await this.#save();
    return session;
  }

  /** A voucher of at least this total; a channel that has too little is topped up. */
  async #cover(page: Page, paying: Metered, total: bigint): Promise<Voucher> {
    const { payer, allowance } = paying;
    while (total > payer.deposit) {
      // Nothing is locked for what is not promised then.
      this.#check(total - payer.signed, allowance);
      await this.#topUp(page, paying, total);
    }
    return this.#promise(paying, total);
  }

  /** A voucher of at least this total: a new one as far as it has to be, the last one where that covers it. */
  async #promise({ payer, demand, allowance }: Metered, total: bigint): Promise<Voucher> {
    const { minVoucherDelta } = demand.asked;
    const lacks = total - payer.signed;
    if (lacks <= 0n) return payer.again(payer.signed);
    const step = lacks < minVoucherDelta && payer.signed + minVoucherDelta <= payer.deposit ? minVoucherDelta : lacks;
    if (payer.signed + step > payer.deposit) throw used(payer, payer.signed + step);
    await this.#allow(step, allowance);
    return payer.pay({ id: crypto.randomUUID(), endpoint: allowance.endpoint, price: step });
  }

  /** Adds to a channel as much as it was opened with; fetches that need it at once add it once. */
  async #topUp(page: Page, paying: Metered, total: bigint): Promise<void> {
    const { channel } = paying.session;
    const adding = this.#adding.get(channel) ?? this.#add(page, paying, total).finally(() => this.#adding.delete(channel));
    this.#adding.set(channel, adding);
    return adding;
  }

  async #add(page: Page, paying: Metered, total: bigint): Promise<void> {
    const { session, payer, demand } = paying;
    const { deposit = 0n, escrow, network } = this.#options;
    if (deposit <= 0n || !demand.asked.feePayer || session.opening) throw used(payer, total);
    const left = BigInt(session.adding?.validBefore ?? 0) - now();
    if (!session.adding || left < LEAST_LEFT_S) {
      // Whatever is signed under one number, the token carries one of it out.
      const nonce = network ? topUpNonce(network, session.channel, BigInt(session.topUps ?? 0)) : toHex(crypto.getRandomValues(new Uint8Array(32)));
      session.adding = { amount: deposit.toString(), validBefore: (now() + BigInt(VALID_S)).toString(), nonce };
      await this.#save();
    }
    const { amount, validBefore, nonce } = session.adding;
    const kind = network ? "ReceiveWithAuthorization" : "TransferWithAuthorization";
    const { authorization, signature } = await this.#authorize(kind, escrow, BigInt(amount), BigInt(validBefore), nonce);
    const payload = {
      action: "topUp", type: "transaction", channelId: session.channel, authorization: { type: "eip-3009", ...authorization }, signature, additionalDeposit: amount,
    };
    await this.#tell(page, paying, payload).catch((why: unknown) => {
      throw why instanceof PaymentError ? used(payer, total, why) : why;
    });
    session.deposit = (BigInt(session.deposit) + BigInt(amount)).toString();
    session.topUps = (session.topUps ?? 0) + 1;
    delete session.adding;
    payer.grow(BigInt(session.deposit));
    await this.#save();
  }

  /** Throws where so much more may not be promised. */
  #check(amount: bigint, allowance: Allowance): void {
    const { limits } = this.#options;
    if (allowance.paid + amount > limits.each) throw new PaymentError("limit", `${allowance.endpoint} would have cost ${allowance.paid + amount}, ${limits.each} are allowed`);
    if (this.spent + amount > limits.inAll) throw new PaymentError("limit", `all together would have cost ${this.spent + amount}, ${limits.inAll} are allowed`);
  }

  /** Counts what is about to be promised. */
  async #allow(amount: bigint, allowance: Allowance): Promise<void> {
    this.#check(amount, allowance);
    this.#kept.spent = (this.spent + amount).toString();
    allowance.paid += amount;
    await this.#save();
  }

  async #took({ session, payer, demand: { asked }, allowance }: Metered, receipt: SessionReceipt | undefined, voucher?: Voucher): Promise<void> {
    delete session.opening;
    if (voucher) await payer.arrived(BigInt(voucher.cumulativeAmount));
    const said = isNumber(receipt?.spent) ? BigInt(receipt.spent) : 0n;
    // A payee cannot have spent what it was not promised.
    const spent = said < payer.signed ? said : payer.signed;
    if (spent > BigInt(session.spent)) session.spent = spent.toString();
    await this.#save();
    const paid: Paying = { intent: "session", payee: asked.recipient, amount: allowance.paid, channel: session.channel, ...(receipt && { receipt }) };
    this.#options.onPaid?.(paid);
  }

  /** A streamed answer: events that ask for vouchers are answered, the others are passed on. */
  #metered(response: Response, page: Page, paying: Metered): ReadableStream<Uint8Array> {
    const { session } = paying;
    const { asked } = paying.demand;
    const reader = response.body!.getReader();
    const [events, decoder, encoder] = [new Events(), new TextDecoder(), new TextEncoder()];
    const before = BigInt(session.spent);
    let [delivered, isWanted] = [0n, true];
    const answer = async (text: string) => {
      const said = json(text);
      if (said?.["channelId"] !== session.channel || !isNumber(said["requiredCumulative"])) throw new PaymentError("refused", "the server asks for a voucher of another channel");
      const required = BigInt(said["requiredCumulative"]);
      if (asked.unitType === "event" && required > before + delivered * asked.amount + this.#ahead(asked)) {
        throw new PaymentError("asks-too-much", `the server asks for ${required} in all, and delivered ${before + delivered * asked.amount}`);
      }
      if (this.#options.ticks) await this.#inTurn(session.channel, () => this.#tickUpTo(page, paying, required));
      else await this.#submit(page, paying, await this.#cover(page, paying, required));
    };
    return new ReadableStream({
      pull: async (controller) => {
        try {
          for (let isPassedOn = false; !isPassedOn; ) {
            const { done, value } = await reader.read();
            if (done) {
              if (events.rest) controller.enqueue(encoder.encode(events.rest));
              controller.close();
              return;
            }
            for (const event of events.push(decoder.decode(value, { stream: true }))) {
              // Whoever left pays for no more of it.
              if (!isWanted) return;
              if (event.event === "payment-need-voucher") await answer(event.data);
              else if (event.event === "payment-receipt") await this.#took(paying, json(event.data));
              else {
                if (event.data) delivered += 1n;
                controller.enqueue(encoder.encode(event.raw));
                isPassedOn = true;
              }
            }
          }
        } catch (error) {
          await reader.cancel().catch(() => {});
          controller.error(error);
        }
      },
      cancel: (why) => {
        isWanted = false;
        return reader.cancel(why);
      },
    }, { highWaterMark: 0 });
  }

  /** Gives a voucher on a connection of its own; a challenge that expired is asked for anew. */
  async #submit(page: Page, paying: Metered, voucher: Voucher): Promise<void> {
    const receipt = await this.#tell(page, paying, { action: "voucher", ...voucher });
    return this.#took(paying, receipt, voucher);
  }

  /** Shows a payee what asks for no page. */
  async #tell(page: Page, paying: Metered, payload: object): Promise<SessionReceipt | undefined> {
    const head: Page = { ...page, method: "HEAD", body: undefined, headers: new Headers(page.headers) };
    head.headers.delete("idempotency-key");
    for (let tries = 1; ; tries += 1) {
      const response = await this.#ask(head, paying.demand, payload);
      if (response.ok) return receiptOf(response);
      const again = this.#again(response, paying.demand);
      if (response.status !== 402 || !again || tries === MOST_TRIES) throw await refused(response);
      paying.demand = again;
    }
  }

  /** The challenge that a refusal has: for the same payee, and for no more than the first. */
  #again(response: Response, { asked: before }: Demand): Demand | undefined {
    const again = this.#demands(response).find(({ challenge, asked }) => challenge.intent === "session" && isSame(asked.recipient, before.recipient));
    if (again && (again.asked.amount > before.amount || again.asked.unitType !== before.unitType)) {
      throw new PaymentError("asks-too-much", `the server asked for ${before.amount}, and then for ${again.asked.amount}`);
    }
    return again;
  }

  // ------------------------------------------------------------------ ticks

  /** Ticks of a channel arrive in the order of their numbers. */
  #inTurn(channel: Hex, give: () => Promise<void>): Promise<void> {
    const turn = (this.#ticking.get(channel) ?? Promise.resolve()).catch(() => {}).then(give);
    this.#ticking.set(channel, turn);
    return turn;
  }

  /** Gives ticks up to this total. What they do not reach, or what may not have arrived of them, a voucher does. */
  async #tickUpTo(page: Page, paying: Metered, total: bigint): Promise<void> {
    const { payer, allowance, session } = paying;
    while (total > payer.deposit) {
      this.#check(total - payer.signed, allowance);
      await this.#topUp(page, paying, total);
    }
    const price = paying.demand.asked.amount;
    while (payer.signed < total && price > 0n && payer.signed + price <= payer.deposit) {
      const { root, left } = await this.#stream(page, paying, price);
      const [lacks, affordable] = [(total - payer.signed + price - 1n) / price, (payer.deposit - payer.signed) / price];
      const count = Math.min(Number(lacks < affordable ? lacks : affordable), left, MOST_TICKS_AT_ONCE);
      await this.#allow(price * BigInt(count), allowance);
      // A voucher for another fetch took its place meanwhile: what was counted for it stays counted.
      if (payer.streaming?.root !== root) continue;
      const ticks = await payer.give(root, count);
      if (await this.#post(page, session.channel, ticks)) continue;
      payer.endStream();
      return this.#submit(page, paying, await payer.again(payer.signed));
    }
    if (payer.signed < total) await this.#submit(page, paying, await this.#cover(page, paying, total));
  }

  /** The stream that the payee knows of. One of before this page was opened again may not have arrived in all its ticks: the voucher that asked for this answer covers them, and another
   * one begins behind it. */
  async #stream(page: Page, paying: Metered, tickAmount: bigint): Promise<{ root: Hex; left: number }> {
    const { payer, session, allowance } = paying;
    const before = payer.streaming;
    if (before && this.#shown.has(before.root) && before.tickAmount === tickAmount && before.left > 0) return before;
    payer.endStream();
    const { signed } = await payer.stream({ endpoint: allowance.endpoint, tickAmount });
    const { channelId, ...stream } = signed;
    await this.#tell(page, paying, { action: "stream", channelId: session.channel, stream });
    this.#shown.add(signed.root);
    return { root: signed.root, left: signed.ticks };
  }

  /** Whether they arrived, as far as is known. */
  async #post({ url, signal }: Page, channel: Hex, ticks: Tick[]): Promise<boolean> {
    const { fetch: ask = fetch } = this.#options;
    const { root, number } = ticks.at(-1)!;
    const body = Uint8Array.from(ticks.flatMap(({ tick }) => [...hexToBytes(tick)]));
    try {
      const target = new URL(`/.well-known/causeway-ticks/${channel}/${root}`, url);
      const response = await ask(target, { method: "POST", body, signal, redirect: "manual" });
      return response.ok && json(await response.text())?.["ticks"] === number;
    } catch (why) {
      if (signal.aborted) throw why;
      return false;
    }
  }

  // ------------------------------------------------------------------ what is sent

  #payer(session: Session): Promise<Payer> {
    const { account, store } = this.#options;
    const known = this.#payers.get(session.channel);
    const options = {
      domain: this.#domain, channel: session.channel, deposit: BigInt(session.deposit), account, receiptSigner: session.terms.payee,
      limits: { inAll: ENDLESS, each: ENDLESS }, store: store(session.channel),
    };
    const payer = known ?? Payer.start(options);
    this.#payers.set(session.channel, payer);
    return payer;
  }

  /** How much more than what was delivered is promised. */
  #ahead({ amount, minVoucherDelta }: Asked): bigint {
    return this.#options.ahead ?? max(amount, minVoucherDelta);
  }

  get #domain(): Domain {
    return { chainId: this.#options.chainId, contract: this.#options.escrow };
  }

  async #ask(page: Page, demand?: Demand, payload?: object): Promise<Response> {
    const { account, chainId, fetch: ask = fetch } = this.#options;
    const headers = new Headers(page.headers);
    headers.set("accept-payment", "evm/session, evm/charge");
    if (demand && payload) {
      const field = demand.challenge.header ?? "authorization";
      headers.set(field, credential(demand.challenge, payload, `did:pkh:eip155:${chainId}:${account.address}`));
    }
    // What pays one server is shown to no other.
    const redirect = demand ? "manual" : "follow";
    const response = await ask(page.url, { method: page.method, headers, signal: page.signal, redirect, ...(page.body && { body: page.body }) });
    const isElsewhere = response.type === "opaqueredirect" || (response.status >= 300 && response.status < 400 && response.headers.has("location"));
    if (demand && isElsewhere) {
      await response.body?.cancel();
      const where = response.headers.get("location") ?? "elsewhere";
      throw new PaymentError("refused", `the server was paid and leads to ${where}: nothing was shown there, nor will be`);
    }
    return response;
  }

  #save(): Promise<void> {
    return this.#options.store("wallet").save(JSON.stringify(this.#kept));
  }
}

const isNumber = (text: unknown): text is string => typeof text === "string" && /^\d{1,39}$/.test(text);

const max = (a: bigint, b: bigint): bigint => (a > b ? a : b);

const isCountedHere = ({ unitType }: Asked): boolean => unitType === undefined || unitType === "request" || unitType === "event";

/** Why a channel pays no more. */
function used({ deposit }: Payer, total: bigint, why?: PaymentError): PaymentError {
  const added = why ? `, and nothing was added to it: ${why.message}` : "";
  return new PaymentError("deposit", `the total would be ${total}, the channel's deposit is ${deposit}${added}`, why?.problem);
}

/** Where a page is that was asked for without payment and answered from elsewhere: paid is there, if that is the same server. */
function redirected({ url, method }: Page, to: string): string {
  if (new URL(to).origin === new URL(url).origin && (method === "GET" || method === "HEAD")) return to;
  throw new PaymentError("unpayable", `${url} leads to ${to}, which asks for payment: nobody is paid unasked, fetch that one`);
}

/** An object; none of what is none. */
function json(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function payloadOf({ channel, terms, opening }: Session, { cumulativeAmount, signature }: Voucher): object {
  if (!opening) return { action: "voucher", channelId: channel, cumulativeAmount, signature };
  return {
    action: "open", type: "transaction", channelId: channel, authorization: opening.authorization, signature: opening.signature, cumulativeAmount,
    voucherSignature: signature, salt: terms.salt,
  };
}

function receiptOf(response: Response): SessionReceipt | undefined {
  const header = response.headers.get("payment-receipt");
  try {
    return header ? json(new TextDecoder().decode(fromBase64url(header))) : undefined;
  } catch {
    return undefined;
  }
}

async function refused(response: Response): Promise<PaymentError> {
  const text = await response.text().catch(() => "");
  // Not every server sends one.
  const problem = json(text);
  const detail = typeof problem?.["detail"] === "string" ? problem["detail"] : text.slice(0, 200);
  return new PaymentError("refused", `the server answered ${response.status}: ${detail}`, problem);
}

/** r, s, and v as 27 or 28. */
function canonical(signature: Hex): Hex {
  const { r, s, yParity } = parseSignature(signature);
  return `0x${r.slice(2).padStart(64, "0")}${s.slice(2).padStart(64, "0")}${yParity ? "1c" : "1b"}`;
}

const now = (): bigint => BigInt(Math.floor(Date.now() / 1000));
