//! Proofs of who somebody is: passwords and tokens, made and checked without a database or a wire.

mod credentials;
mod keyring;
mod mailed;
mod password;
mod strength;
mod token;

pub use credentials::{
    Confirmation, Credentials, LogoutRequest, OwnChange, PasswordChange, Recovery, RecoveryRequest, RefreshRequest, Registration,
    Verification,
};
pub use keyring::{KeySet, Keyring, Published};
pub use mailed::{MailKey, MailedToken};
pub use password::{Password, PasswordHash};
pub use token::{PublicKey, Refused, SigningKey, TokenClaims, TokenKind, Unverified};
