// Output scripts: those that the bridge pays (contracts/src/bridge/OutputScript.sol), which are those that Bitcoin Core relays and somebody can own.
import { joined } from "./bytes.ts";

export type Template = "P2PKH" | "P2SH" | "P2WPKH" | "P2WSH" | "P2TR" | "witness";

/** A script that the bridge pays, and the least that nodes relay to it. */
export interface Payee {
  script: Uint8Array;
  template: Template;
  dustSat: bigint;
}

/** What a script pays to, whether the bridge pays it or not. */
export interface Program {
  kind: "keyHash" | "scriptHash" | "witness";
  /** Of a witness program; 0 otherwise. */
  version: number;
  bytes: Uint8Array;
}

/** Bitcoin Core, GetDustThreshold at DUST_RELAY_TX_FEE (3 sat/vB): the cost of the output and of the input that spends it. */
const DUST_RATE = 3;
const OUTPUT_BYTES = 9;
const LEGACY_INPUT_VBYTES = 148;
const WITNESS_INPUT_VBYTES = 67;

const HASH_BYTES = 20;
const LEAST_PROGRAM = 2;
const MOST_PROGRAM = 40;
const MOST_VERSION = 16;
const OP_1 = 0x51;

/** The script of a program (BIP141, BIP16, and P2PKH). */
export function scriptOf({ kind, version, bytes }: Program): Uint8Array {
  if (kind === "keyHash") return joined(Uint8Array.of(0x76, 0xa9, bytes.length), bytes, Uint8Array.of(0x88, 0xac));
  if (kind === "scriptHash") return joined(Uint8Array.of(0xa9, bytes.length), bytes, Uint8Array.of(0x87));
  return joined(Uint8Array.of(version && OP_1 - 1 + version, bytes.length), bytes);
}

/** The program of a script that has an address. */
export function programOf(script: Uint8Array): Program | undefined {
  const is = (at: number, ...wanted: number[]) => wanted.every((byte, next) => script[at + next] === byte);
  if (script.length === 25 && is(0, 0x76, 0xa9, HASH_BYTES) && is(23, 0x88, 0xac)) return { kind: "keyHash", version: 0, bytes: script.slice(3, 23) };
  if (script.length === 23 && is(0, 0xa9, HASH_BYTES) && is(22, 0x87)) return { kind: "scriptHash", version: 0, bytes: script.slice(2, 22) };
  const [opcode = 0xff, length = 0] = script;
  const version = opcode && opcode - OP_1 + 1;
  if (version < 0 || version > MOST_VERSION || length !== script.length - 2 || length < LEAST_PROGRAM || length > MOST_PROGRAM) return undefined;
  if (version === 0 && length !== 20 && length !== 32) return undefined;
  return { kind: "witness", version, bytes: script.slice(2) };
}

/** Whether the bridge pays a script, and from which amount on; `undefined`: the contract refuses it (ScriptNotStandard). */
export function payeeOf(script: Uint8Array): Payee | undefined {
  const program = programOf(script);
  const template = program && templateOf(program);
  if (!template) return undefined;
  const input = program.kind === "witness" ? WITNESS_INPUT_VBYTES : LEGACY_INPUT_VBYTES;
  return { script, template, dustSat: BigInt(DUST_RATE * (OUTPUT_BYTES + script.length + input)) };
}

function templateOf({ kind, version, bytes }: Program): Template | undefined {
  if (kind === "keyHash") return "P2PKH";
  if (kind === "scriptHash") return "P2SH";
  if (version === 0) return bytes.length === 20 ? "P2WPKH" : "P2WSH";
  // Taproot has 32 bytes; a shorter one of its version is P2A, which anybody can spend.
  if (version === 1) return bytes.length === 32 ? "P2TR" : undefined;
  return "witness";
}
