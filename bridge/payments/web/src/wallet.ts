// A `fetch` that pays when it is asked to (402), within limits: by MPP's `session` over a channel, or by its `charge`. Streamed answers (SSE) are paid as they come.
//
// A server names its payee itself, so another may name the same: a liar, or one whose books are apart. A channel therefore pays the origin that it was opened for, and no other.
// It has at most one open channel, unless its payees are named beforehand: else it could name one payee after another and have a deposit locked for each.
//
//   signed for   kept in the store, with the request's Idempotency-Key
//   sent         broken off: the same request shows the same again, whoever asks for it and when
//   answered     forgotten
import { type Address, type Hex, type LocalAccount, hexToBytes, keccak256, parseSignature, toHex } from "viem";
import { watched, withBody } from "./answers.js";
import { type Asked, type Challenge, asked, challenges, credential } from "./challenge.js";
import { type Domain, type Terms, channelId, isSame, nobody, openNonce, topUpNonce, types } from "./contract.js";
import { Events } from "./events.js";
import { type Kept, type KeptChannel, type PastChannel, type Session, type Unanswered, end, isAlive, isFull, locked, now, requestName, wait, waiting } from "./kept.js";
import { Payer, type Store, type Voucher } from "./payer.js";
import { PaymentError, type SessionReceipt, isGone, isNumber, isSmall, json, receiptOf, refused } from "./said.js";
import { saver } from "./saving.js";
import type { Tick } from "./stream.js";

/** Seconds for which an authorization is signed: as long as an answer may take, and not for ever. */
const VALID_S = 600;
/** Seconds of a charge whose challenge lives longer: until then it may be carried out, and no other is signed for the same request. */
const MOST_VALID_S = 3_600;
/** Characters of a payment that is kept: a server's challenge is in it. */
const MOST_KEPT = 8_192;
/** How often a request is sent with a payment: the first may find a challenge that expired, or a payee that has less than was thought. */
const MOST_TRIES = 4;
/** Seconds that must be left of an authorization that is shown again. */
const LEAST_LEFT_S = 60;
/** Ticks that go at once. */
const MOST_TICKS_AT_ONCE = 256;
const ENDLESS = (1n << 128n) - 1n;
/** Bytes of a kilobyte, as it is charged for. */
const KILOBYTE = 1_000n;
/** Bytes that are paid ahead where an answer is paid by its bytes, unless another number is said: it cannot ask for more. */
const BYTES_AHEAD = 10_000n;

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
  /** In the token's smallest unit: the most for one fetch, and for all; and the most that is locked in channels at a time and not spent, without it `inAll` and one deposit. */
  limits: { each: bigint; inAll: bigint; locked?: bigint };
  /** What a new channel holds, and what is added to one that is used up. Without it no channel is opened, and nothing is added. */
  deposit?: bigint;
  /** Whom alone it pays. One server may then have a channel for each of them. */
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

/** A header that pays. */
interface Credential {
  field: string;
  value: string;
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
  readonly #save: () => Promise<void>;
  readonly #payers = new Map<Hex, Promise<Payer>>();
  /** Channels are opened one after the other: fetches at the same time open one, and count what the others lock. */
  #opening: Promise<unknown> = Promise.resolve();
  /** What is being signed away for the one that is opened. */
  #locking = 0n;
  /** Requests that are under way, or whose answers are being read. */
  readonly #inHand = new Set<Unanswered>();
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
    this.#save = saver(options.store("wallet"), () => JSON.stringify(kept));
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

