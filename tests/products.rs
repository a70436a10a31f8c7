//! Products: the catalogue, its names, and what an admin may write there.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use insta::assert_json_snapshot;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    app::{Actor, Answer, Product, TestApp, lines, unique},
    orders::bring,
    stock::{shard_items, shards},
};

fn pen(name: &str) -> Value {
    Product::draft(name).description("Black, with a steel nib").price("19.90").quantity(12).json()
}

#[tokio::test]
async fn a_new_product_is_there_for_anyone() {
    let app = TestApp::start().await;
    let admin = app.admin().await;

    let name = unique("Fountain pen");
    let created = admin.post("/products", pen(&name)).await;

    assert_eq!(created.status, 201, "{created:?}");
    assert_json_snapshot!(created.json, {
        ".product_id" => "[id]", ".name" => "[name]", ".created_at" => "[time]", ".updated_at" => "[time]",
    }, @r#"
    {
      "created_at": "[time]",
      "description": "Black, with a steel nib",
      "low_stock_at": null,
      "name": "[name]",
      "price": "19.90",
      "product_id": "[id]",
      "quantity": 12,
      "reserved": 0,
      "sku": null,
      "updated_at": "[time]"
    }
    "#);
    assert_eq!(created["name"], name);
    let path = created.header("location");
    assert_eq!(path, format!("/products/{}", created["product_id"].as_str().unwrap()));
    assert_eq!(created["created_at"].as_str().unwrap().len(), "2026-11-22T10:12:30.123Z".len());

    let read = app.anyone().get(path).await;
    assert_eq!((read.status, &read.json), (200, &created.json));
    assert_eq!(read.header("etag"), created.header("etag"));
    assert_eq!(read.header("cache-control"), "no-cache");
}

#[tokio::test]
async fn a_product_is_stored_with_its_name() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let admin = app.admin().await;
    let key = |request: reqwest::RequestBuilder| request.header("idempotency-key", "one");
    let body = Product::draft(" Füllfederhalter ").price(5).json();
    admin.send(key(admin.request(Method::POST, "/products")).json(&body)).await;

    let items = app.items().await;
    let of = |prefix: &str| items.iter().find(|item| item["pk"]["S"].as_str().unwrap().starts_with(prefix)).unwrap().clone();

    assert_json_snapshot!(of("PRODUCT#"), {
        ".pk.S" => "PRODUCT#[id]", ".created_at.N" => "[ms]", ".updated_at.N" => "[ms]",
    }, @r#"
    {
      "created_at": {
        "N": "[ms]"
      },
      "gsi1pk": {
        "S": "PRODUCTS"
      },
      "gsi1sk": {
        "S": "füllfederhalter"
      },
      "name": {
        "S": "Füllfederhalter"
      },
      "pk": {
        "S": "PRODUCT#[id]"
      },
      "price": {
        "N": "500"
      },
      "sk": {
        "S": "PRODUCT"
      },
      "updated_at": {
        "N": "[ms]"
      },
      "version": {
        "N": "1"
      }
    }
    "#);
    assert_json_snapshot!(of("PRODUCT_NAME#"), {".product_id.S" => "[id]"}, @r#"
    {
      "pk": {
        "S": "PRODUCT_NAME#füllfederhalter"
      },
      "product_id": {
        "S": "[id]"
      },
      "sk": {
        "S": "OWNER"
      }
    }
    "#);
    let stock = items.iter().find(|item| item["sk"]["S"] == "STOCK#00").unwrap();
    assert_json_snapshot!(stock, {".pk.S" => "PRODUCT#[id]", ".updated_at.N" => "[ms]"}, @r#"
    {
      "gsi1pk": {
        "S": "STOCK"
      },
      "gsi1sk": {
        "S": "füllfederhalter\t00"
      },
      "pk": {
        "S": "PRODUCT#[id]"
      },
      "price": {
        "N": "500"
      },
      "quantity": {
        "N": "1"
      },
      "received": {
        "N": "1"
      },
      "reserved": {
        "N": "0"
      },
      "shipped": {
        "N": "0"
      },
      "sk": {
        "S": "STOCK#00"
      },
      "updated_at": {
        "N": "[ms]"
      },
      "version": {
        "N": "0"
      }
    }
    "#);
    assert_json_snapshot!(of("IDEMPOTENCY#"), {
        ".pk.S" => "IDEMPOTENCY#[user]#admin#one", ".answer.B" => "[answer]", ".expires_at.N" => "[s]",
    }, @r#"
    {
      "answer": {
        "B": "[answer]"
      },
      "expires_at": {
        "N": "[s]"
      },
      "fingerprint": {
        "S": "t07QAhfO0qthItCqC1-xVJxCbf16TlWirzXv-0Eb7oY"
      },
      "pk": {
        "S": "IDEMPOTENCY#[user]#admin#one"
      },
      "sk": {
        "S": "IDEMPOTENCY"
      }
    }
    "#);
}

#[tokio::test]
async fn what_is_wrong_with_a_product_is_told_all_at_once() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let name = || unique("Pen");

    let everything = json!({"name": "", "description": 1, "price": "-1", "quantity": -1, "reserved": 5, "version": 2});
    let refused = admin.post("/products", everything).await;
    assert_eq!(refused.problem(), (422, "invalid-request"));
    assert_json_snapshot!(refused["errors"], @r#"
    [
      {
        "detail": "must have 1 to 200 characters",
        "pointer": "/name"
      },
      {
        "detail": "must be a string or null",
        "pointer": "/description"
      },
      {
        "detail": "must be an amount such as \"19.90\": up to ten digits, a point, at most two decimals",
        "pointer": "/price"
      },
      {
        "detail": "must be an integer from 0 to 1000000000",
        "pointer": "/quantity"
      },
      {
        "detail": "is not a field that can be set here",
        "pointer": "/reserved"
      },
      {
        "detail": "is not a field that can be set here",
        "pointer": "/version"
      }
    ]
    "#);

    let with = |field: &str, value: Value| {
        let mut body = pen(&name());
        body[field] = value;
        body
    };
    for (body, pointer) in [
        (json!({}), "/name"),
        (json!([]), ""),
        (json!("Pen"), ""),
        (with("name", json!(" \t ")), "/name"),
        (with("name", json!("x".repeat(201))), "/name"),
        (with("name", json!("a\u{0}b")), "/name"),
        (with("name", json!("\u{fdfa}".repeat(200))), "/name"),
        (with("name", json!(null)), "/name"),
        (with("description", json!("x".repeat(2001))), "/description"),
        (with("quantity", json!(1.5)), "/quantity"),
        (with("quantity", json!("1")), "/quantity"),
        (with("quantity", json!(1_000_000_001)), "/quantity"),
        (with("quantity", json!(true)), "/quantity"),
        (with("product_id", json!("x")), "/product_id"),
        (with("created_at", json!("2026-11-22T10:12:30.123Z")), "/created_at"),
        (with("a/b~c", json!(1)), "/a~1b~0c"),
    ] {
        let refused = admin.post("/products", body.clone()).await;
        assert_eq!((refused.problem(), refused.pointers()[0]), ((422, "invalid-request"), pointer), "{body}");
    }
}

#[tokio::test]
async fn a_price_is_read_from_its_text() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let price = async |text: &str| {
        let body = format!(r#"{{"name": "{}", "price": {text}, "quantity": 1}}"#, unique("Pen"));
        let request = admin.request(Method::POST, "/products").header("content-type", "application/json");
        admin.send(request.body(body)).await
    };

    for (text, written) in [
        ("0", "0.00"),
        ("\"0.5\"", "0.50"),
        ("19.9", "19.90"),
        ("0.1", "0.10"),
        ("9999999999.99", "9999999999.99"),
        ("\"9999999999.99\"", "9999999999.99"),
    ] {
        let created = price(text).await;
        assert_eq!((created.status, created["price"].as_str()), (201, Some(written)), "{text}");
    }
    for text in [
        "-1",
        "\"-1\"",
        "1e2",
        "1E400",
        "1e400",
        "-0",
        "0.001",
        "\"1,00\"",
        "\"1_000\"",
        "\"NaN\"",
        "\"+1\"",
        "\" 1\"",
        "\"\"",
        "\"01\"",
        "10000000000",
        "null",
        "true",
        "[1]",
        "{}",
        "\"\\ud800\"",
    ] {
        let refused = price(text).await;
        assert_eq!((refused.problem(), refused.pointers()), ((422, "invalid-request"), vec!["/price"]), "{text}");
    }
    for text in ["NaN", "01", ".5", "1.", "+1", "0x10", "Infinity", "'1'"] {
        assert_eq!(price(text).await.problem(), (400, "malformed-json"), "{text}");
    }
}

#[tokio::test]
async fn a_name_is_unique_however_it_is_written() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let base = unique("Straße");
    let first = admin.post("/products", pen(&base)).await;
    assert_eq!(first.status, 201);

    for same in [base.clone(), base.to_uppercase(), format!("  {base} "), base.replace("ß", "SS")] {
        let refused = admin.post("/products", pen(&same)).await;
        assert_eq!(refused.problem(), (409, "name-taken"), "{same}");
    }

    let path = first.header("location");
    assert_eq!(admin.delete(path).await.status, 204);
    assert_eq!(admin.post("/products", pen(&base.to_uppercase())).await.status, 201, "a deleted product's name is free");
    assert_eq!(app.anyone().get(path).await.problem(), (404, "not-found"));
}

#[tokio::test]
async fn of_many_products_with_one_name_at_once_one_is_made() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let name = unique("Pen");

    let answers = join_all((0..20).map(|_| admin.post("/products", pen(&name)))).await;

    let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [vec![201], vec![409; 19]].concat());
}

#[tokio::test]
async fn an_update_changes_what_it_names() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let name = unique("Pen");
    let created = admin.post("/products", pen(&name)).await;
    let path = created.header("location");

    let updated = admin.put(path, json!({"price": 25, "quantity": 0})).await;
    assert_eq!(updated.status, 200, "{updated:?}");
    assert_eq!((&updated["price"], &updated["quantity"]), (&json!("25.00"), &json!(0)));
    assert_eq!((&updated["name"], &updated["description"]), (&json!(name), &created["description"]));
    assert_eq!(updated["created_at"], created["created_at"]);
    assert_ne!(updated.header("etag"), created.header("etag"));
    assert_eq!(app.anyone().get(path).await.json, updated.json);

    assert_eq!(admin.put(path, json!({"description": null})).await["description"], json!(null));
    assert_eq!(admin.put(path, json!({"description": ""})).await["description"], json!(""));

    for (body, pointer) in
        [(json!({}), ""), (json!({"reserved": 1}), "/reserved"), (json!({"name": null}), ""), (json!({"price": "x"}), "/price")]
    {
        let refused = admin.put(path, body.clone()).await;
        assert_eq!((refused.problem(), refused.pointers()), ((422, "invalid-request"), vec![pointer]), "{body}");
    }
    let nobody = format!("/products/{}", uuid::Uuid::now_v7());
    for body in [json!({"price": 1}), json!({"name": unique("Pen")})] {
        assert_eq!(admin.put(&nobody, body).await.problem(), (404, "not-found"));
    }
    assert_eq!(admin.delete(&nobody).await.problem(), (404, "not-found"));
}

