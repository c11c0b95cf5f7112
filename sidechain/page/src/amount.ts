// Amounts: whole satoshis and wei as bigint, never a float (1 BTC = 10^8 sat = 1 coin = 10^18 wei).

export const SAT_PER_BTC = 100_000_000n;
export const WEI_PER_SAT = 10_000_000_000n;

const EIGHT = 8;

/** `0.015 BTC`; with all eight places where amounts stand below each other. */
export function btc(sat: bigint, places = 0): string {
  const [sign, magnitude] = sat < 0n ? ["-", -sat] : ["", sat];
  const whole = grouped((magnitude / SAT_PER_BTC).toString());
  const fraction = (magnitude % SAT_PER_BTC).toString().padStart(EIGHT, "0");
  const shown = fraction.replace(/0+$/, "").padEnd(places, "0");
  return `${sign}${whole}${shown && `.${shown}`} BTC`;
}

/** `1 500 000 sat`, with thin spaces. */
export function sat(amount: bigint): string {
  const [sign, magnitude] = amount < 0n ? ["-", -amount] : ["", amount];
  return `${sign}${grouped(magnitude.toString())} sat`;
}

function grouped(digits: string): string {
  return digits.replace(/\B(?=(\d{3})+$)/g, " ");
}

/** Digits for a field that reads them again: `0.01500000`. */
export function coinDigits(sat: bigint): string {
  return `${sat / SAT_PER_BTC}.${(sat % SAT_PER_BTC).toString().padStart(EIGHT, "0")}`;
}

/** What somebody typed, as satoshis: `0.1 BTC`, `0,1 btc`, `10 000 sat`; a bare number is BTC only where the field says so. */
export function parseAmount(text: string, unit?: "BTC" | "sat"): bigint | undefined {
  const match = /^([\d\s ]*)(?:[.,](\d*))?\s*(btc|sat|sats)?$/i.exec(text.trim());
  if (!match) return undefined;
  const [, whole = "", fraction = "", named] = match;
  const of = named?.toLowerCase() ?? unit?.toLowerCase();
  const digits = whole.replace(/[\s ]/g, "");
  if (!of || (!digits && !fraction)) return undefined;
  if (of !== "btc") return fraction || !digits ? undefined : BigInt(digits);
  return fraction.length > EIGHT ? undefined : BigInt(digits || "0") * SAT_PER_BTC + BigInt(fraction.padEnd(EIGHT, "0"));
}
