// Asks a node for all that a pasted text can mean, in one batch, and says what is there.
import { readLog, topicOf } from "../abi/decode.ts";
import type { Block, Log, Transaction } from "../chain/answers.ts";
import { numberOf, turned } from "../chain/answers.ts";
import { fewLogs } from "../chain/logs.ts";
import type { Node } from "../node.ts";
import type { Meaning } from "../search.ts";
import { addressOfScript } from "../bitcoin/address.ts";
import { bytesOf } from "../bitcoin/bytes.ts";
import type { DepositReport, Info, VaultTransaction, Withdrawal, WithdrawalList } from "./answers.ts";

/** A page that is about what was looked for, and what it is in words. */
export interface Found {
  parts: (string | number)[];
  what: string;
}

/** Outputs of a transaction that are asked for one by one: a payment that is proven and not minted is in no index by its transaction. */
const FIRST_OUTPUTS = 12;
const MOST_FOUND = 100;

export async function find(node: Node, info: Info, meaning: Meaning): Promise<Found[]> {
  const lists = await Promise.all(questions(node, info, meaning));
  const all = new Map(lists.flat().map((found) => [found.parts.join("/"), found]));
  return [...all.values()].slice(0, MOST_FOUND);
}

function questions(node: Node, info: Info, meaning: Meaning): Promise<Found[]>[] {
  switch (meaning.is) {
    case "account":
      return [Promise.resolve([{ parts: ["account", meaning.address], what: "The account, with its coins and requests" }])];
    case "outpoint":
      return [output(node, info, meaning.txid, meaning.vout)];
    case "number":
      return ofNumber(node, info, meaning.number, meaning.of);
    case "bitcoin":
      return [...(meaning.outputKey ? [depositsTo(node, meaning.address)] : []), payouts(node, meaning.script)];
    case "script": {
      const bytes = bytesOf(meaning.script.slice(2));
      const address = bytes && addressOfScript(bytes, info.bitcoinNetwork);
      const isTaproot = meaning.script.startsWith("0x5120") && meaning.script.length === 70;
      return [...(isTaproot && address ? [depositsTo(node, address)] : []), payouts(node, meaning.script)];
    }
    case "hash":
      return ofHash(node, info, meaning.digits);
  }
}

function ofNumber(node: Node, info: Info, number: number, of: string | undefined): Promise<Found[]>[] {
  const withdrawal = async () => ((await softly(node.ask<Withdrawal | null>("peg_getWithdrawal", number))) ? [{ parts: ["withdrawal", number], what: `Withdrawal ${number}` }] : []);
  const vault = async () => ((await softly(node.ask<VaultTransaction | null>("peg_getVaultTransaction", number))) ? [{ parts: ["vault", number], what: `Vault transaction ${number}` }] : []);
  const block = async () => (number <= info.head.number ? [{ parts: ["block", number], what: `Block ${number} of the sidechain` }] : []);
  return Object.entries({ withdrawal, vault, block }).flatMap(([name, ask]) => (of === undefined || of === name ? [ask()] : []));
}

function ofHash(node: Node, info: Info, digits: string): Promise<Found[]>[] {
  const hash = `0x${digits}`;
  const transaction = async () => ((await softly(node.ask<Transaction | null>("eth_getTransactionByHash", hash))) ? [{ parts: ["tx", hash], what: "A transaction on the sidechain" }] : []);
  const block = async () => {
    const found = await softly(node.ask<Block | null>("eth_getBlockByHash", hash, false));
    return found ? [{ parts: ["block", numberOf(found.number)], what: `Block ${numberOf(found.number)} of the sidechain` }] : [];
  };
  const key = async () => {
    const report = await softly(node.ask<DepositReport>("peg_getDeposit", hash));
    return report?.address && (report.deposits.length || report.registered) ? [{ parts: ["deposit", report.address], what: "The deposit address of this key" }] : [];
  };
  const channel = async () => {
    const logs = await softly(fewLogs(node, { address: info.contracts.microChannel, topics: [topicOf("microChannel", "ChannelOpened"), hash] }, 1));
    return (logs ?? []).map((log) => ({ parts: ["logs", info.contracts.microChannel, hash], what: `A payment channel, opened in block ${numberOf(log.blockNumber)}` }));
  };
  return [transaction(), block(), key(), channel(), ...ofTransaction(node, info, digits, true)];
}

