//! Tells `fallback` the routes of template.yaml, the only place that lists them.

use std::{collections::BTreeMap, env, error::Error, fmt::Write, fs, path::Path};

use serde::Deserialize;

const TEMPLATE: &str = "../template.yaml";

/// The parts of the template that routes are in.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Template {
    resources: BTreeMap<String, Resource>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Resource {
    #[serde(default)]
    properties: Function,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Function {
    #[serde(default)]
    events: BTreeMap<String, Event>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Event {
    r#type: String,
    #[serde(default)]
    properties: Route,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Route {
    path: Option<String>,
    method: Option<String>,
}

#[expect(clippy::disallowed_methods, reason = "Cargo tells build scripts through the environment where to write")]
fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={TEMPLATE}");
    let template: Template = serde_saphyr::from_str(&fs::read_to_string(TEMPLATE)?)?;

    let mut methods: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let events = template.resources.into_values().flat_map(|resource| resource.properties.events.into_values());
    for route in events.filter(|event| event.r#type == "HttpApi").map(|event| event.properties) {
        if let (Some(path), Some(method)) = (route.path, route.method) {
            methods.entry(path).or_default().push(method.to_uppercase());
        }
    }

    let mut table = String::from("[\n");
    for (path, methods) in &mut methods {
        methods.sort();
        writeln!(table, "    ({path:?}, {:?}),", methods.join(", "))?;
    }
    table.push(']');
    fs::write(Path::new(&env::var("OUT_DIR")?).join("routes.rs"), table)?;
    Ok(())
}
