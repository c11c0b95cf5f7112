// What follows the form of who brings bitcoin in: the record, which is saved before anything else, and the address to pay.
import { html, nothing, type TemplateResult } from "lit-html";
import { type Payment, paymentLink } from "../bitcoin/link.ts";
import { paymentQr } from "../bitcoin/qr.ts";
import { type DepositRecord, recordFileName, recordText } from "../bitcoin/record.ts";
import { amount } from "../draw/amount.ts";
import { copying } from "../draw/copy.ts";
import { link, shortened } from "../draw/links.ts";
import { counted } from "../draw/time.ts";
import { type Info, sats } from "../peg/answers.ts";
import { begun } from "../peg/begun.ts";
import { enoughUpTo } from "../bitcoin/fee.ts";
import { belowLeast } from "../peg/waits.ts";
import { enough } from "./peg_in_form.ts";

/** Characters of a record's name on its button. */
const SHOWN_OF_NAME = 14;
const MOST_OF_PASSPHRASE = 1_000;

/** `saved` hears that the browser was given the file; `chosen` gets the file that somebody says it is. */
export function drawSaving(record: DepositRecord, isSaved: boolean, saved: () => void, chosen: (file: File) => void): TemplateResult {
  const save = () => {
    const url = URL.createObjectURL(new Blob([recordText(record)], { type: "application/json" }));
    Object.assign(document.createElement("a"), { href: url, download: recordFileName(record) }).click();
    URL.revokeObjectURL(url);
    saved();
  };
  const choose = (event: Event) => {
    const file = (event.currentTarget as HTMLInputElement).files?.[0];
    if (file) chosen(file);
  };
  return html`<section class="flow">
    <h2>Save the record before you pay</h2>
    <p>It says what the address commits to${record.reclaimKeystore ? ", and holds the encrypted key" : ""}: with it alone, and a bitcoind, you take back what the federation does not sweep. Without it nobody can. The address is shown when the file was read back from your disk.</p>
    <ol>
      <li><button type="button" @click=${save}>Save ${recordFileName(record).slice(0, SHOWN_OF_NAME)}….json</button></li>
      <li>
        <label>Choose the saved file <input type="file" accept=".json,application/json" ?disabled=${!isSaved} @change=${choose} /></label>
      </li>
    </ol>
    <p class="quiet">Copy it to where you keep backups. <code>causeway</code> finds it in <code>~/.local/share/causeway/deposits/</code>.</p>
  </section>`;
}

/** `part`: how far the file is opened, while it is; `typed` gets the passphrase, `again` begins anew with another. */
export function drawOpening(record: DepositRecord, part: number | undefined, typed: (passphrase: string) => void, again: () => void): TemplateResult {
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const field = (event.currentTarget as HTMLFormElement).elements.namedItem("again");
    if (field instanceof HTMLInputElement && field.value) typed(field.value);
  };
  const isAtWork = part !== undefined;
  return html`<form class="flow" @submit=${submit}>
    <h2>Open the record once</h2>
    <p>The file is on your disk. Type its passphrase from where you keep it, not from this page: without it nobody takes back what the federation does not sweep. The address is shown when it opens the file.</p>
    <p class="field">
      <label for="again">The passphrase, once more</label>
      <input id="again" name="again" class="wide" type="password" maxlength=${MOST_OF_PASSPHRASE} autocomplete="off" spellcheck="false" autocapitalize="off" ?readonly=${isAtWork} />
    </p>
    <p class="row"><button ?disabled=${isAtWork}>Open the record</button> <button type="button" class="quiet" ?disabled=${isAtWork} @click=${again}>I do not have it: make another</button></p>
    <div role="status">${isAtWork ? html`<p class="waiting">Opening ${recordFileName(record).slice(0, SHOWN_OF_NAME)}….json… <progress max="1" .value=${part} aria-label="Opening the record"></progress></p>` : nothing}</div>
  </form>`;
}

export interface Awaited {
  payment: Payment;
  recipient: string;
  /** None until the node has said. */
  isRegistered: boolean | undefined;
  /** Payments that were there when the address was opened. */
  paidBefore: number;
  parameters: Info["parameters"];
  /** What a sweep costs now; none until the node has said. */
  chargeSat: bigint | undefined;
  /** What the record names; none of an address that was begun before that was kept. */
  maxFeeSat: bigint | undefined;
  rate: number | undefined;
}

export function drawPaying({ payment, recipient, isRegistered, paidBefore, parameters, chargeSat, maxFeeSat, rate }: Awaited): TemplateResult {
  const { address, amountSat } = payment;
  const leastSat = sats(parameters.minDepositSat);
  const isAmple = maxFeeSat !== undefined && rate !== undefined && (enoughUpTo(maxFeeSat, parameters) ?? 0n) >= 2n * BigInt(rate);
  return html`<section class="flow">
    <h2>Pay this address</h2>
    <div class="pay">
      ${paymentQr(payment)}
      <div>
        <p><code class="address">${address}</code></p>
        <p class="row"><button type="button" class="quiet" @click=${copying(address)}>Copy</button> <a href=${paymentLink(payment)}>Open in a Bitcoin wallet</a></p>
        <p>${amountSat === undefined ? "Any amount" : html`${amount(amountSat)}${isAmple ? ", or any other amount" : ", or another amount"}`} <strong>from ${amount(leastSat)} on</strong>, by one payment from any wallet. The coins go to ${link(["account", recipient], shortened(recipient))}.</p>
        <p class="notice">${belowLeast(parameters)}${chargeSat !== undefined && chargeSat > leastSat ? html` One below ${amount(chargeSat)}, what a sweep costs now, waits for a lower rate.` : nothing}</p>
        ${maxFeeSat === undefined || rate === undefined ? nothing : enough(maxFeeSat, rate, parameters)}
      </div>
    </div>
    ${isRegistered === false
      ? html`<p class="notice warn">This node does not know the address any more: nobody looks for payments to it here. ${link(["deposit", address], "What to do")}</p>`
      : nothing}
    <p role="status" class="waiting">${paidBefore ? `${counted(paidBefore, "payment")} came before, and it takes more` : "Nothing yet in the ledger"}: a payment shows here once it is in a Bitcoin block and the federation has proven it. Before that, and of one that is too small, your wallet or a Bitcoin explorer tells. ${link(["deposit", address], "Its page")} can be shared, and finds it again from any machine.</p>
  </section>`;
}

/** Addresses that were made in this browser. */
export function drawBegun(networkId: string): TemplateResult | typeof nothing {
  const list = begun(networkId);
  if (!list.length) return nothing;
  return html`<section>
    <h2>Begun in this browser</h2>
    <ul>
      ${list.map(({ address, at }) => html`<li>${link(["in", address], shortened(address))}, ${new Date(at * 1000).toLocaleString()}</li>`)}
    </ul>
  </section>`;
}
