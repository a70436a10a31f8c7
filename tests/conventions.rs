//! What holds on every route: headers, problems, bodies, and paths and methods without a route.

use insta::assert_json_snapshot;
use reqwest::{Method, header::HeaderValue};
use serde_json::json;

use crate::{
    app::{Actor, Answer, Product, TestApp, account, unique},
    bodies::{self, by_username},
};

fn assert_common_headers(answer: &Answer) {
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert_eq!(answer.header("referrer-policy"), "no-referrer");
    assert_eq!(answer.header("content-security-policy"), "default-src 'none'; frame-ancestors 'none'");
    assert_eq!(answer.header("strict-transport-security"), "max-age=63072000; includeSubDomains");
    assert_eq!(answer.header("x-request-id"), answer.header("apigw-requestid"));
    assert!(["no-store", "no-cache"].contains(&answer.header("cache-control")), "{answer:?}");
}

#[tokio::test]
async fn every_answer_carries_the_common_headers() {
    let app = TestApp::start().await;
    let (admin, anyone) = (app.admin().await, app.anyone());
    let body = Product::draft(unique("Pen")).json();
    let created = admin.post("/products", body.clone()).await;
    let path = created.header("location").to_owned();
    let unchanged = anyone.send(anyone.request(Method::GET, &path).header("if-none-match", created.header("etag"))).await;
    let order = || admin.request(Method::POST, "/orders").header("idempotency-key", &path).json(&json!({}));
    let (created_once, created_again) = (admin.send(order()).await, admin.send(order()).await);

    let answers = [
        (201, created),
        (304, unchanged),
        (200, anyone.get("/products").await),
        (200, admin.get("/auth/me").await),
        (422, admin.post("/products", json!({})).await),
        (409, admin.post("/products", body).await),
        (204, admin.delete(&path).await),
        (404, anyone.get(&path).await),
        (404, anyone.get("/nowhere").await),
        (405, anyone.delete("/products").await),
        (204, anyone.send(anyone.request(Method::OPTIONS, "/products")).await),
        (201, created_once),
        (201, created_again),
        (401, anyone.post("/auth/refresh", json!({"refresh_token": "x"})).await),
    ];
    for (status, answer) in &answers {
        assert_eq!(answer.status, *status, "{answer:?}");
        assert_common_headers(answer);
    }
}

