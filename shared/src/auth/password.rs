//! Passwords: how strong they must be, and the only form in which they are kept.

use std::{
    fmt,
    sync::{LazyLock, Mutex, PoisonError},
};

use argon2::{
    Algorithm, Argon2, Block, Params, Version,
    password_hash::{self, CustomizedPasswordHasher, PasswordVerifier, generate_salt, phc},
};
use icu_normalizer::ComposingNormalizer;
use zeroize::Zeroizing;

use crate::{
    Error, Result,
    domain::{FromJson, Json},
    error::Fault,
};

/// Argon2id as OWASP recommends it: 19 MiB of memory in KiB, two passes, one lane.
const MEMORY: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// The least strength on zxcvbn's scale of 0 to 4: "safely unguessable", 10^8 guesses or more.
const MIN_STRENGTH: zxcvbn::Score = zxcvbn::Score::Three;

/// A password as somebody typed it, in Unicode's normal form C. Wiped from memory when it is dropped; never shown.
pub struct Password(Zeroizing<String>);

impl Password {
    pub const MIN_CHARS: usize = 8;
    pub const MAX_CHARS: usize = 128;

    /// Any characters, at most as many as are ever hashed: nothing is cut off.
    pub fn parse(text: Zeroizing<String>) -> Result<Self, String> {
        let password = Zeroizing::new(ComposingNormalizer::new_nfc().normalize(&text).into_owned());
        if password.is_empty() || password.chars().count() > Self::MAX_CHARS {
            return Err(format!("must have at most {} characters", Self::MAX_CHARS));
        }
        Ok(Self(password))
    }

    /// Refuses a password that is short or easily guessed by somebody who knows `about`: the account's own names.
    pub fn require_strength(&self, about: &[&str]) -> Result {
        let weak = |detail: String| Err(Error::WeakPassword(Fault::new("/password", detail)));
        if self.0.chars().count() < Self::MIN_CHARS {
            return weak(format!("must have {} to {} characters", Self::MIN_CHARS, Self::MAX_CHARS));
        }
        let estimate = zxcvbn::zxcvbn(&self.0, about);
        if estimate.score() >= MIN_STRENGTH {
            return Ok(());
        }
        let mut detail = String::from("is too easy to guess.");
        if let Some(feedback) = estimate.feedback() {
            let warning = feedback.warning().map(|warning| warning.to_string());
            let suggestions = feedback.suggestions().iter().map(ToString::to_string);
            for sentence in warning.into_iter().chain(suggestions) {
                detail.push(' ');
                detail.push_str(&sentence);
            }
        }
        weak(detail)
    }

    /// Hashes with a new salt, on a thread of its own: it takes long, and connections must not wait for it.
    pub async fn hash(self) -> Result<PasswordHash> {
        off_thread(move || {
            let hash = Hasher.hash_password_customized(self.0.as_bytes(), &generate_salt(), None, None, today());
            Ok(PasswordHash(hash.map_err(|error| broken(&error))?.to_string()))
        })
        .await
    }

    /// Checks against the hash of an account, or against nobody's if there is none: both take the same time.
    ///
    /// Gives the password back if it is the one, so that it can be hashed anew.
    pub async fn verify(self, hash: Option<PasswordHash>) -> Result<Option<Self>> {
        off_thread(move || {
            let known = hash.is_some();
            let hash = hash.as_ref().unwrap_or(&NOBODY);
            let parsed = phc::PasswordHash::new(&hash.0).map_err(|error| broken(&error))?;
            let same = Hasher.verify_password(self.0.as_bytes(), &parsed).is_ok();
            Ok((same && known).then_some(self))
        })
        .await
    }
}

