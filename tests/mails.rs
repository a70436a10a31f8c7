//! What goes out by mail, and what its tokens do.

use std::collections::BTreeSet;

use emulator::{FaultKind, MailRecord};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    app::{Actor, Answer, MAIL_FROM, PASSWORD, TestApp, account, unique},
    bodies::by_email,
    tokens::claims_of,
};

const ANOTHER: &str = "Quittengelee mit Nelken";

/// The token in a mail, if there is one: four parts with dots between them.
pub fn token_in(mail: &MailRecord) -> Option<String> {
    mail.text.split_whitespace().find(|word| word.split('.').count() == 4 && word.len() > 80).map(str::to_owned)
}

/// The mails to an address, by their subjects, oldest first, once all is sent that is due.
async fn mails_to(app: &TestApp, address: &str) -> Vec<MailRecord> {
    app.shop().settled().await;
    app.shop().mails().into_iter().filter(|mail| mail.to == [address]).collect()
}

async fn subjects(app: &TestApp, address: &str) -> Vec<String> {
    mails_to(app, address).await.into_iter().map(|mail| mail.subject).collect()
}

/// The token of the last mail to an address.
async fn token_to(app: &TestApp, address: &str) -> String {
    let mails = mails_to(app, address).await;
    token_in(mails.last().expect("a mail")).expect("a token")
}

async fn start_recovery(app: &TestApp, email: &str) -> Answer {
    app.anyone().post("/auth/recovery", json!({"email": email})).await
}

async fn recover(app: &TestApp, token: &str, new_password: &str) -> Answer {
    app.anyone().put("/auth/recovery", json!({"token": token, "new_password": new_password})).await
}

async fn verify(app: &TestApp, token: &str) -> Answer {
    app.anyone().put("/auth/verification", json!({"token": token})).await
}

/// Changes an item of a ticket behind the API's back.
async fn set_ticket(app: &TestApp, user_id: &str, purpose: &str, attribute: &str, value: Value) {
    app.dynamodb(
        "UpdateItem",
        json!({
            "TableName": app.table(),
            "Key": {"pk": {"S": format!("TICKETS#{user_id}")}, "sk": {"S": purpose}},
            "UpdateExpression": "SET #name = :value",
            "ExpressionAttributeNames": {"#name": attribute},
            "ExpressionAttributeValues": {":value": value},
        }),
    )
    .await;
}

pub fn id_of(actor: &Actor) -> String {
    claims_of(actor.token.as_ref().unwrap())["sub"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_new_account_shows_that_its_address_is_its_own() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let (email, username) = app.register("ada").await;
    let ada = app.login(&email, PASSWORD).await;
    assert_eq!(ada.get("/auth/me").await["email_verified"], false);

    let mails = mails_to(&app, &email).await;
    let [mail] = &mails[..] else { panic!("{mails:?}") };
    assert_eq!((&*mail.from, &*mail.subject), (MAIL_FROM, "Is this address yours?"));
    assert!(mail.text.contains(&username) && mail.html.contains(&username), "{mail:?}");
    let token = token_in(mail).unwrap();
    assert!(mail.html.contains(&token));
    // Whoever reads the table learns nothing that makes one.
    let table = json!(app.items().await).to_string();
    assert!(!table.contains(token.rsplit_once('.').unwrap().1));

    assert_eq!(verify(&app, &token).await.status, 204);
    let me = ada.get("/auth/me").await;
    assert_eq!((&me["email_verified"], &me["email"]), (&json!(true), &json!(email)));
    assert_eq!(verify(&app, &token).await.problem(), (401, "invalid-token"), "good once");
    assert_eq!(ada.post("/auth/verification", json!({})).await.problem(), (409, "already-verified"));
    app.shop().settled().await;
    let told = app.shop().events().into_iter().filter(|record| record.event["detail"]["type"] == "account.verified").count();
    assert_eq!(told, 1);
}

#[tokio::test]
async fn a_mail_goes_out_again_once_a_minute() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let (email, _) = app.register("ada").await;
    let ada = app.login(&email, PASSWORD).await;
    let first = token_to(&app, &email).await;
    let send = async || {
        let answer = ada.send(ada.request(Method::POST, "/auth/verification")).await;
        assert_eq!((answer.status, answer.body.len()), (202, 0));
    };
    for _ in 0..3 {
        send().await;
    }
    assert_eq!(mails_to(&app, &email).await.len(), 1, "the one of the registration is less than a minute old");
    set_ticket(&app, &id_of(&ada), "verification", "created_at", json!({"N": "1"})).await;
    for _ in 0..3 {
        send().await;
    }
    let mails: BTreeSet<_> = mails_to(&app, &email).await.iter().filter_map(token_in).collect();
    assert_eq!(
        mails.len(),
        2,
        "a record that is written to behind our back is a mail again, and one more was asked for: {mails:?}"
    );
    assert_eq!(verify(&app, &first).await.problem(), (401, "invalid-token"), "a newer one took its place");
    assert_eq!(verify(&app, &token_to(&app, &email).await).await.status, 204);
}

