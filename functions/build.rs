//! Collects the files that `docs` answers.

use std::{env, error::Error, fmt::Write as _, fs, io::Write as _, path::Path};

use flate2::{Compression, write::GzEncoder};
use sha2::{Digest, Sha256};

#[expect(clippy::disallowed_methods, reason = "Cargo tells build scripts through the environment where to write")]
fn main() -> Result<(), Box<dyn Error>> {
    let out = env::var("OUT_DIR")?;
    files(Path::new(&out))
}

/// A table of the files that `docs` answers, by their paths: each as it is and compressed, with a version of its bytes.
fn files(out: &Path) -> Result<(), Box<dyn Error>> {
    let own = |name: &str| -> Result<Vec<u8>, Box<dyn Error>> {
        println!("cargo::rerun-if-changed={name}");
        Ok(fs::read(name)?)
    };

    let mut table = String::from("[\n");
    for (path, media_type, bytes) in [
        ("/openapi.json", "application/json", own("../openapi.json")?),
        ("/openapi-3.0.json", "application/json", own("../openapi-3.0.json")?),
        ("/asyncapi.json", "application/json", own("../asyncapi.json")?),
        ("/docs", "text/html; charset=utf-8", own("assets/docs.html")?),
        ("/docs/docs.css", "text/css; charset=utf-8", own("assets/docs.css")?),
        ("/docs/docs.js", "text/javascript; charset=utf-8", own("assets/docs.js")?),
        ("/docs/elements.js", "text/javascript; charset=utf-8", own("assets/elements.js")?),
        ("/docs/request.js", "text/javascript; charset=utf-8", own("assets/request.js")?),
        ("/docs/schema.js", "text/javascript; charset=utf-8", own("assets/schema.js")?),
        ("/docs/session.js", "text/javascript; charset=utf-8", own("assets/session.js")?),
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