#[tokio::test]
async fn a_problem_says_what_went_wrong() {
    let app = TestApp::start().await;
    let refused = app.anyone().post("/auth/login", json!({"email": 5, "token": "x"})).await;

    assert_eq!(refused.problem(), (422, "invalid-request"));
    assert_json_snapshot!(refused.json, {".request_id" => "[request id]"}, @r#"
    {
      "code": "invalid-request",
      "detail": "fields of the request cannot be accepted",
      "errors": [
        {
          "detail": "must be a string",
          "pointer": "/email"
        },
        {
          "detail": "is required",
          "pointer": "/password"
        },
        {
          "detail": "is not a field that can be set here",
          "pointer": "/token"
        }
      ],
      "request_id": "[request id]",
      "status": 422,
      "title": "The request is not valid",
      "type": "urn:problem:invalid-request"
    }
    "#);
}

/// Programs rely on the codes, people on the rest.
#[tokio::test]
async fn every_problem_has_its_words() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let (admin, customer, anyone) = (app.admin().await, app.customer("ada").await, app.anyone());
    let pen = Product::draft("Pen").json();
    let product = admin.product("Pen", 1).await;
    let key = |value: &str, body: &serde_json::Value| {
        admin.request(Method::POST, "/products").header("idempotency-key", value).json(body)
    };
    let other = Product::draft("Ink").json();
    admin.send(key("used", &other)).await;
    anyone.post("/auth/register", account("bob").json()).await;
    for _ in 0..10 {
        anyone.post("/auth/login", by_username("nobody", "wrong")).await;
    }
    let text = |body: &'static str| admin.request(Method::POST, "/products").body(body);

    let answers = [
        admin.send(text("{").header("content-type", "application/json")).await,
        admin.send(key("", &pen)).await,
        anyone.post("/auth/login", by_username("bob", "wrong")).await,
        anyone.post("/auth/refresh", json!({"refresh_token": "x"})).await,
        customer.post("/products", pen.clone()).await,
        anyone.get("/nowhere").await,
        anyone.get("/products/none").await,
        anyone.delete("/products").await,
        admin.post("/products", pen.clone()).await,
        anyone.post("/auth/register", account("bobby").email("bob@example.com").json()).await,
        anyone.post("/auth/register", account("bob").email("bobby@example.com").json()).await,
        admin.send(admin.request(Method::DELETE, &product).header("if-match", "\"9\"")).await,
        admin.post("/products", json!({"name": "x".repeat(70_000)})).await,
        admin.send(text("{}")).await,
        admin.post("/products", json!({})).await,
        anyone.post("/auth/register", bodies::account("eve", "password").json()).await,
        anyone.get("/products?cursor=x").await,
        admin.send(key("used", &pen)).await,
        anyone.post("/auth/login", by_username("nobody", "wrong")).await,
    ];
    let lines: Vec<_> = answers
        .iter()
        .map(|answer| {
            let (status, code) = answer.problem();
            format!("{status} {code}: {} | {}", answer["title"].as_str().unwrap(), answer["detail"].as_str().unwrap())
        })
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @"
    400 malformed-json: The body is not JSON | the body is not valid JSON: EOF while parsing an object at line 1 column 1
    400 invalid-idempotency-key: The idempotency key is not valid | an idempotency key is 1 to 255 printable ASCII characters, bare or as one quoted string
    401 invalid-credentials: The login failed | the account or the password is wrong
    401 invalid-refresh-token: The refresh token is not valid | the refresh token is not valid
    403 forbidden: Not allowed | only an admin may do this
    404 not-found: Not found | there is no such path
    404 not-found: Not found | there is no such product
    405 method-not-allowed: Method not allowed | this path answers GET, POST only
    409 name-taken: The name is taken | another product has this name
    409 email-taken: The e-mail address is taken | another account has this e-mail address
    409 username-taken: The username is taken | another account has this username
    412 precondition-failed: It has changed | it has changed since it was read
    413 body-too-large: The body is too large | the body is larger than 65536 bytes
    415 unsupported-media-type: The body is not sent as plain JSON | the body must be sent as application/json, in UTF-8
    422 invalid-request: The request is not valid | fields of the request cannot be accepted
    422 weak-password: The password is too weak | the password is too easy to guess. This is a top-10 common password. Add another word or two. Uncommon words are better.
    422 invalid-cursor: The cursor is not valid | the cursor does not belong to this list
    422 idempotency-key-reused: The idempotency key was used before | this idempotency key was used for another request in the last 24 hours
    429 too-many-attempts: Too many attempts | there have been too many attempts on this account or from this address
    ");
}

#[tokio::test]
async fn paths_and_methods_without_a_route_are_told_apart() {
    let app = TestApp::start().await;
    let anyone = app.anyone();
    for path in
        ["/", "/nowhere", "/products/", "/products/1/2", "//products", "/Products", "/auth", "/auth/login/", "/products%2F1"]
    {
        let refused = anyone.get(path).await;
        assert_eq!(refused.status, 404, "{path}");
        assert_eq!(refused.problem(), (404, "not-found"), "{path}");
    }
    for (method, path, allowed) in [
        (Method::DELETE, "/products", "GET, POST"),
        (Method::PATCH, "/products", "GET, POST"),
        (Method::POST, "/products/x", "DELETE, GET, PUT"),
        (Method::GET, "/auth/login", "POST"),
        (Method::POST, "/auth/me", "DELETE, GET, PUT"),
    ] {
        let refused = anyone.send(anyone.request(method.clone(), path)).await;
        assert_eq!(refused.problem(), (405, "method-not-allowed"), "{method} {path}");
        assert_eq!(refused.header("allow"), allowed);
    }
    let head = anyone.send(anyone.request(Method::HEAD, "/products")).await;
    assert_eq!((head.status, head.header("allow")), (405, "GET, POST"));
}

#[tokio::test]
async fn a_path_tells_its_methods_to_anyone() {
    let app = TestApp::start().await;
    let anyone = app.anyone();
    let options = async |who: &Actor, path: &str| who.send(who.request(Method::OPTIONS, path)).await;
    for (path, allowed) in [
        ("/products", "GET, POST"),
        ("/products/x", "DELETE, GET, PUT"),
        ("/orders", "GET, POST"),
        ("/orders/x/items/y", "DELETE, PUT"),
        ("/auth/login", "POST"),
        ("/auth/me", "DELETE, GET, PUT"),
        ("/auth/recovery", "POST, PUT"),
        ("/auth/sessions/x", "DELETE"),
        ("/.well-known/jwks.json", "GET"),
        ("/docs/docs.js", "GET"),
    ] {
        let answer = options(&anyone, path).await;
        assert_eq!((answer.status, answer.header("allow"), answer.body.len()), (204, allowed, 0), "{path}");
        if std::env::var("API_URL").is_err() {
            assert_eq!(app.operations(&answer), [""; 0], "{path}: neither the authorizer nor the function asks the database");
        }
    }
    for path in ["/", "/nowhere", "/products/", "/auth", "/orders/x/y"] {
        assert_eq!(options(&anyone, path).await.problem(), (404, "not-found"), "{path}");
    }
    // A token is not looked at, whatever it is.
    assert_eq!(options(&app.bearer("x"), "/orders").await.status, 204);
}

