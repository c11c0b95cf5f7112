// Calls and logs in words, with their arguments by their kinds: amounts, accounts, Bitcoin's transactions, the ledger's numbers.
import { html, nothing, type TemplateResult } from "lit-html";
import { type Argument, type Reading, contractAt, readLog } from "../abi/decode.ts";
import { NAMES } from "../abi/signatures.ts";
import { eventWords, wordOf } from "../abi/words.ts";
import { addressOfScript } from "../bitcoin/address.ts";
import { bytesOf } from "../bitcoin/bytes.ts";
import { type Log, numberOf, turned } from "../chain/answers.ts";
import { timeOf } from "../chain/logs.ts";
import type { Info } from "../peg/answers.ts";
import { amount } from "./amount.ts";
import { bitcoinAddress, bitcoinTransaction, link, shortened } from "./links.ts";
import { drawName } from "./names.ts";
import { moment } from "./time.ts";
import { coins } from "./wei.ts";

/** Digits of bytes that are shown, and members of a list. */
const MOST_DIGITS = 512;
const MOST_MEMBERS = 50;
const ZERO = "0x0000000000000000000000000000000000000000";

/** The account, by its name where it is one of the ledger's contracts or a member. */
export function account(info: Info, address: string): TemplateResult {
  const contract = contractAt(info.contracts, address);
  const member = info.members.find((one) => one.account.toLowerCase() === address.toLowerCase());
  if (contract) return link(["account", address], NAMES[contract]);
  if (address === ZERO) return html`nobody`;
  return html`${link(["account", address], shortened(address))}${member ? html` (${drawName(member.name)})` : nothing}`;
}

/** A Bitcoin address on a page that is about it: whole, to be compared letter by letter. */
export function wholeAddress({ bitcoinNetwork }: Info, address: string): TemplateResult {
  return html`<code>${address}</code>${bitcoinNetwork === "regtest" ? nothing : html` (${bitcoinAddress(bitcoinNetwork, address)})`}`;
}

export function raw(data: string): TemplateResult {
  const cut = data.length > MOST_DIGITS;
  return html`<code class="raw">${cut ? `${data.slice(0, MOST_DIGITS)}…` : data}</code>${cut ? html` (${(data.length - 2) / 2} bytes)` : nothing}`;
}

export function argumentList(info: Info, contract: Reading["contract"] | undefined, args: readonly Argument[]): TemplateResult {
  if (!args.length) return html``;
  return html`<dl class="facts">
    ${args.map((one) => html`<dt>${contract === "microChannel" && one.name === "number" ? "number" : wordOf(one.name)}</dt><dd>${shown(info, contract, one)}</dd>`)}
  </dl>`;
}

function shown(info: Info, contract: Reading["contract"] | undefined, { name, type, value }: Argument): unknown {
  if (Array.isArray(value)) {
    const some = value.slice(0, MOST_MEMBERS).map((one) => shown(info, contract, { name, type: type.replace(/\[\d*\]$/, ""), value: one }));
    return html`${some.length ? some.map((one, at) => html`${at ? ", " : ""}${one}`) : "none"}${value.length > MOST_MEMBERS ? html` and ${value.length - MOST_MEMBERS} more` : nothing}`;
  }
  if (value !== null && typeof value === "object") {
    const fields = value as Record<string, unknown>;
    if (typeof fields.txid === "string" && typeof fields.vout === "number" && Object.keys(fields).length === 2) {
      const outpoint = `${turned(fields.txid)}:${fields.vout}`;
      return link(["deposit", outpoint], shortened(outpoint));
    }
    return html`<dl class="facts">${Object.entries(fields).slice(0, MOST_MEMBERS).map(([key, field]) => html`<dt>${wordOf(key)}</dt><dd>${shown(info, contract, { name: key, type: typeof field === "bigint" ? "uint256" : "", value: field })}</dd>`)}</dl>`;
  }
  return ofOne(info, contract, name, type, value);
}