  /** All that is locked in channels and not spent, as far as is known. */
  get locked(): bigint {
    return locked(this.#kept);
  }

  /** As `fetch`. Throws {@link PaymentError}; of a streamed answer, its body does. What was paid for and not answered, also before a page was closed, the same request shows again. */
  fetch = async (input: RequestInfo | URL, init?: RequestInit): Promise<Response> => {
    const request = new Request(input, init);
    const body = request.body ? await request.arrayBuffer() : undefined;
    const page: Page = { url: request.url, method: request.method, headers: new Headers(request.headers), body, signal: request.signal };
    const key = page.headers.get("idempotency-key");
    const name = requestName(page.method, page.url, body);
    const before = waiting(this.#kept, name, key, this.#inHand);
    const waits = before ?? { request: name, url: page.url, key: key ?? crypto.randomUUID(), at: now() };
    this.#inHand.add(waits);
    try {
      return await this.#fetched(page, waits);
    } catch (why) {
      // It waits in the store for the next that asks.
      this.#inHand.delete(waits);
      throw why;
    }
  };

  async #fetched(page: Page, waits: Unanswered): Promise<Response> {
    let first: Response | undefined;
    if (waits.charge) {
      page.url = waits.url;
      first = await this.#showCharge(page, waits, waits.charge);
      if (first.status !== 402) return this.#passedOn(first, waits);
      // Nobody can carry it out any more.
      delete waits.charge;
    }
    first ??= await this.#ask(page);
    if (first.status !== 402) {
      if (first.ok) await this.#answered(waits);
      else this.#inHand.delete(waits);
      return first;
    }
    const demands = this.#demands(first);
    await first.body?.cancel();
    if (first.redirected) page.url = waits.url = redirected(page, first.url);
    const allowance = { paid: 0n, endpoint: `${page.method} ${new URL(page.url).origin}${new URL(page.url).pathname}` };
    page.headers.set("idempotency-key", waits.key);
    const session = demands.find(({ challenge, asked }) => challenge.intent === "session" && this.#canPay(page, asked));
    const charge = demands.find(({ challenge }) => challenge.intent === "charge");
    if (!session && !charge) throw new PaymentError("unpayable", "the server asks for payment in no way that this payer pays");
    if (session) return this.#bySession(page, session, allowance, waits);
    return this.#byCharge(page, charge!, allowance, waits);
  }

  /** An answer to a payment. What is no success may be one later, for the same. */
  async #passedOn(response: Response, waits: Unanswered): Promise<Response> {
    if (response.status >= 400) {
      this.#inHand.delete(waits);
      return response;
    }
    return watched(response, (isWhole) => (isWhole ? this.#answered(waits) : void this.#inHand.delete(waits)));
  }

  /** It is about to be shown to the server. */
  async #keep(waits: Unanswered): Promise<void> {
    if (!this.#kept.unanswered?.includes(waits)) wait(this.#kept, waits);
    await this.#save();
  }

  async #answered(waits: Unanswered): Promise<void> {
    this.#inHand.delete(waits);
    if (!this.#kept.unanswered?.includes(waits)) return;
    this.#kept.unanswered = this.#kept.unanswered.filter((other) => other !== waits);
    await this.#save();
  }

  /** Channels that are kept. */
  get channels(): KeptChannel[] {
    return Object.values(this.#kept.sessions).map(({ channel, terms, origin, deposit, spent }) => ({
      channel, payee: terms.payee, origin, deposit: BigInt(deposit), spent: BigInt(spent),
    }));
  }

  /** Channels that pay no more, the newest last. */
  get past(): PastChannel[] {
    return (this.#kept.past ?? []).map(({ origin, reference, deposit, spent, ...one }) => ({ ...one, origin, reference, deposit: BigInt(deposit), spent: BigInt(spent) }));
  }

  /** Pays no more by a channel of this server, and counts it as locked no more: for whoever knows that it is closed, or has it closed by the contract. The next fetch may open another one. */
  async forget(url: string, channel: Hex): Promise<void> {
    const { origin } = new URL(url);
    const isIt = (one: { channel: Hex; origin?: string }) => isSame(one.channel, channel) && (one.origin ?? origin) === origin;
    const session = Object.values(this.#kept.sessions).find(isIt);
    const past = this.#kept.past?.find(isIt);
    if (session) end(this.#kept, session, "forgotten");
    else if (past) past.ended = past.ended === "said-closed" ? "forgotten" : past.ended;
    else throw new PaymentError("unpayable", `no channel ${channel} with ${origin} is known`);
    await this.#save();
  }

  /** Closes the channel with a server through it: what was not spent comes back. `url`: a page of it that is paid by session. `channel`: another one of the same payee, as one that an
   * older version kept. Nothing is answered for a channel that the server says is closed. */
  async close(url: string, channel?: Hex): Promise<SessionReceipt | undefined> {
    const page: Page = { url, method: "GET", headers: new Headers(), body: undefined, signal: new AbortController().signal };
    const first = await this.#ask(page);
    const demand = this.#demands(first).find(({ challenge }) => challenge.intent === "session");
    await first.body?.cancel();
    const session = this.#closing(page, demand, channel);
    if (!session) throw new PaymentError("unpayable", `no channel is open with the server of ${url}`);
    const otherwise = `to close it without the server, ask the contract for channel ${session.channel} (requestClose, and withdraw later), and forget it here (wallet.forget)`;
    if (!demand) throw new PaymentError("unpayable", `${url} asks for no session: name a page of the server that does; or, ${otherwise}`);
    if (!isSame(session.terms.payee, demand.asked.recipient)) {
      throw new PaymentError("other-payee", `the channel pays ${session.terms.payee}, the server names ${demand.asked.recipient} now: ${otherwise}`);
    }
    try {
      const receipt = await this.#close(page, demand, session);
      end(this.#kept, session, "closed", receipt?.reference);
      await this.#save();
      return receipt;
    } catch (why) {
      if (!(why instanceof PaymentError)) throw why;
      const until = session.opening ? Number(session.opening.authorization["validBefore"]) : 0;
      if (isGone(why) && until > now()) {
        throw new PaymentError("refused", `the server does not have the channel, and can open it until ${date(until)}: close it then`, why.problem, why.status);
      }
      if (!isGone(why)) throw new PaymentError(why.why, `${why.message}; ${otherwise}`, why.problem, why.status);
      await this.#end(session);
      return undefined;
    }
  }

  /** The channel that is to be closed: the one that was named, the one that pays whom the server names, or another one of the server. */
  #closing(page: Page, demand: Demand | undefined, channel: Hex | undefined): Session | undefined {
    const all = this.#ours;
    if (channel) return all.find((one) => isSame(one.channel, channel));
    const named = demand && this.#kept.sessions[this.#name(page, demand.asked.recipient)];
    return named ?? all.find(({ origin }) => origin === new URL(page.url).origin);
  }

  async #close(page: Page, demand: Demand, session: Session): Promise<SessionReceipt | undefined> {
    const payer = await this.#payer(session);
    // Less than was promised gives the payee nothing new.
    const total = BigInt(session.spent) < payer.signed ? BigInt(session.spent) : payer.signed;
    const voucher = await payer.again(total);
    const { channelId, cumulativeAmount, signature } = voucher;
    const close = (voucher: Voucher) => this.#closed(page, demand, { action: "close", ...voucher });
    return close({ channelId, cumulativeAmount, signature }).catch(async (why: unknown) => {
      // What was claimed everybody can read: the payer shows that it is itself by a little more.
      const required = why instanceof PaymentError && why.problem?.["code"] === "voucher-published" && why.problem["requiredCumulative"];
      if (typeof required !== "string" || !isNumber(required)) throw why;
      const allowance = { paid: 0n, endpoint: `close ${new URL(page.url).origin}` };
      return close(await this.#promise({ demand, session, payer, allowance }, BigInt(required)));
    });
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
      if (challenge.method !== "evm" || (challenge.expires && !(Date.parse(challenge.expires) > Date.now()))) return [];
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
    return `${this.#deployment}${payee}/${new URL(url).origin}`.toLowerCase();
  }

  get #deployment(): string {
    return `${this.#options.chainId}/${this.#options.escrow}/`.toLowerCase();
  }

  /** Channels of this contract on this chain. */
  get #ours(): Session[] {
    return Object.entries(this.#kept.sessions).flatMap(([name, session]) => (name.startsWith(this.#deployment) ? [session] : []));
  }

  // ------------------------------------------------------------------ charges

  async #byCharge(page: Page, { challenge, asked }: Demand, allowance: Allowance, waits: Unanswered): Promise<Response> {
    if (!asked.credentialTypes.includes("authorization")) throw new PaymentError("unpayable", "the server takes no authorization of the token");
    const asLong = `${challenge.request}${challenge.opaque ?? ""}${challenge.description ?? ""}${challenge.id}${challenge.realm}`.length;
    if (asLong > MOST_KEPT) throw new PaymentError("unpayable", `the server's challenge has ${asLong} characters, ${MOST_KEPT} are kept`);
    await this.#allow(asked.amount, allowance);
    const nonce = keccak256(toHex(`${challenge.id}${challenge.realm}`));
    const expires = challenge.expires ? Math.floor(Date.parse(challenge.expires) / 1000) : now() + VALID_S;
    const validBefore = BigInt(Math.min(expires, now() + MOST_VALID_S));
    const signed = await this.#authorize("TransferWithAuthorization", asked.recipient, asked.amount, validBefore, nonce);
    const payload = { type: "authorization", ...signed.authorization, signature: signed.signature };
    const { field, value } = this.#credential({ challenge, asked }, payload);
    const charge = { field, value, payee: asked.recipient, amount: asked.amount.toString(), validBefore: validBefore.toString() };
    waits.charge = charge;
    await this.#keep(waits);
    const response = await this.#showCharge(page, waits, charge);
    if (response.status === 402) throw await refused(response);
    return this.#passedOn(response, waits);
  }

  /** Shows what was signed for this request; 402 if it is refused and cannot be carried out any more. Until then no second one is signed. */
  async #showCharge(page: Page, waits: Unanswered, { field, value, payee, amount, validBefore }: NonNullable<Unanswered["charge"]>): Promise<Response> {
    page.headers.set("idempotency-key", waits.key);
    const response = await this.#send(page, { field, value });
    if (response.status === 402 && isAlive(waits)) {
      const why = await refused(response);
      const message = `${why.message}. It can have the payment carried out until ${date(Number(validBefore))}: until then the same request shows the same payment, and signs no other`;
      throw new PaymentError(why.why, message, why.problem, why.status);
    }
    if (response.status < 400) this.#options.onPaid?.({ intent: "charge", payee, amount: BigInt(amount) });
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

  async #bySession(page: Page, first: Demand, allowance: Allowance, waits: Unanswered): Promise<Response> {
    for (let isSecond = false; ; isSecond = true) {
      const session = await this.#session(page, first.asked);
      const payer = await this.#payer(session);
      const reserve = (amount: bigint) => this.#reserved.set(session.channel, (this.#reserved.get(session.channel) ?? 0n) + amount);
      reserve(first.asked.amount);
      try {
        return await this.#paid(page, { demand: first, session, payer, allowance }, waits);
      } catch (why) {
        // Nothing was given under this key, nor will be.
        if (why instanceof PaymentError && why.problem?.["code"] === "replayed") await this.#answered(waits);
        if (isSecond || !isGone(why)) throw why;
        await this.#end(session);
      } finally {
        reserve(-first.asked.amount);
      }
    }
  }

  async #paid(page: Page, paying: Metered, waits: Unanswered): Promise<Response> {
    const { session, payer } = paying;
    const shown = waits.voucher?.channel === session.channel ? BigInt(waits.voucher.total) - BigInt(session.spent) : undefined;
    let least = shown ?? this.#reserved.get(session.channel) ?? paying.demand.asked.amount;
    for (let tries = 1; ; tries += 1) {
      await this.#renew(session, payer);
      let notAdded: PaymentError | undefined;
      const voucher = await this.#cover(page, paying, BigInt(session.spent) + least).catch((why: unknown) => {
        if (!(why instanceof PaymentError) || !session.adding) throw why;
        // An addition whose answer was lost may be there: the server says what the channel has when it is asked by what was promised before.
        notAdded = why;
        return payer.again(payer.signed);
      });
      const { demand } = paying;
      if (!notAdded) waits.voucher = { channel: session.channel, total: voucher.cumulativeAmount };
      await this.#keep(waits);
      const response = await this.#ask(page, demand, payloadOf(session, voucher));
      if (response.ok) return this.#metering(response, page, paying, voucher, waits);
      const again = this.#again(response, demand);
      const why = await refused(response);
      if (session.opening && isSmall(why)) throw await this.#small(session, why);
      if (response.status !== 402 || !again || tries === MOST_TRIES) {
        // Nothing was given for it: the next shows what it costs then.
        if (response.status === 402) delete waits.voucher;
        throw why;
      }
      paying.demand = again;
      if (this.#learn(session, payer, why.problem?.["deposit"])) await this.#save();
      else if (notAdded) throw notAdded;
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

  /** An answer that a voucher paid for, or began to. */
  async #metering(response: Response, page: Page, paying: Metered, voucher: Voucher, waits: Unanswered): Promise<Response> {
    const isEvents = response.headers.get("content-type")?.startsWith("text/event-stream") ?? false;
    await this.#took(paying, receiptOf(response), voucher);
    if (!isEvents && !isOfBytes(paying.demand.asked)) return this.#passedOn(response, waits);
    // What of it does not come is not paid for.
    await this.#answered(waits);
    return response.body ? withBody(response, this.#metered(response.body, page, paying, isEvents)) : response;
  }

  /** The channel with a payee; a new one is kept before it is shown to anybody. */
  #session(page: Page, wanted: Asked): Promise<Session> {
    const name = this.#name(page, wanted.recipient);
    const session = this.#opening.catch(() => {}).then(() => this.#kept.sessions[name] ?? this.#make(name, new URL(page.url).origin, wanted));
    this.#opening = session;
    return session;
  }

