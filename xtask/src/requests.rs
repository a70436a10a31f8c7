//! requests.http: every route once, to send from an editor to a shop on this machine.

use std::error::Error;

use serde_json::Value;
use shared::contract::{Id, ids, openapi, session};

const HEAD: &str = "\
# Every route once, for editors with a REST client. From top to bottom they work with `cargo run -p local`.

@api = http://127.0.0.1:3000
";

pub fn text(document: &Value) -> Result<String, Box<dyn Error>> {
    let mut text = HEAD.to_owned();
    for route in session() {
        let path = route.ids().fold(route.path().to_owned(), |path, id| path.replace(&format!("{{{}}}", id.name), &answered(id)));
        text += &format!("\n### {}\n# @name {}\n{} {{{{api}}}}{path}\n", route.summary, route.operation_id, route.method());
        if route.caller.is_some() {
            text += "Authorization: Bearer {{login.response.body.$.access_token}}\n";
        }
        let body = match route.request {
            Some(request) => Some(serde_json::from_str(request)?),
            None => openapi::example_body(document, route),
        };
        if let Some(body) = body {
            let body = serde_json::to_string_pretty::<Value>(&body)?;
            let body = ids().fold(body, |body, id| body.replace(id.example, &answered(id)));
            text += &format!("Content-Type: application/json\n\n{body}\n");
        }
    }
    Ok(text)
}

/// An id as it was answered further up.
fn answered(id: &Id) -> String {
    format!("{{{{{}.response.body.$.{}}}}}", id.made_by, id.field)
}
