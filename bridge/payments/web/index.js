// The payer's side of payment channels. What is signed is what the contract MicroChannel checks (docs/adr/0035, draft-evm-session-00); receipts are leaves of a
// tree that the payee signs at its root (docs/adr/0036).
import { concat, encodeAbiParameters, encodeFunctionData, hashStruct, keccak256, parseAbi, recoverTypedDataAddress } from "viem";

/** Requests of one channel that are not answered: as many as are made for. */
export const MOST_IN_FLIGHT = 64;
/** Hashes of a receipt's path. */
const MOST_PATH = 10;

const fields = (text) => text.split(", ").map((field) => ({ type: field.split(" ")[0], name: field.split(" ")[1] }));
export const types = {
  Voucher: fields("bytes32 channelId, uint128 cumulativeAmount"),
  Open: fields("bytes32 networkId, bytes32 channelId, address[] splitRecipients, uint16[] splitBps"),
  Receipt: fields("bytes32 channelId, uint128 cumulativeAmount, uint128 price, uint128 charged, uint128 highest, uint64 acceptedAt, bytes32 request"),
  Receipts: fields("bytes32 root"),
  ReceiveWithAuthorization: fields("address from, address to, uint256 value, uint256 validAfter, uint256 validBefore, bytes32 nonce"),
};

export const abi = parseAbi([
  "function openOnNetwork(bytes32 network, address payee, address token, uint128 deposit, bytes32 salt, address authorizedSigner, address[] splitRecipients, uint16[] splitBps) payable returns (bytes32)",
  "function openWithAuthorization(address payee, address token, uint128 deposit, bytes32 salt, address authorizedSigner, address from, uint256 validAfter, uint256 validBefore, bytes32 nonce, uint8 v, bytes32 r, bytes32 s, address[] splitRecipients, uint16[] splitBps) returns (bytes32)",
]);

const domainOf = (name, { chainId, contract }) => ({ name, version: "1", chainId, verifyingContract: contract });

/** A channel's name, by its terms: { payer, payee, token, salt, authorizedSigner }. */
export function channelId({ chainId, contract }, { payer, payee, token, salt, authorizedSigner }) {
  const kinds = ["address", "address", "address", "bytes32", "address", "address", "uint256"].map((type) => ({ type }));
  return keccak256(encodeAbiParameters(kinds, [payer, payee, token, salt, authorizedSigner, contract, BigInt(chainId)]));
}

/** The nonce by which an authorization (EIP-3009) opens this channel on this network and does nothing else. */
export function openNonce(network, id) {
  return hashStruct({ primaryType: "Open", types, data: { networkId: network, channelId: id, splitRecipients: [], splitBps: [] } });
}

/** Calldata that opens a channel: of the coin with the deposit as value; of a token, after the contract was allowed as much. */
export function openCall(network, { payee, token, salt, authorizedSigner }, deposit) {
  return encodeFunctionData({ abi, functionName: "openOnNetwork", args: [network, payee, token, deposit, salt, authorizedSigner, [], []] });
}

/** Who signed a receipt: { channelId, cumulativeAmount, ..., request, path, signature }. Throws if its path is too long. */
export async function receiptSigner(domain, { path, signature, ...receipt }) {
  if (path.length > MOST_PATH) throw new Error(`receipt's path has ${path.length} hashes, ${MOST_PATH} are allowed`);
  const leaf = keccak256(hashStruct({ primaryType: "Receipt", types, data: receipt }));
  const root = path.reduce((a, b) => keccak256(concat(BigInt(a) < BigInt(b) ? [a, b] : [b, a])), leaf);
  return recoverTypedDataAddress({ domain: domainOf("Causeway Payment Receipt", domain), types, primaryType: "Receipts", message: { root }, signature });
}

/** By how much a payee was paid more than its last receipt and what is promised beside it allow. */
export function overclaim(receipt, settled, promised) {
  const allowed = BigInt(receipt.charged) + promised;
  return settled > allowed ? settled - allowed : 0n;
}