  async #make(name: string, origin: string, wanted: Asked): Promise<Session> {
    const { account, deposit = 0n, token, payees } = this.#options;
    const other = this.#ours.find((one) => one.origin === origin && BigInt(one.spent) < BigInt(one.deposit));
    if (other && !payees) {
      const open = `channel ${other.channel} with ${origin} is open and pays ${other.terms.payee}`;
      const way = `if both are right, name them (\`payees\`); or close it, or forget it (wallet.forget(${JSON.stringify(origin)}, "${other.channel}"))`;
      throw new PaymentError("other-payee", `${open}, the server names ${wanted.recipient} now, and no deposit is locked for that one: ${way}`);
    }
    this.#lock(deposit);
    this.#locking = deposit;
    const salt = random();
    const terms: Terms = { payer: account.address, payee: wanted.recipient, token: token.address, salt, authorizedSigner: nobody };
    const session: Session = { terms, channel: channelId(this.#domain, terms), origin, deposit: deposit.toString(), spent: "0" };
    session.opening = await this.#open(session).finally(() => (this.#locking = 0n));
    this.#kept.sessions[name] = session;
    await this.#save();
    return session;
  }

  /** Signs the deposit of a channel that is not open: each time under the same nonce, and for the same channel. So whatever was signed for it before, the token and the contract carry out
   * one of all. */
  async #open({ channel, deposit, opening }: Session): Promise<NonNullable<Session["opening"]>> {
    const { network } = this.#options;
    const nonce = (opening?.authorization["nonce"] as Hex | undefined) ?? (network ? openNonce(network, channel) : random());
    return this.#deposited(BigInt(deposit), BigInt(now() + VALID_S), nonce);
  }

