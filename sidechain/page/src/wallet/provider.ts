// Wallets in the browser, as they show themselves (EIP-6963), and what is asked of one (EIP-1193).

export interface Provider {
  request(question: { method: string; params?: readonly unknown[] }): Promise<unknown>;
  on?(event: string, hear: (what: never) => void): unknown;
  removeListener?(event: string, hear: (what: never) => void): unknown;
}

export interface Announced {
  uuid: string;
  name: string;
  rdns: string;
  provider: Provider;
}

/** More than anybody installs; a page of tricks could announce without end. */
const MOST_WALLETS = 20;
const MOST_NAME = 40;

/** Hears of wallets as they announce themselves, those of before too. What a wallet says of its picture is left out: it would be something of elsewhere. */
export function discover(hear: (wallets: readonly Announced[]) => void): void {
  const known = new Map<string, Announced>();
  window.addEventListener("eip6963:announceProvider", (event) => {
    const { info, provider } = (event as CustomEvent<{ info?: Partial<Announced>; provider?: Provider }>).detail ?? {};
    if (typeof info?.uuid !== "string" || typeof info.name !== "string" || typeof provider?.request !== "function") return;
    if (known.has(info.uuid) || known.size === MOST_WALLETS) return;
    known.set(info.uuid, { uuid: info.uuid, name: info.name.slice(0, MOST_NAME), rdns: String(info.rdns ?? ""), provider });
    hear([...known.values()]);
  });
  window.dispatchEvent(new Event("eip6963:requestProvider"));
}
