// The members who hold the vault's key together: who was seen when, who is late and why, keys, guardians and pauses.
import { html, nothing, type TemplateResult } from "lit-html";
import { topicOf } from "../abi/decode.ts";
import type { Context, View } from "../app/view.ts";
import { type Log, numberOf, word } from "../chain/answers.ts";
import { newestLogs, timeOf } from "../chain/logs.ts";
import { link } from "../draw/links.ts";
import { drawName } from "../draw/names.ts";
import { notProven, oldWords } from "../draw/proven.ts";
import type { FinalHeader } from "../evidence/certificate.ts";
import { NotProven } from "../evidence/failure.ts";
import { proveKeys } from "../evidence/live.ts";
import { account, happened, logList } from "../draw/readings.ts";
import { chip } from "../draw/requests.ts";
import { ago, duration, moment } from "../draw/time.ts";
import { type Outlook, look } from "../peg/outlook.ts";
import type { Info, Limits } from "../peg/answers.ts";

/** Members that are asked for one by one; no federation has more. */
const MOST_MEMBERS = 100;

interface PausesToo extends Limits {
  pauseNumber?: number;
  liftVotes?: number;
}

export function federation(context: Context): View {
  const { node } = context;
  let outlook: Outlook | undefined;
  let seen = new Map<number, Log>();
  let keys: Log[] = [];
  let pauses: Log[] = [];
  let proven: FinalHeader | undefined;
  let unproven: string | undefined;

  /** The keys that the node names are those of the state. */
  async function prove(): Promise<void> {
    const { epoch, groupKey, vaultKey } = context.info();
    if (groupKey === null) return;
    try {
      const { header, keys: own } = await proveKeys(node, context.genesis, epoch, context.now());
      const isSame = own.group === groupKey.toLowerCase() && own.vault === vaultKey?.toLowerCase();
      [proven, unproven] = isSame ? [header, undefined] : [undefined, "the keys in the state are others than the node names"];
    } catch (error) {
      if (!(error instanceof NotProven)) throw error;
      [proven, unproven] = [undefined, error.message];
    }
  }

  return {
    title: "Federation",
    every: 5_000,
    async refresh() {
      const info = context.info();
      const { contracts, head } = info;
      const some = info.members.slice(0, MOST_MEMBERS);
      const [, now, last, activated, paused] = await Promise.all([
        prove(),
        look(node, info),
        Promise.all(some.map(({ index }) => lastOf(context, index))),
        newestLogs(node, { address: contracts.federation, topics: [topicOf("federation", "KeyActivated")] }, head.number, 5),
        newestLogs(node, { address: contracts.bridge, topics: [["Paused", "PauseLifted"].map((name) => topicOf("bridge", name))] }, head.number, 5),
      ]);
      outlook = now;
      keys = activated.logs.slice(0, 5);
      pauses = paused.logs.slice(0, 5);
      seen = new Map(some.flatMap(({ index }, at) => (last[at] ? [[index, last[at]] as const] : [])));
    },
    draw() {
      const info = context.info();
      const late = outlook?.waitedFor ?? [];
      return html`<h1>Federation</h1>
        <p>
          ${info.threshold} of ${info.members.length} members sign together what leaves the vault. ${info.members.length - info.threshold} may be away, and nothing stops; so many that fewer than ${info.threshold} are left, and payouts wait until they are back.
        </p>
        <p class="none">Names, accounts, the number that signs together, and guardians are the genesis file's. Who was seen when, whom it waits for, and pauses are the node's word.</p>
        ${outlook
          ? html`<p class="big">${late.length ? `It waits for ${late.length === 1 ? "a member" : `${late.length} members`}` : "It waits for nobody"}</p>
              ${late.length ? html`<ul>${late.map(({ member, name, what }) => html`<li>Member ${member} (${drawName(name)}): ${what}</li>`)}</ul>` : nothing}`
          : html`<p class="waiting">Asking the node…</p>`}
        ${members(context, outlook, seen)}
        <h2>Key</h2>
        <dl class="facts">
          <dt>Epoch</dt><dd>${info.epoch}</dd>
          <dt>Key of the federation</dt><dd>${info.groupKey ? html`<code>${info.groupKey}</code>` : "not made yet: no deposit address can be made before"}</dd>
          <dt>Key of the vault</dt><dd>${info.vaultKey ? html`<code>${info.vaultKey}</code>` : "–"}</dd>
        </dl>
        ${keyWords(info, proven, unproven, context.now())} ${keys.length ? happened(info, keys, "When the key was made") : nothing}
        <h2>Guardians and pauses</h2>
        ${outlook ? pauseNow(outlook.limits as PausesToo, context.now(), info) : nothing}
        <p>Each guardian may pause first payouts for a time, alone; members may end that together. Nobody can stop deposits, cancelling, or what was fixed before.</p>
        <ul>${guardians(info).map((one) => html`<li>${account(info, one)}</li>`)}</ul>
        ${pauses.length ? logList(info, pauses) : html`<p class="none">There was no pause.</p>`}`;
    },
  };
}