#[tokio::test]
async fn a_rename_moves_the_name() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let (old, new, taken) = (unique("Old"), unique("New"), unique("Taken"));
    let product = admin.product(&old, 3).await;
    admin.product(&taken, 1).await;

    assert_eq!(admin.put(&product, json!({"name": taken.to_uppercase()})).await.problem(), (409, "name-taken"));
    assert_eq!(admin.get(&product).await["name"], old, "a refused rename changes nothing");

    let renamed = admin.put(&product, json!({"name": new, "price": "1.00"})).await;
    assert_eq!((renamed.status, &renamed["name"], &renamed["price"]), (200, &json!(new), &json!("1.00")));
    assert_eq!(renamed.json, admin.get(&product).await.json);
    assert_eq!(admin.post("/products", pen(&old)).await.status, 201, "the old name is free");
    assert_eq!(admin.post("/products", pen(&new)).await.problem(), (409, "name-taken"));

    let capitals = admin.put(&product, json!({"name": new.to_uppercase()})).await;
    assert_eq!((capitals.status, &capitals["name"]), (200, &json!(new.to_uppercase())), "the same name in capitals is its own");
}

#[tokio::test]
async fn a_sku_is_unique_whatever_its_case_and_can_be_cleared() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let with = |sku: Value| Product::draft(unique("Pen")).with("sku", sku).json();
    let (sku, other) = (unique("SKU"), unique("SKU"));
    let pen = admin.post("/products", with(json!(sku))).await;
    assert_eq!((pen.status, &pen["sku"]), (201, &json!(sku)));
    assert_eq!(admin.post("/products", with(json!(sku.to_lowercase()))).await.problem(), (409, "sku-taken"));
    assert_eq!(admin.post("/products", with(json!("a b"))).await.pointers(), ["/sku"]);
    let ink = admin.post("/products", with(json!(null))).await;
    assert_eq!((ink.status, &ink["sku"]), (201, &json!(null)));

    let (pen, ink) = (pen.header("location"), ink.header("location"));
    assert_eq!(admin.put(ink, json!({"sku": sku, "price": 9})).await.problem(), (409, "sku-taken"));
    assert_eq!(admin.get(ink).await["price"], "1.00", "a refused SKU changes nothing");
    let changed = admin.put(pen, json!({"sku": other, "name": unique("Quill")})).await;
    assert_eq!((changed.status, &changed["sku"]), (200, &json!(other)));
    assert_eq!(admin.get(pen).await.json, changed.json);
    assert_eq!(admin.put(ink, json!({"sku": sku})).await.status, 200, "the old one is free");
    let capitals = admin.put(pen, json!({"sku": other.to_lowercase()})).await;
    assert_eq!((capitals.status, &capitals["sku"]), (200, &json!(other.to_lowercase())), "the same in small letters is its own");

    assert_eq!(admin.put(pen, json!({"price": 2})).await["sku"], json!(other.to_lowercase()), "what is left out stays");
    assert_eq!(admin.put(pen, json!({"sku": null})).await["sku"], json!(null));
    assert_eq!(admin.delete(ink).await.status, 204);
    for free in [&sku, &other] {
        assert_eq!(admin.post("/products", with(json!(free))).await.status, 201, "cleared, or its product deleted");
    }

    let fresh = unique("SKU");
    let answers = join_all((0..10).map(|_| admin.post("/products", with(json!(fresh))))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
    assert!(answers.iter().all(|answer| answer.status == 201 || answer.problem() == (409, "sku-taken")));
}

