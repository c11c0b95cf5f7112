// Deposits that were begun in this browser, so that they are found again after a reload. Public parts alone: what can be spent is in the record's file.

const KEY = "causeway.begun";
/** The oldest go. */
const MOST = 50;

export interface Begun {
  networkId: string;
  address: string;
  recipient: string;
  /** Seconds since 1970. */
  at: number;
}

export function begun(networkId: string): Begun[] {
  return all().filter((one) => one.networkId === networkId);
}

export function begin(one: Begun): void {
  try {
    const others = all().filter(({ address }) => address !== one.address);
    localStorage.setItem(KEY, JSON.stringify([one, ...others].slice(0, MOST)));
  } catch {
    // A browser that keeps nothing: the link and the record find it too.
  }
}

function all(): Begun[] {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(kept) ? kept.filter(isBegun).slice(0, MOST) : [];
  } catch {
    return [];
  }
}

function isBegun(value: unknown): value is Begun {
  const one = value as Begun | null;
  return typeof one === "object" && one !== null && [one.networkId, one.address, one.recipient].every((part) => typeof part === "string") && typeof one.at === "number";
}
