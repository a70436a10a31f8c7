//! Proofs of who somebody is: passwords and tokens, made and checked without a database or a wire.

mod credentials;
mod password;
mod strength;
mod token;

pub use credentials::{Credentials, LogoutRequest, RefreshRequest, Registration};
pub use password::{Password, PasswordHash};
pub use token::{Key, Keyring, Refused, TokenClaims, TokenKind};
