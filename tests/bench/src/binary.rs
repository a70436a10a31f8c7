//! What a function's binary is made of.

use std::path::Path;

use memchr::memmem;
use serde::{Deserialize, Serialize};

use crate::Result;

/// What only some functions should carry, and how each shows in a binary: by the paths that its panics would name.
pub const INGREDIENTS: [(&str, &str); 5] = [
    ("TLS", "/rustls-"),
    ("DynamoDB", "/aws-sdk-dynamodb-"),
    ("Secrets Manager", "/aws-sdk-secretsmanager-"),
    ("argon2", "/argon2-"),
    ("zxcvbn", "/zxcvbn-"),
];

#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Binary {
    pub bytes: u64,
    /// Those of [`INGREDIENTS`] that it has.
    pub ingredients: Vec<String>,
}

impl Binary {
    pub fn read(path: &Path) -> Result<Self> {
        let content = std::fs::read(path)?;
        let ingredients = INGREDIENTS.iter().filter(|(_, mark)| has(&content, mark)).map(|(name, _)| (*name).to_owned());
        Ok(Self { bytes: content.len().try_into()?, ingredients: ingredients.collect() })
    }
}

/// A mark that ends in `-` stands before a version.
fn has(content: &[u8], mark: &str) -> bool {
    memmem::find_iter(content, mark).any(|at| {
        let next = content.get(at + mark.len());
        !mark.ends_with('-') || next.is_some_and(u8::is_ascii_digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_stand_before_versions() {
        for (content, mark, expected) in [
            ("/src/rustls-0.23.46/src/lib.rs", "/rustls-", true),
            ("/src/rustls-native-certs-0.8/src/lib.rs", "/rustls-", false),
            ("ends in /rustls-", "/rustls-", false),
            ("/zxcvbn-3.1.0/src/lib.rs", "/zxcvbn-", true),
        ] {
            assert_eq!(has(content.as_bytes(), mark), expected, "{content}");
        }
    }
}
