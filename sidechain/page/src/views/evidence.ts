// The evidence: reserves proven step by step in this browser, receipts checked, and what a page cannot show.
import { html, nothing, type TemplateResult } from "lit-html";
import type { Context, View } from "../app/view.ts";
import { addressOfScript } from "../bitcoin/address.ts";
import { bytesOf } from "../bitcoin/bytes.ts";
import { amount, sum } from "../draw/amount.ts";
import { bitcoinTransaction, link, shortened } from "../draw/links.ts";
import { counted, duration, moment } from "../draw/time.ts";
import type { FinalHeader } from "../evidence/certificate.ts";
import { supplySatOf } from "../evidence/books.ts";
import { reasonOf } from "../evidence/failure.ts";
import { type Genesis, readGenesis } from "../evidence/genesis.ts";
import { OLD_AFTER_S, type Reserves, type Step, proveHead, proveReserves } from "../evidence/live.ts";
import { type Shown, verifyReceipt } from "../evidence/receipt.ts";
import { NodeDown } from "../node.ts";
import type { BitcoinNetwork, Info } from "../peg/answers.ts";

const STEPS: readonly [step: Step, title: string][] = [
  ["certificate", "The newest block is signed by more than two thirds of the validators that the genesis file names"],
  ["books", "The coins outside and the ledger's books are in that block's state, by Merkle proofs"],
  ["outputs", "The vault outputs are in the same state, and are worth what the books count"],
  ["scripts", "Their Bitcoin transactions pay the federation's key"],
];

/** Evidence of the same moment need not be fetched again every two seconds. */
const EVERY_MS = 30_000;
/** Larger files are read by `causeway verify`. */
const MOST_FILE_BYTES = 64_000_000;

type Result<T> = { found: T } | { failed: string };

export function evidence(context: Context): View {
  const served = context.genesis;
  let genesis: Genesis = served;
  let ownFile: Result<Genesis> | undefined;
  let done = new Map<Step, string>();
  let reserves: Result<Reserves> | undefined;
  let receipt: Result<Shown> | undefined;
  /** Whether the genesis block that the receipt names is this network's: only a node that has the first block's certificate can show it. */
  let namedGenesis: "same" | "unknown" | undefined;
  let isChecking = false;

  async function ofFirstBlock(named: string): Promise<"same" | "unknown"> {
    let first: FinalHeader;
    try {
      first = await proveHead(context.node, genesis, 1);
    } catch {
      // It is away, keeps blocks of late alone, or is of another network than the file from disk: the certificate has shown which network the receipt is of.
      return "unknown";
    }
    if (first.parentHash === named) return "same";
    receipt = { failed: `it names the genesis block ${named}, and this network's is ${first.parentHash}` };
    return "unknown";
  }

  async function check(): Promise<void> {
    isChecking = true;
    const steps = new Map<Step, string>();
    try {
      const found = await proveReserves(context.node, genesis, (step, words) => {
        steps.set(step, words);
        if (!reserves) {
          done = new Map(steps);
          context.redraw();
        }
      });
      [reserves, done] = [{ found }, steps];
    } catch (error) {
      // What does not answer proves nothing, and disproves nothing.
      if (error instanceof NodeDown) throw error;
      [reserves, done] = [{ failed: reasonOf(error) }, steps];
    } finally {
      isChecking = false;
      context.redraw();
    }
  }

  const use = async (event: Event): Promise<void> => {
    const text = await fileOf(event);
    if (text === undefined) return;
    ownFile = attempt(() => readGenesis(text));
    if ("found" in ownFile) {
      genesis = ownFile.found;
      reserves = undefined;
      void check();
    }
    context.redraw();
  };

  const open = async (event: Event): Promise<void> => {
    const text = await fileOf(event);
    if (text !== undefined) {
      receipt = attempt(() => verifyReceipt(text, genesis));
      if ("found" in receipt) namedGenesis = await ofFirstBlock(receipt.found.genesis);
    }
    context.redraw();
  };

  return {
    title: "Evidence",
    every: EVERY_MS,
    refresh: check,
    draw: () => html`
      <h1>Evidence</h1>
      <p>A node is asked, not believed. What follows was computed in this browser, from proofs that end in the validators' signatures.</p>
      <section aria-busy=${isChecking}>
        <h2>Reserves</h2>
        <ol class="steps">
          ${STEPS.map(([step, title]) => drawStep(title, done.get(step), reserves !== undefined && "failed" in reserves))}
        </ol>
        <div role="status">${reserves ? verdict(reserves, context) : html`<p class="waiting">Checking…</p>`}</div>
      </section>
      ${network(genesis, served, ownFile, context.info(), use)}
      <section>
        <h2>A receipt</h2>
        <p>Somebody gave you a file of <code>causeway receipt</code> or <code>causeway audit --receipt</code>? It is checked here against the genesis file above, without asking any node.</p>
        <p><label>Receipt file <input type="file" accept=".json,application/json" @change=${open} /></label></p>
        <div role="status">${receipt ? drawReceipt(receipt, context.info().bitcoinNetwork, namedGenesis) : nothing}</div>
      </section>
      ${limits()}
    `,
  };
}

