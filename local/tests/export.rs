//! What the audit makes of a point-in-time export, in the format that *DynamoDB table export output format* in the developer
//! guide describes.

#![expect(clippy::disallowed_methods, reason = "the environment is off limits for functions, not for those who test them")]

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Map, Value, json};
use tempfile::TempDir;

fn audit(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_local"));
    command.args(["audit", "--export"]).arg(folder).current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).stdin(Stdio::null());
    command
}

/// The exit code, and what is printed.
fn run(folder: &Path) -> (i32, String, String) {
    let Output { status, stdout, stderr } = audit(folder).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

/// An export in the making.
struct Export {
    folder: PathBuf,
    manifest: String,
    items: u64,
}

impl Export {
    const ID: &'static str = "01764041845123-a1b2c3d4";

    /// Below `AWSDynamoDB/` in a copy of the bucket.
    fn new(bucket: &Path) -> Self {
        let folder = bucket.join("AWSDynamoDB").join(Self::ID);
        fs::create_dir_all(folder.join("data")).unwrap();
        Self { folder, manifest: String::new(), items: 0 }
    }

    /// A part of the table: DynamoDB writes an empty one for a partition without items.
    fn part(&mut self, items: impl IntoIterator<Item = Value>) -> PathBuf {
        let name = format!("{:026x}.json.gz", self.manifest.len());
        let path = self.folder.join("data").join(&name);
        let mut file = GzEncoder::new(BufWriter::new(File::create(&path).unwrap()), Compression::fast());
        let mut count = 0;
        for item in items {
            writeln!(file, "{}", json!({"Item": item})).unwrap();
            count += 1;
        }
        file.finish().unwrap().flush().unwrap();
        self.listed(&path, count);
        path
    }

    fn listed(&mut self, path: &Path, count: u64) {
        let md5 = *md5::compute(fs::read(path).unwrap());
        let line = json!({
            "itemCount": count,
            "md5Checksum": BASE64_STANDARD.encode(md5),
            "etag": format!("{:x}-1", md5::compute(md5)),
            "dataFileS3Key": format!("a/prefix/AWSDynamoDB/{}/data/{}", Self::ID, path.file_name().unwrap().to_str().unwrap()),
        });
        self.manifest.push_str(&format!("{line}\n"));
        self.items += count;
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.join(format!("manifest-{name}.json")), text).unwrap();
        let checksum = BASE64_STANDARD.encode(*md5::compute(text));
        fs::write(self.folder.join(format!("manifest-{name}.checksum")), checksum).unwrap();
    }

    fn finish(&self) {
        self.finish_with(self.items, "DYNAMODB_JSON", "FULL_EXPORT");
    }

    fn finish_with(&self, items: u64, format: &str, kind: &str) {
        fs::write(self.folder.join("_started"), "").unwrap();
        self.write("files", &self.manifest);
        let summary = json!({
            "version": "2023-08-01",
            "exportArn": format!("arn:aws:dynamodb:us-east-1:123456789012:table/shop/export/{}", Self::ID),
            "startTime": "2025-11-25T03:37:25.123Z",
            "endTime": "2025-11-25T03:42:25.456Z",
            "tableArn": "arn:aws:dynamodb:us-east-1:123456789012:table/shop",
            "tableId": "12345a12-abcd-123a-ab12-1234abc12345",
            "exportTime": "2025-11-25T03:37:25.123Z",
            "s3Bucket": "shop-export",
            "s3Prefix": "a/prefix",
            "s3SseAlgorithm": "AES256",
            "s3SseKmsKeyId": null,
            "manifestFilesS3Key": format!("a/prefix/AWSDynamoDB/{}/manifest-files.json", Self::ID),
            "billedSizeBytes": 0,
            "itemCount": items,
            "outputFormat": format,
            "exportType": kind,
        });
        self.write("summary", &summary.to_string());
    }
}

/// An attribute as DynamoDB writes it in JSON, from plain JSON.
fn attribute(value: &Value) -> Value {
    match value {
        Value::String(text) => json!({"S": text}),
        Value::Object(_) => json!({"M": attributes(value)}),
        number => json!({"N": number.to_string()}),
    }
}

fn attributes(plain: &Value) -> Value {
    plain.as_object().unwrap().iter().map(|(name, value)| (name.clone(), attribute(value))).collect::<Map<_, _>>().into()
}

