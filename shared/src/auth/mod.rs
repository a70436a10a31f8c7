//! Proofs of who somebody is: passwords and tokens, made and checked without a database or a wire.

mod credentials;
mod keyring;
mod password;
mod strength;
mod token;

pub use credentials::{Confirmation, Credentials, LogoutRequest, PasswordChange, RefreshRequest, Registration};
pub use keyring::{KeySet, Keyring, Published};
pub use password::{Password, PasswordHash};
pub use token::{PublicKey, Refused, SigningKey, TokenClaims, TokenKind, Unverified};