function drawStep(title: string, words: string | undefined, hasFailed: boolean): TemplateResult {
  const [sign, said] = words ? ["✓", "Shown"] : hasFailed ? ["✗", "Not shown"] : ["…", "Waiting"];
  return html`<li class=${words ? "done" : ""}><span aria-hidden="true" class="sign">${sign}</span><span class="only-read">${said}: </span>${title}${words ? html`<br /><small>${words}</small>` : nothing}</li>`;
}

function verdict(reserves: Result<Reserves>, context: Context): TemplateResult {
  if ("failed" in reserves) {
    return html`<p class="notice bad"><strong>Not proven.</strong> ${reserves.failed}. If it stays so, the node that serves this page is wrong, or of another version: ask another one, and compare. <code>causeway audit</code> says which satoshi is where, by a bitcoind of your own.</p>`;
  }
  const { header, books, sums, supplyWei, outputs } = reserves.found;
  const age = context.now() - header.timestamp;
  const owed = [
    { what: "Coins outside the bridge, rounded up", sat: supplySatOf(supplyWei) },
    { what: "Coins that somebody can claim", sat: books.unclaimedSat },
    { what: "Withdrawals under way", sat: books.owedSat },
    { what: "Deposits under way", sat: books.unmintedSat },
    { what: "The bridge's reserve", sat: books.reserveSat },
  ];
  const claimed = owed.reduce((all, { sat }) => all + sat, 0n);
  const rest = books.vaultSat - claimed;
  const network = context.info().bitcoinNetwork;
  return html`
    ${sums.isCovered
      ? html`<p class="notice good"><strong>Every satoshi is there</strong>, as of block ${link(["block", header.number], header.number)}, ${moment(header.timestamp)}.</p>`
      : html`<p class="notice bad"><strong>${amount(sums.missingSat)} are missing</strong> by the ledger's own books, as of block ${header.number}. ${sums.isBalanced ? "They are booked: payouts stop from a bound on until they are covered." : "And the books do not account for it."}</p>`}
    ${age > OLD_AFTER_S ? html`<p class="notice warn">That block is ${duration(age)} old: what was so then may not be so now.</p>` : nothing}
    ${sum([...owed.filter(({ sat }) => sat), ...(rest ? [{ what: rest > 0n ? "Nobody's: given away, or a rounding" : "Missing", sat: rest }] : [])], { what: `In ${counted(outputs.length, "vault output")}`, sat: books.vaultSat })}
    <details>
      <summary>${counted(outputs.length, "vault output")} on Bitcoin</summary>
      <div class="scroll" tabindex="0" role="region" aria-label="Vault outputs">
        <table>
          <thead><tr><th scope="col">Output 0 of</th><th scope="col" class="number">Amount</th><th scope="col">Vault transaction</th><th scope="col">Key of epoch</th></tr></thead>
          <tbody>
            ${outputs.map(({ txid, amountSat, number, epoch }) => html`<tr><td>${bitcoinTransaction(network, txid)}</td><td class="number">${amount(amountSat)}</td><td>${link(["vault", number], number)}</td><td>${epoch}</td></tr>`)}
          </tbody>
        </table>
      </div>
    </details>
  `;
}

function network(genesis: Genesis, served: Genesis, own: Result<Genesis> | undefined, info: Info, use: (event: Event) => Promise<void>): TemplateResult {
  return html`<section>
    <h2>Which network</h2>
    <p>All of it rests on the genesis file. Its operators publish the network's id: compare this one with theirs, not with what this page says.</p>
    <dl class="facts">
      <dt>Network id</dt><dd><code>${genesis.networkId}</code></dd>
      <dt>Genesis file</dt><dd>${own && "found" in own ? "yours, from your disk" : html`the node's: <a href="/genesis.json" download="genesis.json">save it</a>`}</dd>
      <dt>Bitcoin network</dt><dd>${genesis.bitcoinNetwork}</dd>
      <dt>Validators</dt><dd>${genesis.validatorKeys.length}</dd>
    </dl>
    ${genesis.networkId === info.networkId ? nothing : html`<p class="notice bad"><strong>This node is of another network</strong> than this genesis file: ${shortened(info.networkId)}. Nothing that it says counts for yours.</p>`}
    ${own && "failed" in own ? html`<p class="notice bad" role="alert">${own.failed}.</p>` : nothing}
    ${own && "found" in own && own.found.networkId === served.networkId ? html`<p class="notice good">Your file is the one that this node serves.</p>` : nothing}
    <p><label>Check by a genesis file of yours <input type="file" accept=".json,application/json" @change=${use} /></label></p>
  </section>`;
}

function drawReceipt(receipt: Result<Shown>, network: BitcoinNetwork, named: "same" | "unknown" | undefined): TemplateResult {
  return html`${receiptWords(receipt, network)}
    ${"found" in receipt && named === "unknown" ? html`<p class="none">The genesis block that it names, ${shortened(receipt.found.genesis)}, could not be compared: that is by the first block's certificate, which this node did not show. The signatures are of this genesis file's network.</p>` : nothing}`;
}

function receiptWords(receipt: Result<Shown>, network: BitcoinNetwork): TemplateResult {
  if ("failed" in receipt) return html`<p class="notice bad"><strong>It shows nothing.</strong> ${receipt.failed}.</p>`;
  const shown = receipt.found;
  const at = html`final in block ${shown.header.number}, ${moment(shown.header.timestamp)}, signed by ${shown.header.signers} of ${shown.header.validators} validators`;
  switch (shown.kind) {
    case "deposit":
      return html`<p class="notice good"><strong>A deposit</strong>, ${at}.</p>
        <dl class="facts">
          <dt>Paid on Bitcoin</dt><dd>${amount(shown.paid.output.amountSat)} by ${bitcoinTransaction(network, shown.paid.txid)}, output ${shown.paid.vout}, in block ${shown.paid.height}</dd>
          <dt>To</dt><dd>${link(["account", shown.deposit.recipient], shortened(shown.deposit.recipient))}</dd>
          <dt>Coins made</dt><dd>${shown.deposit.mintedSat === undefined ? "not yet" : amount(shown.deposit.mintedSat)}</dd>
        </dl>`;
    case "withdrawal":
      return html`<p class="notice good"><strong>A withdrawal that is paid</strong>, ${at}.</p>
        <dl class="facts">
          <dt>Withdrawal</dt><dd>${link(["withdrawal", shown.id], shown.id)}, by ${link(["account", shown.withdrawal.owner], shortened(shown.withdrawal.owner))}</dd>
          <dt>Taken in</dt><dd>${amount(shown.withdrawal.amountSat)}</dd>
          <dt>Paid on Bitcoin</dt><dd>${amount(shown.paid.output.amountSat)} to ${payee(shown.withdrawal.script, network)}, by ${bitcoinTransaction(network, shown.paid.txid)}, output ${shown.paid.vout}, in block ${shown.paid.height}</dd>
        </dl>`;
    case "reserves":
      return html`<p class="notice ${shown.sums.isCovered ? "good" : "bad"}"><strong>${shown.sums.isCovered ? "Every satoshi was there" : html`${amount(shown.sums.missingSat)} were missing`}</strong>: ${amount(shown.books.vaultSat)} in ${counted(shown.outputs.length, "vault output")}, ${at}.</p>`;
  }
}

function payee(script: string, network: BitcoinNetwork): TemplateResult {
  const bytes = bytesOf(script.slice(2));
  return shortened((bytes && addressOfScript(bytes, network)) ?? script);
}

function limits(): TemplateResult {
  return html`<section>
    <h2>What a page cannot show</h2>
    <ul>
      <li>It came from the node that it checks. Who doubts both runs a node (<code>causeway node --genesis genesis.json --follow …</code>), or uses the command line, which is built from source.</li>
      <li>Bitcoin's own blocks are checked by the ledger's light client, by most work, and not again here. <code>causeway audit</code> asks a bitcoind of your own for every output.</li>
      <li>That something was left out of a list of requests: a list is the node's word. Each request's own page is proven.</li>
    </ul>
  </section>`;
}

/** The text of a chosen file; none where nothing was chosen. */
async function fileOf(event: Event): Promise<string | undefined> {
  const file = (event.currentTarget as HTMLInputElement).files?.[0];
  if (!file) return undefined;
  return file.size > MOST_FILE_BYTES ? "" : file.text();
}

function attempt<T>(make: () => T): Result<T> {
  try {
    return { found: make() };
  } catch (error) {
    return { failed: reasonOf(error) };
  }
}
