// The passphrase of a record. Whoever gets the file tries guesses, as many at once as they pay for; so where coins have a value, the page draws one.
//
// `causeway` measures what people choose by dictionaries (zxcvbn), of which a page has no room. What is drawn needs no measuring.
import type { BitcoinNetwork } from "../peg/answers.ts";

/** The program's: fewer are guessed quickly even against argon2. */
const LEAST_CHARACTERS = 8;
const MOST_BYTES = 1_023;
/** Thirty-two that nobody takes for one another on paper (bech32's): 5 bits each, so 80 bits. The program wants more than 2^33 guesses. */
const LETTERS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
const GROUPS = 4;
const GROUP = 4;
/** Of what people choose, since it is only looked at: five words, or twenty characters of several kinds. */
const LEAST_WORDS = 5;
const LEAST_LETTERS = 3;
const LEAST_OF_ONE_PIECE = 20;

/** For somebody to write down: `x4kd-9wqa-7m2v-h0te`, each letter drawn with the same probability. */
export function drawPassphrase(): string {
  const drawn = crypto.getRandomValues(new Uint8Array(GROUPS * GROUP));
  // 256 is a multiple of 32, so no letter is likelier than another.
  const letters = Array.from(drawn, (byte) => LETTERS[byte % LETTERS.length] as string);
  drawn.fill(0);
  return Array.from({ length: GROUPS }, (_, group) => letters.slice(group * GROUP, (group + 1) * GROUP).join("")).join("-");
}

/** Why a passphrase cannot be chosen, in words that do not show it; `undefined`: it can. One that was drawn here always can. */
export function refusedPassphrase(passphrase: string, network: BitcoinNetwork): string | undefined {
  const { length } = [...passphrase];
  if (length < LEAST_CHARACTERS) return `The passphrase has ${length} characters; it needs at least ${LEAST_CHARACTERS}.`;
  if (new TextEncoder().encode(passphrase).length > MOST_BYTES) return `The passphrase has more than ${MOST_BYTES} bytes.`;
  if (/[\r\n]/.test(passphrase)) return "The passphrase has more than one line. The program reads one line, so it could not open the file.";
  // Regtest's coins have no value.
  if (network === "regtest" || isDrawn(passphrase) || isLikelyStrong(passphrase)) return undefined;
  return "The passphrase is not strong enough for coins. Take one that this page draws, or five or more words that dice or a password manager draw.";
}

function isDrawn(passphrase: string): boolean {
  const groups = passphrase.split("-");
  const isOurs = groups.length === GROUPS && groups.every((group) => group.length === GROUP && [...group].every((letter) => LETTERS.includes(letter)));
  // Sixteen that are drawn hardly ever have so few of one another's.
  return isOurs && new Set(passphrase).size > GROUP;
}

/** As far as can be seen without dictionaries. */
function isLikelyStrong(passphrase: string): boolean {
  const words = passphrase.trim().toLowerCase().split(/\s+/);
  if (words.length >= LEAST_WORDS) return new Set(words).size >= LEAST_WORDS - 1 && words.every((word) => word.length >= LEAST_LETTERS);
  const kinds = [/[a-z]/, /[A-Z]/, /[0-9]/, /[^a-zA-Z0-9]/].filter((kind) => kind.test(passphrase)).length;
  return words.length === 1 && [...passphrase].length >= LEAST_OF_ONE_PIECE && new Set(passphrase).size >= 12 && kinds >= 2;
}