#[tokio::test]
async fn renames_at_once_leave_one_name_per_product() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let admin = app.admin().await;
    let mut products = Vec::new();
    for n in 0..4 {
        products.push(admin.product(&format!("Product {n}"), 1).await);
    }

    for round in 0..5 {
        let renames = products.iter().enumerate().flat_map(|(n, product)| {
            let admin = &admin;
            (0..3).map(move |k| admin.put(product, json!({"name": format!("Name {}", (n + k + round) % 6)})))
        });
        for answer in join_all(renames).await {
            assert!([200, 409, 503].contains(&answer.status), "{answer:?}");
        }
    }

    let items = app.items().await;
    let text = |item: &Value, name: &str| item[name]["S"].as_str().unwrap().to_owned();
    let named: BTreeSet<_> = items
        .iter()
        .filter(|item| text(item, "sk") == "PRODUCT")
        .map(|item| (text(item, "gsi1sk"), text(item, "pk").replace("PRODUCT#", "")))
        .collect();
    let owned: BTreeSet<_> = items
        .iter()
        .filter(|item| text(item, "pk").starts_with("PRODUCT_NAME#"))
        .map(|item| (text(item, "pk").replace("PRODUCT_NAME#", ""), text(item, "product_id")))
        .collect();
    assert_eq!(named.len(), 4);
    assert_eq!(named, owned);
}

