//! Merkle-Patricia tries with stored nodes: incremental roots, and proofs.