function ofOne(info: Info, contract: Reading["contract"] | undefined, name: string, type: string, value: unknown): unknown {
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value === "string" && /^0x[0-9a-f]{40}$/i.test(value)) return account(info, value.toLowerCase());
  if (typeof value === "string" && (name === "txid" || name === "killer")) return bitcoinTransaction(info.bitcoinNetwork, turned(value));
  if (typeof value === "string" && name === "script") {
    const bytes = bytesOf(value.slice(2));
    const address = bytes && addressOfScript(bytes, info.bitcoinNetwork);
    return address ? bitcoinAddress(info.bitcoinNetwork, address) : raw(value);
  }
  if (typeof value === "string") return value.startsWith("0x") ? (value.length === 66 ? shortened(value) : raw(value)) : value.slice(0, MOST_DIGITS);
  const number = typeof value === "bigint" ? value : typeof value === "number" ? BigInt(value) : undefined;
  if (number === undefined) return String(value).slice(0, MOST_DIGITS);
  if (name.endsWith("Sat")) return amount(number);
  if (contract === "bridge" && (name === "id" || name === "withdrawals")) return link(["withdrawal", number.toString()], number.toString());
  if ((contract === "bridge" || contract === "vault" || contract === "deposits") && ["number", "output", "outputs"].includes(name) && type !== "uint256[4]" && number) return link(["vault", number.toString()], number.toString());
  if (name === "withdrawals") return link(["withdrawal", number.toString()], number.toString());
  if (contract === "wrappedBtc" && name === "value") return coins(number);
  if (name === "rate") return `${Number(number) / 1000} sat/vB`;
  if (name === "until" || /At$/.test(name)) return number > 1_000_000_000n && number < 100_000_000_000n ? moment(Number(number)) : number.toString();
  return number.toString();
}

/** What a log says, in a sentence, with what is in it; `undefined`: nobody here knows. */
export function logReading(info: Info, log: Log): TemplateResult {
  const read = readLog(info.contracts, log);
  if (read) return html`<p>${eventWords(read.contract, read.name)} <small class="quiet">${NAMES[read.contract]}.${read.name}</small></p>${argumentList(info, read.contract, read.args)}`;
  const topics = Array.isArray(log.topics) ? log.topics.slice(0, 4) : [];
  return html`<p>A log of ${account(info, log.address)}</p>
    <dl class="facts">
      ${topics.map((topic, at) => html`<dt>topic ${at}</dt><dd>${shortened(topic)}</dd>`)}
      <dt>data</dt><dd>${raw(log.data)}</dd>
    </dl>`;
}

/** A list of logs, each with its transaction and block. */
export function logList(info: Info, logs: readonly Log[]): TemplateResult {
  if (!logs.length) return html`<p class="none">None.</p>`;
  return html`<ol class="logs">
    ${logs.map((log) => {
      const time = timeOf(log);
      return html`<li>
        <p class="quiet">
          ${link(["block", numberOf(log.blockNumber)], `Block ${numberOf(log.blockNumber)}`)}${time === undefined ? nothing : html`, ${moment(time)}`}, ${link(["tx", log.transactionHash], html`transaction ${shortened(log.transactionHash)}`)}
        </p>
        ${logReading(info, log)}
      </li>`;
    })}
  </ol>`;
}

/** What happened, in one line each, with the transaction here that shows it; `label`: another for each of a page. */
export function happened(info: Info, logs: readonly Log[], label = "Transactions"): TemplateResult {
  if (!logs.length) return html`<p class="none">Nothing that this node still has.</p>`;
  return html`<p class="none">By the node's word.</p><div class="scroll" tabindex="0" role="region" aria-label=${label}>
    <table>
      <thead><tr><th scope="col">When</th><th scope="col">What</th><th scope="col">Transaction here</th></tr></thead>
      <tbody>
        ${logs.map((log) => {
          const time = timeOf(log);
          const read = readLog(info.contracts, log);
          return html`<tr>
            <td class="moment">${time === undefined ? link(["block", numberOf(log.blockNumber)], `Block ${numberOf(log.blockNumber)}`) : moment(time)}</td>
            <td>${read ? eventWords(read.contract, read.name) : "A log"}</td>
            <td>${link(["tx", log.transactionHash], shortened(log.transactionHash))}</td>
          </tr>`;
        })}
      </tbody>
    </table>
  </div>`;
}