#[tokio::test]
async fn an_address_is_verified_when_the_first_token_was_swept_long_ago() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let (email, _) = app.register("ada").await;
    let ada = app.login(&email, PASSWORD).await;
    let key = json!({"pk": {"S": format!("TICKETS#{}", id_of(&ada))}, "sk": {"S": "verification"}});
    app.dynamodb("DeleteItem", json!({"TableName": app.table(), "Key": key})).await;
    assert_eq!(ada.send(ada.request(Method::POST, "/auth/verification")).await.status, 202);
    assert_eq!(verify(&app, &token_to(&app, &email).await).await.status, 204);
}

#[tokio::test]
async fn whoever_has_forgotten_a_password_sets_another() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let (email, username) = app.register("ada").await;
    let before = app.login(&email, PASSWORD).await;
    let failed = format!("ATTEMPTS#{}", id_of(&before));
    for _ in 0..10 {
        app.anyone().post("/auth/login", by_email(&email, "wrong")).await;
    }
    assert_eq!(app.anyone().post("/auth/login", by_email(&email, "wrong")).await.problem().1, "too-many-attempts");

    assert_eq!(start_recovery(&app, &email.to_uppercase()).await.status, 202);
    let token = token_to(&app, &email).await;
    for (password, problem) in [("short", "weak-password"), (&*username, "weak-password"), ("", "invalid-request")] {
        let refused = recover(&app, &token, password).await;
        assert_eq!((refused.problem(), refused.pointers()), ((422, problem), vec!["/new_password"]), "{password}");
    }
    assert_eq!(before.get("/auth/me").await.status, 200, "nothing has happened yet");
    assert_eq!(recover(&app, &token, ANOTHER).await.status, 204);
    let failures: Vec<_> = app.items().await.into_iter().filter(|item| item["pk"] == json!({"S": failed})).collect();
    assert!(failures.is_empty(), "the failures are forgotten: {failures:?}");
    assert_eq!(recover(&app, &token, ANOTHER).await.problem(), (401, "invalid-token"), "good once");

    assert_eq!(before.get("/auth/me").await.problem(), (401, "token-revoked"));
    assert_eq!(before.refresh().await.problem(), (401, "invalid-refresh-token"));
    let after = app.login(&email, ANOTHER).await;
    assert_eq!(after.get("/auth/me").await["email_verified"], true, "whoever has read the mail has the address");
    assert_eq!(app.anyone().post("/auth/login", by_email(&email, PASSWORD)).await.problem().1, "invalid-credentials");
    let told = ["Is this address yours?", "Set another password", "Your password was changed"];
    assert_eq!(subjects(&app, &email).await, told);
}

