//! `causeway demo`: the main job on a local network, step by step.

pub mod command;
