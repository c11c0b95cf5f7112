//! The keys of a validator.
