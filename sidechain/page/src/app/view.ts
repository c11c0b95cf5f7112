// What a page of this page is.
import type { TemplateResult } from "lit-html";
import type { Genesis } from "../evidence/genesis.ts";
import type { Info } from "../peg/answers.ts";
import type { Node } from "../node.ts";
import type { Wallet } from "../wallet/wallet.ts";

/** What every view has at hand. */
export interface Context {
  node: Node;
  wallet: Wallet;
  /** The network's genesis file, as this node has it. */
  genesis: Genesis;
  /** What the node said last of the bridge; refreshed every few seconds. Its network and its rules are those of the genesis file. */
  info: () => Info;
  /** Seconds since 1970. */
  now: () => number;
  /** Draws again what is shown. */
  redraw: () => void;
  /** Asks the node again at once: something was changed that the view shows. */
  refresh: () => void;
  /** Goes to another page. */
  go: (...parts: (string | number)[]) => void;
}

/** One page, from when it is opened until another is. */
export interface View {
  readonly title: string;
  /** The place of the frame that it is under, none where it is empty; the link's where it says nothing. */
  readonly place?: string;
  /** Asks the node for what is shown; again every `every` milliseconds while somebody looks. */
  refresh?: () => Promise<void>;
  every?: number;
  draw: () => TemplateResult;
  /** The view is left. */
  leave?: () => void;
}

/** Opens a view by what its link says behind its name. */
export type Open = (context: Context, ...parts: string[]) => View;