#[tokio::test]
async fn only_the_token_that_was_sent_is_good_and_only_for_what_it_was_sent_for() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let (email, _) = app.register("ada").await;
    let (other_email, _) = app.register("bob").await;
    let verification = token_to(&app, &email).await;
    for address in [&email, &other_email] {
        start_recovery(&app, address).await;
    }
    let (token, other) = (token_to(&app, &email).await, token_to(&app, &other_email).await);
    let parts: Vec<_> = token.split('.').collect();
    let others: Vec<_> = other.split('.').collect();
    let mut hostile = vec![
        verification.clone(),
        String::new(),
        "...".to_owned(),
        parts[..3].join("."),
        format!("{}.", parts[..3].join(".")),
        format!("{token}A"),
        format!("{token}."),
        format!(" {token}"),
        token.to_uppercase(),
        // The parts of one with the MAC of the other, and the account of the one with the ticket of the other.
        format!("{}.{}", parts[..3].join("."), others[3]),
        format!("{}.{}.{}.{}", parts[0], parts[1], others[2], parts[3]),
        format!("{}.{}.{}.{}", others[0], parts[1], parts[2], parts[3]),
        format!("{}.verification.{}.{}", parts[0], parts[2], parts[3]),
        "x".repeat(10_000),
    ];
    for at in (0..token.len()).step_by(7) {
        let mut altered = token.clone().into_bytes();
        altered[at] = if altered[at] == b'0' { b'1' } else { b'0' };
        hostile.push(String::from_utf8(altered).unwrap());
    }
    for forged in &hostile {
        assert_eq!(recover(&app, forged, ANOTHER).await.problem(), (401, "invalid-token"), "{forged}");
    }
    for forged in [&token, &other] {
        assert_eq!(verify(&app, forged).await.problem(), (401, "invalid-token"), "{forged}");
    }
    for bad in [json!({}), json!({"token": 7}), json!({"token": token, "more": 1})] {
        assert_eq!(app.anyone().put("/auth/verification", bad).await.problem(), (422, "invalid-request"));
    }

    // One that has expired is none, whether or not DynamoDB has swept it.
    let user_id = parts[0].to_owned();
    let expires = app
        .items()
        .await
        .into_iter()
        .find(|item| item["pk"]["S"] == format!("TICKETS#{user_id}") && item["sk"]["S"] == "recovery");
    let expires = expires.unwrap()["expires_at"].clone();
    set_ticket(&app, &user_id, "recovery", "expires_at", json!({"N": "1"})).await;
    assert_eq!(recover(&app, &token, ANOTHER).await.problem(), (401, "invalid-token"));
    set_ticket(&app, &user_id, "recovery", "expires_at", expires).await;
    // Nor is one of an account that was closed since.
    let close = async |active: bool| app.shop().invoke("account-admin", json!({"user_id": user_id, "is_active": active})).await;
    close(false).await;
    assert_eq!(recover(&app, &token, ANOTHER).await.problem(), (401, "invalid-token"));
    assert_eq!(verify(&app, &verification).await.problem(), (401, "invalid-token"));
    close(true).await;
    assert_eq!(recover(&app, &token, ANOTHER).await.status, 204);
    app.login(&email, ANOTHER).await;
}

/// What is answered to whoever asks for an account that there is not: nothing else, nothing less, no sooner.
#[tokio::test]
async fn a_recovery_does_not_tell_who_has_an_account() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let (known, username) = app.register("ada").await;
    let (closed, _) = app.register("bob").await;
    app.shop().settled().await;
    app.shop().invoke("account-admin", json!({"email": closed, "is_active": false})).await;
    let nobody = format!("{}@example.com", unique("nobody"));

    let mut told = BTreeSet::new();
    for address in [&known, &known, &closed, &nobody, &username, &"no address".to_owned()] {
        let answer = start_recovery(&app, address).await;
        let headers: Vec<_> = answer.headers.keys().map(|name| name.as_str().to_owned()).collect();
        told.insert((answer.status, answer.body.clone(), headers, app.operations(&answer)));
    }
    assert_eq!(told.len(), 1, "{told:?}");
    let (status, body, _, operations) = told.pop_first().unwrap();
    assert_eq!((status, body.len(), operations.join(", ").as_str()), (202, 0, "GetItem, UpdateItem"));
    assert_eq!(subjects(&app, &known).await, ["Is this address yours?", "Set another password"]);
    assert_eq!(subjects(&app, &closed).await, ["Is this address yours?"]);
    assert_eq!(mails_to(&app, &nobody).await, []);
    for (body, pointer) in [(json!({}), "/email"), (json!({"email": 7}), "/email"), (json!({"email": known, "to": "x"}), "/to")] {
        let refused = app.anyone().post("/auth/recovery", body.clone()).await;
        assert_eq!((refused.problem(), refused.pointers()), ((422, "invalid-request"), vec![pointer]), "{body}");
    }
}