#[tokio::test]
async fn preconditions_tell_what_was_seen_from_what_is() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let product = admin.product(&unique("Pen"), 3).await;
    let seen = admin.get(&product).await.header("etag").to_owned();
    let conditional = async |method: Method, header: &str, value: &str, body: Option<Value>| {
        let mut request = admin.request(method, &product).header(header, value);
        if let Some(body) = body {
            request = request.json(&body);
        }
        admin.send(request).await
    };

    let unchanged = conditional(Method::GET, "if-none-match", &seen, None).await;
    assert_eq!((unchanged.status, unchanged.body.len(), unchanged.header("etag")), (304, 0, seen.as_str()));
    assert_eq!(unchanged.header("cache-control"), "no-cache");
    assert_eq!(conditional(Method::GET, "if-none-match", &format!("\"x\", W/{seen}"), None).await.status, 304);
    assert_eq!(conditional(Method::GET, "if-none-match", "*", None).await.status, 304);
    assert_eq!(conditional(Method::GET, "if-none-match", "\"other\"", None).await.status, 200);

    assert_eq!(conditional(Method::PUT, "if-match", &seen, Some(json!({"price": 4, "quantity": 4}))).await.status, 200);
    for stale in [seen.as_str(), "\"other\"", "\"2\"", "\"2-\"", "garbage", "W/\"2-1\"", ""] {
        for body in [json!({"quantity": 5}), json!({"name": unique("Pen")})] {
            let refused = conditional(Method::PUT, "if-match", stale, Some(body)).await;
            assert_eq!(refused.problem(), (412, "precondition-failed"), "{stale}");
        }
        let refused = conditional(Method::DELETE, "if-match", stale, None).await;
        assert_eq!(refused.problem(), (412, "precondition-failed"), "{stale}");
    }
    assert_eq!(admin.get(&product).await["quantity"], 4);

    let now = admin.get(&product).await.header("etag").to_owned();
    let renamed = conditional(Method::PUT, "if-match", &format!("\"x\", {now}"), Some(json!({"name": unique("Pen")}))).await;
    assert_eq!(renamed.status, 200);
    assert_eq!(conditional(Method::DELETE, "if-match", renamed.header("etag"), None).await.status, 204);
    let gone = conditional(Method::PUT, "if-match", "*", Some(json!({"quantity": 5}))).await;
    assert_eq!(gone.problem(), (404, "not-found"));
    assert_eq!(conditional(Method::DELETE, "if-match", &now, None).await.problem(), (404, "not-found"));
}

/// Walks through a list by its cursors.
async fn walk(who: &Actor, first: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut path = first.to_owned();
    loop {
        let page = who.get(&path).await;
        assert_eq!(page.status, 200, "{path}: {page:?}");
        let products = page["products"].as_array().unwrap();
        assert!(!products.is_empty() || names.is_empty(), "an empty page after a full one");
        names.extend(products.iter().map(|product| product["name"].as_str().unwrap().to_owned()));
        let Some(cursor) = page["next_cursor"].as_str() else {
            assert!(page["next_cursor"].is_null() && !page.headers.contains_key("link"));
            return names;
        };
        let link = page.header("link");
        link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap().clone_into(&mut path);
        assert!(path.contains(&format!("cursor={cursor}")), "{link}");
    }
}

#[tokio::test]
async fn the_catalogue_is_walked_by_name() {
    let app = TestApp::start().await;
    let (admin, anyone) = (app.admin().await, app.anyone());
    let prefix = unique("List");
    for suffix in ["delta", "Alpha", "charlie", "BRAVO", "alpha two", "Ähre"] {
        admin.product(&format!("{prefix} {suffix}"), 1).await;
    }
    let sorted: Vec<_> =
        ["Alpha", "alpha two", "BRAVO", "charlie", "delta", "Ähre"].map(|suffix| format!("{prefix} {suffix}")).into();
    let query = |prefix: &str| format!("/products?prefix={}", prefix.replace(' ', "%20"));

    for limit in [1, 2, 3, 5, 6, 7, 100, 1000] {
        assert_eq!(walk(&anyone, &format!("{}&limit={limit}", query(&prefix))).await, sorted, "limit {limit}");
    }
    assert_eq!(walk(&anyone, &query(&format!("{} ALPHA", prefix.to_uppercase()))).await, sorted[..2]);
    assert_eq!(walk(&anyone, &query(&format!("{prefix} %C3%A4"))).await, sorted[5..]);
    assert_eq!(walk(&anyone, &query(&format!("{prefix} zulu"))).await, Vec::<String>::new());
    assert!(walk(&anyone, "/products?limit=100").await.len() >= 6);

    let page = anyone.get(format!("{}&limit=1", query(&prefix))).await;
    assert_json_snapshot!(page.json, {
        ".products[].product_id" => "[id]", ".products[].name" => "[name]", ".products[].created_at" => "[time]",
        ".products[].updated_at" => "[time]", ".next_cursor" => "[cursor]",
    }, @r#"
    {
      "next_cursor": "[cursor]",
      "products": [
        {
          "created_at": "[time]",
          "description": null,
          "low_stock_at": null,
          "name": "[name]",
          "price": "19.90",
          "product_id": "[id]",
          "quantity": 1,
          "reserved": 0,
          "sku": null,
          "updated_at": "[time]"
        }
      ]
    }
    "#);
}

#[tokio::test]
async fn a_walk_meets_everything_that_was_there_all_along_once() {
    let app = TestApp::start().await;
    let (admin, anyone) = (app.admin().await, app.anyone());
    let prefix = unique("Walk");
    for n in 0..10 {
        admin.product(&format!("{prefix} stays {n}"), 1).await;
    }
    let goes = admin.product(&format!("{prefix} stays 3 not"), 1).await;

    let mut seen = Vec::new();
    let mut path = format!("/products?prefix={prefix}&limit=2");
    for round in 0.. {
        let page = anyone.get(&path).await;
        seen.extend(page["products"].as_array().unwrap().iter().map(|product| product["name"].as_str().unwrap().to_owned()));
        // Before, in and after the part that is still ahead; and the very product that the cursor stands on.
        for at in ["a", "stays 5 b", "z"] {
            admin.product(&format!("{prefix} {at} {round}"), 1).await;
        }
        if seen.last().is_some_and(|name| name.ends_with("not")) {
            admin.delete(&goes).await;
        }
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/products?prefix={prefix}&limit=2&cursor={cursor}"),
            None => break,
        }
        assert!(round < 50, "the walk does not end");
    }

    for n in 0..10 {
        assert_eq!(seen.iter().filter(|name| **name == format!("{prefix} stays {n}")).count(), 1, "{n} in {seen:?}");
    }
}