function keyWords({ groupKey }: Info, proven: FinalHeader | undefined, unproven: string | undefined, now: number): TemplateResult | typeof nothing {
  if (groupKey === null) return nothing;
  if (unproven !== undefined) return notProven(unproven);
  if (!proven) return html`<p class="none">By the node's word; being proven.</p>`;
  const { number, signers, validators } = proven;
  return html`<p class="none"><span aria-hidden="true">✓</span> Both keys are proven in this browser, by block ${link(["block", number], number)}, which ${signers} of ${validators} validators signed. That this epoch is the newest is the node's word.</p>${oldWords(proven, now)}`;
}

function members(context: Context, outlook: Outlook | undefined, seen: ReadonlyMap<number, Log>): TemplateResult {
  const info = context.info();
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Members">
    <table>
      <thead><tr><th scope="col">Member</th><th scope="col">Name</th><th scope="col">Account</th><th scope="col">Last seen signing</th><th scope="col">Stands</th></tr></thead>
      <tbody>
        ${info.members.slice(0, MOST_MEMBERS).map(({ index, name, account: own }) => {
          const log = seen.get(index);
          const time = log && timeOf(log);
          const isLate = outlook?.waitedFor.some(({ member }) => member === index);
          return html`<tr>
            <td>${index}</td>
            <td>${drawName(name)}</td>
            <td>${link(["account", own], html`<code>${own.slice(0, 10)}…</code>`)}</td>
            <td>${log ? link(["tx", log.transactionHash], time === undefined ? `block ${numberOf(log.blockNumber)}` : html`<span title=${moment(time)}>${ago(time, context.now())}</span>`) : outlook ? "never" : "…"}</td>
            <td>${outlook ? (isLate ? chip({ word: "waited for", tone: "bad" }) : chip({ word: "on time", tone: "good" })) : nothing}</td>
          </tr>`;
        })}
      </tbody>
    </table>
  </div>
  <p class="quiet">Who signs is seen when there is something to sign: on a quiet day, none for hours.</p>`;
}

function guardians(info: Info): string[] {
  const { guardians: list } = info.parameters as { guardians?: unknown };
  return Array.isArray(list) ? list.filter((one): one is string => typeof one === "string").slice(0, MOST_MEMBERS) : [];
}

function pauseNow(limits: PausesToo, now: number, info: Info): TemplateResult {
  const left = limits.pausedUntil - now;
  if (left <= 0) return html`<p>Payouts are not paused.</p>`;
  return html`<p class="notice warn">First payouts are paused until ${moment(limits.pausedUntil)}, for ${duration(left)} at most. ${limits.liftVotes ?? 0} of ${info.threshold} members have voted to end that.</p>`;
}

/** The newest log that names a member: its posts, proposals, approvals and confirmations all do so in the same place. */
async function lastOf({ node, info }: Context, member: number): Promise<Log | undefined> {
  const { contracts, head } = info();
  const kinds = [topicOf("signingBoard", "Posted"), topicOf("vault", "Approved"), topicOf("vault", "Proposed"), topicOf("federation", "KeyConfirmed")];
  const addresses = [contracts.signingBoard, contracts.vault, contracts.federation];
  const { logs } = await newestLogs(node, { address: addresses, topics: [kinds, null, word(member)] }, head.number, 1);
  return logs[0];
}
