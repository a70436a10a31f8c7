//! The session of the README with the client that progenitor makes.

// snippet
mod stockroom {
    progenitor::generate_api!(spec = "openapi-3.0.json", interface = Builder, tags = Merged);
}

use progenitor_client::{Error, ResponseValue};
use reqwest::header::{AUTHORIZATION, HeaderMap};
use stockroom::{Client, types};
// end of snippet
use std::{collections::BTreeSet, env, fmt::Debug, num::NonZero};

use reqwest::StatusCode;
use uuid::Uuid;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn expect<T: PartialEq + Debug>(what: &str, seen: T, wanted: T) {
    assert_eq!(seen, wanted, "{what}");
    println!("ok {what}: {seen:?}");
}

fn header<'a, T>(answer: &'a ResponseValue<T>, name: &str) -> &'a str {
    answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_else(|| panic!("no {name}"))
}

/// The status and the code that a request was refused with.
fn refused<T>(answer: std::result::Result<T, Error<types::Problem>>) -> (u16, types::ProblemCode) {
    match answer {
        Err(Error::ErrorResponse(problem)) => (problem.status().as_u16(), problem.code),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("a request that must be refused was not"),
    }
}

// snippet

/// A client whose requests have this access token.
fn with_token(api: &str, token: &str) -> Result<Client> {
    let headers = HeaderMap::from_iter([(AUTHORIZATION, format!("Bearer {token}").parse()?)]);
    Ok(Client::new_with_client(api, reqwest::Client::builder().default_headers(headers).build()?))
}

/// All products, page by page.
async fn all_products(client: &Client) -> Result<Vec<types::Product>> {
    let mut products = Vec::new();
    let mut cursor = None;
    loop {
        let request = client.list_products().limit(2_u32);
        let request = match cursor.take() {
            Some(cursor) => request.cursor(cursor),
            None => request,
        };
        let page = request.send().await?.into_inner();
        products.extend(page.products);
        match page.next_cursor {
            Some(next) => cursor = Some(next.to_string()),
            None => return Ok(products),
        }
    }
}

/// Places an order; the key makes it safe to send again. A problem has a code, and what there is to say with it.
async fn order(client: &Client, key: &str, lines: Vec<types::OrderItemInput>) -> Result<ResponseValue<types::OrderDetails>> {
    match client.create_order().idempotency_key(key).body(types::OrderInput::builder().items(lines)).send().await {
        Err(Error::ErrorResponse(problem)) if problem.code == types::ProblemCode::OutOfStock => {
            Err(format!("only {} left", problem.available.unwrap_or_default()).into())
        }
        answer => Ok(answer?),
    }
}
// end of snippet

async fn login(api: &str, email: &str, password: &str) -> Result<Client> {
    let credentials = types::Credentials::builder().email(types::CredentialsEmail::try_from(email)?).password(password);
    let tokens = Client::new(api).login().body(credentials).send().await?.into_inner();
    with_token(api, &tokens.access_token)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let api = env::var("API_URL")?;
    let name = format!("rust-{}", &Uuid::new_v4().simple().to_string()[..8]);
    let (email, password) = (format!("{name}@example.com"), "Zwetschgenmus mit Zimt");

    let anyone = Client::new(&api);
    let registration = types::Registration::builder().email(email.as_str()).username(name.as_str()).password(password);
    let user = anyone.register().body(registration).send().await?.into_inner();
    expect("registered", user.username.as_str(), &name);
    let customer = login(&api, &email, password).await?;
    expect("me", customer.me().send().await?.user_id.to_string(), user.user_id.to_string());

    let products = all_products(&anyone).await?;
    let met: BTreeSet<_> = products.iter().map(|product| product.product_id.to_string()).collect();
    expect("pages", met.len(), products.len());
    expect("more than one", products.len() >= 4, true);

    let line = |index: usize, quantity: u64| -> Result<types::OrderItemInput> {
        let quantity = NonZero::new(quantity).ok_or("no pieces")?;
        Ok(types::OrderItemInput::builder().product_id(products[index].product_id.clone()).quantity(quantity).try_into()?)
    };
    let placed = order(&customer, &name, vec![line(0, 1)?, line(1, 1)?]).await?;
    let ordered: Vec<_> = placed.items.iter().map(|item| item.product_id.to_string()).collect();
    expect("order", ordered, products[..2].iter().map(|product| product.product_id.to_string()).collect());
    let again = order(&customer, &name, vec![line(0, 1)?, line(1, 1)?]).await?;
    expect("replay", again.order_id.to_string(), placed.order_id.to_string());
    expect("replayed", header(&again, "idempotent-replayed"), "true");
    let refusal = order(&customer, &format!("{name}-2"), vec![line(0, 10_000)?]).await.err().map(|error| error.to_string());
    expect("409 has a code", refusal, Some(format!("only {} left", products[0].quantity - 1)));

    let id = || placed.order_id.clone();
    let seen = customer.get_order().order_id(id()).send().await?;
    let etag = header(&seen, "etag");
    match customer.get_order().order_id(id()).if_none_match(etag).send().await {
        Err(Error::UnexpectedResponse(known)) => expect("known", known.status(), StatusCode::NOT_MODIFIED),
        answer => panic!("{answer:?}"),
    }
    let cancel = types::OrderChange::builder().status(types::Status::Cancelled);
    let cancelled = customer.update_order().order_id(id()).if_match(etag).body(cancel).send().await?;
    expect("cancelled", cancelled.status, types::Status::Cancelled);

    let admin = login(&api, &env::var("ADMIN_EMAIL")?, &env::var("ADMIN_PASSWORD")?).await?;
    let pencil = types::ProductInput::builder().name(format!("Pencil of {name}")).price("0.80").quantity(500_i64);
    let added = admin.create_product().body(pencil).send().await?;
    let change = async |price: &str| {
        let price = types::Price::try_from(price).expect("a price");
        let change = types::ProductChange::builder().price(price);
        admin.update_product().product_id(added.product_id.clone()).if_match(header(&added, "etag")).body(change).send().await
    };
    expect("price", change("0.95").await?.price.as_str(), "0.95");
    expect("412 has a code", refused(change("0.99").await), (412, types::ProblemCode::PreconditionFailed));
    admin.delete_product().product_id(added.product_id.clone()).send().await?;

    let everything = types::LogoutRequest::builder().all(false);
    customer.logout().body(everything).send().await?;
    expect("401 has a code", refused(customer.me().send().await), (401, types::ProblemCode::TokenRevoked));
    Ok(())
}