#[tokio::test]
async fn limits_and_cursors_are_checked() {
    let app = TestApp::start().await;
    let (admin, anyone) = (app.admin().await, app.anyone());
    let prefix = unique("Cursor");
    for n in 0..3 {
        admin.product(&format!("{prefix} {n}"), 1).await;
    }
    let page = anyone.get(format!("/products?prefix={prefix}&limit=1")).await;
    let cursor = page["next_cursor"].as_str().unwrap();
    assert!(cursor.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{cursor}");

    for limit in ["0", "-1", "", "x", "1.5", "1e1", "00", "%2B1", "1,2", " 1"] {
        let refused = anyone.get(format!("/products?limit={limit}")).await;
        assert_eq!((refused.problem(), refused.pointers()), ((422, "invalid-request"), vec!["?limit"]), "{limit}");
    }
    assert_eq!(anyone.get("/products?limit=1&limit=2").await.problem(), (422, "invalid-request"));
    assert_eq!(anyone.get("/products?limit=99999999999999999999").await.status, 200);
    assert_eq!(anyone.get(format!("/products?prefix={}", "x".repeat(201))).await.problem(), (422, "invalid-request"));
    assert_eq!(anyone.get(format!("/products?prefix={}", "%EF%B7%BA".repeat(200))).await.problem(), (422, "invalid-request"));

    let mut hostile =
        vec![String::new(), "x".into(), "AAAA".into(), "%00".into(), "..".into(), "a".repeat(5000), format!("{cursor}A")];
    hostile.extend((0..cursor.len()).step_by(7).map(|at| {
        let other = if &cursor[at..=at] == "A" { "B" } else { "A" };
        format!("{}{other}{}", &cursor[..at], &cursor[at + 1..])
    }));
    for cursor in hostile {
        let refused = anyone.get(format!("/products?prefix={prefix}&cursor={cursor}")).await;
        assert_eq!(refused.problem(), (422, "invalid-cursor"), "{cursor}");
    }
    for other in ["/products?", "/products?prefix=Other&"] {
        assert_eq!(anyone.get(format!("{other}cursor={cursor}")).await.problem(), (422, "invalid-cursor"), "{other}");
    }
    assert_eq!(
        anyone.get(format!("/products?prefix={prefix}&limit=2&cursor={cursor}")).await.status,
        200,
        "another limit is no other list"
    );
}

/// Names that show nothing, or that look like another.
#[tokio::test]
async fn a_name_is_text_that_can_be_read() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let name = unique("Stift");
    let product = admin.product(&format!("Großer {name} é\u{200d}"), 1).await;

    for bad in [
        "",
        " ",
        "\u{3000}",
        "\u{3164}",
        "\u{2800}",
        "\u{200d}",
        "\u{fe0f}",
        "\u{e0041}",
        "\u{ffff}",
        "\u{e000}",
        "\0",
        "\u{1b}",
        "\n",
        "\u{ad}",
        "\u{200b}",
        "\u{202e}",
        "\u{feff}",
    ] {
        let refused = admin.post("/products", pen(bad)).await;
        assert_eq!((refused.problem(), refused.pointers()), ((422, "invalid-request"), vec!["/name"]), "{bad:?}");
        if !bad.trim().is_empty() && bad != "\u{2800}" {
            let hidden = admin.put(&product, json!({"name": format!("Pen{bad}Pen")})).await;
            assert_eq!(hidden.problem(), (422, "invalid-request"), "{bad:?}");
            let described = admin.put(&product, json!({"description": format!("Blue{bad}ink")})).await;
            assert_eq!((described.problem(), described.pointers()), ((422, "invalid-request"), vec!["/description"]), "{bad:?}");
        }
    }
    for other in [
        "GROSSER  {} é",
        "großer\u{3000}\u{a0}{} é",
        "Großer {} e\u{301}\u{200d}",
        "Gro\u{df}er {} é\u{fe0f}",
        " großer {} É\u{2800}",
    ] {
        let refused = admin.post("/products", pen(&other.replace("{}", &name))).await;
        assert_eq!(refused.problem(), (409, "name-taken"), "{other:?}");
    }

    let found = admin.get(format!("/products?prefix=GROSSER%20%20{name}%20e%CC%81%E2%80%8D")).await;
    assert_eq!(found["products"].as_array().map(Vec::len), Some(1), "{found:?}");
    let decomposed =
        admin.put(&product, json!({"name": format!("{name} A\u{30a}"), "description": "🏳\u{fe0f}\u{200d}🌈 u\u{308}"})).await;
    assert_eq!(decomposed["name"], format!("{name} Å"), "kept in NFC");
    assert_eq!(decomposed["description"], "🏳\u{fe0f}\u{200d}🌈 ü");
}

