//! Tells `fallback` the routes of template.yaml, the only place that lists them, and collects the files that `docs` answers.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    env,
    error::Error,
    fmt::Write as _,
    fs,
    io::{Cursor, Read as _, Write as _},
    path::Path,
};

use flate2::{Compression, write::GzEncoder};
use serde::Deserialize;
use sha2::{Digest, Sha256};
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
        // `OPTIONS` is answered on all paths alike.
        if let (Some(path), Some(method)) = (route.path, route.method)
            && !method.eq_ignore_ascii_case("OPTIONS")
        {
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
    files(Path::new(&out))
}

/// A table of the files that `docs` answers, by their paths: each as it is and compressed, with a version of its bytes.
fn files(out: &Path) -> Result<(), Box<dyn Error>> {
    let mut archive = ZipArchive::new(Cursor::new(SWAGGER_UI_VENDORED))?;
    let mut vendored = |name: &str| -> Result<Vec<u8>, Box<dyn Error>> {
        let mut paths = archive.file_names().filter_map(Result::ok);
        let path = paths.find(|path| path.ends_with(&format!("/dist/{name}"))).map(Cow::into_owned);
        drop(paths);
        let mut bytes = Vec::new();
        archive.by_name(&path.ok_or_else(|| format!("the crate of Swagger UI has no {name}"))?)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let own = |name: &str| -> Result<Vec<u8>, Box<dyn Error>> {
        println!("cargo::rerun-if-changed={name}");
        Ok(fs::read(name)?)
    };

    let mut table = String::from("[\n");
    for (path, media_type, bytes) in [
        ("/openapi.json", "application/json", own("../openapi.json")?),
        ("/asyncapi.json", "application/json", own("../asyncapi.json")?),
        ("/docs", "text/html; charset=utf-8", own("assets/docs.html")?),
        ("/docs/docs.css", "text/css; charset=utf-8", own("assets/docs.css")?),
        ("/docs/docs.js", "text/javascript; charset=utf-8", own("assets/docs.js")?),
        ("/docs/swagger-ui.css", "text/css; charset=utf-8", vendored("swagger-ui.css")?),
        ("/docs/swagger-ui.js", "text/javascript; charset=utf-8", vendored("swagger-ui-bundle.js")?),
    ] {
        let file = out.join(path.rsplit('/').next().unwrap_or_default());
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&bytes)?;
        let plain = representation(&file, &bytes)?;
        let gzip = representation(&file.with_added_extension("gz"), &encoder.finish()?)?;
        writeln!(table, "    ({path:?}, File {{ media_type: {media_type:?}, plain: {plain}, gzip: Some({gzip}) }}),")?;
    }
    table.push(']');
    Ok(fs::write(out.join("files.rs"), table)?)
}

/// Writes the bytes to a file, and an expression that includes them.
fn representation(file: &Path, bytes: &[u8]) -> Result<String, Box<dyn Error>> {
    fs::write(file, bytes)?;
    let digest = Sha256::digest(bytes);
    let groups: Vec<_> = digest[..8].chunks(2).map(|pair| format!("{:02x}{:02x}", pair[0], pair[1])).collect();
    let version = groups.join("_");
    let path = file.to_str().ok_or("the path of OUT_DIR is no Unicode text")?;
    Ok(format!("Representation {{ bytes: include_bytes!({path:?}), version: 0x{version} }}"))
}
