//! The BFT engine behind our own border.
