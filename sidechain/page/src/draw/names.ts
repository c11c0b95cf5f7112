// Names that somebody else chose, as operators and wallets: no sign in one turns the words around it, and none is wider than the screen.
import { html, type TemplateResult } from "lit-html";

const MOST_CHARACTERS = 60;
/** Signs that nobody sees and that turn the direction of what follows, or end a line (Unicode, UAX 9), and control characters. */
const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;
/** Letters that are written from the right: a sentence is turned by them, unless they stand apart. */
const FROM_RIGHT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;
const [APART, END] = ["\u2068", "\u2069"];

/** For a sentence. */
export function plainName(name: string): string {
  const seen = [...name.replace(UNSEEN, "")].slice(0, MOST_CHARACTERS).join("");
  return FROM_RIGHT.test(seen) ? `${APART}${seen}${END}` : seen;
}

/** For a cell or a line of its own. */
export function drawName(name: string): TemplateResult {
  return html`<bdi class="name">${plainName(name)}</bdi>`;
}