#[tokio::test]
#[ignore = "measures time: run it alone, with `cargo test -- --ignored --test-threads 1`"]
async fn a_recovery_takes_the_same_time_whether_or_not_there_is_an_account() {
    const ROUNDS: usize = 200;
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let (known, _) = app.register("ada").await;
    let mut medians = [0.0, 0.0];
    for attempt in 0..4 {
        let mut times = [Vec::new(), Vec::new()];
        for round in 0..ROUNDS {
            for (kind, address) in [known.clone(), format!("nobody-{attempt}-{round}@example.com")].iter().enumerate() {
                let start = std::time::Instant::now();
                assert_eq!(start_recovery(&app, address).await.status, 202);
                times[kind].push(start.elapsed().as_secs_f64() * 1000.0);
            }
        }
        medians = times.map(|mut times| {
            times.sort_by(f64::total_cmp);
            times[ROUNDS / 2]
        });
        println!("median recovery in ms: {medians:?}");
        let (least, most) = (medians[0].min(medians[1]), medians[0].max(medians[1]));
        if most / least < 1.1 {
            return;
        }
    }
    panic!("{medians:?}");
}

#[tokio::test]
async fn one_address_asks_for_recoveries_no_more_often_than_it_may() {
    let limited = |options: &mut emulator::Options| {
        options.parameters.insert("AttemptsPerAddress".into(), "5".into());
    };
    let Some(app) = TestApp::start_local(limited).await else { return };
    let (email, _) = app.register("ada").await;
    for n in 0..4 {
        let address = if n % 2 == 0 { email.clone() } else { format!("nobody-{n}@example.com") };
        assert_eq!(start_recovery(&app, &address).await.status, 202, "{n}");
    }
    for address in [&*email, "nobody@example.com"] {
        let closed = start_recovery(&app, address).await;
        assert_eq!(closed.problem(), (429, "too-many-attempts"));
        assert!(!closed.header("retry-after").is_empty());
    }
}

#[tokio::test]
async fn names_are_changed_by_who_knows_the_password() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let (email, username) = app.register("ada").await;
    let (taken_email, taken_username) = app.register("bob").await;
    let ada = app.login(&email, PASSWORD).await;
    verify(&app, &token_to(&app, &email).await).await;
    let change = async |body: Value| ada.put("/auth/me", body).await;

    let other = unique("countess");
    let wrong = json!({"username": other, "password": "wrong"});
    assert_eq!(change(wrong).await.problem(), (401, "invalid-credentials"));
    for (body, problem, pointer) in [
        (json!({"username": taken_username, "password": PASSWORD}), (409, "username-taken"), None),
        (json!({"email": taken_email.to_uppercase(), "password": PASSWORD}), (409, "email-taken"), None),
        (json!({"password": PASSWORD}), (422, "invalid-request"), Some("")),
        (json!({"username": "a", "password": PASSWORD}), (422, "invalid-request"), Some("/username")),
        (json!({"email": "a", "password": PASSWORD}), (422, "invalid-request"), Some("/email")),
        (json!({"username": other}), (422, "invalid-request"), Some("/password")),
        (json!({"username": other, "password": PASSWORD, "role": "admin"}), (422, "invalid-request"), Some("/role")),
    ] {
        let refused = change(body.clone()).await;
        assert_eq!(refused.problem(), problem, "{body}");
        assert_eq!(refused.pointers(), pointer.into_iter().collect::<Vec<_>>(), "{body}");
    }
    let renamed = change(json!({"username": other.to_uppercase(), "password": PASSWORD})).await;
    assert_eq!((renamed.status, &renamed["username"]), (200, &json!(other)));
    assert_eq!(renamed.json, ada.get("/auth/me").await.json);
    assert_eq!(
        app.anyone().post("/auth/register", account(&username).email(&format!("{username}@example.org")).json()).await.status,
        201
    );

    // Another address: when it is shown to be theirs, and not before.
    let next = format!("{}@example.com", unique("countess"));
    let asked = change(json!({"email": next, "password": PASSWORD})).await;
    assert_eq!((&asked["email"], &asked["pending_email"], &asked["email_verified"]), (&json!(email), &json!(next), &json!(true)));
    let told = mails_to(&app, &email).await.pop().unwrap();
    assert!(told.subject == "Your e-mail address is about to change" && !told.text.contains(&next), "{told:?}");
    assert_eq!(app.anyone().post("/auth/login", by_email(&next, PASSWORD)).await.problem(), (401, "invalid-credentials"));
    start_recovery(&app, &email).await;
    let (recovery, token) = (token_to(&app, &email).await, token_to(&app, &next).await);
    assert_eq!(verify(&app, &token).await.status, 204);
    let me = ada.get("/auth/me").await;
    assert_eq!((&me["email"], &me["email_verified"], me.json.get("pending_email")), (&json!(next), &json!(true), None));
    app.login(&next, PASSWORD).await;
    assert_eq!(app.anyone().post("/auth/login", by_email(&email, PASSWORD)).await.problem(), (401, "invalid-credentials"));
    let found = app.admin().await.get(format!("/users?prefix={}", next.split_once('@').unwrap().0)).await;
    assert_eq!(found["users"][0]["email"], next, "{found:?}");
    assert_eq!(recover(&app, &recovery, ANOTHER).await.problem(), (401, "invalid-token"), "it was sent to the old address");
    assert_eq!(
        app.anyone().post("/auth/register", account(unique("eve")).email(&email).json()).await.status,
        201,
        "it is free again"
    );

    // Whoever thinks better of it puts the address in again.
    let mistyped = format!("{}@example.com", unique("typo"));
    change(json!({"email": mistyped, "password": PASSWORD})).await;
    let token = token_to(&app, &mistyped).await;
    let back = change(json!({"email": next, "password": PASSWORD})).await;
    assert_eq!((&back["email"], back.json.get("pending_email")), (&json!(next), None));
    assert_eq!(verify(&app, &token).await.problem(), (401, "invalid-token"));
    // Another spelling of the same is another spelling.
    let loud = format!("{}@example.com", next.split('@').next().unwrap().to_uppercase());
    change(json!({"email": loud, "password": PASSWORD})).await;
    assert_eq!(verify(&app, &token_to(&app, &loud).await).await.status, 204);
    assert_eq!(ada.get("/auth/me").await["email"], loud);
}

