// A wallet for tests: it announces itself as wallets do (EIP-6963), signs with a real key, and does as the test says (EIP-1193). Bundled for the browser.
import { createWalletClient, http, type Hex, defineChain } from "viem";
import { privateKeyToAccount } from "viem/accounts";

/** What the test sets before the page is opened, and changes while it runs. */
interface Orders {
  key: Hex;
  /** Chains it knows; it begins on the first. */
  chains: number[];
  /** Says no to what it is asked to sign. */
  refuses: boolean;
  asked: string[];
}

declare global {
  interface Window {
    walletOrders: Orders;
  }
}

const orders = window.walletOrders;
const account = privateKeyToAccount(orders.key);
let chainId = orders.chains[0] as number;
let isConnected = false;
const hearers = new Map<string, ((what: unknown) => void)[]>();
const refused = () => Object.assign(new Error("User rejected the request."), { code: 4001 });
const tell = (event: string, what: unknown) => hearers.get(event)?.forEach((hear) => hear(what));

const provider = {
  on: (event: string, hear: (what: unknown) => void) => hearers.set(event, [...(hearers.get(event) ?? []), hear]),
  removeListener: () => undefined,
  async request({ method, params = [] }: { method: string; params?: readonly unknown[] }): Promise<unknown> {
    orders.asked.push(method);
    switch (method) {
      case "eth_requestAccounts":
        if (orders.refuses) throw refused();
        isConnected = true;
        return [account.address];
      case "eth_accounts":
        return isConnected ? [account.address] : [];
      case "eth_chainId":
        return `0x${chainId.toString(16)}`;
      case "wallet_switchEthereumChain":
      case "wallet_addEthereumChain": {
        if (orders.refuses) throw refused();
        const [wanted] = params as [{ chainId: string }];
        if (method === "wallet_addEthereumChain") orders.chains.push(Number(wanted.chainId));
        if (!orders.chains.includes(Number(wanted.chainId))) throw Object.assign(new Error("Unrecognized chain ID."), { code: 4902 });
        chainId = Number(wanted.chainId);
        tell("chainChanged", wanted.chainId);
        return null;
      }
      case "eth_sendTransaction": {
        if (orders.refuses) throw refused();
        const [{ to, data, value, gas }] = params as [Record<string, Hex>];
        const chain = defineChain({ id: chainId, name: "test", nativeCurrency: { name: "Bitcoin", symbol: "BTC", decimals: 18 }, rpcUrls: { default: { http: [location.origin] } } });
        const client = createWalletClient({ account, chain, transport: http(location.origin) });
        return client.sendTransaction({ to: to as Hex, data: data as Hex, value: BigInt(value as Hex), gas: BigInt(gas as Hex) });
      }
      default:
        throw Object.assign(new Error(`The method ${method} is not supported.`), { code: 4200 });
    }
  },
};

const announce = () =>
  window.dispatchEvent(new CustomEvent("eip6963:announceProvider", { detail: Object.freeze({ info: { uuid: "5a0d9e1c-0000-4000-8000-000000000001", name: "Test wallet", icon: "data:,", rdns: "example.test.wallet" }, provider }) }));
window.addEventListener("eip6963:requestProvider", announce);
announce();