/// An item of a table, written as plain JSON.
fn item(pk: &str, sk: &str, plain: &Value) -> Value {
    let mut item = attributes(plain);
    item["pk"] = json!({"S": pk});
    item["sk"] = json!({"S": sk});
    item
}

/// The product with this number, with so many pieces reserved: its stock, its name and what it began with.
fn product(number: u64, reserved: u64) -> [Value; 4] {
    let (id, name) = (format!("{number:032x}"), format!("product {number}"));
    let row = json!({
        "name": name, "description": "So that it has the size of a product in a shop.", "price": 100, "version": 3,
        "created_at": 1, "updated_at": 1, "gsi1pk": "PRODUCTS", "gsi1sk": name,
    });
    let stock = json!({
        "price": 100, "quantity": 7, "reserved": reserved, "shipped": 0, "received": 7 + reserved, "version": 3,
        "updated_at": 1, "gsi1pk": "STOCK", "gsi1sk": format!("{name}\t00"),
    });
    let movement = json!({"kind": "initial", "amount": 7 + reserved, "by": "u", "created_at": 1});
    [
        item(&format!("PRODUCT#{id}"), "PRODUCT", &row),
        item(&format!("PRODUCT#{id}"), "STOCK#00", &stock),
        item(&format!("PRODUCT_NAME#{name}"), "OWNER", &json!({"product_id": id})),
        item(&format!("MOVEMENTS#{id}"), &format!("{number:032x}"), &movement),
    ]
}

/// A confirmed order of one piece of each of two products.
fn order(number: u64, products: [u64; 2]) -> Value {
    let id = format!("{number:032x}");
    let line = |product: u64| json!({"product_id": format!("{product:032x}"), "quantity": 1, "price": 100});
    let row = json!({
        "customer_id": "u", "status": "CONFIRMED", "total": 200, "item_count": 2, "version": 2, "created_at": 1,
        "updated_at": 1, "gsi1pk": "CUSTOMER#u", "gsi1sk": id, "gsi2pk": "ORDERS#CONFIRMED#0", "gsi2sk": id,
        "lines": {"1": line(products[0]), "2": line(products[1])},
        "history": {"2": {"from": "PENDING", "to": "CONFIRMED", "at": 1, "by": "u", "stock": "none"}},
    });
    item(&format!("ORDER#{id}"), "ORDER", &row)
}

/// An export of two parts and an empty one, in which nothing is wrong; and its first part.
fn sound(bucket: &TempDir) -> (Export, PathBuf) {
    let mut export = Export::new(bucket.path());
    let [pen, pen_stock, pen_name, pen_movement] = product(1, 1);
    let [ink, ink_stock, ink_name, ink_movement] = product(2, 1);
    let first = export.part([ink_stock, pen, ink_name, pen_movement]);
    export.part([]);
    export.part([order(1, [1, 2]), ink, pen_stock, ink_movement, pen_name]);
    (export, first)
}

#[test]
fn an_export_is_read_wherever_it_was_copied_to() {
    let bucket = tempfile::tempdir().unwrap();
    let (export, _) = sound(&bucket);
    export.finish();
    for folder in [bucket.path(), &export.folder] {
        let (code, stdout, stderr) = run(folder);
        assert_eq!((code, stdout.as_str(), stderr.as_str()), (0, "9 items, no violation\n", ""), "{}", folder.display());
    }
}

#[test]
fn half_a_transaction_in_an_export_is_told_from_what_no_write_leaves() {
    let bucket = tempfile::tempdir().unwrap();
    let mut export = Export::new(bucket.path());
    let [pen, stock, name, movement] = product(1, 2);
    export.part([pen, movement, stock]);
    export.part([item("CART#1", "CART", &json!({}))]);
    export.finish();
    let (code, stdout, _) = run(bucket.path());
    let id = format!("{:032x}", 1);
    let expected = [
        "CART#1 CART: is no kind of item that this table has [broken]".to_owned(),
        format!("PRODUCT#{id} STOCK#00: 2 are reserved, but orders hold 0 [torn: a reservation without its line]"),
        format!("PRODUCT#{id} PRODUCT: does not own its name {:?} [torn: an entity without its owner item]", "product 1"),
        "4 items, 3 violations, 2 of them torn".to_owned(),
    ];
    assert_eq!((code, stdout.lines().collect::<Vec<_>>()), (1, expected.iter().map(String::as_str).collect()), "{name}");
}