  /** Signs an amount away into the contract. */
  async #deposited(amount: bigint, validBefore: bigint, nonce: Hex): Promise<NonNullable<Session["opening"]>> {
    const { escrow, network } = this.#options;
    const kind = network ? "ReceiveWithAuthorization" : "TransferWithAuthorization";
    const { authorization, signature } = await this.#authorize(kind, escrow, amount, validBefore, nonce);
    return { authorization: { type: "eip-3009", ...authorization }, signature };
  }

  /** A deposit that did not arrive is signed anew when it expired, and larger when it was refused for its size and the options say more now. */
  async #renew(session: Session, payer: Payer): Promise<void> {
    const { deposit = 0n } = this.#options;
    if (!session.opening) return;
    const isLarger = session.isTooSmall === true && deposit > BigInt(session.deposit);
    if (!isLarger && Number(session.opening.authorization["validBefore"]) - now() >= LEAST_LEFT_S) return;
    if (isLarger) {
      this.#lock(deposit - BigInt(session.deposit));
      session.deposit = deposit.toString();
      delete session.isTooSmall;
      payer.grow(deposit);
    }
    session.opening = await this.#open(session);
    await this.#save();
  }

  async #small(session: Session, why: PaymentError): Promise<PaymentError> {
    session.isTooSmall = true;
    await this.#save();
    return new PaymentError(why.why, `${why.message}; the deposit is ${session.deposit}: with a larger one (\`deposit\`) the same channel is opened`, why.problem, why.status);
  }

  /** The server says that a channel is closed, whose record stays, and which counts as locked: that is its word alone. */
  async #end(session: Session): Promise<void> {
    if (!Object.values(this.#kept.sessions).includes(session)) return;
    end(this.#kept, session, "said-closed");
    await this.#save();
  }

  /** Throws where so much more may not be locked. */
  #lock(amount: bigint): void {
    const { limits, deposit = 0n } = this.#options;
    const most = limits.locked ?? limits.inAll + deposit;
    const wanted = this.locked + this.#locking + amount;
    if (wanted <= most && !isFull(this.#kept)) return;
    const said = this.past.filter(({ ended }) => ended === "said-closed").map(({ channel }) => channel);
    const way = said.length ? `. Of ${said.slice(0, 3).join(", ")} their servers say that they are closed: look whether the chain says so too, and forget them then (wallet.forget)` : "";
    throw new PaymentError("limit", `${wanted} would be locked, ${most} are allowed (limits.locked): close channels that are not needed${way}`);
  }

  /** A voucher of at least this total; a channel that has too little is topped up. */
  async #cover(page: Page, paying: Metered, total: bigint): Promise<Voucher> {
    await this.#fill(page, paying, total);
    return this.#promise(paying, total);
  }

  /** Tops a channel up until it has this total. Nothing is locked for what is not promised then. */
  async #fill(page: Page, paying: Metered, total: bigint): Promise<void> {
    const { payer, allowance } = paying;
    while (total > payer.deposit) {
      this.#check(total - payer.signed, allowance);
      await this.#topUp(page, paying, total);
    }
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
    const { deposit = 0n, network } = this.#options;
    if (deposit <= 0n || !demand.asked.feePayer || session.opening) throw used(payer, total);
    const before = session.adding;
    if (!before || Number(before.validBefore) - now() < LEAST_LEFT_S) {
      this.#lock(deposit - BigInt(before?.amount ?? 0));
      // Whatever is signed under one number, the token carries one of it out.
      const nonce = before?.nonce ?? (network ? topUpNonce(network, session.channel, BigInt(session.topUps ?? 0)) : random());
      session.adding = { amount: deposit.toString(), validBefore: (now() + VALID_S).toString(), nonce };
      await this.#save();
    }
    const adding = session.adding!;
    const { amount, validBefore, nonce } = adding;
    const signed = await this.#deposited(BigInt(amount), BigInt(validBefore), nonce);
    const payload = { action: "topUp", type: "transaction", channelId: session.channel, ...signed, additionalDeposit: amount };
    await this.#tell(page, paying, payload).catch((why: unknown) => {
      throw why instanceof PaymentError ? used(payer, total, why) : why;
    });
    if (session.adding === adding) added(session, payer);
    await this.#save();
  }

  /** Whether what was added last is there, as the server says what the channel has: its answer may have been lost, and it is added once. */
  #learn(session: Session, payer: Payer, deposit: unknown): boolean {
    const { adding } = session;
    if (!adding || !isNumber(deposit) || BigInt(deposit) < BigInt(session.deposit) + BigInt(adding.amount)) return false;
    added(session, payer);
    return true;
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
    delete session.isTooSmall;
    this.#learn(session, payer, receipt?.["deposit"]);
    if (voucher) await payer.arrived(BigInt(voucher.cumulativeAmount));
    const said = isNumber(receipt?.spent) ? BigInt(receipt.spent) : 0n;
    // A payee cannot have spent what it was not promised.
    const spent = said < payer.signed ? said : payer.signed;
    if (spent > BigInt(session.spent)) session.spent = spent.toString();
    await this.#save();
    const paid: Paying = { intent: "session", payee: asked.recipient, amount: allowance.paid, channel: session.channel, ...(receipt && { receipt }) };
    this.#options.onPaid?.(paid);
  }

  /** An answer that is paid as it comes. Of events, those that ask for vouchers are answered, and the others passed on; bytes cannot ask, so they are paid a little ahead. */
  #metered(body: ReadableStream<Uint8Array>, page: Page, paying: Metered, isEvents: boolean): ReadableStream<Uint8Array> {
    const { session, payer } = paying;
    const { asked } = paying.demand;
    const reader = body.getReader();
    const [events, decoder, encoder] = [new Events(), new TextDecoder(), new TextEncoder()];
    const before = BigInt(session.spent);
    let [delivered, isWanted] = [{ events: 0n, bytes: 0n }, true];
    let stopped: PaymentError | undefined;
    const cost = () => costOf(asked, delivered);
    const answer = async (text: string) => {
      const said = json(text);
      if (said?.["channelId"] !== session.channel || !isNumber(said["requiredCumulative"])) throw new PaymentError("refused", "the server asks for a voucher of another channel");
      const required = BigInt(said["requiredCumulative"]);
      const own = cost();
      if (own !== undefined && required > before + own + this.#ahead(asked)) {
        throw new PaymentError("asks-too-much", `the server asks for ${required} in all, and delivered ${before + own}`);
      }
      if (this.#learn(session, payer, said["deposit"])) await this.#save();
      await this.#give(page, paying, required);
    };
    const supply = async () => {
      const own = before + (cost() ?? 0n);
      if (stopped || payer.signed - own > this.#ahead(asked) / 2n) return;
      try {
        const wanted = this.#within(payer.signed, own + this.#ahead(asked), paying.allowance);
        if (wanted > payer.signed) await this.#give(page, paying, wanted);
      } catch (why) {
        if (!(why instanceof PaymentError)) throw why;
        // What is promised may be enough: that it is not, is known when the answer breaks off.
        stopped = why;
      }
    };
    const settle = async () => {
      const own = before + (cost() ?? 0n);
      const spent = own < payer.signed ? own : payer.signed;
      if (spent > BigInt(session.spent)) session.spent = spent.toString();
      await this.#save();
    };
    return new ReadableStream({
      pull: async (controller) => {
        try {
          for (let isPassedOn = false; !isPassedOn; ) {
            if (!isEvents) await supply();
            const { done, value } = await reader.read();
            if (done) {
              if (events.rest) controller.enqueue(encoder.encode(events.rest));
              if (!isEvents) await settle();
              controller.close();
              return;
            }
            if (!isEvents) {
              delivered.bytes += BigInt(value.length);
              controller.enqueue(value);
              return;
            }
            for (const event of events.push(decoder.decode(value, { stream: true }))) {
              // Whoever left pays for no more of it.
              if (!isWanted) return;
              if (event.event === "payment-need-voucher") await answer(event.data);
              else if (event.event === "payment-receipt") await this.#took(paying, json(event.data));
              else {
                const raw = encoder.encode(event.raw);
                if (event.data) delivered.events += 1n;
                delivered.bytes += BigInt(raw.length);
                controller.enqueue(raw);
                isPassedOn = true;
              }
            }
          }
        } catch (error) {
          await reader.cancel().catch(() => {});
          if (!isEvents) await settle();
          controller.error(error instanceof PaymentError ? error : (stopped ?? error));
        }
      },
      cancel: async (why) => {
        isWanted = false;
        if (!isEvents) await settle();
        await reader.cancel(why);
      },
    }, { highWaterMark: 0 });
  }

  /** Gives the payee this total, by ticks if that is wanted. */
  async #give(page: Page, paying: Metered, total: bigint): Promise<void> {
    if (this.#options.ticks) return this.#inTurn(paying.session.channel, () => this.#tickUpTo(page, paying, total));
    return this.#submit(page, paying, await this.#cover(page, paying, total));
  }

  /** As much of a total as the limits allow. Throws if that is nothing. */
  #within(signed: bigint, total: bigint, { paid, endpoint }: Allowance): bigint {
    const { each, inAll } = this.#options.limits;
    const free = each - paid < inAll - this.spent ? each - paid : inAll - this.spent;
    if (total > signed && free <= 0n) this.#check(total - signed, { paid, endpoint });
    return total < signed + free ? total : signed + free;
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
    await this.#fill(page, paying, total);
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
  #ahead(asked: Asked): bigint {
    const { amount, minVoucherDelta } = asked;
    const unit = isOfBytes(asked) ? (costOf(asked, { events: 0n, bytes: BYTES_AHEAD }) ?? amount) : amount;
    return this.#options.ahead ?? max(unit, minVoucherDelta);
  }

  get #domain(): Domain {
    return { chainId: this.#options.chainId, contract: this.#options.escrow };
  }

  #credential({ challenge }: Demand, payload: object): Credential {
    const { account, chainId } = this.#options;
    return { field: challenge.header ?? "authorization", value: credential(challenge, payload, `did:pkh:eip155:${chainId}:${account.address}`) };
  }

  #ask(page: Page, demand?: Demand, payload?: object): Promise<Response> {
    return this.#send(page, demand && payload ? this.#credential(demand, payload) : undefined);
  }

  async #send(page: Page, shown?: Credential): Promise<Response> {
    const { fetch: ask = fetch } = this.#options;
    const headers = new Headers(page.headers);
    headers.set("accept-payment", "evm/session, evm/charge");
    if (shown) headers.set(shown.field, shown.value);
    // What pays one server is shown to no other.
    const redirect = shown ? "manual" : "follow";
    const response = await ask(page.url, { method: page.method, headers, signal: page.signal, redirect, ...(page.body && { body: page.body }) });
    const isElsewhere = response.type === "opaqueredirect" || (response.status >= 300 && response.status < 400 && response.headers.has("location"));
    if (shown && isElsewhere) {
      await response.body?.cancel();
      const where = response.headers.get("location") ?? "elsewhere";
      throw new PaymentError("refused", `the server was paid and leads to ${where}: nothing was shown there, nor will be`);
    }
    return response;
  }
}

