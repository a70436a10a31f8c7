//! Proofs of who somebody is: tokens, made and checked without a database or a wire.

mod token;

pub use token::{Grant, Key, Keyring, Kind, Refused};
