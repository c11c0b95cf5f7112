//! What makes the command line explain itself: its help by words, completions for shells, man pages. All three read the tree of commands
//! that is parsed, so none of them can say what is not so.

pub mod completions;
pub mod help;
pub mod man;
