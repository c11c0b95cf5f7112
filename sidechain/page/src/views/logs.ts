// Logs by address, topic and blocks, the newest first, page by page.
import { html, nothing } from "lit-html";
import type { Context, View } from "../app/view.ts";
import { namesOf, contractAt, topicOf } from "../abi/decode.ts";
import { NAMES } from "../abi/signatures.ts";
import { type LogPage, newestLogs } from "../chain/logs.ts";
import { link, route } from "../draw/links.ts";
import { logList } from "../draw/readings.ts";
import { counted } from "../draw/time.ts";
import { numberIn } from "./withdrawal.ts";

const ON_PAGE = 25;

/** `logs/ADDRESS/TOPIC/FROM/TO`; `-` or nothing where anything will do. A topic is 32 bytes in any place, or the name of an event of the ledger. */
export function logs(context: Context, ...parts: string[]): View {
  const [address, topic, from, to] = wanted(parts);
  let page: LogPage | undefined;
  let wrong: string | undefined;
  return {
    title: "Logs",
    every: 10_000,
    async refresh() {
      const { head, contracts } = context.info();
      if (address && !/^0x[0-9a-f]{40}$/i.test(address)) return void (wrong = "The address has to have 0x and 40 digits behind it.");
      const places = topic ? placesOf(context, topic, address) : [undefined];
      if (!places) return void (wrong = "The topic has to have 0x and 64 digits behind it, or be the name of an event of the ledger.");
      if ((from && numberIn(from) === undefined) || (to && numberIn(to) === undefined)) return void (wrong = "Blocks are named by their numbers.");
      const [first, last] = [numberIn(from) ?? 0, Math.min(numberIn(to) ?? head.number, head.number)];
      // Without an address and a topic every log of every block counts: that is what the range of blocks is for.
      const filter = address ? { address } : topic ? {} : { address: Object.values(contracts) };
      const pages = await Promise.all(places.map((topics) => newestLogs(context.node, { ...filter, ...(topics ? { topics } : {}) }, last, ON_PAGE, first)));
      page = merged(pages);
    },
    draw() {
      const submit = (event: SubmitEvent) => {
        event.preventDefault();
        const data = new FormData(event.currentTarget as HTMLFormElement);
        const field = (name: string) => String(data.get(name) ?? "").trim() || "-";
        context.go("logs", field("address"), field("topic"), field("from"), field("to"));
      };
      return html`<h1>Logs</h1>
        <p>By the node's word: what contracts told when something happened. Without an address: those of the ledger's contracts.</p>
        <form class="filter" @submit=${submit}>
          <label>Address <input class="wide" name="address" maxlength="42" autocomplete="off" .value=${address} placeholder="0x…" /></label>
          <label>Topic, or the name of an event <input class="wide" name="topic" maxlength="66" autocomplete="off" .value=${topic} placeholder="0x… or WithdrawalQueued" /></label>
          <label>From block <input class="wide" name="from" inputmode="numeric" maxlength="15" .value=${from} placeholder="0" /></label>
          <label>To block <input class="wide" name="to" inputmode="numeric" maxlength="15" .value=${to} placeholder=${context.info().head.number} /></label>
          <button>Show</button>
        </form>
        ${wrong ? html`<p class="notice bad" role="alert">${wrong}</p>` : !page ? html`<p class="waiting">Asking the node…</p>` : nothing}
        ${page && !wrong
          ? html`${logList(context.info(), page.logs)}
              ${page.cut ? html`<p>Of one block ${counted(page.cut, "log")} more are left out: its transactions show them.</p>` : nothing}
              ${page.below === undefined || page.below < (numberIn(from) ?? 0) ? nothing : html`<p><a href=${route("logs", address || "-", topic || "-", from || "-", page.below)}>Older</a></p>`}`
          : nothing}
        <p>${link(["blocks"], "Blocks")}</p>`;
    },
  };
}

/** Parts of a link that are `-` mean anything; empty ones were left out by the link's reader, so they count from the end. */
function wanted(parts: string[]): [string, string, string, string] {
  const [address = "", topic = "", from = "", to = ""] = parts.map((part) => (part === "-" ? "" : part));
  return [address, topic, from, to];
}

/** Filters that together find a topic in any place. */
function placesOf(context: Context, topic: string, address: string): (string | string[] | null)[][] | undefined {
  if (/^0x[0-9a-f]{64}$/i.test(topic)) return [0, 1, 2, 3].map((place) => [...Array.from({ length: place }, () => null), topic]);
  const at = address ? contractAt(context.info().contracts, address) : undefined;
  const contracts = at ? [at] : (Object.keys(NAMES) as (keyof typeof NAMES)[]);
  const selectors = contracts.flatMap((name) => (namesOf(name, "event").includes(topic) ? [topicOf(name, topic)] : []));
  return selectors.length ? [[selectors]] : undefined;
}

/** Several pages as one: no further back than the shortest of them reaches. */
function merged(pages: readonly LogPage[]): LogPage {
  const reach = Math.max(-1, ...pages.map(({ below }) => below ?? -1));
  const order = (log: { blockNumber: string; logIndex: string }) => Number.parseInt(log.blockNumber, 16) * 1e6 + Number.parseInt(log.logIndex, 16);
  const all = new Map(pages.flatMap(({ logs: some }) => some).filter((log) => Number.parseInt(log.blockNumber, 16) > reach).map((log) => [order(log), log]));
  return { logs: [...all.values()].sort((a, b) => order(b) - order(a)), below: reach < 0 ? undefined : reach, cut: pages.reduce((total, { cut }) => total + cut, 0) };
}