/// Sends the same creation under a key.
async fn create(who: &Actor, key: &str, body: &Value) -> Answer {
    who.send(who.request(Method::POST, "/products").header("idempotency-key", key).json(body)).await
}

#[tokio::test]
async fn a_key_has_one_effect() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let (key, body) = (unique("key"), pen(&unique("Pen")));

    let first = create(&admin, &key, &body).await;
    assert_eq!(first.status, 201);
    assert!(!first.headers.contains_key("idempotent-replayed"));
    for spelling in [key.clone(), format!("\"{key}\"")] {
        let again = create(&admin, &spelling, &body).await;
        assert_eq!((again.status, &again.body), (201, &first.body));
        assert_eq!(again.header("idempotent-replayed"), "true");
        for header in ["location", "etag", "content-type", "cache-control"] {
            assert_eq!(again.header(header), first.header(header));
        }
        assert_ne!(again.header("x-request-id"), first.header("x-request-id"));
    }

    admin.delete(first.header("location")).await;
    assert_eq!(create(&admin, &key, &body).await.status, 201, "what was answered stays answered");
    assert_eq!(admin.get(first.header("location")).await.status, 404, "and has no second effect");

    let refused = create(&admin, &key, &pen(&unique("Pen"))).await;
    assert_eq!(refused.problem(), (422, "idempotency-key-reused"));
}

#[tokio::test]
async fn a_refused_request_leaves_its_key_unused() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let (key, name) = (unique("key"), unique("Pen"));
    let product = admin.product(&name, 1).await;

    assert_eq!(create(&admin, &key, &pen(&name)).await.problem(), (409, "name-taken"));
    admin.delete(&product).await;
    assert_eq!(create(&admin, &key, &pen(&name)).await.status, 201);
}

#[tokio::test]
async fn twins_with_one_key_have_one_effect_and_one_answer() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let (key, body) = (unique("key"), pen(&unique("Pen")));

    let answers = join_all((0..10).map(|_| create(&admin, &key, &body))).await;

    let ids: BTreeSet<_> = answers.iter().map(|answer| (answer.status, answer["product_id"].to_string())).collect();
    assert_eq!(ids.len(), 1, "{answers:?}");
    assert_eq!(answers[0].status, 201);
    let firsts = answers.iter().filter(|answer| !answer.headers.contains_key("idempotent-replayed")).count();
    assert_eq!(firsts, 1);
}

#[tokio::test]
async fn a_key_is_its_callers_own_and_must_be_one() {
    let app = TestApp::start().await;
    let (one, other) = (app.admin().await, app.admin().await);
    let key = unique("key");
    if one.token != other.token && std::env::var("API_URL").is_err() {
        assert_eq!(create(&one, &key, &pen(&unique("Pen"))).await.status, 201);
        assert_eq!(create(&other, &key, &pen(&unique("Pen"))).await.status, 201, "another caller's key is another key");
    }

    assert_eq!(create(&one, &unique(&"k".repeat(238)), &pen(&unique("Pen"))).await.status, 201, "255 characters");
    for bad in ["", "\"\"", &"k".repeat(256), "a\tb"] {
        assert_eq!(create(&one, bad, &pen(&unique("Pen"))).await.problem(), (400, "invalid-idempotency-key"), "{bad:?}");
    }
    let unprintable =
        one.request(Method::POST, "/products").header("idempotency-key", "schlüssel".as_bytes()).json(&pen(&unique("Pen")));
    assert_eq!(one.send(unprintable).await.problem(), (400, "invalid-idempotency-key"));
}

#[tokio::test]
async fn an_expired_key_is_free_before_it_is_swept() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let admin = app.admin().await;
    create(&admin, "key", &pen("First")).await;
    let item = app.items().await.into_iter().find(|item| item["sk"]["S"] == "IDEMPOTENCY").unwrap();
    app.dynamodb(
        "UpdateItem",
        json!({
            "TableName": app.table(),
            "Key": {"pk": item["pk"], "sk": item["sk"]},
            "UpdateExpression": "SET expires_at = :past",
            "ExpressionAttributeValues": {":past": {"N": "1"}},
        }),
    )
    .await;

    let second = create(&admin, "key", &pen("Second")).await;
    assert_eq!((second.status, &second["name"]), (201, &json!("Second")));
}

