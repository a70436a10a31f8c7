//! The hash of each account's password, apart from the account.

use serde::{Deserialize, Serialize};

use super::{key::Item, table::from_item};
use crate::{Result, auth::PasswordHash};

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Row {
    /// A PHC string.
    password: String,
}

impl From<&PasswordHash> for Row {
    fn from(hash: &PasswordHash) -> Self {
        Self { password: hash.as_phc().to_owned() }
    }
}

/// A hash as an item that was read.
pub(super) fn from_stored(item: Item) -> Result<PasswordHash> {
    Ok(PasswordHash::from_phc(from_item::<Row>(item)?.password))
}
