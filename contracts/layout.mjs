// Where the contracts keep their storage, as the compiler says it, in Rust (src/layout.rs) and in TypeScript (the page's evidence). Proofs are about slots, so a
// variable that moves has to move there too.

/** A Rust constant's name: `_queueHead` becomes QUEUE_HEAD. */
const constant = (label) =>
  label
    .replace(/^_+|_+$/g, "")
    .replace(/([a-z0-9])([A-Z])/g, "$1_$2")
    .toUpperCase();

/** A Rust module's name. */
const module = (name) => constant(name).toLowerCase();

/** The structs that a type is made of, itself included: by the compiler's name of the type. */
function structs(type, types, found = new Map()) {
  const { members, value, base } = types[type];
  if (members && !found.has(type)) {
    found.set(type, types[type]);
    for (const member of members) structs(member.type, types, found);
  }
  for (const inner of [value, base]) if (inner) structs(inner, types, found);
  return found;
}

const field = ({ slot, offset, type }, types) => `Field { slot: ${slot}, offset: ${offset}, size: ${types[type].numberOfBytes} }`;

/** A value within one slot; all else begins where its slot does. */
const isValue = (type) => type.encoding === "inplace" && !type.members && !type.base;

function structModule({ label, members, numberOfBytes }, types, indent) {
  const name = module(label.replace(/^struct (.*\.)?/, ""));
  const fields = members.map(
    (member) => `${indent}    pub const ${constant(member.label)}: Field = ${field(member, types)};`,
  );
  return [
    `${indent}/// \`${label}\`.`,
    `${indent}pub mod ${name} {`,
    `${indent}    use crate::storage::Field;`,
    "",
    `${indent}    /// Slots of one.`,
    `${indent}    pub const SLOTS: u64 = ${numberOfBytes / 32};`,
    ...fields,
    `${indent}}`,
  ];
}

function contractModule(name, { storage, types }) {
  const found = new Map();
  for (const variable of storage) structs(variable.type, types, found);
  const variables = storage.map((variable) => {
    const type = types[variable.type];
    const [kind, value] = isValue(type) ? ["Field", field(variable, types)] : ["u64", variable.slot];
    return `    /// \`${type.label}\`.\n    pub const ${constant(variable.label)}: ${kind} = ${value};`;
  });
  const uses = storage.some((variable) => isValue(types[variable.type])) ? ["    use crate::storage::Field;", ""] : [];
  const modules = [...found.values()].flatMap((struct) => ["", ...structModule(struct, types, "    ")]);
  return [`/// Storage of \`${name}\`: the slots of its variables, and the fields of its structs.`, `pub mod ${module(name)} {`, ...uses, ...variables, ...modules, "}"];
}

/** The whole file; `layouts` are pairs of a contract's name and its layout. */
export function layoutSource(layouts) {
  return [
    "//! Where the contracts keep their storage. Made by `npm run build` from what the compiler says; `npm run check` compares.",
    "",
    ...layouts.filter(([, { storage }]) => storage.length !== 0).flatMap(([name, layout], i) => [...(i ? [""] : []), ...contractModule(name, layout)]),
    "",
  ].join("\n");
}

/** A TypeScript constant's name: `MicroChannel` becomes microChannel. */
const named = (name) => name.replace(/^_+/, "").replace(/^[A-Z]/, (first) => first.toLowerCase());

const fieldScript = ({ slot, offset, type }, types) => `{ slot: ${slot}, offset: ${offset}, size: ${types[type].numberOfBytes} }`;

function contractScript(name, { storage, types }) {
  const found = new Map();
  for (const variable of storage) structs(variable.type, types, found);
  const variables = storage.map((variable) => {
    const value = isValue(types[variable.type]) ? fieldScript(variable, types) : `${variable.slot}n`;
    return `  ${named(variable.label)}: ${value},`;
  });
  const records = [...found.values()].map(({ label, members }) => {
    const fields = members.map((member) => `    ${named(member.label)}: ${fieldScript(member, types)},`);
    return [`  /** \`${label}\`. */`, `  ${label.replace(/^struct (.*\.)?/, "")}: {`, ...fields, "  },"].join("\n");
  });
  return [`/** Storage of \`${name}\`: the slots of its variables, and the fields of its structs. */`, `export const ${named(name)} = {`, ...variables, ...records, "} as const;"].join("\n");
}

/** The same in TypeScript. */
export function layoutScript(layouts) {
  const kept = layouts.filter(([, { storage }]) => storage.length !== 0);
  return [
    "// Where the contracts keep their storage. Made by `npm run build` in contracts/ from what the compiler says; `npm run check` there compares.",
    "",
    kept.map(([name, layout]) => contractScript(name, layout)).join("\n\n"),
    "",
  ].join("\n");
}
