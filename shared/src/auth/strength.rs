//! How easily a password is guessed.

use std::borrow::Cow;

/// The least strength on zxcvbn's scale of 0 to 4: "safely unguessable", 10^8 guesses or more.
const MIN_STRENGTH: zxcvbn::Score = zxcvbn::Score::Three;

/// The least product of the guesses for each part of a password. zxcvbn adds 10,000 guesses per part to it, so that any three
/// parts would do: `mystockroom2026` is three.
const MIN_GUESSES: f64 = 1e8;

/// Characters that are judged: what is strong so far does not become weak, and the time grows with their square.
const JUDGED_CHARS: usize = 40;

/// Common passwords that zxcvbn's own lists lack. See the head of the file.
const COMMON: &str = include_str!("common-passwords.txt");

/// Judges a password that somebody guesses who knows `words`. What is wrong with it is the error, as a sentence for people.
pub fn judge(password: &str, words: &[String]) -> Result<(), String> {
    let judged: String = password.chars().take(JUDGED_CHARS).collect();
    let judged = plain(&judged);
    let mut known: Vec<&str> = words.iter().map(String::as_str).collect();
    known.extend(common());
    let estimate = zxcvbn::zxcvbn(&judged, &known);
    #[expect(clippy::cast_precision_loss, reason = "an order of magnitude")]
    let guesses: f64 = estimate.sequence().iter().map(|part| part.guesses.unwrap_or(1) as f64).product();
    if estimate.score() >= MIN_STRENGTH && guesses >= MIN_GUESSES {
        return Ok(());
    }
    let mut detail = String::from("is too easy to guess.");
    match estimate.feedback() {
        Some(feedback) => {
            let warning = feedback.warning().map(|warning| warning.to_string());
            let suggestions = feedback.suggestions().iter().map(ToString::to_string);
            for sentence in warning.into_iter().chain(suggestions) {
                detail.push(' ');
                detail.push_str(&sentence);
            }
        }
        None => detail.push_str(" Add another word or two. Uncommon words are better."),
    }
    Err(detail)
}

fn common<'a>() -> impl Iterator<Item = &'a str> {
    COMMON.lines().filter(|line| !line.starts_with('#'))
}

/// What zxcvbn takes for letters, as in `p@$$w0rd`.
const LOOKALIKES: [&str; 12] = ["4@", "8", "({[<", "3", "69", "1!|", "1|7", "0", "$5", "+7", "%", "2"];

/// More ways to read a password than this are not tried: zxcvbn tries all of them, a thousand for one that is made for it.
const MAX_READINGS: usize = 16;

/// Writes the same letter always alike if a password has too many ways to write it: its readings stay, and are fewer.
fn plain(password: &str) -> Cow<'_, str> {
    let ways = |letter: &&str| letter.chars().filter(|c| password.contains(*c)).count().max(1);
    if LOOKALIKES.iter().map(ways).product::<usize>() <= MAX_READINGS {
        return password.into();
    }
    let alike = |c| match c {
        '@' => '4',
        '{' | '[' | '<' => '(',
        '!' | '|' => '1',
        '$' => '5',
        '+' => '7',
        other => other,
    };
    password.chars().map(alike).collect::<String>().into()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn weak(password: &str, words: &[&str]) -> bool {
        let words: Vec<_> = words.iter().map(ToString::to_string).collect();
        judge(password, &words).is_err()
    }

    #[test]
    fn what_many_people_use_is_weak() {
        for password in [
            "password",
            "password1",
            "password1234",
            "Password2026!",
            "P@ssw0rd",
            "Summer2026!",
            "Welcome2026!",
            "12345678",
            "aaaaaaaaaaaa",
            "qwertyuiop",
            "1!qQ2@wW",
            "!@#$%^&*()",
            "iloveyou1",
            "schokolade",
            "Schokolade1!",
        ] {
            assert!(weak(password, &[]), "{password}");
        }
        let listed: Vec<_> = common().collect();
        assert!(listed.len() > 300 && listed.is_sorted(), "{}", listed.len());
        for password in listed {
            assert!(weak(password, &[]) && weak(&password.to_uppercase(), &[]), "{password}");
        }
    }

    #[test]
    fn names_make_no_password() {
        let names = ["stockroom", "ada.lovelace@example.com", "lovelace", "example"];
        for password in [
            "Stockroom2026!",
            "St0ckr00m2026!",
            "stockroom",
            "mystockroom2026",
            "moorkcots!1",
            "Lovelace1815",
            "example-example-1",
        ] {
            assert!(weak(password, &names), "{password}");
        }
        assert!(!weak("ada.lovelace@example.com", &[]));
        assert!(weak("ada.lovelace@example.com", &names));
        assert!(!weak("Zwetschgenmus stockroom mit Zimt", &names), "a name is no harm beside what is strong");
    }

    #[test]
    fn unlikely_words_are_strong() {
        for password in [
            "correct horse battery",
            "keep-this-one-local",
            "Zwetschgenmus mit Zimt",
            "        \u{f1}and\u{fa}         lluvia",
            "4@8({[<369&#!1/|0$5+7%2",
        ] {
            assert!(!weak(password, &["stockroom"]), "{password}");
        }
    }

    #[test]
    fn only_the_first_forty_characters_are_judged() {
        assert!(weak(&"a".repeat(128), &[]));
        assert!(weak(&format!("{}Zwetschgenmus mit Zimt", "a".repeat(40)), &[]));
        assert!(!weak(&format!("Zwetschgenmus mit Zimt{}", "a".repeat(106)), &[]));
    }

    /// The slowest of many passwords that are made for it, against one that is not. Random ones from the same characters each
    /// time; without the two limits above, the ratio is over a hundred.
    #[test]
    #[ignore = "measures time: run it alone, with `cargo test -- --ignored --test-threads 1`"]
    fn no_password_takes_long_to_judge() {
        let time = |password: &str, times: u32| {
            let once = || {
                let start = Instant::now();
                let _ = judge(password, &["stockroom".into()]);
                start.elapsed()
            };
            (0..times).map(|_| once()).min().unwrap_or_default()
        };
        // The first call builds zxcvbn's tables.
        time("warm", 1);
        let mut random = fastrand::Rng::with_seed(7);
        let mut tried = Vec::new();
        for alphabet in ["4@8({[<369&#!1/|0$5+7%2", "1|7!+69", "4@1!|7+", "({[<69$5", "1741!|69", "ab1", "0123456789"] {
            let alphabet: Vec<_> = alphabet.chars().collect();
            for _ in 0..20 {
                let password: String = (0..128).map(|_| alphabet[random.usize(..alphabet.len())]).collect();
                tried.push((time(&password, 2), password));
            }
        }
        tried.sort();
        // Once more, so that whatever else this machine does does not count.
        let slowest = tried.iter().rev().take(5).map(|(_, password)| time(password, 10)).max().unwrap_or_default();
        let ordinary = time("Zwetschgenmus mit Zimt und Zucker im Glas", 10);
        let ratio = slowest.as_secs_f64() / ordinary.as_secs_f64();
        println!("{ordinary:?} and {slowest:?}: {ratio:.1}");
        assert!(ratio < 30.0, "the slowest takes {ratio:.1} times as long: {slowest:?} and {ordinary:?}");
    }
}