#[test]
fn what_is_no_whole_export_is_named_and_not_judged() {
    type Damage = fn(&Export, &Path);
    let cases: [(Damage, &str); 9] = [
        (|_, part| fs::remove_file(part).unwrap(), "00.json.gz: is missing"),
        (|_, part| fs::write(part, &fs::read(part).unwrap()[..40]).unwrap(), "00.json.gz: ends too early"),
        (
            |_, part| {
                // Whole lines, but not those of the manifest.
                let mut file = GzEncoder::new(File::create(part).unwrap(), Compression::fast());
                file.write_all(b"{\"Item\":{}}\n").unwrap();
                file.finish().unwrap();
            },
            "00.json.gz: is not what its MD5 checksum says",
        ),
        (|export, _| export.finish_with(10, "DYNAMODB_JSON", "FULL_EXPORT"), "has 9 items, but manifest-summary.json 10"),
        (|export, _| export.finish_with(9, "ION", "FULL_EXPORT"), "it is a FULL_EXPORT in ION"),
        (|export, _| export.finish_with(9, "DYNAMODB_JSON", "INCREMENTAL_EXPORT"), "it is a INCREMENTAL_EXPORT in DYNAMODB_JSON"),
        (
            |export, _| fs::write(export.folder.join("manifest-files.json"), "").unwrap(),
            "manifest-files.json is not what its checksum says",
        ),
        (|export, _| fs::remove_file(export.folder.join("manifest-summary.json")).unwrap(), "there is no manifest-summary.json"),
        (
            |export, part| {
                let manifest = export.manifest.replacen("\"itemCount\":4", "\"itemCount\":3", 1);
                export.write("files", &manifest);
                assert!(part.exists());
            },
            "00.json.gz: has 4 items, but its manifest says 3; manifest-files.json has 8 items",
        ),
    ];
    for (damage, expected) in cases {
        let bucket = tempfile::tempdir().unwrap();
        let (export, first) = sound(&bucket);
        export.finish();
        damage(&export, &first);
        let (code, stdout, stderr) = run(bucket.path());
        assert!(code == 1 && stdout.is_empty() && stderr.contains(expected), "{expected}: {stdout}{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
}

/// Audits a table of so many items; gives the greatest memory that it had, in KiB, and how long it took.
fn measure(items: u64) -> (u64, Duration) {
    let bucket = tempfile::tempdir().unwrap();
    let mut export = Export::new(bucket.path());
    // Of ten items, four are of a product and six are orders; what belongs together is in different parts.
    let groups = items / 10;
    let of = |n: u64| (0..6).map(move |k| (6 * n + k, [n, (n + 1 + k * 7) % groups]));
    let mut reserved = vec![0_u64; usize::try_from(groups).unwrap()];
    for product in (0..groups).flat_map(of).flat_map(|(_, products)| products) {
        reserved[usize::try_from(product).unwrap()] += 1;
    }
    let product = |n: u64| product(n, reserved[usize::try_from(n).unwrap()]);
    for part in 0..4 {
        export.part((0..groups).map(|n| product(n)[part].clone()));
    }
    export.part((0..groups).flat_map(of).map(|(number, products)| order(number, products)));
    export.finish();
    assert_eq!(export.items, items);

    let start = Instant::now();
    let mut child = audit(bucket.path()).stdout(Stdio::piped()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let status = fs::read_to_string(&status).unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
        peak = line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).unwrap_or(peak);
        std::thread::sleep(Duration::from_millis(2));
    }
    let took = start.elapsed();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{items} items, no violation\n"));
    (peak, took)
}

/// `AUDIT_ITEMS` says how many, 40,000 unless given.
#[test]
fn memory_does_not_grow_with_the_table() {
    let items = std::env::var("AUDIT_ITEMS").ok().and_then(|text| text.parse().ok()).unwrap_or(40_000);
    let (few, many) = (measure(15_000), measure(items));
    println!("{items} items: {} KiB, {:.1} s; 15000 items: {} KiB", many.0, many.1.as_secs_f64(), few.0);
    let per_item = many.0.saturating_sub(few.0) * 1024 / (items - 15_000);
    assert!(per_item < 100, "{per_item} bytes for each item more");
    assert!(many.0 < 200 * 1024, "{} KiB", many.0);
}