/** Deposits, sweeps and payouts by a Bitcoin transaction's id; as Bitcoin prints it, and (`both`) as it is hashed and logged. */
function ofTransaction(node: Node, info: Info, txid: string, both: boolean): Promise<Found[]>[] {
  const ids = [`0x${turned(txid)}`, ...(both ? [`0x${txid}`] : [])];
  const { deposits, vault } = info.contracts;
  const outputs = both ? Array.from({ length: FIRST_OUTPUTS }, (_, vout) => deposit(node, `${txid}:${vout}`)) : [];
  const minted = async () => {
    const topics = [[topicOf("deposits", "DepositMinted")], null, ids];
    const others = [["DepositGone", "DepositLeft"].map((name) => topicOf("deposits", name)), ids];
    const logs = await Promise.all([softly(fewLogs(node, { address: deposits, topics })), softly(fewLogs(node, { address: deposits, topics: others }))]);
    return logs.flatMap((some) => some ?? []).flatMap((log) => outpointOf(info, log));
  };
  const bound = async () => {
    const logs = await softly(fewLogs(node, { address: vault, topics: [topicOf("vault", "Bound"), null, ids] }));
    return (logs ?? []).map((log) => {
      const number = numberOf(`0x${log.topics[1]?.replace(/^0x0*/, "") || "0"}`);
      return { parts: ["vault", number], what: `Vault transaction ${number}, which this Bitcoin transaction is` };
    });
  };
  return [...outputs, minted(), bound()];
}

function outpointOf(info: Info, log: Log): Found[] {
  const args = readLog(info.contracts, log)?.args ?? [];
  const value = (name: string) => args.find((one) => one.name === name)?.value;
  const [txid, vout] = [value("txid"), value("vout")];
  return typeof txid === "string" && typeof vout === "number" ? [depositFound(`${turned(txid)}:${vout}`)] : [];
}

const depositFound = (outpoint: string): Found => ({ parts: ["deposit", outpoint], what: `The deposit of output ${outpoint.split(":")[1]}` });

async function deposit(node: Node, outpoint: string): Promise<Found[]> {
  const report = await softly(node.ask<DepositReport>("peg_getDeposit", outpoint));
  return report?.deposits?.length ? [depositFound(outpoint)] : [];
}

/** The deposit that this very output is; else what is known of its transaction. */
async function output(node: Node, info: Info, txid: string, vout: number): Promise<Found[]> {
  const [exact, ...others] = await Promise.all([deposit(node, `${txid}:${vout}`), ...ofTransaction(node, info, txid, false)]);
  return exact?.length ? exact : others.flat();
}

async function depositsTo(node: Node, address: string): Promise<Found[]> {
  const report = await softly(node.ask<DepositReport>("peg_getDeposit", address));
  if (!report) return [];
  const count = report.deposits?.length ?? 0;
  return count || report.registered ? [{ parts: ["deposit", address], what: count ? `The deposit address, with ${count} ${count === 1 ? "payment" : "payments"}` : "The deposit address, of which the ledger has no payment yet" }] : [];
}

async function payouts(node: Node, script: string): Promise<Found[]> {
  const list = await softly(node.ask<WithdrawalList>("peg_getWithdrawals", { script }, null, 50));
  return (list?.withdrawals ?? []).map(({ id }) => ({ parts: ["withdrawal", id], what: `Withdrawal ${id}, which is paid to this address` }));
}

/** What the node refuses to answer is not there; that it does not answer at all is told. */
async function softly<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof Error && error.name === "NodeDown") throw error;
    return undefined;
  }
}
