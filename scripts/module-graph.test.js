// The ways to write an import, each seen: what the checks of structure rest on. Run by scripts/purity.
const assert = require("node:assert");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { test } = require("node:test");
const { moduleGraph } = require("./module-graph.js");
const { production } = require("./rust-source.js");

// The imports of `a/b.rs` in a crate with a few modules, as "target" module paths.
function importsOf(text) {
  const crate = fs.mkdtempSync(path.join(os.tmpdir(), "modules-"));
  try {
    const files = { "lib.rs": "pub mod a; pub mod io;", "a/mod.rs": "mod b; mod c; pub use c::Handed;", "a/b.rs": text, "a/c.rs": "pub struct Handed;", "io/mod.rs": "pub mod db;", "io/db.rs": "pub struct Db;" };
    for (const [name, content] of Object.entries(files)) {
      fs.mkdirSync(path.dirname(path.join(crate, "src", name)), { recursive: true });
      fs.writeFileSync(path.join(crate, "src", name), content);
    }
    return moduleGraph(crate).edges.filter(({ source }) => source === "a::b").map(({ target }) => target);
  } finally {
    fs.rmSync(crate, { recursive: true });
  }
}

const WAYS = {
  "by its path from the root": "use crate::io::db::Db;",
  "in line": "fn f() { crate::io::db::open(); }",
  "through super": "use super::super::io::db::Db;",
  "through a module imported before": "use crate::io; fn f() { io::db::open(); }",
  "through an ancestor under another name": "use super::super as up; fn f() { up::io::db::open(); }",
  "through the root under another name": "use crate as root; fn f() { root::io::db::open(); }",
  "through a glob": "use crate::io::*; fn f() { db::open(); }",
  "from a module written out in the file": "mod inner { use super::super::super::io::db::Db; }",
  "for tests or something else": "#[cfg(any(test, unix))] use crate::io::db::Db;",
  "in a list": "use crate::{a, io::{db::{Db, self}}};",
};
for (const [way, text] of Object.entries(WAYS)) {
  test(`an import is seen ${way}`, () => assert.ok(importsOf(text).includes("io::db"), importsOf(text).join()));
}

test("a name that is handed on counts for where it is defined", () => assert.deepStrictEqual(importsOf("use super::Handed;"), ["a::c"]));

test("comments, strings and tests import nothing", () => {
  const text = '// crate::io::db\nconst A: &str = "crate::io::db";\n#[cfg(test)]\nmod tests { use crate::io::db::Db; }\n#[cfg(any(test, feature = "testing"))]\nuse crate::io::db::Db;';
  assert.deepStrictEqual(importsOf(text), []);
});

test("what is taken out of a file leaves everything else where it was", () => {
  const text = 'fn a() {} // b\n#[cfg(test)]\nmod tests {\n}\nfn c() {}';
  assert.deepStrictEqual(production(text).split("\n").map((line) => line.trim()), ["fn a() {}", "", "", "", "fn c() {}"]);
});
