//! Tells `fallback` the routes of template.yaml, the only place that lists them, and takes the page's assets out of their crate
//! for `docs`.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    env,
    error::Error,
    fmt::Write,
    fs::{self, File},
    io::{self, Cursor},
    path::Path,
};

use flate2::{Compression, write::GzEncoder};
use serde::Deserialize;
use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;
use zip::ZipArchive;

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
    let out = env::var("OUT_DIR")?;
    fs::write(Path::new(&out).join("routes.rs"), table)?;
    swagger_ui(Path::new(&out))
}

/// The two files of Swagger UI that a page needs, compressed.
fn swagger_ui(out: &Path) -> Result<(), Box<dyn Error>> {
    let mut archive = ZipArchive::new(Cursor::new(SWAGGER_UI_VENDORED))?;
    for name in ["swagger-ui-bundle.js", "swagger-ui.css"] {
        let mut paths = archive.file_names().filter_map(Result::ok);
        let path = paths.find(|path| path.ends_with(&format!("/dist/{name}"))).map(Cow::into_owned);
        drop(paths);
        let mut file = archive.by_name(&path.ok_or_else(|| format!("the crate of Swagger UI has no {name}"))?)?;
        let mut compressed = GzEncoder::new(File::create(out.join(format!("{name}.gz")))?, Compression::best());
        io::copy(&mut file, &mut compressed)?;
        compressed.finish()?;
    }
    Ok(())
}