#[tokio::test]
async fn a_delete_that_meets_a_rename_starts_over() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let admin = app.admin().await;
    let product = admin.product(&unique("Pen"), 1).await;
    let rename = async || admin.put(&product, json!({"name": unique("Pencil")})).await.status;
    // Everything is awake, so that nothing is late but what is meant to be.
    assert_eq!(rename().await, 200);
    assert_eq!(admin.delete(&admin.product(&unique("Ink"), 1).await).await.status, 204);
    // It is renamed after it was looked at and before it is deleted.
    let (deleted, renamed) = app.while_late(&["Query"], admin.delete(&product), rename()).await;
    assert_eq!((deleted.status, renamed), (204, 200), "{deleted:?}");
    assert_eq!(admin.get(&product).await.status, 404);
}

#[tokio::test]
async fn stock_that_orders_hold_keeps_a_product() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let admin = app.admin().await;
    app.tampered();
    let product = admin.product("Pen", 3).await;
    app.dynamodb(
        "UpdateItem",
        json!({
            "TableName": app.table(),
            "Key": {"pk": {"S": product.path.replace("/products/", "PRODUCT#")}, "sk": {"S": "STOCK#00"}},
            "UpdateExpression": "SET reserved = :two",
            "ExpressionAttributeValues": {":two": {"N": "2"}},
        }),
    )
    .await;

    assert_eq!(admin.delete(&product).await.problem(), (409, "product-in-use"));
    assert_eq!(admin.get(&product).await["reserved"], 2);
}

/// Takes a product's stock out of the index, which does not have it a moment after it was written.
pub async fn hide_stock(app: &TestApp, product: &Product) {
    app.tampered();
    let update = json!({
        "TableName": app.table(),
        "Key": {"pk": {"S": format!("PRODUCT#{}", product.id)}, "sk": {"S": "STOCK#00"}},
        "UpdateExpression": "REMOVE gsi1pk",
    });
    app.dynamodb("UpdateItem", update).await;
}

#[tokio::test]
async fn a_list_waits_for_no_index() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let (admin, anyone) = (app.admin().await, app.anyone());
    for (name, shards) in [("a", 1), ("a b", 3), ("a-", 1), ("b", 2)] {
        let body = Product::draft(name).quantity(7).stock_shards(shards).json();
        let product = Product::of(&admin.post("/products", body).await);
        if name == "a-" {
            hide_stock(&app, &product).await;
        }
    }
    for limit in 1..5 {
        let (mut seen, mut path) = (Vec::new(), format!("/products?limit={limit}"));
        loop {
            let page = anyone.get(&path).await;
            for product in page["products"].as_array().unwrap() {
                assert_eq!(*product, anyone.get(format!("/products/{}", product["product_id"].as_str().unwrap())).await.json);
                assert_eq!(product["quantity"], 7);
                seen.push(product["name"].as_str().unwrap().to_owned());
            }
            let Some(cursor) = page["next_cursor"].as_str() else { break };
            path = format!("/products?limit={limit}&cursor={cursor}");
        }
        assert_eq!(seen, ["a", "a b", "a-", "b"], "{limit}");
    }
}

#[tokio::test]
async fn only_admins_write() {
    let app = TestApp::start().await;
    let (admin, customer, anyone) = (app.admin().await, app.customer("ada").await, app.anyone());
    let product = admin.product(&unique("Pen"), 3).await;

    for (method, path) in [(Method::POST, "/products"), (Method::PUT, product.as_ref()), (Method::DELETE, product.as_ref())] {
        let attempt = async |who: &Actor| who.send(who.request(method.clone(), path).json(&json!({"price": 1}))).await;
        let refused = attempt(&anyone).await;
        assert_eq!((refused.status, &refused["message"]), (401, &json!("Unauthorized")), "{method}: the gateway's own");
        let refused = attempt(&app.bearer("garbage")).await;
        assert_eq!((refused.status, &refused["message"]), (403, &json!("Forbidden")), "{method}: the authorizer's");
        assert_eq!(attempt(&customer).await.problem(), (403, "forbidden"), "{method}");
    }
    assert_eq!(customer.get(&product).await["price"], "19.90");
}