#[tokio::test]
async fn of_two_accounts_that_verify_one_address_one_has_it() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    for _ in 0..4 {
        let wanted = format!("{}@example.com", unique("wanted"));
        let mut tokens = Vec::new();
        for _ in 0..2 {
            let ada = app.customer("ada").await;
            assert_eq!(ada.put("/auth/me", json!({"email": wanted, "password": PASSWORD})).await.status, 200);
            tokens.push(token_to(&app, &wanted).await);
        }
        let answers = join_all(tokens.iter().map(|token| verify(&app, token))).await;
        let mut told: Vec<_> = answers.iter().map(|answer| answer.status).collect();
        told.sort_unstable();
        assert_eq!(told, [204, 409], "{answers:?}");
        app.login(&wanted, PASSWORD).await;
    }
}

/// Whichever comes first: whoever logs in with the old password while another is set has no session afterwards.
#[tokio::test]
async fn no_login_survives_a_recovery() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    for _ in 0..4 {
        let (email, _) = app.register("ada").await;
        start_recovery(&app, &email).await;
        let token = token_to(&app, &email).await;
        let login = || app.anyone();
        let (client, body) = (login(), by_email(&email, PASSWORD));
        let logins = join_all((0..4).map(|_| client.post("/auth/login", body.clone())));
        let (recovered, again, logins) = tokio::join!(recover(&app, &token, ANOTHER), recover(&app, &token, ANOTHER), logins);
        let mut statuses = [recovered.status, again.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [204, 401], "{recovered:?} {again:?}");
        for login in &logins {
            match login.status {
                200 => assert_eq!(app.holder_of(login).get("/auth/me").await.problem(), (401, "token-revoked")),
                _ => assert_eq!(login.problem(), (401, "invalid-credentials")),
            }
        }
    }
}

#[tokio::test]
async fn of_two_who_show_the_token_of_a_recovery_at_once_one_has_a_password() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let (email, _) = app.register("ada").await;
    // Nothing else of the account changes with the password then.
    verify(&app, &token_to(&app, &email).await).await;
    start_recovery(&app, &email).await;
    let token = token_to(&app, &email).await;
    // The token is read before the password is hashed, and once more before it is written.
    let recover = |password| recover(&app, &token, password);
    let reads = ["BatchGetItem", "BatchGetItem"];
    let (first, second) = app.while_late(&reads, recover(ANOTHER), recover("Quittengelee mit Nelken")).await;
    let mut statuses = [first.status, second.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 401], "{first:?} {second:?}");
    app.login(&email, if first.status == 204 { ANOTHER } else { "Quittengelee mit Nelken" }).await;
}