#[tokio::test]
async fn a_body_must_be_json_and_say_so() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let send = async |content_type: Option<&str>, body: Vec<u8>| {
        let mut request = admin.request(Method::POST, "/products").body(body);
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        admin.send(request).await
    };
    let pen = || Product::draft(unique("Pen")).json().to_string().into_bytes();

    for good in [
        "application/json",
        "application/json; charset=utf-8",
        "Application/JSON ;charset=UTF-8",
        "application/json; charset=\"UTF-8\"",
        "application/json; profile=\"a;b\"",
    ] {
        assert_eq!(send(Some(good), pen()).await.status, 201, "{good}");
    }
    for bad in [
        None,
        Some(""),
        Some("text/plain"),
        Some("application/x-www-form-urlencoded"),
        Some("application/jsonp"),
        Some("application/octet-stream"),
        Some("application/json; charset=iso-8859-1"),
        Some("application/json; charset=\"utf-16\""),
        Some("application/json; charset=\"utf-8"),
        Some("application/json; charset=utf-8; charset=us-ascii"),
        Some("application/json, application/json"),
    ] {
        assert_eq!(send(bad, pen()).await.problem(), (415, "unsupported-media-type"), "{bad:?}");
    }

    let json = Some("application/json");
    let nested = [vec![b'['; 20_000], vec![b']'; 20_000]].concat();
    for bad in [
        &b""[..],
        b"{",
        b"pen",
        b"{\"name\": \"a\",}",
        b"\xff\xfe",
        b"{\"name\": \"\xc3\"}",
        b"\xef\xbb\xbf{}",
        b"{}{}",
        b"{\"a\":\"\x01\"}",
    ] {
        assert_eq!(send(json, bad.to_vec()).await.problem(), (400, "malformed-json"), "{bad:?}");
    }
    assert_eq!(send(json, nested).await.status / 100, 4, "nested deeply");
    let repeated = send(json, br#"{"name": "a", "name": "b", "price": 1, "quantity": 1}"#.to_vec()).await;
    assert_eq!((repeated.problem(), repeated.pointers()), ((422, "invalid-request"), vec!["/name"]));

    let padded = |length: usize| {
        let mut body = pen();
        body.resize(length, b' ');
        body
    };
    assert_eq!(send(json, padded(64 * 1024)).await.status, 201);
    assert_eq!(send(json, padded(64 * 1024 + 1)).await.problem(), (413, "body-too-large"));
    assert_eq!(send(json, padded(70_000)).await.problem(), (413, "body-too-large"));
    assert_eq!(send(Some("text/plain"), padded(70_000)).await.problem(), (413, "body-too-large"));
    let flood = format!("{{{}}}", (0..5_000).map(|n| format!("\"x{n}\":0")).collect::<Vec<_>>().join(","));
    assert_eq!(send(json, flood.into_bytes()).await.pointers().len(), 100);
}

#[tokio::test]
async fn a_body_must_be_sent_as_it_is() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let send = async |codings: &[&str], body: Vec<u8>| {
        let mut request = admin.request(Method::POST, "/products").header("content-type", "application/json").body(body);
        for coding in codings {
            request = request.header("content-encoding", *coding);
        }
        admin.send(request).await
    };
    let pen = || Product::draft(unique("Pen")).json().to_string().into_bytes();

    for good in [&["identity"][..], &["Identity"], &["identity", "identity"]] {
        assert_eq!(send(good, pen()).await.status, 201, "{good:?}");
    }
    for bad in [&["gzip"][..], &["GZIP"], &["br"], &["deflate"], &["identity, gzip"], &["identity", "gzip"], &["nothing"]] {
        // The first bytes of a gzip stream; what the header says is what counts, whether it is true or not.
        for body in [vec![0x1f, 0x8b, 8, 0], pen()] {
            let refused = send(bad, body).await;
            assert_eq!(refused.problem(), (415, "unsupported-media-type"), "{bad:?}");
            assert_eq!(refused.header("accept-encoding"), "identity");
        }
    }
}

