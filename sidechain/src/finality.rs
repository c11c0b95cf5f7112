//! Finality certificates, checked without the engine.