#[tokio::test]
async fn an_account_that_changes_while_it_is_recovered_has_both() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let (email, username) = app.register("ada").await;
    let ada = app.login(&email, PASSWORD).await;
    let rename = async |name: &str| ada.put("/auth/me", json!({"username": name, "password": PASSWORD})).await.status;
    // Everything is awake, so that nothing is late but what is meant to be.
    assert_eq!(rename(&username.to_uppercase()).await, 200);
    start_recovery(&app, &email).await;
    let token = token_to(&app, &email).await;
    let other = unique("ada");
    let reads = ["BatchGetItem", "BatchGetItem"];
    let (recovered, renamed) = app.while_late(&reads, recover(&app, &token, ANOTHER), rename(&other)).await;
    assert_eq!((recovered.status, renamed), (204, 200), "{recovered:?}");
    assert_eq!(app.login(&email, ANOTHER).await.get("/auth/me").await["username"], other);
}

#[tokio::test]
async fn an_account_that_changes_while_its_address_is_verified_has_both() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let (email, username) = app.register("ada").await;
    let ada = app.login(&email, PASSWORD).await;
    let rename = async |name: &str| ada.put("/auth/me", json!({"username": name, "password": PASSWORD})).await.status;
    // Everything is awake, so that nothing is late but what is meant to be.
    assert_eq!(rename(&username.to_uppercase()).await, 200);
    let token = token_to(&app, &email).await;
    let other = unique("ada");
    let (verified, renamed) = app.while_late(&["BatchGetItem"], verify(&app, &token), rename(&other)).await;
    assert_eq!((verified.status, renamed), (204, 200), "{verified:?}");
    let account = ada.get("/auth/me").await;
    assert_eq!((&account["username"], &account["email_verified"]), (&json!(other), &json!(true)));
}

#[tokio::test]
async fn an_owner_is_told_that_the_password_was_changed() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let (email, _) = app.register("ada").await;
    let ada = app.login(&email, PASSWORD).await;
    let change = json!({"password": PASSWORD, "new_password": ANOTHER});
    assert_eq!(ada.put("/auth/password", change).await.status, 204);
    let told = mails_to(&app, &email).await;
    assert_eq!(told.last().unwrap().subject, "Your password was changed");
    assert!(!told.last().unwrap().text.contains(ANOTHER));
}

#[tokio::test]
async fn a_shop_without_mail_says_so_where_mail_is_the_only_way() {
    let without = |options: &mut emulator::Options| {
        options.parameters.insert("MailFrom".into(), String::new());
    };
    let Some(app) = TestApp::start_local(without).await else { return };
    let (email, username) = app.register("ada").await;
    let ada = app.login(&email, PASSWORD).await;
    for refused in [
        start_recovery(&app, &email).await,
        start_recovery(&app, "nobody@example.com").await,
        ada.send(ada.request(Method::POST, "/auth/verification")).await,
        ada.put("/auth/me", json!({"email": "countess@example.com", "password": PASSWORD})).await,
    ] {
        assert_eq!(refused.problem(), (503, "mail-not-configured"));
    }
    let other = format!("{username}-2");
    assert_eq!(ada.put("/auth/me", json!({"username": other, "password": PASSWORD})).await.status, 200);
    assert_eq!(ada.put("/auth/password", json!({"password": PASSWORD, "new_password": ANOTHER})).await.status, 204);
    app.shop().settled().await;
    assert_eq!(app.shop().mails(), []);
    let table = json!(app.items().await).to_string();
    assert!(!table.contains("TICKETS#") && !table.contains("NOTICES#"), "nothing waits to be sent");
}