#[tokio::test]
async fn no_route_makes_more_calls_than_it_must() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let (admin, anyone) = (app.admin().await, app.anyone());
    let calls = |answer: &Answer| app.operations(answer).join(", ");

    assert_eq!(admin.get("/auth/me").await.status, 200, "the authorizer knows the keys from now on");
    let created = admin.post("/products", pen("Pen")).await;
    let path = created.header("location");
    assert_eq!(calls(&created), "GetItem, TransactWriteItems", "the first is the authorizer's, here and below");
    assert_eq!(calls(&anyone.get(path).await), "Query");
    assert_eq!(calls(&anyone.get("/products").await), "Query, Query", "products and stock, at once");
    assert_eq!(calls(&admin.put(path, json!({"price": 2})).await), "GetItem, Query, TransactWriteItems");
    assert_eq!(calls(&admin.put(path, json!({"name": "Ink"})).await), "GetItem, Query, TransactWriteItems");
    assert_eq!(calls(&admin.delete(path).await), "GetItem, Query, TransactWriteItems");

    // Stock that is spread over several items costs its sales nothing, and whoever reads or changes it little.
    let set = Product::draft("Set").quantity(8).stock_shards(8).json();
    let set = Product::of(&admin.post("/products", set).await);
    assert_eq!(calls(&anyone.get(&set).await), "Query");
    assert_eq!(calls(&anyone.get("/products?limit=1").await), "Query, Query, Query", "and the rest of the stock");
    assert_eq!(calls(&admin.post("/orders", lines([(&set, 1)])).await), "GetItem, BatchGetItem, TransactWriteItems");
    let repriced = admin.put(&set, json!({"price": 3})).await;
    assert_eq!(calls(&repriced), "GetItem, Query, TransactWriteItems");

    let movements = |product: &Product| format!("{}/movements", product.path);
    let one = admin.product("One", 3).await;
    assert_eq!(calls(&admin.post(movements(&one), json!({"amount": 5})).await), "GetItem, TransactWriteItems");
    let spread = "GetItem, TransactWriteItems, Query, TransactWriteItems";
    assert_eq!(calls(&admin.post(movements(&set), json!({"amount": 5})).await), spread);
    let listed = admin.get(movements(&one)).await;
    assert!(["GetItem, GetItem, Query", "GetItem, Query, GetItem"].contains(&calls(&listed).as_str()), "both at once");
    assert_eq!(calls(&admin.get(format!("{}/stock", one.path)).await), "GetItem, Query");

    let no_id = anyone.get("/products/none").await;
    assert_eq!((no_id.problem(), calls(&no_id).as_str()), ((404, "not-found"), ""));
    assert_eq!(calls(&admin.put("/products/none", json!({"price": 2})).await), "GetItem");
}

#[tokio::test]
async fn a_product_that_is_wanted_while_it_is_deleted_stays() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let (admin, ada) = (app.admin().await, app.customer("ada").await);
    let pen = admin.product(&unique("Pen"), 10).await;
    let move_one = async || admin.post(format!("{}/movements", pen.path), json!({"amount": 1})).await.status;
    // Everything is awake, so that nothing is late but what is meant to be.
    assert_eq!(admin.delete(&admin.product(&unique("Ink"), 1).await).await.status, 204);
    assert_eq!(ada.delete(&ada.order([(&pen, 1)]).await).await.status, 204);
    assert_eq!(move_one().await, 201);

    let (deleted, order) = app.while_late(&["Query"], admin.delete(&pen), ada.order([(&pen, 1)])).await;
    assert_eq!(deleted.problem(), (409, "product-in-use"));
    assert_eq!(ada.delete(&order).await.status, 204);

    let seen = admin.get(&pen).await.header("etag").to_owned();
    let delete = admin.send(admin.request(Method::DELETE, &pen).header("if-match", &seen));
    let (deleted, moved) = app.while_late(&["Query"], delete, move_one()).await;
    assert_eq!((deleted.problem(), moved), ((412, "precondition-failed"), 201));
}

#[tokio::test]
async fn a_count_meets_pieces_that_move_from_shard_to_shard() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let admin = app.admin().await;
    let draft = Product::draft(unique("Pen")).quantity(4).stock_shards(2);
    let pen = Product::of(&admin.post("/products", draft.json()).await);
    // As it is when an order gathers its pieces: neither shard has another version for that.
    let gather = async {
        let found = shard_items(&app, &pen).await;
        let action = |(shard, pieces): (&Value, &str)| {
            let update = json!({
                "TableName": app.table(),
                "Key": {"pk": shard["pk"], "sk": shard["sk"]},
                "UpdateExpression": "ADD quantity :pieces, received :pieces",
                "ExpressionAttributeValues": {":pieces": {"N": pieces}},
            });
            json!({"Update": update})
        };
        let actions: Vec<_> = found.iter().zip(["-2", "2"]).map(action).collect();
        app.dynamodb("TransactWriteItems", json!({"TransactItems": actions})).await;
    };
    let (counted, ()) = app.while_late(&["Query"], admin.put(&pen, json!({"quantity": 0})), gather).await;
    assert_eq!(counted.status, 200, "{counted:?}");
    assert_eq!(shards(&app, &pen).await, [(0, 0), (0, 0)]);
}

#[tokio::test]
async fn a_count_answers_what_there_is_when_something_is_shipped_meanwhile() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let (admin, ada) = (app.admin().await, app.customer("ada").await);
    let pen = admin.product(&unique("Pen"), 10).await;
    // Everything is awake, so that nothing is late but what is meant to be.
    assert_eq!(admin.put(&pen, json!({"quantity": 10})).await.status, 200);
    bring(&admin, &ada.order([(&pen, 1)]).await, "SHIPPED").await;
    let order = ada.order([(&pen, 2)]).await;
    bring(&admin, &order, "CONFIRMED").await;

    // What is reserved is read, and shipped before the count is written.
    let count = admin.put(&pen, json!({"quantity": 20}));
    let ship = admin.put(&order, json!({"status": "SHIPPED"}));
    let (counted, shipped) = app.while_late(&["Query"], count, ship).await;
    assert_eq!((counted.status, shipped.status), (200, 200), "{counted:?} {shipped:?}");
    let now = admin.get(&pen).await;
    assert_eq!((&counted["quantity"], &counted["reserved"]), (&json!(20), &now["reserved"]), "{counted:?}");
    assert_eq!(counted.header("etag"), now.header("etag"));
}