/// The gateway joins what is sent twice by a comma. None of it may pass for something else than was meant.
#[tokio::test]
async fn headers_and_parameters_that_are_sent_twice_are_lists_or_refused() {
    let app = TestApp::start().await;
    let (admin, ada) = (app.admin().await, app.customer("ada").await);
    let twice = |who: &Actor, method: Method, path: &str, name: &str, values: [&str; 2]| {
        values.iter().fold(who.request(method, path), |request, value| request.header(name, *value))
    };

    let key = unique("key");
    let quoted = format!("\"{key}\"");
    for values in [[&*key, &*key], [&*quoted, &*quoted], [&*key, "other"]] {
        let refused = ada.send(twice(&ada, Method::POST, "/orders", "idempotency-key", values).json(&json!({}))).await;
        assert_eq!(refused.problem(), (400, "invalid-idempotency-key"), "{values:?}");
    }
    assert_eq!(ada.get("/orders").await["orders"].as_array().map(Vec::len), Some(0), "nothing was placed under another key");
    for bad in ["\"abc", "abc\"", "\"a\"b\"", "\"abc\";x=1", "\"abc\",\"abc\""] {
        let refused = ada.send(ada.request(Method::POST, "/orders").header("idempotency-key", bad).json(&json!({}))).await;
        assert_eq!(refused.problem(), (400, "invalid-idempotency-key"), "{bad}");
    }

    let product = admin.product(&unique("Pen"), 1).await;
    let seen = admin.get(&product).await.header("etag").to_owned();
    let known = twice(&admin, Method::GET, &product.path, "if-none-match", ["\"other\"", &seen]);
    assert_eq!(admin.send(known).await.status, 304);
    let changed = twice(&admin, Method::PUT, &product.path, "if-match", ["\"other\"", &seen]).json(&json!({"price": "2"}));
    assert_eq!(admin.send(changed).await.status, 200);

    let body = Product::draft(unique("Pen")).json().to_string();
    let declared = twice(&admin, Method::POST, "/products", "content-type", ["application/json"; 2]).body(body);
    assert_eq!(admin.send(declared).await.problem(), (415, "unsupported-media-type"));
    let token = format!("Bearer {}", ada.token.as_deref().unwrap_or_default());
    let claimed = twice(&app.anyone(), Method::GET, "/auth/me", "authorization", [&token, &token]);
    assert_eq!(app.anyone().send(claimed).await.status, 403);

    for path in ["/products?prefix=a&prefix=b", "/products?limit=1&limit=1", "/products?cursor=a&cursor=b"] {
        assert_eq!(ada.get(path).await.problem(), (422, "invalid-request"), "{path}");
    }
    let orders = ada.get("/orders?status=PENDING&status=PENDING&customer_id=a&customer_id=b").await;
    assert_eq!((orders.problem(), orders.pointers()), ((422, "invalid-request"), vec!["?status", "?customer_id"]));
}

#[tokio::test]
async fn a_precondition_lists_twenty_tags_at_most() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let product = admin.product(&unique("Pen"), 1).await;
    let seen = admin.get(&product).await.header("etag").to_owned();
    let tags = |count: usize| format!("{}{seen}", "\"0\", ".repeat(count - 1));
    let put = |tags: String| admin.request(Method::PUT, &product).header("if-match", tags).json(&json!({"price": "2"}));
    let get = |tags: String| admin.request(Method::GET, &product).header("if-none-match", tags);
    let delete = |tags: String| admin.request(Method::DELETE, &product).header("if-match", tags);

    assert_eq!(admin.send(get(tags(20))).await.status, 304);
    for request in [get(tags(21)), put(tags(21)), put(tags(500)), delete(tags(21))] {
        assert_eq!(admin.send(request).await.problem(), (400, "invalid-header"));
    }
    assert_eq!(admin.send(put(tags(20))).await.status, 200);
}

