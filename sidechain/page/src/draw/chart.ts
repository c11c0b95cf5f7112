// Reserves and flows over time, as a picture that a screen reader gets as a table. Colours are classes: the page allows no style in it.
import { html, nothing, svg, type TemplateResult } from "lit-html";
import { btc } from "../amount.ts";
import type { Flow, Standing } from "../peg/history.ts";
import { amount } from "./amount.ts";
import { moment } from "./time.ts";

/** In units of the picture. */
const WIDTH = 480;
const LEFT = 8;
const RIGHT = 472;
const LINES = { top: 22, bottom: 130 };
const BARS = { top: 146, middle: 176, bottom: 206 };
const HEIGHT = 228;
const BUCKETS = 32;

export interface Bucket {
  from: number;
  to: number;
  inSat: bigint;
  outSat: bigint;
}

/** Pure: flows added up by equal times; none before the first or after the last time. */
export function buckets(flows: readonly Flow[], from: number, to: number, count = BUCKETS): Bucket[] {
  const width = Math.max(1, (to - from) / count);
  const all: Bucket[] = Array.from({ length: count }, (_, nth) => ({ from: from + nth * width, to: from + (nth + 1) * width, inSat: 0n, outSat: 0n }));
  for (const { time, sat } of flows) {
    const bucket = all[Math.min(count - 1, Math.floor((time - from) / width))];
    if (!bucket || time < from || time > to) continue;
    if (sat > 0n) bucket.inSat += sat;
    else bucket.outSat -= sat;
  }
  return all;
}

/** Pure: from 0 to 1, exactly enough for a picture, of amounts that no float holds. */
export function part(sat: bigint, most: bigint): number {
  if (most <= 0n || sat <= 0n) return 0;
  return Number((sat * 10_000n) / most) / 10_000;
}

export function chart(standings: readonly Standing[], flows: readonly Flow[]): TemplateResult | typeof nothing {
  const [first, last] = [standings[0], standings.at(-1)];
  if (!first || !last || standings.length < 2 || last.time <= first.time) return nothing;
  const [from, to] = [first.time, last.time];
  const most = standings.reduce((highest, { vaultSat, supplySat }) => [highest, vaultSat, supplySat].reduce((a, b) => (a > b ? a : b)), 1n);
  const x = (time: number) => LEFT + ((RIGHT - LEFT) * (time - from)) / (to - from);
  const y = (sat: bigint) => LINES.bottom - (LINES.bottom - LINES.top) * part(sat, most);
  const line = (of: "vaultSat" | "supplySat") => standings.map((one, nth) => `${nth ? "L" : "M"}${x(one.time).toFixed(1)} ${y(one[of]).toFixed(1)}`).join("");
  const bars = buckets(flows, from, to);
  const highest = bars.reduce((top, { inSat, outSat }) => [top, inSat, outSat].reduce((a, b) => (a > b ? a : b)), 0n);
  const wide = (RIGHT - LEFT) / bars.length - 1.5;
  const tall = (sat: bigint) => (sat > 0n ? Math.max(1, (BARS.middle - BARS.top) * part(sat, highest)) : 0);
  return html`<figure>
    <svg class="chart" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-labelledby="chart-title chart-desc">
      <title id="chart-title">Reserves and flows since ${moment(from)}</title>
      <desc id="chart-desc">The vault held ${btc(first.vaultSat)} then and holds ${btc(last.vaultSat)} now; coins outside were ${btc(first.supplySat)} and are ${btc(last.supplySat)}. The numbers are in the table below.</desc>
      ${svg`<line class="grid" x1=${LEFT} x2=${RIGHT} y1=${LINES.top} y2=${LINES.top} /><line class="grid" x1=${LEFT} x2=${RIGHT} y1=${LINES.bottom} y2=${LINES.bottom} /><line class="grid" x1=${LEFT} x2=${RIGHT} y1=${BARS.middle} y2=${BARS.middle} />
        <text x=${LEFT} y=${LINES.top - 7}>${btc(most)}</text><text x=${LEFT} y=${LINES.bottom + 13}>0</text>
        <path class="vault" d=${line("vaultSat")} /><path class="coins" d=${line("supplySat")} />
        ${bars.map(({ from: at, inSat, outSat }) => svg`<rect class="in" x=${x(at).toFixed(1)} width=${wide.toFixed(1)} y=${(BARS.middle - tall(inSat)).toFixed(1)} height=${tall(inSat).toFixed(1)} /><rect class="out" x=${x(at).toFixed(1)} width=${wide.toFixed(1)} y=${BARS.middle} height=${tall(outSat).toFixed(1)} />`)}
        <text x=${LEFT} y=${HEIGHT - 6}>${moment(from)}</text><text x=${RIGHT} y=${HEIGHT - 6} text-anchor="end">now</text>`}
    </svg>
    <figcaption>
      <ul class="legend"><li>in the vault</li><li class="coins">coins outside</li><li class="in">came in</li><li class="out">went out</li></ul>
    </figcaption>
    <details>
      <summary>The numbers</summary>
      ${numbers(standings, bars)}
    </details>
  </figure>`;
}

function numbers(standings: readonly Standing[], bars: readonly Bucket[]): TemplateResult {
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Reserves over time">
      <table>
        <thead><tr><th scope="col">At</th><th scope="col">In the vault</th><th scope="col">Coins outside</th></tr></thead>
        <tbody>${standings.map(({ time, vaultSat, supplySat }) => html`<tr><td>${moment(time)}</td><td class="number">${amount(vaultSat)}</td><td class="number">${amount(supplySat)}</td></tr>`)}</tbody>
      </table>
    </div>
    <div class="scroll" tabindex="0" role="region" aria-label="Flows over time">
      <table>
        <thead><tr><th scope="col">From</th><th scope="col">Came in</th><th scope="col">Went out</th></tr></thead>
        <tbody>${bars.filter(({ inSat, outSat }) => inSat || outSat).map(({ from, inSat, outSat }) => html`<tr><td>${moment(from)}</td><td class="number">${amount(inSat)}</td><td class="number">${amount(outSat)}</td></tr>`)}</tbody>
      </table>
    </div>`;
}
