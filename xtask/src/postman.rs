//! `clients/stockroom.postman_collection.json`: a walk through all routes, for Postman and newman.

use std::error::Error;

use serde_json::{Value, json};
use shared::contract::steps::{CHAPTERS, Place, Step, steps};

const SCHEMA: &str = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json";

const DESCRIPTION: &str = "\
A walk through all routes of a shop: run it from top to bottom, as often as you like. It begins with what `cargo run -p local` serves; \
for another shop, set `baseUrl`, and in the first request the login of an admin. What is needed later, such as tokens, ids and `ETag`s, \
is kept in the collection's variables.";

pub fn collection() -> Result<Value, Box<dyn Error>> {
    let mut folders = Vec::new();
    for chapter in CHAPTERS {
        let requests: Vec<_> = chapter.steps.iter().map(request).collect::<Result<_, _>>()?;
        folders.push(json!({"name": chapter.title, "item": requests}));
    }
    let kept = steps().flat_map(|step| step.keeps).map(|kept| json!({"key": kept.name, "value": ""}));
    let variables: Vec<_> = [json!({"key": "baseUrl", "value": "http://127.0.0.1:3000"})].into_iter().chain(kept).collect();
    let random = "pm.variables.set(\"random\", String(Math.floor(1e8 + 9e8 * Math.random())));";
    Ok(json!({
        "info": {"name": "Stockroom", "description": DESCRIPTION, "schema": SCHEMA},
        "auth": {"type": "noauth"},
        "event": [event("prerequest", vec![random.into()])],
        "variable": variables,
        "item": folders,
    }))
}

fn request(step: &Step) -> Result<Value, Box<dyn Error>> {
    let route = step.route();
    let path: Vec<_> = route
        .path()
        .trim_start_matches('/')
        .split('/')
        .map(|part| part.strip_prefix('{').map_or(part.to_owned(), |name| format!(":{}", name.trim_end_matches('}'))))
        .collect();
    let query: Vec<_> = step.query.iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
    let pairs: Vec<_> = step.query.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let mut raw = format!("{{{{baseUrl}}}}/{}", path.join("/"));
    let mut url = json!({"host": ["{{baseUrl}}"], "path": path});
    if !query.is_empty() {
        raw += &format!("?{}", pairs.join("&"));
        url["query"] = query.into();
    }
    url["raw"] = raw.into();
    let ids: Vec<_> = route
        .ids()
        .map(|id| json!({"key": id.name, "value": format!("{{{{{}}}}}", id.name), "description": id.description}))
        .collect();
    if !ids.is_empty() {
        url["variable"] = ids.into();
    }
    let mut headers: Vec<_> = step.headers.iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
    let mut request = json!({"method": route.method(), "url": url, "description": route.description});
    if let Some(token) = step.token {
        let bearer = json!([{"key": "token", "value": format!("{{{{{token}}}}}"), "type": "string"}]);
        request["auth"] = json!({"type": "bearer", "bearer": bearer});
    }
    if let Some(body) = step.body {
        headers.push(json!({"key": "Content-Type", "value": "application/json"}));
        let body = serde_json::to_string_pretty(&serde_json::from_str::<Value>(body)?)?;
        request["body"] = json!({"mode": "raw", "raw": body, "options": {"raw": {"language": "json"}}});
    }
    request["header"] = headers.into();
    Ok(json!({"name": step.title(), "event": [event("test", script(step))], "request": request, "response": []}))
}

/// Tests what is answered, and keeps what is needed of it.
fn script(step: &Step) -> Vec<String> {
    let mut lines = vec![
        format!("pm.test(\"{} is answered {}\", () => {{", step.name, step.status),
        format!("  pm.response.to.have.status({});", step.status),
    ];
    if let Some(code) = step.code {
        lines.push(format!("  pm.expect(pm.response.json().code).to.equal(\"{code}\");"));
    }
    lines.push("});".to_owned());
    for kept in step.keeps {
        let value = match kept.from {
            Place::Body(path) => format!("pm.response.json().{path}"),
            Place::Header(name) => format!("pm.response.headers.get(\"{name}\")"),
        };
        lines.push(format!("pm.collectionVariables.set(\"{}\", {value});", kept.name));
    }
    lines
}

fn event(listen: &str, lines: Vec<String>) -> Value {
    json!({"listen": listen, "script": {"type": "text/javascript", "exec": lines}})
}