#[tokio::test]
async fn a_shop_may_want_a_verified_address() {
    for (wanted, may_log_in) in [("to-order", true), ("to-login", false)] {
        let strict = |options: &mut emulator::Options| {
            options.parameters.insert("RequireVerifiedEmail".into(), wanted.into());
        };
        let Some(app) = TestApp::start_local(strict).await else { return };
        let (email, _) = app.register("ada").await;
        let login = app.anyone().post("/auth/login", by_email(&email, PASSWORD)).await;
        assert_eq!(app.anyone().post("/auth/login", by_email(&email, "wrong")).await.problem(), (401, "invalid-credentials"));
        if may_log_in {
            let ada = app.holder_of(&login);
            assert_eq!(ada.post("/orders", json!({})).await.problem(), (403, "email-not-verified"));
            verify(&app, &token_to(&app, &email).await).await;
            assert_eq!(ada.post("/orders", json!({})).await.status, 201);
        } else {
            assert_eq!(login.problem(), (403, "email-not-verified"));
            // Whoever has lost the mail asks for another password.
            start_recovery(&app, &email).await;
            assert_eq!(recover(&app, &token_to(&app, &email).await, ANOTHER).await.status, 204);
            app.login(&email, ANOTHER).await;
        }
    }
}

/// A mail service that is away for a moment costs no mail, and no request waits for it.
#[tokio::test]
async fn no_mail_is_lost_when_the_mail_service_fails() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    for kind in [FaultKind::Error, FaultKind::Lost, FaultKind::Drop, FaultKind::Throttle] {
        for _ in 0..5 {
            app.shop().inject_next("SendEmail", kind).await;
        }
        let (email, _) = app.register("ada").await;
        let token = token_to(&app, &email).await;
        assert_eq!(verify(&app, &token).await.status, 204, "{kind}");
    }
}

#[tokio::test]
async fn whoever_leaves_is_sent_nothing_more() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let (email, _) = app.register("ada").await;
    let ada = app.login(&email, PASSWORD).await;
    start_recovery(&app, &email).await;
    let token = token_to(&app, &email).await;
    ada.put("/auth/me", json!({"email": "countess@example.com", "password": PASSWORD})).await;
    assert_eq!(ada.send(ada.request(Method::DELETE, "/auth/me").json(&json!({"password": PASSWORD}))).await.status, 204);
    let before = mails_to(&app, &email).await.len();
    let table = json!(app.items().await).to_string();
    assert!(!table.contains(&email) && !table.contains("TICKETS#") && !table.contains("NOTICES#"), "{table}");
    assert_eq!(recover(&app, &token, ANOTHER).await.problem(), (401, "invalid-token"));
    start_recovery(&app, &email).await;
    assert_eq!(mails_to(&app, &email).await.len(), before);
}

/// What SES tells of an address, in an event from the example in events/.
fn feedback(kind: &str, address: &str) -> Value {
    let file = std::fs::read(crate::app::workspace().join("events/mail-feedback.json")).unwrap();
    let mut event: Value = serde_json::from_slice(&file).unwrap();
    event["detail"]["bounce"]["bounceType"] = json!(kind);
    event["detail"]["bounce"]["bouncedRecipients"][0]["emailAddress"] = json!(address);
    event
}

#[tokio::test]
async fn an_address_that_cannot_be_reached_is_sent_nothing_more() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let (email, _) = app.register("ada").await;
    let ada = app.login(&email, PASSWORD).await;
    assert_eq!(mails_to(&app, &email).await.len(), 1);
    let tell = async |event: Value| match app.shop().invoke("mail-feedback", event).await.outcome {
        emulator::Outcome::Payload(report) => serde_json::from_slice::<Value>(&report).unwrap()["marked"].clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(tell(feedback("Transient", &email)).await, 0, "a mailbox that is full");
    assert_eq!(tell(feedback("Permanent", "nobody@example.com")).await, 0);
    assert_eq!(tell(feedback("Permanent", &email.to_uppercase())).await, 1);
    assert_eq!(start_recovery(&app, &email).await.status, 202, "nobody is told");
    assert_eq!(mails_to(&app, &email).await.len(), 1);

    // Another address can be reached, and an operator says so of this one.
    let next = format!("{}@example.com", unique("countess"));
    assert_eq!(ada.put("/auth/me", json!({"email": next, "password": PASSWORD})).await.status, 200);
    assert_eq!(mails_to(&app, &next).await.len(), 1);
    assert_eq!(tell(json!({"deliverable": email})).await, 1);
    set_ticket(&app, &id_of(&ada), "recovery", "created_at", json!({"N": "1"})).await;
    start_recovery(&app, &email).await;
    assert_eq!(subjects(&app, &email).await.last().unwrap(), "Set another password");
}
