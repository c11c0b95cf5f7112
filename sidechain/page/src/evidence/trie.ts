// Merkle Patricia proofs (EIP-1186): accounts and slots against a state root, present or absent. A node of the trie is what its parent holds the hash of, so
// nothing that is shown here can be another; what is not needed is refused.
import { type Hex, fromRlp, hexToBigInt, keccak256, size, toHex } from "viem";
import { NotProven, require } from "./failure.ts";

/** Of a trie without entries: keccak256 of the RLP of nothing. */
const EMPTY_ROOT: Hex = "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421";
/** Nibbles of a path: a hash has so many. */
const PATH = 64;

/** As `eth_getProof` answers. */
export interface AccountAnswer {
  address: Hex;
  balance: Hex;
  nonce: Hex;
  codeHash: Hex;
  storageHash: Hex;
  accountProof: Hex[];
  storageProof: { key: Hex; value: Hex; proof: Hex[] }[];
}

export interface Account {
  nonce: bigint;
  /** Wei. */
  balance: bigint;
  /** Of the slots that were asked for, in their order. */
  slots: bigint[];
}

type Node = readonly (Hex | Node)[] | Hex;

/** The same of an account that may have nothing: then there is none in the state. */
export function verifyPlainAccount(answer: AccountAnswer, stateRoot: Hex, address: Hex): Pick<Account, "nonce" | "balance"> {
  if (provenValue(stateRoot, address, answer.accountProof) === undefined) return { nonce: 0n, balance: 0n };
  return verifyAccount(answer, stateRoot, address, []);
}

/** An account with these slots in the state of a header. Throws `NotProven`, also where the answer says of itself what it does not show. */
export function verifyAccount(answer: AccountAnswer, stateRoot: Hex, address: Hex, slots: readonly bigint[]): Account {
  const raw = provenValue(stateRoot, address, answer.accountProof);
  require(raw !== undefined, `there is no account ${address}`);
  const fields = fromRlp(raw, "hex");
  require(Array.isArray(fields) && fields.length === 4 && fields.every((field) => typeof field === "string"), "an account has other fields");
  const [nonce, balance, storageRoot, codeHash] = fields as [Hex, Hex, Hex, Hex];
  const said = { nonce: quantity(answer.nonce), balance: quantity(answer.balance) };
  const proven = { nonce: integer(nonce), balance: integer(balance) };
  require(said.nonce === proven.nonce && said.balance === proven.balance, `of ${address}, something else is proven than is said`);
  require(answer.storageHash === storageRoot && answer.codeHash === codeHash, `of ${address}, something else is proven than is said`);
  require(answer.storageProof.length === slots.length, `${answer.storageProof.length} slots of ${address} are proven, ${slots.length} were asked for`);
  const values = slots.map((slot, at) => {
    const shown = answer.storageProof[at] as AccountAnswer["storageProof"][number];
    const value = provenValue(storageRoot, toHex(slot, { size: 32 }), shown.proof);
    const proven = value === undefined ? 0n : integer(fromRlp(value, "hex") as Hex);
    require(proven === quantity(shown.value), `of a slot of ${address}, something else is proven than is said`);
    return proven;
  });
  return { ...proven, slots: values };
}

/** What a trie has under a key; none: it is shown that there is nothing. */
export function provenValue(root: Hex, key: Hex, proof: readonly Hex[]): Hex | undefined {
  // The root says by itself that there is nothing.
  if (root === EMPTY_ROOT) {
    require(proof.length === 0 || (proof.length === 1 && proof[0] === "0x80"), "a proof of an empty trie has nodes");
    return undefined;
  }
  const path = keccak256(key).slice(2);
  let used = 0;
  let at = 0;
  let child: Hex | Node = root;
  const end = (value: Hex | undefined) => {
    require(used === proof.length, "a proof has more nodes than its path");
    return value;
  };
  for (;;) {
    const node: Node = typeof child === "string" ? decoded(child, proof[used++]) : child;
    if (node.length === 17) {
      require(at < PATH, "a branch lies behind the end of a path");
      child = node[Number.parseInt(path.charAt(at++), 16)] as Hex | Node;
      if (child === "0x") return end(undefined);
      continue;
    }
    require(node.length === 2 && typeof node[0] === "string", "a node of a proof is neither branch, extension nor leaf");
    const { nibbles, isLeaf } = compact(node[0]);
    const isOnPath = path.startsWith(nibbles, at);
    if (!isOnPath) return end(undefined);
    at += nibbles.length;
    if (!isLeaf) {
      child = node[1] as Hex | Node;
      continue;
    }
    require(at === PATH && typeof node[1] === "string", "a leaf lies before the end of a path");
    return end(node[1]);
  }
}

function decoded(hash: Hex, raw: Hex | undefined): Exclude<Node, Hex> {
  require(raw !== undefined, "a proof is cut off");
  require(size(hash) === 32 && keccak256(raw) === hash, "a node of a proof is not the one that its parent holds");
  let node: Node;
  try {
    node = fromRlp(raw, "hex") as Node;
  } catch (error) {
    throw new NotProven("a node of a proof is not RLP", { cause: error });
  }
  require(Array.isArray(node), "a node of a proof is no list");
  return node as Exclude<Node, Hex>;
}

/** Part of a path, hex-prefix encoded (yellow paper, appendix C). */
function compact(bytes: Hex): { nibbles: string; isLeaf: boolean } {
  const flag = Number.parseInt(bytes.charAt(2), 16);
  require(flag < 4, "a part of a path has another flag");
  require(flag % 2 === 1 || bytes.charAt(3) === "0", "a part of a path is padded with something");
  return { nibbles: bytes.slice(flag % 2 ? 3 : 4), isLeaf: flag >= 2 };
}

/** A number as JSON-RPC writes it, in its one form. */
function quantity(text: Hex): bigint {
  require(/^0x(?:0|[1-9a-f][0-9a-f]{0,63})$/.test(text), `${text} is no quantity`);
  return BigInt(text);
}

const integer = (bytes: Hex): bigint => (bytes === "0x" ? 0n : hexToBigInt(bytes));
