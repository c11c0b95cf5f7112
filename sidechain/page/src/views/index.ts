// The views by the first part of their links.
import type { Routes } from "../app/router.ts";
import { overview } from "./overview.ts";
import { search } from "./search.ts";

/** Links are kept in mails and bookmarks: a name that is here once stays. */
export const routes: Routes = {
  "": overview,
  search,
};
