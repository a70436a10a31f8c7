//! No body costs much more to read than any other of its size.

use std::time::{Duration, Instant};

use shared::{
    auth::{Credentials, LogoutRequest, RefreshRequest, Registration},
    domain::{
        AccountUpdate, Expiry, ItemChange, NewItem, NewMovement, NewOrder, NewProduct, OrderChange, ProductChange, Rotation,
    },
    json::{Fields, FromFields},
};

/// As large as a body may be.
const SIZE: usize = 64 * 1024;

/// Values that fill a body and may be expensive to somebody: to fold, to compose, to parse, to nest, to list.
fn values() -> Vec<(&'static str, String)> {
    let text = |part: &str| format!("\"{}\"", part.repeat((SIZE - 100) / part.len()));
    let list = |part: &str| format!("[{}]", vec![part; (SIZE - 100) / (part.len() + 1)].join(","));
    vec![
        ("letters", text("a")),
        ("capitals", text("A")),
        ("a ligature that becomes eighteen characters", text("\u{fdfa}")),
        ("marks in the wrong order", text("\u{301}\u{316}")),
        ("one letter with all marks", text("a\u{301}\u{316}\u{327}\u{323}")),
        ("letters that grow", text("\u{130}")),
        ("syllables in pieces", text("\u{1112}\u{1161}\u{11ab}")),
        ("escapes", text("\\u0041")),
        ("characters to escape", text("\\n")),
        ("at signs", text("@")),
        ("dots", format!("\"a@{}\"", "a.".repeat(SIZE / 2 - 60))),
        ("labels", format!("\"a@{}\"", "xn--a.".repeat(SIZE / 6 - 60))),
        ("an international label", format!("\"a@{}.com\"", "\u{fc}".repeat(SIZE / 2 - 60))),
        ("blanks", text(" ")),
        ("what is not shown", text("\u{200b}")),
        ("digits", "9".repeat(SIZE - 100)),
        ("decimals", format!("0.{}", "0".repeat(SIZE - 100))),
        ("an exponent", format!("1e{}", "9".repeat(SIZE - 100))),
        ("digits as text", text("9")),
        ("nested lists", format!("{}{}", "[".repeat(SIZE / 2 - 60), "]".repeat(SIZE / 2 - 60))),
        ("nested objects", format!("{}0{}", "{\"a\":".repeat(SIZE / 6 - 60), "}".repeat(SIZE / 6 - 60))),
        ("a list of numbers", list("0")),
        ("a list of objects", list("{}")),
        ("a list of objects with one field", list("{\"a\":0}")),
        ("a few objects of many fields", format!("[{}]", vec![format!("{{{}}}", vec!["\"a\":0"; 240].join(",")); 39].join(","))),
    ]
}

/// Whole bodies: odd ones, and one member with each value.
fn bodies(members: &[&str]) -> Vec<(String, String)> {
    let many =
        |member: &dyn Fn(usize) -> String, count: usize| format!("{{{}}}", (0..count).map(member).collect::<Vec<_>>().join(","));
    let mut bodies = vec![
        ("many members".to_owned(), many(&|n| format!("\"{n:04x}\":0"), SIZE / 10)),
        ("one member many times".to_owned(), many(&|_| "\"a\":0".to_owned(), SIZE / 7)),
        ("a member of its own many times".to_owned(), many(&|_| "\"name\":0".to_owned(), SIZE / 10)),
        ("a long name".to_owned(), format!("{{\"{}\":0}}", "~".repeat(SIZE - 100))),
        ("blanks".to_owned(), format!("{}{{}}", " ".repeat(SIZE - 100))),
        ("nothing but brackets".to_owned(), "[".repeat(SIZE)),
    ];
    for (what, value) in values() {
        bodies.extend(members.iter().map(|member| (format!("{what} in {member}"), format!("{{\"{member}\":{value}}}"))));
    }
    bodies
}

/// How long it takes to read a body; the best of a few times, unless the first was good enough.
fn time<T: FromFields>(body: &str, good_enough: Duration) -> Duration {
    let once = || {
        let start = Instant::now();
        let _ = Fields::parse::<T>(body.as_bytes());
        start.elapsed()
    };
    let first = once();
    if first <= good_enough { first } else { (0..4).map(|_| once()).min().unwrap_or(first) }
}

/// The most expensive body of an input with these members, as a multiple of `plain`.
fn worst<T: FromFields>(input: &str, members: &[&str], plain: Duration) -> (f64, String) {
    let ratio = |body: &str| time::<T>(body, plain).as_secs_f64() / plain.as_secs_f64();
    let all = bodies(members).into_iter().map(|(what, body)| (ratio(&body), format!("{input}: {what}")));
    all.max_by(|one, other| one.0.total_cmp(&other.0)).expect("a body")
}

/// Compared with many small members of one type, all of which are looked at and refused: as much as JSON itself costs. Without a
/// limit on lengths before texts are folded or composed, and on the faults that are noted, the ratio is ten and more.
#[test]
#[ignore = "measures time: run it alone, with `cargo test -- --ignored --test-threads 1`"]
fn no_body_costs_much_more_to_read_than_another() {
    let members: Vec<_> = (0..SIZE / 10).map(|n| format!("\"{n:04x}\":0")).collect();
    let plain = time::<NewProduct>(&format!("{{{}}}", members.join(",")), Duration::ZERO);
    let worst = [
        worst::<Registration>("Registration", &["email", "username", "password"], plain),
        worst::<Credentials>("Credentials", &["email", "username", "password"], plain),
        worst::<RefreshRequest>("RefreshRequest", &["refresh_token"], plain),
        worst::<LogoutRequest>("LogoutRequest", &["all"], plain),
        worst::<NewProduct>(
            "NewProduct",
            &["name", "sku", "description", "price", "quantity", "low_stock_at", "stock_shards"],
            plain,
        ),
        worst::<ProductChange>(
            "ProductChange",
            &["name", "sku", "description", "price", "quantity", "low_stock_at", "stock_shards"],
            plain,
        ),
        worst::<NewMovement>("NewMovement", &["amount", "reason"], plain),
        worst::<NewOrder>("NewOrder", &["customer_id", "items", "metadata"], plain),
        worst::<NewItem>("NewItem", &["product_id", "quantity"], plain),
        worst::<ItemChange>("ItemChange", &["quantity"], plain),
        worst::<OrderChange>("OrderChange", &["status", "reason", "restock", "metadata"], plain),
        worst::<AccountUpdate>("AccountUpdate", &["user_id", "email", "username", "role", "is_active"], plain),
        worst::<Expiry>("Expiry", &[], plain),
        worst::<Rotation>("Rotation", &["force"], plain),
    ];
    println!("{plain:?} for many small members");
    for (ratio, what) in &worst {
        println!("{ratio:6.1} {what}");
    }
    for (ratio, what) in worst {
        assert!(ratio < 5.0, "{what} takes {ratio:.1} times as long as many small members");
    }
}
