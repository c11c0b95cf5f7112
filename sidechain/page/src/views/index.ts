// The views by the first part of their links.
import type { Routes } from "../app/router.ts";
import { account } from "./account.ts";
import { block, blocks } from "./blocks.ts";
import { deposit } from "./deposit.ts";
import { evidence } from "./evidence.ts";
import { fault } from "./fault.ts";
import { federation } from "./federation.ts";
import { logs } from "./logs.ts";
import { overview } from "./overview.ts";
import { own } from "./own.ts";
import { pegIn } from "./peg_in.ts";
import { pegOut } from "./peg_out.ts";
import { requests } from "./requests.ts";
import { search } from "./search.ts";
import { transaction } from "./transaction.ts";
import { vault } from "./vault.ts";
import { withdrawal } from "./withdrawal.ts";

/** Links are kept in mails and bookmarks: a name that is here once stays. */
export const routes: Routes = {
  "": overview,
  account,
  block,
  blocks,
  deposit,
  error: fault,
  evidence,
  federation,
  in: pegIn,
  logs,
  out: pegOut,
  own,
  requests,
  search,
  tx: transaction,
  vault,
  withdrawal,
};