#[tokio::test]
async fn hostile_requests_are_refused_and_break_nothing() {
    let app = TestApp::start().await;
    let (admin, anyone) = (app.admin().await, app.anyone());
    let long = "x".repeat(4_000);

    let mut paths: Vec<String> =
        ["%00", "%ff", "..", "%", "%zz", "a%2Fb", "{product_id}", "*", "'\"", "%F0%9F%92%A9", "\\", "|", "^", "[", "]", "`"]
            .map(|text| format!("/products/{text}"))
            .into();
    paths.extend(
        ["%00", "%ff", "%zz", "&&&", "=", "a&a", "%26", "+", "%F0%9F%92%A9", "[]", "'", "%25", "a,b"]
            .iter()
            .flat_map(|text| ["prefix", "limit", "cursor", "other"].map(|name| format!("/products?{name}={text}"))),
    );
    paths.extend([format!("/products/{long}"), format!("/products?prefix={long}"), format!("/{long}"), "/products?".to_owned()]);
    for path in &paths {
        let answer = anyone.get(path).await;
        assert!(answer.status < 500, "{path}: {answer:?}");
    }

    let values = ["", "\"", "\t", "*", ",", "W/", "é", "\u{7f}", &"\"1\",".repeat(500), "0x1", "Bearer"];
    for name in [
        "if-match",
        "if-none-match",
        "idempotency-key",
        "content-type",
        "accept",
        "host",
        "cookie",
        "x-forwarded-for",
        "x-amzn-trace-id",
    ] {
        for value in values {
            let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) else { continue };
            for method in [Method::GET, Method::POST, Method::PUT] {
                let request = admin.request(method.clone(), "/products/none").header(name, value.clone()).body("{}");
                let answer = admin.send(request).await;
                assert!(answer.status < 500, "{method} {name}: {value:?}: {answer:?}");
            }
        }
    }
}

/// A request as a browser sends it from a page of `origin`.
fn from_page(app: &TestApp, method: Method, path: &str, origin: &str) -> reqwest::RequestBuilder {
    app.anyone().request(method, path).header("origin", origin)
}

#[tokio::test]
async fn pages_of_one_origin_may_be_let_in() {
    const SHOP: &str = "https://shop.example.com";
    let change = |options: &mut emulator::Options| {
        options.parameters.insert("CorsAllowOrigin".into(), SHOP.into());
    };
    let Some(app) = TestApp::start_local(change).await else { return };
    let anyone = app.anyone();
    let allowed =
        |answer: &Answer| answer.headers.get("access-control-allow-origin").map(|origin| origin.to_str().unwrap().to_owned());

    let preflight = async |origin: &str| {
        let request = from_page(&app, Method::OPTIONS, "/products", origin).header("access-control-request-method", "POST");
        anyone.send(request.header("access-control-request-headers", "authorization,content-type,idempotency-key")).await
    };
    let asked = preflight(SHOP).await;
    assert_eq!((asked.status, allowed(&asked).as_deref()), (204, Some(SHOP)));
    for header in ["authorization", "content-type", "idempotency-key", "if-match"] {
        assert!(asked.header("access-control-allow-headers").contains(header), "{asked:?}");
    }
    assert_eq!(asked.header("access-control-max-age"), "600");
    assert_eq!(asked.header("allow"), "GET, POST", "the gateway hands preflights to the function, and adds what it knows");
    assert_eq!(allowed(&preflight("https://evil.example").await), None);

    let read = anyone.send(from_page(&app, Method::GET, "/products", SHOP)).await;
    assert_eq!((read.status, allowed(&read).as_deref()), (200, Some(SHOP)));
    assert!(read.header("access-control-expose-headers").contains("etag"));
    assert_eq!(allowed(&anyone.send(from_page(&app, Method::GET, "/products", "https://evil.example")).await), None);

    let Some(closed) = TestApp::start_local(|_| {}).await else { return };
    let read = closed.anyone().send(from_page(&closed, Method::GET, "/products", SHOP)).await;
    assert_eq!((read.status, allowed(&read)), (200, None), "nobody unless it is asked for");
}

#[tokio::test]
async fn the_gateway_may_remember_who_somebody_is() {
    let change = |options: &mut emulator::Options| {
        options.parameters.insert("AuthorizerCacheSeconds".into(), "60".into());
    };
    let Some(app) = TestApp::start_local(change).await else { return };
    let ada = app.customer("ada").await;

    let first = ada.get("/auth/me").await;
    let second = ada.get("/auth/me").await;
    assert_eq!((app.operations(&first).len(), app.operations(&second).len()), (2, 1), "the authorizer is not asked again");
    assert_eq!(ada.post("/auth/logout", json!({})).await.status, 204);
    assert_eq!(ada.get("/auth/me").await.status, 200, "which delays a logout, as the parameter says");
}
