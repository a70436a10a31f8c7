//! requests.http and clients/jetbrains.http: a walk through all routes, to send from an editor to a shop on this machine.
//!
//! What is kept of an answer is the one thing that editors do not agree on, so that there is a file for each way.

use std::{collections::BTreeMap, error::Error};

use serde_json::Value;
use shared::contract::steps::{CHAPTERS, Kept, Place, Step, filled, steps};

const API: &str = "\n@api = http://127.0.0.1:3000\n";

/// For the REST Client of Visual Studio Code, which finds in the answer of a named request what is needed of it.
pub fn vscode() -> Result<String, Box<dyn Error>> {
    let head = "# A walk through all routes, for the REST Client of Visual Studio Code: from top to bottom it works with `cargo run -p local`,\n\
                # as often as it is sent. clients/jetbrains.http is the same for JetBrains' HTTP Client and for httpyac.\n";
    let kept: BTreeMap<&str, String> =
        steps().flat_map(|step| step.keeps.iter().map(move |kept| (kept.name, answered(step.name, kept)))).collect();
    let value = |name: &str| match kept.get(name) {
        Some(expression) => format!("{{{{{expression}}}}}"),
        None => "{{$randomInt 100000000 999999999}}".to_owned(),
    };
    Ok(head.to_owned() + API + &text(&value, |_: &Step| String::new())?)
}

fn answered(step: &str, kept: &Kept) -> String {
    match kept.from {
        Place::Body(path) => format!("{step}.response.body.$.{path}"),
        Place::Header(name) => format!("{step}.response.headers.{name}"),
    }
}

/// For JetBrains' HTTP Client and for httpyac, whose scripts keep what is needed, and test what is answered.
pub fn jetbrains() -> Result<String, Box<dyn Error>> {
    let head = "# A walk through all routes, for JetBrains' HTTP Client and for httpyac: from top to bottom it works with `cargo run -p local`,\n\
                # as often as it is sent. requests.http is the same for the REST Client of Visual Studio Code.\n";
    let value = |name: &str| match name {
        "random" => "{{$random.integer(100000000, 999999999)}}".to_owned(),
        kept => format!("{{{{{kept}}}}}"),
    };
    Ok(head.to_owned() + API + &text(&value, script)?)
}

fn script(step: &Step) -> String {
    let mut script = format!(
        "\n> {{%\nclient.test(\"{} is answered {}\", () => {{\n  client.assert(response.status === {}, `${{response.status}}`);\n",
        step.name, step.status, step.status
    );
    if let Some(code) = step.code {
        script += "  const problem = typeof response.body === \"string\" ? JSON.parse(response.body) : response.body;\n";
        script += &format!("  client.assert(problem.code === \"{code}\", problem.code);\n");
    }
    script += "});\n";
    for kept in step.keeps {
        let value = match kept.from {
            Place::Body(path) => format!("response.body.{path}"),
            Place::Header(name) => format!("response.headers.valueOf(\"{name}\")"),
        };
        script += &format!("client.global.set(\"{}\", {value});\n", kept.name);
    }
    script + "%}\n"
}

/// All requests. `value` is what stands for a name, `script` what comes after a request.
fn text(value: &dyn Fn(&str) -> String, script: fn(&Step) -> String) -> Result<String, Box<dyn Error>> {
    let mut text = String::new();
    for chapter in CHAPTERS {
        for (n, step) in chapter.steps.iter().enumerate() {
            let route = step.route();
            let path =
                route.ids().fold(route.path().to_owned(), |path, id| path.replace(&format!("{{{}}}", id.name), &value(id.name)));
            let query: Vec<_> = step.query.iter().map(|(name, text)| format!("{name}={}", filled(text, value))).collect();
            let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
            text += &format!("\n### {}\n", step.title());
            // Not before the line that ends the request before: some editors would send it.
            if n == 0 {
                text += &format!("# Chapter: {}.\n", chapter.title);
            }
            text += &format!("# It is answered {}", step.status);
            text += &step.code.map_or(String::new(), |code| format!(" {code}"));
            text += &format!(".\n# @name {}\n{} {{{{api}}}}{path}{query}\n", step.name, route.method());
            if let Some(token) = step.token {
                text += &format!("Authorization: Bearer {}\n", value(token));
            }
            for (name, header) in step.headers {
                text += &format!("{name}: {}\n", filled(header, value));
            }
            if let Some(body) = step.body {
                let body = serde_json::to_string_pretty(&serde_json::from_str::<Value>(body)?)?;
                text += &format!("Content-Type: application/json\n\n{}\n", filled(&body, value));
            }
            text += &script(step);
        }
    }
    Ok(text)
}
