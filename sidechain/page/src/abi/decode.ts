// What calls, logs and refusals of the ledger's contracts say, by their ABIs. What is not theirs, or does not fit, has no reading: it is shown as it is.
import { type Abi, type AbiParameter, type Hex, decodeEventLog, decodeFunctionData, decodeErrorResult, parseAbi, toEventSelector } from "viem";
import type { Contracts } from "../peg/answers.ts";
import { NAMES, SIGNATURES, STRUCTS } from "./signatures.ts";

export type ContractName = keyof Contracts;

/** A name, its type, and its value as viem decodes it. */
export interface Argument {
  name: string;
  type: string;
  value: unknown;
}

export interface Reading {
  contract: ContractName;
  name: string;
  args: Argument[];
}

/** Bytes beyond which nothing is decoded: no call of a user is so long, and the page stays quick. */
const MOST_DIGITS = 400_000;

const read = new Map<ContractName, Abi>();

/** Reading the signatures takes some milliseconds, so it is done for a contract when it is first met. */
function abiOf(name: ContractName): Abi {
  const known = read.get(name);
  if (known) return known;
  const signatures = SIGNATURES[name];
  const used = STRUCTS.filter((struct) => isUsed(struct, signatures));
  const abi = parseAbi([...used, ...signatures] as string[] as never) as Abi;
  read.set(name, abi);
  return abi;
}

/** Structs of structs are few: whoever names one has all of them. */
function isUsed(struct: string, signatures: readonly string[]): boolean {
  const name = struct.split(" ")[1] as string;
  return [...signatures, ...STRUCTS.filter((other) => other !== struct)].some((line) => new RegExp(`\\b${name}\\b`).test(line));
}

/** Which of the ledger's contracts is at an address. */
export function contractAt(contracts: Contracts, address: string | null | undefined): ContractName | undefined {
  const wanted = address?.toLowerCase();
  return (Object.keys(NAMES) as ContractName[]).find((name) => contracts[name].toLowerCase() === wanted);
}

/** Topic 0 of an event of a contract. */
export function topicOf(contract: ContractName, event: string): Hex {
  const found = abiOf(contract).find((entry) => entry.type === "event" && entry.name === event);
  if (!found || found.type !== "event") throw new Error(`${contract} has no event ${event}`);
  return toEventSelector(found);
}

export function readLog(contracts: Contracts, log: { address: string; topics: readonly string[]; data: string }): Reading | undefined {
  const contract = contractAt(contracts, log.address);
  if (!contract || log.data.length > MOST_DIGITS) return undefined;
  const abi = abiOf(contract);
  try {
    const { eventName, args } = decodeEventLog({ abi, data: log.data as Hex, topics: log.topics as [Hex, ...Hex[]] });
    const entry = abi.find((one) => one.type === "event" && one.name === eventName);
    return entry?.type === "event" && eventName ? { contract, name: eventName, args: named(entry.inputs, args) } : undefined;
  } catch {
    return undefined;
  }
}

export function readCall(contracts: Contracts, to: string | null | undefined, input: string): Reading | undefined {
  const contract = contractAt(contracts, to);
  if (!contract || input.length < 10 || input.length > MOST_DIGITS) return undefined;
  const abi = abiOf(contract);
  try {
    const { functionName, args = [] } = decodeFunctionData({ abi, data: input as Hex });
    // Of several of one name the one that has as many parameters.
    const entry = abi.find((one) => one.type === "function" && one.name === functionName && one.inputs.length === args.length);
    return entry?.type === "function" ? { contract, name: functionName, args: named(entry.inputs, args) } : undefined;
  } catch {
    return undefined;
  }
}

/** An error of whichever contract has it: a refusal passes through those that call each other. */
export function readError(data: string | undefined): { contract: ContractName | undefined; name: string; args: Argument[] } | undefined {
  if (!data || data.length < 10 || data.length > MOST_DIGITS) return undefined;
  for (const contract of Object.keys(NAMES) as ContractName[]) {
    try {
      const { errorName, args = [], abiItem } = decodeErrorResult({ abi: abiOf(contract), data: data as Hex });
      const isStandard = errorName === "Error" || errorName === "Panic";
      return { contract: isStandard ? undefined : contract, name: errorName, args: abiItem.type === "error" ? named(abiItem.inputs, args) : [] };
    } catch {
      // The next one's, perhaps.
    }
  }
  return undefined;
}

/** viem gives arguments by their names where all have one, else in a list. */
function named(inputs: readonly AbiParameter[], args: unknown): Argument[] {
  return inputs.map((input, at) => {
    const name = input.name || `${at}`;
    const value = Array.isArray(args) ? args[at] : (args as Record<string, unknown> | undefined)?.[name];
    return { name, type: input.type, value };
  });
}

/** All names of a kind that a contract has: so that a test sees that each has words. */
export function namesOf(contract: ContractName, type: "event" | "function" | "error"): string[] {
  return abiOf(contract).flatMap((entry) => (entry.type === type && "name" in entry && entry.name ? [entry.name] : []));
}
