// A payment link as a code for a phone's camera: one path of inline SVG, so that the page's policy of content allows it and nothing is loaded.
import { type TemplateResult, html, svg } from "lit-html";
import { encode } from "uqr";
import { type Payment, paymentCode } from "./link.ts";

/** Modules of light around a code (ISO/IEC 18004): fewer, and some cameras do not find it. */
const QUIET = 4;

const LABEL = "QR code of the payment link, for the camera of a phone: the same address as in the text";

/** Dark on light, whatever the page's colours are: not every camera reads the other way round. The address stands beside it as text. */
export function paymentQr(payment: Payment): TemplateResult {
  const { path, size } = qrPath(paymentCode(payment));
  return html`<svg class="qr" role="img" aria-label=${LABEL} viewBox="0 0 ${size} ${size}" shape-rendering="crispEdges">
    ${svg`<rect width=${size} height=${size} fill="#fff"></rect><path d=${path} fill="#000"></path>`}
  </svg>`;
}

/** The dark modules, a run of a row each, and the width of all. */
export function qrPath(text: string): { path: string; size: number } {
  const { data } = encode(text, { ecc: "M", border: 0 });
  const runs = data.flatMap((row, y) => runsOf(row).map(([x, width]) => `M${x + QUIET} ${y + QUIET}h${width}v1h-${width}z`));
  return { path: runs.join(""), size: data.length + 2 * QUIET };
}

/** Where dark runs begin, and how long they are. */
function runsOf(row: readonly boolean[]): [number, number][] {
  const runs: [number, number][] = [];
  row.forEach((isDark, x) => {
    if (!isDark) return;
    const last = runs.at(-1);
    if (last && last[0] + last[1] === x) last[1] += 1;
    else runs.push([x, 1]);
  });
  return runs;
}
