//! Passwords: how strong they must be, and the only form in which they are kept.

use std::{
    fmt,
    sync::{LazyLock, Mutex, PoisonError},
    time::Duration,
};

use argon2::{
    Algorithm, Argon2, Block, Params, Version,
    password_hash::{self, CustomizedPasswordHasher, PasswordVerifier, generate_salt, phc},
};
use icu_normalizer::ComposingNormalizer;
use zeroize::Zeroizing;

use super::strength;
use crate::{
    Error, Result,
    domain::MAX_COMPOSED,
    fault::Fault,
    json::{FromJson, Json},
};

/// Argon2id as OWASP recommends it: 19 MiB of memory in KiB, two passes, one lane.
const MEMORY: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// How long judging one password may take. It takes some ten milliseconds.
const JUDGEMENT: Duration = Duration::from_secs(1);

/// A password as somebody typed it, in Unicode's normal form C. Wiped from memory when it is dropped; never shown.
pub struct Password(Zeroizing<String>);

impl Password {
    pub const MIN_CHARS: usize = 8;
    pub const MAX_CHARS: usize = 128;

    /// Any characters, at most as many as are ever hashed: nothing is cut off.
    pub fn parse(text: Zeroizing<String>) -> Result<Self, String> {
        let refused = || Err(format!("must have at most {} characters", Self::MAX_CHARS));
        // Before anything that takes time: this may be as long as a body.
        if text.is_empty() || text.chars().nth(Self::MAX_CHARS * MAX_COMPOSED).is_some() {
            return refused();
        }
        let password = Zeroizing::new(ComposingNormalizer::new_nfc().normalize(&text).into_owned());
        if password.chars().count() > Self::MAX_CHARS { refused() } else { Ok(Self(password)) }
    }

    /// Refuses a password that is short, common, or easily guessed by somebody who knows `names`: the account's and the shop's. `pointer`
    /// is to where it stands in the request.
    ///
    /// On a thread of its own, because it can take a while.
    ///
    /// # Errors
    ///
    /// [`Error::WeakPassword`]; [`Error::TookTooLong`] if this machine has so much else to do that it is not judged in time.
    pub async fn require_strength(&self, pointer: &'static str, names: impl IntoIterator<Item = impl AsRef<str>>) -> Result {
        if self.0.chars().count() < Self::MIN_CHARS {
            let detail = format!("must have {} to {} characters", Self::MIN_CHARS, Self::MAX_CHARS);
            return Err(Error::WeakPassword(Fault::new(pointer, detail)));
        }
        let (password, words) = (self.0.clone(), words(names));
        let judged = off_thread(move || {
            strength::judge(&password, &words).map_err(|detail| Error::WeakPassword(Fault::new(pointer, detail)))
        });
        tokio::time::timeout(JUDGEMENT, judged).await.map_err(|_| Error::TookTooLong("judging the password"))?
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

    /// One that no password has.
    pub fn of_nobody() -> Self {
        NOBODY.clone()
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
            let (kept, needed) = (blocks.len(), params.block_count());
            blocks.resize(kept.max(needed), Block::default());
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

/// The words that names are made of: `ada.lovelace@example.com` is also `lovelace` and `example`.
fn words(names: impl IntoIterator<Item = impl AsRef<str>>) -> Vec<String> {
    let mut words = Vec::new();
    for name in names {
        let name = name.as_ref().to_lowercase();
        let parts = name.split(|c: char| !c.is_alphanumeric()).chain(name.split('@'));
        words.extend(parts.filter(|part| part.chars().count() >= 3).map(str::to_owned));
        words.push(name);
    }
    words
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
    }

    #[test]
    fn a_password_has_one_to_128_characters() {
        let is_one = |text: &str| Password::parse(Zeroizing::new(text.into())).is_ok();
        assert!(is_one("x") && is_one(&"x".repeat(128)) && is_one(&"a\u{301}".repeat(128)));
        assert!(!is_one("") && !is_one(&"x".repeat(129)) && !is_one(&"x".repeat(60_000)));
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

    #[tokio::test]
    async fn a_password_is_judged_by_who_has_it() {
        let names: [&str; 0] = [];
        assert!(password("correct horse battery").require_strength("/password", names).await.is_ok());
        let detail = |refused: Result| match refused {
            Err(Error::WeakPassword(fault)) => fault.detail,
            other => panic!("{other:?}"),
        };
        let short = detail(password("Tr0ub4").require_strength("/password", names).await);
        assert_eq!(short, "must have 8 to 128 characters");
        let common = detail(password("Tr0ub4do").require_strength("/password", names).await);
        assert_ne!(common, short, "eight are enough for that");
        let own = password("ada.lovelace@example.com");
        assert!(own.require_strength("/password", names).await.is_ok());
        assert!(
            detail(own.require_strength("/password", ["ada.lovelace@example.com", "ada"]).await)
                .starts_with("is too easy to guess.")
        );
    }

    #[test]
    fn a_name_is_made_of_words_that_say_something() {
        let words = |name: &str| words([name]);
        assert_eq!(
            words("Ada.Lovelace@my.example.com"),
            ["ada", "lovelace", "example", "com", "ada.lovelace", "my.example.com", "ada.lovelace@my.example.com"]
        );
        assert_eq!(words("al"), ["al"], "a whole name, however short");
    }

    #[test]
    fn a_hash_is_kept_as_it_is() {
        let phc = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA";
        assert_eq!(PasswordHash::from_phc(phc.into()).as_phc(), phc);
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