impl FromJson for Password {
    fn from_json(json: Json<'_>) -> Result<Self, String> {
        match json {
            Json::String(text) => Self::parse(Zeroizing::new(text)),
            _ => Err("must be a string".into()),
        }
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// An argon2id hash as a PHC string. Has no form in JSON, so that no answer can carry it.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// From the table.
    pub fn from_phc(text: String) -> Self {
        Self(text)
    }

    /// For the table.
    pub fn as_phc(&self) -> &str {
        &self.0
    }

    /// Whether it was made with other parameters than those of today.
    pub fn is_outdated(&self) -> bool {
        let today = format!("$argon2id$v={}$m={MEMORY},t={PASSES},p={LANES}$", u32::from(Version::V0x13));
        !self.0.starts_with(&today)
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

/// What is verified when there is no account: made with the same parameters, and of no password.
static NOBODY: LazyLock<PasswordHash> = LazyLock::new(|| {
    let parameters = format!("$argon2id$v={}$m={MEMORY},t={PASSES},p={LANES}$", u32::from(Version::V0x13));
    PasswordHash(format!("{parameters}bm9ib2R5J3Mgc2FsdCE$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"))
});

fn today() -> Params {
    // The constants are within argon2's limits.
    Params::new(MEMORY, PASSES, LANES, None).unwrap_or_default()
}

/// argon2 in memory that is kept from one password to the next.
///
/// The allocator does not give 19 MiB back to where they fit again: a function that takes them anew for every password holds ten
/// times as much after a while, and each time its pages have to be touched for the first time.
struct Hasher;

static BLOCKS: Mutex<Vec<Block>> = Mutex::new(Vec::new());

impl CustomizedPasswordHasher<phc::PasswordHash> for Hasher {
    type Params = Params;

    fn hash_password_customized(
        &self,
        password: &[u8],
        salt: &[u8],
        algorithm: Option<&str>,
        version: Option<u32>,
        params: Params,
    ) -> password_hash::Result<phc::PasswordHash> {
        let algorithm = algorithm.map(Algorithm::try_from).transpose()?.unwrap_or_default();
        let version = version.map(Version::try_from).transpose()?.unwrap_or_default();
        let mut output = Zeroizing::new(vec![0; params.output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN)]);
        {
            let mut blocks = BLOCKS.lock().unwrap_or_else(PoisonError::into_inner);
            let needed = params.block_count();
            if blocks.len() < needed {
                blocks.resize(needed, Block::default());
            }
            let argon2 = Argon2::new(algorithm, version, params.clone());
            let hashed = argon2.hash_password_into_with_memory(password, salt, &mut output, &mut blocks[..needed]);
            // They are made of the password.
            blocks[..needed].fill(Block::default());
            hashed?;
        }
        Ok(phc::PasswordHash {
            algorithm: algorithm.ident(),
            version: Some(version.into()),
            params: phc::ParamsString::try_from(&params)?,
            salt: Some(phc::Salt::new(salt)?),
            hash: Some(phc::Output::new(&output)?),
        })
    }
}

fn broken(error: &dyn fmt::Display) -> Error {
    Error::Internal(format!("a password cannot be hashed: {error}"))
}

async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| broken(&error))?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str) -> Password {
        Password::parse(Zeroizing::new(text.into())).unwrap()
    }

    #[tokio::test]
    async fn only_the_same_password_verifies() {
        let hash = password("correct horse").hash().await.unwrap();
        assert!(!hash.is_outdated());
        assert!(password("correct horse").verify(Some(hash.clone())).await.unwrap().is_some());
        assert!(password("correct horsf").verify(Some(hash)).await.unwrap().is_none());
        assert!(password("correct horse").verify(None).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn the_spelling_of_a_character_does_not_matter_and_no_character_is_cut() {
        let hash = password("Ange\u{301}lique".repeat(8).as_str()).hash().await.unwrap();
        assert!(password(&"Angélique".repeat(8)).verify(Some(hash)).await.unwrap().is_some());

        let long = "x".repeat(127);
        let hash = password(&format!("{long}y")).hash().await.unwrap();
        assert!(password(&format!("{long}z")).verify(Some(hash)).await.unwrap().is_none());
        assert!(Password::parse(Zeroizing::new("x".repeat(129))).is_err());
    }

    /// Each on a thread that may be a new one, as in a function.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn many_passwords_take_no_more_memory_than_one() {
        let resident = || {
            let status = std::fs::read_to_string("/proc/self/status").unwrap();
            let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
            line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
        };
        password("correct horse").hash().await.unwrap();
        let before = resident();
        for _ in 0..10 {
            let at_once = (0..4).map(|_| password("correct horse").hash());
            futures_util::future::join_all(at_once).await;
        }
        let after = resident();
        assert!(after < before + 30, "{before} MiB have become {after}");
    }

    #[test]
    fn strength_counts_and_composition_does_not() {
        for strong in ["correct horse battery", "keep-this-one-local", "        ñandú         lluvia"] {
            assert!(password(strong).require_strength(&[]).is_ok(), "{strong}");
        }
        for weak in ["password", "P@ssw0rd", "12345678", "aaaaaaaaaaaa", "Tr0ub4", "qwertyuiop"] {
            assert!(password(weak).require_strength(&[]).is_err(), "{weak}");
        }
        let own = password("ada.lovelace@example.com");
        assert!(own.require_strength(&[]).is_ok());
        assert!(own.require_strength(&["ada.lovelace@example.com", "ada"]).is_err());
    }

    #[test]
    fn nothing_secret_is_shown() {
        assert_eq!(format!("{:?}", password("canary-password")), "Password(…)");
        assert_eq!(format!("{:?}", PasswordHash::from_phc("$argon2id$canary".into())), "PasswordHash(…)");
    }

    #[test]
    fn hashes_with_other_parameters_are_outdated() {
        assert!(PasswordHash::from_phc("$argon2id$v=19$m=4096,t=3,p=1$c2FsdA$aGFzaA".into()).is_outdated());
        assert!(PasswordHash::from_phc("$argon2i$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA".into()).is_outdated());
        assert!(!NOBODY.is_outdated());
    }
}
