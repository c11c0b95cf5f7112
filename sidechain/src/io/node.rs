//! The wiring of a node.
