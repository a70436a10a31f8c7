//! The API about itself: its document, and the page to read and try it on.

use emulator::Options;
use reqwest::Method;
use serde_json::json;

use crate::app::{TestApp, workspace};

#[tokio::test]
async fn the_document_is_there_for_anyone() {
    let app = TestApp::start().await;
    for name in ["openapi.json", "openapi-3.0.json", "asyncapi.json"] {
        let document = app.anyone().get(format!("/{name}")).await;
        assert_eq!((document.status, document.header("content-type")), (200, "application/json"));
        let kept = std::fs::read(workspace().join(name)).unwrap();
        assert!(document.body == kept, "as it is in the repository");
    }
}

#[tokio::test]
async fn the_page_loads_what_is_its_own_and_nothing_else() {
    let app = TestApp::start().await;
    let anyone = app.anyone();
    let page = anyone.get("/docs").await;
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    let html = String::from_utf8(page.body.clone()).unwrap();
    assert!(!html.contains("http://") && !html.contains("https://") && !html.contains("<script>"), "{html}");

    let sources: Vec<_> = html.split(['"']).filter(|part| part.starts_with("docs/")).collect();
    let modules = ["docs/elements.js", "docs/request.js", "docs/schema.js", "docs/session.js", "docs/docs.js"];
    assert_eq!(sources, [&["docs/docs.css"][..], &modules].concat());
    for source in sources {
        let file = anyone.get(format!("/{source}")).await;
        let text = String::from_utf8_lossy(&file.body);
        let imports = text.split(" from \"./").skip(1).filter_map(|rest| rest.split_once('"'));
        for (import, _) in imports {
            assert!(modules.contains(&&*format!("docs/{import}")), "{source}: {import} is loaded at once with the page");
        }
        assert_eq!(file.status, 200, "{source}");
        let policy = file.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"), "{policy}");
        assert!(policy.ends_with("require-trusted-types-for 'script'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(file.header("cache-control"), "public, max-age=3600");
    }
    assert_eq!(anyone.get("/docs/nothing").await.problem(), (404, "not-found"));
    let written = anyone.post("/docs", json!({})).await;
    assert_eq!((written.problem(), written.header("allow")), ((405, "method-not-allowed"), "GET"));
}

/// Large files are compressed, for who can read that.
#[tokio::test]
async fn files_are_compressed_for_who_asks_and_kept_by_who_has_them() {
    let app = TestApp::start().await;
    let anyone = app.anyone();
    for path in ["/openapi.json", "/docs", "/docs/docs.js", "/docs/docs.css"] {
        let get = async |headers: &[(&str, &str)]| {
            let request = anyone.request(Method::GET, path);
            anyone.send(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
        };
        let plain = get(&[]).await;
        assert_eq!((plain.status, plain.header("vary"), plain.headers.get("content-encoding")), (200, "accept-encoding", None));
        for none in ["identity", "br", "gzip;q=0", "*;q=0"] {
            let answer = get(&[("accept-encoding", none)]).await;
            assert!(!answer.headers.contains_key("content-encoding") && answer.body == plain.body, "{path} {none}");
        }
        for some in ["gzip", "br;q=1.0, GZIP;q=0.2", "*"] {
            let answer = get(&[("accept-encoding", some)]).await;
            assert_eq!((answer.header("content-encoding"), answer.header("vary")), ("gzip", "accept-encoding"), "{path} {some}");
            assert!(answer.body.starts_with(&[0x1f, 0x8b]) && answer.body.len() < plain.body.len(), "{path} {some}");
            assert_ne!(answer.header("etag"), plain.header("etag"), "other bytes have another tag");
            let known = get(&[("accept-encoding", some), ("if-none-match", answer.header("etag"))]).await;
            assert_eq!((known.status, known.body.len(), known.header("etag")), (304, 0, answer.header("etag")));
            for header in ["cache-control", "vary", "content-security-policy"] {
                assert_eq!(known.header(header), answer.header(header));
            }
        }
        assert_eq!(get(&[("if-none-match", plain.header("etag"))]).await.status, 304);
        assert_eq!(get(&[("if-none-match", "\"1\"")]).await.status, 200);
    }
}

#[tokio::test]
async fn a_shop_may_keep_it_to_itself() {
    let off = |options: &mut Options| {
        options.parameters.insert("Docs".into(), "false".into());
    };
    let Some(app) = TestApp::start_local(off).await else { return };
    for path in ["/docs", "/docs/docs.js", "/openapi.json", "/openapi-3.0.json", "/asyncapi.json"] {
        assert_eq!(app.anyone().get(path).await.problem(), (404, "not-found"), "{path}");
    }
    assert_eq!(app.anyone().get("/products").await.status, 200);
}

/// docs/security.md says of each requirement which test would fail; it must be there.
#[test]
fn the_security_page_names_tests_that_there_are() {
    let page = std::fs::read_to_string(workspace().join("docs/security.md")).unwrap();
    let mut named = 0;
    for quoted in page.split('`').skip(1).step_by(2) {
        let Some((file, name)) = quoted.split_once(".rs::") else { continue };
        let source =
            std::fs::read_to_string(workspace().join(format!("{file}.rs"))).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(source.contains(&format!("fn {name}(")), "{quoted}");
        named += 1;
    }
    assert!(named > 30, "{named}");
}