const random = (): Hex => toHex(crypto.getRandomValues(new Uint8Array(32)));

const max = (a: bigint, b: bigint): bigint => (a > b ? a : b);

const isCountedHere = ({ unitType }: Asked): boolean => unitType === undefined || unitType === "request" || unitType === "event";

/** Whether an answer of any kind is paid as it comes. */
const isOfBytes = ({ unitType }: Asked): boolean => unitType === "byte" || unitType === "kilobyte";

/** What came of an answer costs so much, where its unit can be counted here. */
function costOf({ unitType, amount }: Asked, { events, bytes }: { events: bigint; bytes: bigint }): bigint | undefined {
  if (unitType === "event") return amount * events;
  if (unitType === "byte") return amount * bytes;
  return unitType === "kilobyte" ? (amount * bytes + KILOBYTE - 1n) / KILOBYTE : undefined;
}

/** What was added last is there. */
function added(session: Session, payer: Payer): void {
  session.deposit = (BigInt(session.deposit) + BigInt(session.adding?.amount ?? 0)).toString();
  session.topUps = (session.topUps ?? 0) + 1;
  delete session.adding;
  payer.grow(BigInt(session.deposit));
}

const date = (unixSeconds: number): string => new Date(unixSeconds * 1000).toISOString();

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

function payloadOf({ channel, terms, opening }: Session, { cumulativeAmount, signature }: Voucher): object {
  if (!opening) return { action: "voucher", channelId: channel, cumulativeAmount, signature };
  return {
    action: "open", type: "transaction", channelId: channel, authorization: opening.authorization, signature: opening.signature, cumulativeAmount,
    voucherSignature: signature, salt: terms.salt,
  };
}

/** r, s, and v as 27 or 28. */
function canonical(signature: Hex): Hex {
  const { r, s, yParity } = parseSignature(signature);
  return `0x${r.slice(2).padStart(64, "0")}${s.slice(2).padStart(64, "0")}${yParity ? "1c" : "1b"}`;
}
