// The modules of a crate and what they import, as the checks of structure see them. A module is a file; what it imports is every
// `crate::`, `self::`, `super::` or child path in it, in `use` items and in line; a name that a module only hands on (`pub use`)
// counts for where it is defined. Comments, strings and `mod` declarations are not imports; what `#[cfg(test)]` alone sees, neither.
const { execFileSync } = require("child_process");
const fs = require("fs");
const path = require("path");
const { production, itemEnd } = require("./rust-source.js");

// The folders of the workspace's packages.
function workspaceCrates() {
  const metadata = JSON.parse(execFileSync("cargo", ["metadata", "--no-deps", "--format-version", "1", "--locked"], { maxBuffer: 1 << 26 }));
  return metadata.packages.map((p) => path.relative(".", path.dirname(p.manifest_path)));
}

// The modules of a crate by their path ("" is the root, then "io", "io::rpc"…), and its imports: source and target module, the
// imported name, its line.
function moduleGraph(folder) {
  const modules = readModules(path.join(folder, "src"));
  return { modules, edges: [...modules.values()].flatMap((module) => importsOf(module, modules)) };
}

function readModules(source) {
  const modules = new Map();
  const visit = (folder, prefix) => {
    for (const entry of fs.readdirSync(folder, { withFileTypes: true }).sort((a, b) => a.name.localeCompare(b.name))) {
      const full = path.join(folder, entry.name);
      if (entry.isDirectory()) visit(full, [...prefix, entry.name]);
      if (!entry.isFile() || !entry.name.endsWith(".rs")) continue;
      const stem = entry.name.slice(0, -3);
      const root = prefix.length === 0 && (stem === "lib" || stem === "main");
      const at = root || stem === "mod" ? prefix : [...prefix, stem];
      const text = production(fs.readFileSync(full, "utf8"));
      const key = at.join("::");
      // A package with both a library and a binary has two roots: the binary's imports are joined to the library's.
      const before = modules.get(key);
      modules.set(key, { at, file: before ? before.file : full, text: before ? `${before.text}\n${text}` : text, reexports: new Map(), globs: [] });
    }
  };
  if (fs.existsSync(source)) visit(source, []);
  for (const module of modules.values()) readReexports(module, modules);
  return modules;
}

function readReexports(module, modules) {
  for (const { tree } of useItems(module.text, /\bpub(?:\([^)]*\))?\s+use\s+/g)) {
    for (const { segments, alias } of flatten(tree)) {
      const target = absolute(segments, module, modules);
      if (!target) continue;
      if (alias === "*") module.globs.push(target.slice(0, -1));
      else module.reexports.set(alias, target);
    }
  }
}

function importsOf(module, modules) {
  const edges = [];
  const inline = inlineModules(module.text);
  const aliases = aliasesOf(module, modules);
  const add = (segments, index) => {
    const inside = inline.filter(({ from, to }) => from < index && index < to).map(({ name }) => name);
    const known = aliases.get(segments[0]);
    const full = known ? ["crate", ...known, ...segments.slice(1)] : segments;
    const target = absolute(full, { at: [...module.at, ...inside] }, modules);
    const found = target && resolve(target, modules);
    const source = module.at.join("::");
    if (found === undefined || found === null || found === source) return;
    edges.push({ source, target: found, name: segments.join("::"), line: module.text.slice(0, index).split("\n").length });
  };
  const uses = useItems(module.text, /\buse\s+/g);
  for (const { tree, index } of uses) for (const { segments } of flatten(tree)) add(segments, index);
  // Paths in line: `crate::a::f()`, `super::T`, `child::f()`.
  let rest = module.text;
  for (const { index, end } of uses) rest = rest.slice(0, index) + rest.slice(index, end).replace(/[^\n]/g, " ") + rest.slice(end);
  for (const match of rest.matchAll(/(?<![A-Za-z0-9_:.])[a-z_][a-z0-9_]*(?:\s*::\s*[A-Za-z_][A-Za-z0-9_]*)+/g)) {
    add(match[0].split("::").map((part) => part.trim()), match.index);
  }
  return edges;
}

