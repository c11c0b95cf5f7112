// The owner's wallet: which one, which account, which chain; and what it is asked to sign. Nothing is asked of it before somebody presses a button.
import type { Hex } from "viem";
import { isAddress, toHex } from "viem";
import { forget, keep, kept } from "../kept.ts";
import { type Announced, discover } from "./provider.ts";

/** What the user's wallet answered instead; `code` is of EIP-1193 or EIP-1474. */
export class WalletError extends Error {
  override name = "WalletError";
  constructor(
    readonly code: number,
    message: string,
  ) {
    super(message);
  }

  /** The user said no. */
  get isRefusal(): boolean {
    return this.code === 4001;
  }
}

/** The chain that a transaction has to be on. */
export interface Chain {
  chainId: number;
  name: string;
  /** This node's JSON-RPC, for a wallet that does not know the chain. */
  url: string;
}

/** What somebody agreed to: by which account, and on which chain. */
export interface Call {
  from: Hex;
  chainId: number;
  to: Hex;
  data: Hex;
  /** Wei. */
  value: bigint;
  gas: bigint;
}

/** EIP-3085 and EIP-3326: the wallet does not know the chain. Some wrap it. */
const UNKNOWN_CHAIN = 4902;
const REMEMBERED = "causeway.wallet";

export class Wallet {
  /** Those in this browser. */
  installed: readonly Announced[] = [];
  chosen: Announced | undefined;
  account: Hex | undefined;
  chainId: number | undefined;
  readonly #changed: () => void;

  constructor(changed: () => void) {
    this.#changed = changed;
  }

  /** Hears of the wallets in this browser; some announce themselves at once. */
  start(): void {
    discover((wallets) => {
      this.installed = wallets;
      const last = wallets.find(({ rdns }) => rdns && rdns === kept(REMEMBERED));
      // Whether it still shows its account it says without asking anybody.
      if (last && !this.chosen) void this.#look(last).catch(() => undefined);
      this.#changed();
    });
  }

  /** Asks the wallet for its account. Throws `WalletError`. */
  async connect(wallet: Announced): Promise<void> {
    const accounts = await ask(wallet, "eth_requestAccounts");
    await this.#use(wallet, accounts);
  }

  disconnect(): void {
    [this.chosen, this.account, this.chainId] = [undefined, undefined, undefined];
    forget(REMEMBERED);
    this.#changed();
  }

  /** Brings the wallet to the chain, which it adds if it does not know it. Throws `WalletError`. */
  async enter(chain: Chain): Promise<void> {
    const wallet = this.#required();
    if ((await chainOf(wallet)) !== chain.chainId) {
      const chainId = toHex(chain.chainId);
      try {
        await ask(wallet, "wallet_switchEthereumChain", { chainId });
      } catch (error) {
        if (!(error instanceof WalletError) || error.code !== UNKNOWN_CHAIN) throw error;
        await ask(wallet, "wallet_addEthereumChain", {
          chainId,
          chainName: chain.name,
          nativeCurrency: { name: "Bitcoin", symbol: "BTC", decimals: 18 },
          rpcUrls: [chain.url],
        });
      }
    }
    this.chainId = await chainOf(wallet);
    this.#changed();
    if (this.chainId !== chain.chainId) throw new WalletError(UNKNOWN_CHAIN, `the wallet is on chain ${this.chainId}, this network is chain ${chain.chainId}: choose it in the wallet`);
  }

  /**
   * Has the wallet sign and send; its transaction's hash. Throws `WalletError`.
   *
   * Nothing is asked of a wallet that shows another account or chain by now: the same address on another chain is nobody's, and coins sent there are lost.
   */
  async send({ from, chainId, to, data, value, gas }: Call): Promise<Hex> {
    const wallet = this.#required();
    if (this.account !== from) throw new WalletError(4100, `it shows another account by now (${this.account}) than the one that you agreed to use (${from}). Nothing was sent.`);
    const now = await chainOf(wallet);
    if (now !== chainId) throw new WalletError(UNKNOWN_CHAIN, `it is on chain ${now} by now, and this network is chain ${chainId}. Nothing was sent.`);
    const hash = await ask(wallet, "eth_sendTransaction", { from, to, data, value: toHex(value), gas: toHex(gas), chainId: toHex(chainId) });
    if (typeof hash !== "string" || !/^0x[0-9a-f]{64}$/i.test(hash)) throw new WalletError(0, "the wallet answers no transaction's hash: look into it whether something was sent");
    return hash.toLowerCase() as Hex;
  }

  async #look(wallet: Announced): Promise<void> {
    const accounts = await ask(wallet, "eth_accounts");
    if (Array.isArray(accounts) && accounts.length) await this.#use(wallet, accounts);
  }

  async #use(wallet: Announced, accounts: unknown): Promise<void> {
    const [account] = Array.isArray(accounts) ? (accounts as unknown[]) : [];
    if (typeof account !== "string" || !isAddress(account, { strict: false })) throw new WalletError(0, "the wallet shows no account");
    if (this.chosen !== wallet) this.#hear(wallet);
    this.chosen = wallet;
    this.account = account.toLowerCase() as Hex;
    this.chainId = await chainOf(wallet);
    if (wallet.rdns) keep(REMEMBERED, wallet.rdns);
    this.#changed();
  }

  #hear(wallet: Announced): void {
    wallet.provider.on?.("accountsChanged", (accounts: readonly string[]) => {
      if (this.chosen !== wallet) return;
      if (!accounts.length) this.disconnect();
      else void this.#use(wallet, accounts).catch(() => this.disconnect());
    });
    wallet.provider.on?.("chainChanged", (chainId: string) => {
      if (this.chosen !== wallet) return;
      this.chainId = Number(chainId);
      this.#changed();
    });
  }

  #required(): Announced {
    if (!this.chosen) throw new WalletError(4100, "no wallet is connected");
    return this.chosen;
  }
}

async function chainOf(wallet: Announced): Promise<number> {
  return Number(await ask(wallet, "eth_chainId"));
}

/** Wallets throw objects of many kinds: what is kept of them is their code and their words. */
async function ask(wallet: Announced, method: string, ...params: unknown[]): Promise<unknown> {
  try {
    return await wallet.provider.request({ method, params });
  } catch (error) {
    const { code, message, data } = (error ?? {}) as { code?: unknown; message?: unknown; data?: { originalError?: { code?: unknown } } };
    const inner = Number(data?.originalError?.code ?? code);
    throw new WalletError(Number.isInteger(inner) ? inner : 0, typeof message === "string" ? message.slice(0, 300) : "the wallet failed without a word");
  }
}
