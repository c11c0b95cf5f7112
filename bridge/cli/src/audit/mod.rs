//! For auditors: `causeway audit`.

pub mod command;
