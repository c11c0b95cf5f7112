//! A node that follows without voting.
