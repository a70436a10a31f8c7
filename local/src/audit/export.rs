//! A table as `ExportTableToPointInTime` writes it to S3: manifests, and gzipped files with an item a line. See *DynamoDB table
//! export output format* in the developer guide.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use flate2::bufread::MultiGzDecoder;
use indicatif::ProgressBar;
use serde::Deserialize;
use serde_json::Value;

use super::items::Take;
use crate::error::{Error, Result};

/// `manifest-summary.json`
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    item_count: u64,
    output_format: String,
    /// Exports have not always said so.
    #[serde(default = "full")]
    export_type: String,
}

fn full() -> String {
    "FULL_EXPORT".to_owned()
}

/// A line of `manifest-files.json`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part {
    item_count: u64,
    /// Of the compressed file, in base64.
    md5_checksum: String,
    /// S3's own: in hexadecimal, with the number of pieces that it was uploaded in.
    etag: String,
    #[serde(rename = "dataFileS3Key")]
    key: String,
}

/// A line of a part.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Line {
    item: Value,
}

/// Reads all items of an export.
///
/// # Errors
///
/// [`Error::Export`] names every part that is missing, torn or not what the manifest says; what has been read until then is not
/// the table.
pub fn read(folder: &Path, progress: &ProgressBar, take: Take<'_>) -> Result {
    let folder = &folder_of_manifest(folder)?;
    let fault = |reason: String| Error::Export { folder: folder.clone(), reason };
    let summary: Summary = serde_json::from_slice(&manifest(folder, "summary")?)
        .map_err(|error| fault(format!("manifest-summary.json: {error}")))?;
    if summary.output_format != "DYNAMODB_JSON" || summary.export_type != "FULL_EXPORT" {
        let found = format!("{} in {}", summary.export_type, summary.output_format);
        return Err(fault(format!("it is a {found}; a FULL_EXPORT in DYNAMODB_JSON can be read")));
    }
    progress.set_length(summary.item_count);

    let files = manifest(folder, "files")?;
    let parts = serde_json::Deserializer::from_slice(&files).into_iter::<Part>();
    let (mut items, mut problems) = (0, Vec::new());
    for part in parts {
        let part = part.map_err(|error| fault(format!("manifest-files.json: {error}")))?;
        items += part.item_count;
        // Whatever its prefix was in the bucket, its parts are beside the manifest.
        let name = part.key.rsplit('/').next().unwrap_or_default();
        let Err(problem) = part.read(&folder.join("data").join(name), progress, take) else { continue };
        match problem {
            Problem::Part(reason) => problems.push(format!("data/{name}: {reason}")),
            Problem::Taker(error) => return Err(error),
        }
    }
    if items != summary.item_count {
        problems.push(format!("manifest-files.json has {items} items, but manifest-summary.json {}", summary.item_count));
    }
    if problems.is_empty() { Ok(()) } else { Err(fault(problems.join("; "))) }
}

/// The folder itself, or the one export below `AWSDynamoDB/` in a copy of the bucket.
fn folder_of_manifest(folder: &Path) -> Result<PathBuf> {
    let has_manifest = |folder: &Path| folder.join("manifest-summary.json").is_file();
    if has_manifest(folder) {
        return Ok(folder.to_owned());
    }
    let fault = |reason: &str| Error::Export { folder: folder.to_owned(), reason: reason.to_owned() };
    let below = fs::read_dir(folder.join("AWSDynamoDB")).map_err(|_| fault("there is no manifest-summary.json"))?;
    let mut exports = below.filter_map(|entry| Some(entry.ok()?.path())).filter(|folder| has_manifest(folder));
    match (exports.next(), exports.next()) {
        (Some(export), None) => Ok(export),
        (Some(_), Some(_)) => Err(fault("there are several exports below AWSDynamoDB: name one of them")),
        (None, _) => Err(fault("there is no manifest-summary.json below AWSDynamoDB")),
    }
}

/// A manifest, as its own checksum says it is.
fn manifest(folder: &Path, name: &str) -> Result<Vec<u8>> {
    let path = folder.join(format!("manifest-{name}.json"));
    let text = fs::read(&path).map_err(|source| Error::File { path, source })?;
    let checksum = fs::read_to_string(folder.join(format!("manifest-{name}.checksum"))).unwrap_or_default();
    // What the checksum files hold is not documented. One that is no MD5 in base64 is of another kind, and says nothing.
    let checksum = BASE64_STANDARD.decode(checksum.trim()).ok().filter(|checksum| checksum.len() == 16);
    if checksum.is_some_and(|checksum| checksum != *md5::compute(&text)) {
        let reason = format!("manifest-{name}.json is not what its checksum says");
        return Err(Error::Export { folder: folder.to_owned(), reason });
    }
    Ok(text)
}

enum Problem {
    /// What is wrong with the part.
    Part(String),
    /// Whoever takes the items cannot.
    Taker(Error),
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        Self::Part(match error.kind() {
            io::ErrorKind::NotFound => "is missing".to_owned(),
            io::ErrorKind::UnexpectedEof => "ends too early".to_owned(),
            _ => error.to_string(),
        })
    }
}

impl Part {
    fn read(&self, path: &Path, progress: &ProgressBar, take: Take<'_>) -> Result<(), Problem> {
        let mut hashed = Hashed { file: File::open(path)?, md5: md5::Context::new() };
        let mut lines = BufReader::new(MultiGzDecoder::new(BufReader::new(&mut hashed)));
        let (mut items, mut line) = (0, String::new());
        while lines.read_line(&mut line)? > 0 {
            items += 1;
            let parsed: Line = serde_json::from_str(&line).map_err(|error| Problem::Part(format!("line {items}: {error}")))?;
            take(parsed.item).map_err(Problem::Taker)?;
            progress.inc(1);
            line.clear();
        }
        drop(lines);
        io::copy(&mut hashed, &mut io::sink())?;
        let md5 = *hashed.md5.compute();
        if BASE64_STANDARD.encode(md5) != self.md5_checksum {
            return Err(Problem::Part("is not what its MD5 checksum says".to_owned()));
        }
        // Of one that was uploaded in several pieces, only S3 knows where they began.
        if self.etag.ends_with("-1") && self.etag != format!("{:x}-1", md5::compute(md5)) {
            return Err(Problem::Part("is not what its ETag says".to_owned()));
        }
        if items != self.item_count {
            return Err(Problem::Part(format!("has {items} items, but its manifest says {}", self.item_count)));
        }
        Ok(())
    }
}

/// A file that is hashed while it is read.
struct Hashed {
    file: File,
    md5: md5::Context,
}

impl Read for Hashed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.md5.consume(&buffer[..count]);
        Ok(count)
    }
}
