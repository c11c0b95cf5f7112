// How a fault is written down.
import type { Fault } from "../faults.ts";

export type Words = Omit<Fault, "by">;

export function said(title: string, happened: string, money: string, act: string): Words {
  return { title, happened, money, act };
}