export class Payer {
  #options;
  #state;
  #saving;
  #next;

  /**
   * Goes on where the store says it was. `domain`: { chainId, contract }; `channel`: its id; `settled`: what the chain says was paid out; `account`: a viem account that
   * signs the channel's vouchers; `receiptSigner`: the payee, or who it names; `limits`: { inAll, each, endpoints: { name: amount } }.
   */
  static async start(options) {
    const text = await options.store.load();
    const kept = text ? JSON.parse(text) : { signed: "0", spent: {}, unanswered: [], receipt: null };
    if (text && kept.channel !== options.channel) throw new Error(`the store is of channel ${kept.channel}, not ${options.channel}`);
    const payer = new Payer();
    payer.#options = options;
    payer.#state = { ...kept, channel: options.channel };
    // What was settled was signed once, whatever the store says.
    const settled = options.settled ?? 0n;
    if (settled > BigInt(payer.#state.signed)) payer.#state.signed = settled.toString();
    return payer;
  }

  /** The largest total that was signed, or is about to be. */
  get signed() {
    return BigInt(this.#state.signed);
  }

  /** The receipt with the largest sum. */
  get receipt() {
    return this.#state.receipt;
  }

  /** Requests that wait for an answer, as `pay` takes them: to be sent again after a start. */
  unanswered() {
    return this.#state.unanswered.map(({ id, endpoint, price }) => ({ id, endpoint, price: BigInt(price) }));
  }

  /** Promises what a request costs; the voucher, once that is saved. The same request gets the same voucher. */
  async pay({ id, endpoint, price }) {
    const payment = this.#planned(id, endpoint, price) ?? this.#plan(id, endpoint, price);
    await this.#save();
    const { domain, account, channel } = this.#options;
    const message = { channelId: channel, cumulativeAmount: BigInt(payment.total) };
    const signature = await account.signTypedData({ domain: domainOf("EVM Payment Channel", domain), types, primaryType: "Voucher", message });
    return { channelId: channel, cumulativeAmount: payment.total, signature };
  }

  /** Takes the payee's receipt for a request. Throws if it is not the payee's, or over more than was promised. */
  async answer(receipt) {
    const { domain, channel, receiptSigner: want } = this.#options;
    const payment = this.#state.unanswered.find(({ total }) => total === receipt.cumulativeAmount);
    if (receipt.channelId !== channel || !payment) throw new Error(`no request waits for a receipt over ${receipt.cumulativeAmount}`);
    if (BigInt(receipt.price) > BigInt(payment.price)) throw new Error(`receipt is over ${receipt.price}, promised were ${payment.price}`);
    const got = await receiptSigner(domain, receipt);
    if (got.toLowerCase() !== want.toLowerCase()) throw new Error(`receipt is signed by ${got}, expected ${want}`);
    this.#state.unanswered = this.#state.unanswered.filter((other) => other !== payment);
    if (!this.#state.receipt || BigInt(receipt.charged) > BigInt(this.#state.receipt.charged)) this.#state.receipt = receipt;
    await this.#save();
  }

  /** By how much the payee was paid too much, if so much was settled on the chain; `receipt` shows it. */
  overclaim(settled) {
    const promised = this.#state.unanswered.reduce((sum, { price }) => sum + BigInt(price), 0n);
    return this.#state.receipt ? overclaim(this.#state.receipt, settled, promised) : 0n;
  }

  #planned(id, endpoint, price) {
    const before = this.#state.unanswered.find((payment) => payment.id === id);
    if (before && (before.endpoint !== endpoint || BigInt(before.price) !== price)) throw new Error(`request ${id} was to pay ${before.price} to ${before.endpoint}`);
    return before;
  }

  #plan(id, endpoint, price) {
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
  #save() {
    const write = () => this.#options.store.save(JSON.stringify(this.#state));
    if (!this.#saving) {
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
