// What payees say: receipts, refusals and their codes. Nothing of it is signed.
import type { Hex } from "viem";
import { fromBase64url } from "./challenge.js";

/** What a payee says of a session. It is not signed, and is believed only against what was promised. */
export interface SessionReceipt {
  channelId?: Hex;
  acceptedCumulative?: string;
  spent?: string;
  units?: number;
  reference?: string;
  [more: string]: unknown;
}

export type Stopped = "limit" | "deposit" | "asks-too-much" | "refused" | "unpayable" | "other-payee";

/** Why nothing is paid, or no more. */
export class PaymentError extends Error {
  readonly why: Stopped;
  /** The payee's problem document, if it sent one. */
  readonly problem: Record<string, unknown> | undefined;
  /** What the payee answered, if that is why. */
  readonly status: number | undefined;

  constructor(why: Stopped, message: string, problem?: Record<string, unknown>, status?: number) {
    super(message);
    this.name = "PaymentError";
    this.why = why;
    this.problem = problem;
    this.status = status;
  }
}

/** A problem's own code, or its type's last part. */
const codeOf = ({ problem }: PaymentError): string => `${problem?.["code"] ?? `${problem?.["type"] ?? ""}`.split("/").at(-1)}`;

/** The server says that it has no such channel, or that it is closed. */
export const isGone = (why: unknown): boolean => why instanceof PaymentError && why.status === 410 && ["channel-not-found", "channel-finalized"].includes(codeOf(why));

/** It refuses a deposit for its size. */
export const isSmall = (why: PaymentError): boolean => ["deposit-too-small", "payment-insufficient"].includes(codeOf(why));

export const isNumber = (text: unknown): text is string => typeof text === "string" && /^\d{1,39}$/.test(text);

/** An object; none of what is none. */
export function json(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

export function receiptOf(response: Response): SessionReceipt | undefined {
  const header = response.headers.get("payment-receipt");
  try {
    return header ? json(new TextDecoder().decode(fromBase64url(header))) : undefined;
  } catch {
    return undefined;
  }
}

export async function refused(response: Response): Promise<PaymentError> {
  const text = await response.text().catch(() => "");
  // Not every server sends one.
  const problem = json(text);
  const detail = typeof problem?.["detail"] === "string" ? problem["detail"] : text.slice(0, 200);
  return new PaymentError("refused", `the server answered ${response.status}: ${detail}`, problem, response.status);
}