// What the file's `use` items give a name to: modules, and by a glob the modules beside what it names.
function aliasesOf(module, modules) {
  const aliases = new Map();
  for (const { tree } of useItems(module.text, /\buse\s+/g)) {
    for (const { segments, alias } of flatten(tree)) {
      const target = absolute(segments, module, modules);
      if (!target) continue;
      if (alias !== "*") { if (modules.has(target.join("::"))) aliases.set(alias, target); continue; }
      const folder = target.slice(0, -1);
      for (const { at } of modules.values()) {
        if (at.length === folder.length + 1 && folder.every((part, i) => at[i] === part)) aliases.set(at.at(-1), at);
      }
    }
  }
  return aliases;
}

// Modules written out in the file: `super` counts from there.
function inlineModules(text) {
  return [...text.matchAll(/\bmod\s+([a-z_][a-z0-9_]*)\s*\{/g)].map((match) => ({ name: match[1], from: match.index, to: itemEnd(text, match.index) }));
}

// A path from the crate's root; none when it leads out of the crate.
function absolute(segments, module, modules) {
  const [first, ...others] = segments;
  if (first === "crate") return others;
  if (first === "self") return [...module.at, ...others];
  if (first === "super") {
    let base = module.at.slice(0, -1);
    let left = others;
    while (left[0] === "super") { base = base.slice(0, -1); left = left.slice(1); }
    return [...base, ...left];
  }
  const child = [...module.at, first].join("::");
  return modules.has(child) ? [...module.at, ...segments] : null;
}

// The module that defines what a path names: the longest prefix that is a module, or where that one has the name from.
function resolve(target, modules, depth = 0) {
  let length = target.length;
  while (length >= 0 && !modules.has(target.slice(0, length).join("::"))) length--;
  if (length < 0) return null;
  const key = target.slice(0, length).join("::");
  const module = modules.get(key);
  const name = target[length];
  if (name === undefined || depth > 8) return key;
  const handedOn = module.reexports.get(name);
  if (handedOn) return resolve([...handedOn, ...target.slice(length + 1)], modules, depth + 1);
  const defined = new RegExp(`\\b(?:fn|struct|enum|trait|type|const|static|mod|union|macro_rules!)\\s+${name.replace("*", "\\*")}\\b`).test(module.text);
  if (!defined && name !== "*") {
    for (const glob of module.globs) {
      const found = resolve([...glob, ...target.slice(length)], modules, depth + 1);
      if (found && new RegExp(`\\b${name}\\b`).test(modules.get(found).text)) return found;
    }
  }
  return key;
}

function useItems(text, start) {
  return [...text.matchAll(start)].map((match) => {
    const end = text.indexOf(";", match.index);
    return { tree: text.slice(match.index + match[0].length, end), index: match.index, end };
  });
}

// `a::{b, c::{self, d as e}}` as its paths, each with the name it gets.
function flatten(tree, prefix = []) {
  const text = tree.trim().replace(/^::/, "");
  const brace = text.indexOf("{");
  if (brace < 0) {
    const [name, alias] = text.split(/\s+as\s+/);
    let segments = [...prefix, ...name.split("::").map((part) => part.trim()).filter(Boolean)];
    if (segments.at(-1) === "self" && segments.length > 1) segments = segments.slice(0, -1);
    return segments.length ? [{ segments, alias: (alias ?? segments.at(-1)).trim() }] : [];
  }
  const head = text.slice(0, brace).split("::").map((part) => part.trim()).filter(Boolean);
  const parts = [];
  let depth = 0;
  let last = brace + 1;
  for (let at = brace + 1; at < text.length; at++) {
    if (text[at] === "{") depth++;
    if (text[at] === "}" && depth-- === 0) { parts.push(text.slice(last, at)); break; }
    if (text[at] === "," && depth === 0) { parts.push(text.slice(last, at)); last = at + 1; }
  }
  return parts.filter((part) => part.trim()).flatMap((part) => flatten(part, [...prefix, ...head]));
}

module.exports = { workspaceCrates, moduleGraph };
