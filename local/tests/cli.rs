//! The program as people run it: what it prints, how it ends, and what survives when it does not end well.

#![expect(clippy::disallowed_methods, reason = "the environment is off limits for functions, not for those who test them")]

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    fs::{self, Permissions},
    io::{Read as _, Write as _},
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output, Stdio},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use reqwest::Client;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines},
    net::TcpStream,
    process::{Child, ChildStderr, ChildStdout},
    task::JoinSet,
};

#[path = "cli/disks.rs"]
mod disks;

#[path = "../../tests/bodies.rs"]
#[expect(dead_code, reason = "the tests of the API have more of them")]
mod bodies;

/// Long enough for the functions to be built from nothing.
const READY_LIMIT: Duration = Duration::from_mins(15);

fn local(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_local"));
    command.args(arguments).current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).stdin(Stdio::null());
    command
}

/// A running `local`.
struct Running {
    child: Child,
    /// What it printed before it was ready.
    head: Vec<String>,
    output: Lines<BufReader<ChildStdout>>,
    errors: Option<ChildStderr>,
    url: String,
    dynamodb: String,
    console: String,
}

impl Running {
    async fn start(arguments: &[&str]) -> Self {
        Self::run(local(arguments).stderr(Stdio::null())).await
    }

    async fn run(command: &mut Command) -> Self {
        let command = std::mem::replace(command, Command::new("true"));
        let mut child = tokio::process::Command::from(command).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut head = Vec::new();
        let ready = async {
            while let Some(line) = output.next_line().await.unwrap() {
                let is_ready = line.starts_with("ready ") || line.contains(r#""kind":"ready""#);
                head.push(line);
                if is_ready {
                    return;
                }
            }
            panic!("it ended before it was ready");
        };
        tokio::time::timeout(READY_LIMIT, ready).await.expect("it is ready in time");
        let printed = head.iter().filter_map(|line| line.split_once("http://"));
        let printed: BTreeMap<_, _> = printed.map(|(name, url)| (name.trim(), format!("http://{url}"))).collect();
        let url = |name: &str| printed.get(name).cloned().unwrap_or_default();
        let (url, dynamodb, console) = (url("ready"), url("AWS"), url("Console"));
        Self { errors: child.stderr.take(), child, head, output, url, dynamodb, console }
    }

    /// The next line that it prints.
    async fn line(&mut self) -> String {
        let line = tokio::time::timeout(Duration::from_secs(10), self.output.next_line()).await;
        line.expect("a line in time").unwrap().expect("a line")
    }

    fn pid(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// Reads and forgets what it prints, so that it never waits for a reader.
    async fn drain(output: &mut Lines<BufReader<ChildStdout>>) {
        while matches!(output.next_line().await, Ok(Some(_))) {}
    }

    async fn admin(&self) -> String {
        let body = bodies::by_email("admin@example.com", "keep-this-one-local");
        let answer = Client::new().post(format!("{}/auth/login", self.url)).json(&body).send().await.unwrap();
        let tokens: Value = answer.json().await.unwrap();
        tokens["access_token"].as_str().unwrap_or_else(|| panic!("{tokens}")).to_owned()
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.pid().to_string()]).status().unwrap();
        assert!(sent.success());
    }
}

/// The processes that this one has started and that are still there.
fn children_of(pid: u32) -> Vec<u32> {
    let mut children = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(child) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        // The name in parentheses may hold anything; state and parent follow it.
        let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse::<u32>().ok());
        if parent == Some(pid) {
            children.push(child);
        }
    }
    children
}

async fn gone(pids: &[u32]) -> bool {
    for _ in 0..100 {
        let alive = pids.iter().any(|pid| {
            fs::read_to_string(format!("/proc/{pid}/stat"))
                .is_ok_and(|stat| !stat.rsplit_once(')').unwrap().1.trim_start().starts_with('Z'))
        });
        if !alive {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    false
}

/// Fails with this code and one line, which it returns without its `error: `.
fn refused(command: &mut Command, code: i32) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert_eq!(status.code(), Some(code), "{command:?}: {stdout}{stderr}");
    assert!(!stdout.contains("ready"), "{command:?}: {stdout}");
    assert!(!stderr.contains("(os error"), "a person reads this: {stderr}");
    let last = if code == 2 { stderr.lines().next() } else { stderr.lines().last() };
    let told = last.and_then(|line| line.strip_prefix("error: "));
    let told = told.unwrap_or_else(|| panic!("{command:?}: {stderr}")).to_owned();
    assert!(
        code == 2 || stderr.lines().count() == 1 || told.contains("above"),
        "cargo may explain itself, nobody else: {stderr}"
    );
    told
}

/// A template of the shop with a change.
fn template(from: &str, to: &str) -> String {
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../template.yaml")).unwrap();
    assert!(text.contains(from), "{from}");
    text.replacen(from, to, 1)
}

#[test]
fn what_is_wrong_with_a_template_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let admin = "  AccountAdminFunction:\n    Type: ";
    for (text, says) in [
        ("Resources: [".to_owned(), "broken.yaml: is no YAML: "),
        (template("!Ref Table", "!Ref Tabel"), "Tabel is neither a parameter nor a resource that exists"),
        (
            template("", "").replace("ProductGetFunction", "ProductGteFunction"),
            "function ProductGteFunction has no binary named \"product-gte\": write functions/src/bin/product-gte.rs, or take the \
             function out of the template",
        ),
        (
            template(&format!("{admin}AWS::Serverless::Function"), &format!("{admin}AWS::Logs::LogGroup")),
            "binary \"account-admin\" belongs to no function of the template: give it a function in the template, or remove \
             functions/src/bin/account-admin.rs",
        ),
        (template("Schedule: rate(15 minutes)", "Schedule: cron(0 12 * * ? *)"), "Events.Schedule.Properties.Schedule"),
        (template("Type: Schedule", "Type: SQS"), "Events.Schedule: SQS: only HttpApi, Schedule, DynamoDB and EventBridgeRule"),
        (template("Type: AWS::Logs::LogGroup", "Type: AWS::SNS::Topic"), "AWS::SNS::Topic does not exist here"),
    ] {
        let path = folder.path().join("broken.yaml");
        fs::write(&path, text).unwrap();
        let told = refused(&mut local(&["--port", "0", "--memory", "--template", path.to_str().unwrap()]), 1);
        assert!(told.contains(says), "{told}");
    }
    for (arguments, says) in [
        (["--template", "/nowhere/template.yaml"], "/nowhere/template.yaml: does not exist"),
        (["--template", "/"], "/: is a folder and not a file"),
        (["--parameter", "NoSuch=1"], "Parameters.NoSuch: does not exist"),
        (["--parameter", "OrderShards=0"], "Parameters.OrderShards: \"0\" does not match its AllowedPattern"),
        (["--webhook", "http://example.com/"], "does not match its AllowedPattern"),
    ] {
        let told = refused(local(&["--port", "0", "--memory"]).args(arguments), 1);
        assert!(told.contains(says), "{told}");
    }
}

#[test]
fn what_is_wrong_with_files_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let damaged = |header: &[u8]| [header, &[0xFF; 8192]].concat();
    let junk = file("junk.sqlite", &damaged(b"what an encrypted file begins with is like chance"));
    let torn = file("torn.sqlite", &damaged(b"SQLite format 3\0\x10\0\x01\x01\0\x40\x20\x20"));
    let foreign = folder.path().join("foreign.sqlite");
    rusqlite::Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE bookmarks (url)").unwrap();
    fs::set_permissions(&foreign, fs::Permissions::from_mode(0o644)).unwrap();
    let before = fs::read(&foreign).unwrap();
    let no_database = "is not a database that an emulator has made, or is an encrypted one: name another file with --data";
    let is_damaged = "is damaged (";
    let anew = "): restore it from a copy, or begin anew after `reset`";
    let (foreign, shown) = (foreign.to_str().unwrap(), folder.path().to_str().unwrap());
    for (data, says) in [
        (&*junk, [no_database, ""]),
        (foreign, [no_database, ""]),
        (&torn, [is_damaged, anew]),
        (shown, ["is a folder and not a file", ""]),
        (&format!("{junk}/data.sqlite"), ["a part of the path is a file and not a folder", ""]),
    ] {
        for command in [vec!["--port", "0"], vec!["audit"], vec!["reset", "--yes"]] {
            // A reset deletes what is damaged, and has nothing to say of what cannot be there.
            if command[0] == "reset" && (says[0] == is_damaged || says[0].starts_with("a part of")) {
                continue;
            }
            let told = refused(local(&command).args(["--data", data]), 1);
            let (first, advice) = told.split_at(data.len());
            assert!(first == data && says.iter().all(|part| advice.contains(part)), "{command:?}: {told}");
        }
    }
    assert_eq!(fs::read(foreign).unwrap(), before, "nothing was written into what is another's");
    assert_eq!(fs::metadata(foreign).unwrap().permissions().mode() & 0o777, 0o644);

    let told = refused(&mut local(&["--port", "0", "--data", "/proc/none/data"]), 1);
    assert!(told.starts_with("/proc/none: the folder cannot be made: ") && told.contains("--memory"), "{told}");
    assert_eq!(refused(&mut local(&["audit", "--data", "/nowhere/data.sqlite"]), 1), "/nowhere/data.sqlite: does not exist");

    for name in ["secrets.json", "streams.json"] {
        let data = folder.path().join("of").with_added_extension(name);
        let beside = |name: &str| data.with_added_extension(name);
        for text in ["{", r#"{"arn": 1}"#, ""] {
            fs::write(beside(name), text).unwrap();
            let told = refused(&mut local(&["--port", "0", "--data", data.to_str().unwrap()]), 1);
            assert!(
                told.starts_with(beside(name).to_str().unwrap()) && told.contains(is_damaged) && told.ends_with(anew),
                "{told}"
            );
        }
        fs::remove_file(beside(name)).unwrap();
        fs::create_dir(beside(name)).unwrap();
        let told = refused(&mut local(&["--port", "0", "--data", data.to_str().unwrap()]), 1);
        assert_eq!(told, format!("{}: is a folder and not a file", beside(name).display()));
        fs::remove_dir(beside(name)).unwrap();
    }
}

#[tokio::test]
async fn a_secrets_file_that_is_missing_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data.sqlite");
    let arguments = ["--port", "0", "--quiet", "--data", data.to_str().unwrap()];
    for expected in [false, true] {
        let mut running = Running::run(local(&arguments).stderr(Stdio::piped())).await;
        running.signal("TERM");
        let mut told = String::new();
        running.errors.take().unwrap().read_to_string(&mut told).await.unwrap();
        running.child.wait().await.unwrap();
        assert_eq!(told.contains("data.sqlite.secrets.json was missing: all secrets are new"), expected, "{told}");
        fs::remove_file(data.with_added_extension("secrets.json")).unwrap();
    }
}

#[test]
fn what_is_wrong_with_ports_and_addresses_is_told() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    for (first, what) in [(port, "the API"), (port - 1, "Lambda"), (port - 2, "AWS")] {
        let told = refused(&mut local(&["--port", &first.to_string(), "--memory"]), 1);
        let (who, next) = told.split_once(": end that, or take other ports with --port ").unwrap_or_else(|| panic!("{told}"));
        assert!(next.parse::<u16>().unwrap() > first, "{told}");
        let ours = format!("port {port}, for {what}, is taken by ");
        let process = format!(" (process {})", std::process::id());
        // Another test may have one of the others.
        let is_ours = first == port || who.starts_with(&format!("port {port}, "));
        assert!(!is_ours || who.starts_with(&ours) && who.ends_with(&process), "{told}");
    }
    for (arguments, says) in [
        (vec!["--listen", "192.0.2.1", "--port", "0"], "the API cannot listen at 192.0.2.1: this machine has no such address"),
        (
            vec!["--port", "0", "--dynamodb", "http://127.0.0.1:9"],
            "http://127.0.0.1:9: nothing answers there: start that first, or correct where it is looked for",
        ),
        (
            vec!["--port", "0", "--dynamodb", "http://emulator.invalid:8000"],
            "http://emulator.invalid:8000: there is no host of that name: start that first, or correct where it is looked for",
        ),
        (
            vec!["--port", "0", "--dynamodb", "https://127.0.0.1:9"],
            "https://127.0.0.1:9: is no URL of an emulator, such as http://127.0.0.1:8000",
        ),
        (
            vec!["audit", "--dynamodb", "http://127.0.0.1:9"],
            "stockroom-Table at http://127.0.0.1:9: nothing answers there: start that first, or correct where it is looked for",
        ),
    ] {
        assert_eq!(refused(&mut local(&arguments), 1), says);
    }

    let website = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", website.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in website.incoming() {
            let mut stream = stream.unwrap();
            if stream.read(&mut [0; 4096]).is_ok_and(|length| length > 0) {
                let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 6\r\n\r\n<html>");
            }
        }
    });
    let told = refused(&mut local(&["--port", "0", "--dynamodb", &url]), 1);
    assert!(told.starts_with(&format!("{url}: what answers there (404 Not Found) is not DynamoDB")), "{told}");
}

#[test]
fn what_keeps_the_functions_from_being_built_is_told() {
    let template = concat!(env!("CARGO_MANIFEST_DIR"), "/../template.yaml");
    let serve = ["--port", "0", "--memory", "--template", template];
    let told = refused(local(&serve).env("CARGO", "/nowhere/cargo"), 1);
    assert_eq!(told, "cargo is needed to build the functions, and is not there: https://rustup.rs has it");
    let told = refused(local(&serve).args(["--profile", "no-such-profile"]), 1);
    assert_eq!(told, "the functions do not build; what cargo says about it is above");

    let folder = tempfile::tempdir().unwrap();
    let told = refused(local(&serve).arg("--functions").arg(folder.path()), 1);
    assert!(
        told.ends_with(": a function of the template that is not there: build it first, or begin without --functions"),
        "{told}"
    );
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("Cargo.lock", "version = 4\n");
    let told = refused(local(&serve).current_dir(folder.path()), 1);
    assert!(told.ends_with("functions/src/bin: there are no functions: begin in the folder of the shop's sources"), "{told}");
    write("Cargo.toml", "[workspace]\nmembers = [\"functions\", \"local\"]\nresolver = \"3\"\n");
    for name in ["functions", "local"] {
        write(&format!("{name}/Cargo.toml"), &format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n"));
        write(&format!("{name}/src/lib.rs"), "");
    }
    write("functions/src/bin/product-get.rs", "fn main() { no such thing }\n");
    let told = refused(local(&serve).current_dir(folder.path()).env("CARGO_TARGET_DIR", folder.path().join("target")), 1);
    assert_eq!(told, "the functions do not build; what cargo says about it is above");
}

#[test]
fn what_the_command_line_cannot_mean_is_told() {
    let (port, url) = ("must be a number from 0 to 65533: the two after it are taken, too", "must be a whole URL, such as");
    for (arguments, says) in [
        (vec!["--prot", "1"], "--prot"),
        (vec!["--port", "x"], port),
        (vec!["--port", "65534"], port),
        (vec!["--port", "70000"], port),
        (vec!["--listen", "my-laptop"], "must be an IP address of this machine"),
        (vec!["--memory", "--data", "x"], "--data"),
        (vec!["--dynamodb", "localhost:8000"], url),
        (vec!["--dynamodb", "127.0.0.1"], url),
        (vec!["--dynamodb", "http://127.0.0.1:0"], url),
        (vec!["--webhook", "/hook"], url),
        (vec!["audit", "--dynamodb", ""], url),
        (vec!["--log", "yaml"], "text, json"),
        (vec!["extra"], "extra"),
        (vec!["--faults", "10"], "share"),
        (vec!["--memory", "audit"], "audit"),
        (vec!["audit", "--data", "x", "--dynamodb", "http://127.0.0.1:9"], "--dynamodb"),
        (vec!["audit", "--data", "x", "--table", "y"], "--table"),
        (vec!["audit", "--region", "eu-central-1"], "required"),
        (vec!["audit", "--apply"], "--apply"),
        (vec!["completions", "cmd"], "bash"),
    ] {
        let Output { status, stderr, .. } = local(&arguments).output().unwrap();
        let told = String::from_utf8_lossy(&stderr);
        assert_eq!(status.code(), Some(2), "{arguments:?}");
        assert!(told.starts_with("error: ") && told.contains(says), "{arguments:?}: {told}");
    }
}

#[tokio::test]
async fn a_port_that_nobody_asked_for_gives_way() {
    // Unless somebody else has it, which is as good.
    let _taken = TcpListener::bind("127.0.0.1:3000");
    let mut running = Running::run(local(&["--memory", "--no-seed"]).stderr(Stdio::piped())).await;
    let port: u16 = running.url.rsplit_once(':').unwrap().1.parse().unwrap();
    assert!((3001..4000).contains(&port), "{port}");
    let aws = format!(":{}", port + 2);
    assert!(running.dynamodb.ends_with(&aws), "{}", running.dynamodb);
    running.signal("TERM");
    let mut told = String::new();
    running.errors.take().unwrap().read_to_string(&mut told).await.unwrap();
    let moved = format!(": taking {port} and the two after it instead");
    assert!(told.lines().any(|line| line.starts_with("port 3000, for the API, is taken") && line.ends_with(&moved)), "{told}");
}

#[tokio::test]
async fn it_says_how_to_get_in_and_not_how_it_was_seeded() {
    let mut running = Running::start(&["--port", "0", "--memory"]).await;
    let (url, client) = (running.url.clone(), Client::new());
    let address = |name: &str, path: &str| format!("{name:<10} {url}{path}");
    for expected in [
        address("API", ""),
        address("Docs", "/docs"),
        address("Console", "/_local"),
        "Accounts   admin@example.com and customer@example.com, with the password keep-this-one-local".to_owned(),
    ] {
        assert!(running.head.contains(&expected), "{expected}: {:?}", running.head);
    }
    assert_eq!(running.head.len(), 7, "nothing else: {:?}", running.head);
    assert_eq!(client.get(format!("{url}/docs")).send().await.unwrap().status(), 200);
    running.admin().await;
    assert!(running.line().await.contains(" GET /docs 200 "), "the first line is about the first request of somebody");
    assert!(running.line().await.contains(" POST /auth/login 200 "));
}

#[tokio::test]
async fn a_line_has_time_query_and_request_id() {
    let mut running = Running::start(&["--port", "0", "--memory", "--no-seed"]).await;
    let client = Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let get = async |path: &str| client.get(format!("{}{path}", running.url)).send().await.unwrap();
    // A person who begins at the beginning is led to the console, and that is no request to the API.
    let home = get("/").await;
    assert_eq!((home.status().as_u16(), &home.headers()["location"]), (307, &"/_local".parse().unwrap()));
    assert_eq!(client.post(&running.url).send().await.unwrap().status(), 404);
    let listed = get("/products?limit=1&prefix=a%20b").await;
    let id = listed.headers()["apigw-requestid"].to_str().unwrap().to_owned();
    assert!(running.line().await.contains(" POST / 404 "));
    let line = running.line().await;
    let (time, rest) = line.split_once(' ').unwrap();
    let pattern = |c: char| if c.is_ascii_digit() { '0' } else { c };
    assert_eq!(time.chars().map(pattern).collect::<String>(), "00:00:00.000Z", "{line}");
    assert!(rest.starts_with("GET /products?limit=1&prefix=a%20b 200 ") && rest.ends_with(&format!("  {id}")), "{line}");
}

#[tokio::test]
async fn a_template_with_a_route_for_it_keeps_its_beginning() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("template.yaml");
    fs::write(&path, template("Method: GET, Path: /products,", "Method: GET, Path: /,")).unwrap();
    let template = path.to_str().unwrap();
    let running = Running::start(&["--port", "0", "--memory", "--no-seed", "--template", template]).await;
    let answer = Client::new().get(&running.url).send().await.unwrap();
    assert!(answer.status() != 404 && answer.url().path() == "/", "{answer:?}");
}

#[tokio::test]
async fn programs_read_json_and_quiet_is_quiet() {
    let mut running = Running::start(&["--port", "0", "--memory", "--log", "json"]).await;
    let head: Vec<Value> = running.head.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [start, ready] = head.as_slice() else { panic!("{head:?}") };
    let url = ready["url"].as_str().unwrap();
    assert_eq!((&start["kind"], &ready["kind"]), (&json!("start"), &json!("ready")));
    assert_eq!((&start["api"], &start["console"]), (&json!(url), &json!(format!("{url}/_local"))));
    assert_eq!(start["accounts"], json!(["admin@example.com", "customer@example.com"]));
    let listed = Client::new().get(format!("{url}/products?limit=1")).send().await.unwrap();
    let line: Value = serde_json::from_str(&running.line().await).unwrap();
    assert_eq!((&line["kind"], &line["status"], &line["query"]), (&json!("request"), &json!(200), &json!("limit=1")));
    assert_eq!(line["request_id"], listed.headers()["apigw-requestid"].to_str().unwrap());
    assert!(line["time"].as_str().unwrap().ends_with('Z') && line["faults"] == json!([]), "{line}");

    let faults = ["--port", "0", "--memory", "--quiet", "--faults", "error=100%,seed=1"];
    let mut running = Running::run(local(&faults).stderr(Stdio::piped())).await;
    assert_eq!(running.head, [format!("ready {}", running.url)]);
    let get = async |path: &str| Client::new().get(format!("{}{path}", running.url)).send().await.unwrap();
    assert_eq!(get("/openapi.json").await.status(), 200, "which nothing is said about");
    let failed = get("/products").await;
    let id = failed.headers()["apigw-requestid"].to_str().unwrap().to_owned();
    let status = failed.status().as_u16();
    let line = running.line().await;
    assert!(line.contains(&format!(" GET /products {status} ")) && line.ends_with(&id), "{line}");
    assert!(line.contains("  error Query, error Query"), "a fault marks the request that it hit: {line}");
    let why = running.line().await;
    assert!(why.contains(&format!(" why {status}: product-list: ")) && why.ends_with(&id), "{why}");
}

#[tokio::test]
async fn a_function_that_dies_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("template.yaml");
    fs::write(&path, template("TABLE_NAME: !Ref Table", "TABEL_NAME: !Ref Table")).unwrap();
    let template = path.to_str().unwrap();
    let mut running = Running::start(&["--port", "0", "--memory", "--no-seed", "--template", template]).await;
    assert_eq!(Client::new().get(format!("{}/products", running.url)).send().await.unwrap().status(), 500);
    assert!(running.line().await.contains(" GET /products 500 "));
    let why = running.line().await;
    assert!(why.contains(" why 500: product-list: Runtime exited: exit status: 1, after writing: "), "{why}");
    assert!(why.contains("TABLE_NAME"), "{why}");
}

#[tokio::test]
async fn a_browser_is_opened_at_the_console() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["xdg-open", "open"] {
        let path = folder.path().join(name);
        fs::write(&path, format!("#!/bin/sh\necho \"$1\" >'{}/opened'\n", folder.path().display())).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let path = env::join_paths([folder.path().to_owned()].into_iter().chain(env::split_paths(&env::var_os("PATH").unwrap())));
    let mut command = local(&["--port", "0", "--memory", "--no-seed", "--open"]);
    let running = Running::run(command.env("PATH", path.unwrap()).stderr(Stdio::null())).await;
    let mut opened = String::new();
    for _ in 0..100 {
        opened = fs::read_to_string(folder.path().join("opened")).unwrap_or_default();
        if opened.ends_with('\n') {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(opened.trim_end(), running.console);
}

#[tokio::test]
async fn a_reset_deletes_what_is_kept_once_somebody_means_it() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data.sqlite");
    let path = data.to_str().unwrap();
    let reset = |arguments: &[&str]| local(&["reset", "--data", path]).args(arguments).output().unwrap();
    let nothing = reset(&[]);
    assert_eq!(nothing.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&nothing.stdout), format!("{path}: there is nothing to delete\n"));

    let mut running = Running::start(&["--port", "0", "--data", path]).await;
    let told = refused(&mut local(&["reset", "--yes", "--data", path]), 1);
    assert_eq!(told, format!("{path}: in use by a running shop; end that first"));
    let told = refused(&mut local(&["--port", "0", "--data", path]), 1);
    assert!(
        told.starts_with(&format!("{path}: in use by another local shop: end that, or start this one with --memory")),
        "{told}"
    );
    running.signal("TERM");
    running.child.wait().await.unwrap();
    let told = refused(&mut local(&["reset", "--data", path]), 1);
    assert_eq!(told, format!("nobody can be asked here whether to delete {path}: say --yes"));
    assert!(data.exists());

    let done = reset(&["--yes"]);
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["data.sqlite.lock"], "{}", String::from_utf8_lossy(&done.stdout));
}

#[test]
fn shells_complete_its_options() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let Output { status, stdout, .. } = local(&["completions", shell]).output().unwrap();
        let script = String::from_utf8(stdout).unwrap();
        assert!(status.success() && script.contains("contention") && script.contains("completions"), "{shell}: {script}");
    }
}

#[tokio::test]
async fn it_ends_with_all_it_started() {
    for signal in ["INT", "TERM"] {
        let mut running = Running::start(&["--port", "0", "--memory"]).await;
        let children = children_of(running.pid());
        assert!(!children.is_empty(), "the functions that seeded the shop are still there");
        running.signal(signal);
        let status = tokio::time::timeout(Duration::from_secs(10), running.child.wait()).await.expect("it ends").unwrap();
        assert_eq!(status.code(), Some(0), "{signal}");
        assert!(gone(&children).await, "{signal}");
    }
}

/// The ports that this process listens to.
fn listening(pid: u32) -> BTreeSet<u16> {
    let handles = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    let held: BTreeSet<_> = handles.filter_map(|handle| Some(fs::read_link(handle.path()).ok()?.to_str()?.to_owned())).collect();
    let mut ports = BTreeSet::new();
    for file in ["tcp", "tcp6"] {
        for line in fs::read_to_string(format!("/proc/net/{file}")).unwrap_or_default().lines().skip(1) {
            let fields: Vec<_> = line.split_whitespace().collect();
            // Address and port in hexadecimal, the state (0A listens), and the socket's number.
            let (_, port) = fields[1].rsplit_once(':').unwrap();
            if fields[3] == "0A" && held.contains(&format!("socket:[{}]", fields[9])) {
                ports.insert(u16::from_str_radix(port, 16).unwrap());
            }
        }
    }
    ports
}

/// Sends these bytes and returns the head of the answer.
async fn answered(port: u16, request: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let read = tokio::time::timeout(Duration::from_secs(10), stream.read_buf(&mut head)).await;
        assert_ne!(read.expect("an answer").unwrap(), 0, "port {port} closes without an answer to {request}");
    }
    String::from_utf8_lossy(&head).to_lowercase()
}

#[tokio::test]
async fn no_port_answers_another_site() {
    let running = Running::start(&["--port", "0", "--memory"]).await;
    let api = running.url.rsplit_once(':').unwrap().1.parse().unwrap();
    let ports = listening(running.pid());
    // The three that it prints, the database's, and one for each function that seeded the shop.
    assert!(ports.len() > 6 && ports.contains(&api), "{ports:?}");
    for port in ports {
        for (method, path) in [
            ("GET", "/"),
            ("GET", "/_local"),
            ("GET", "/_local/items"),
            ("POST", "/"),
            ("OPTIONS", "/"),
            ("POST", "/2015-03-31/functions/AccountAdminFunction/invocations"),
            ("POST", "/2018-06-01/runtime/init/error"),
            ("GET", "/2018-06-01/runtime/invocation/x/response"),
        ] {
            let request = |headers: &str| format!("{method} {path} HTTP/1.1\r\n{headers}content-length: 0\r\n\r\n");
            let own = format!("host: 127.0.0.1:{port}\r\n");
            for (headers, status) in [
                ("", "400"),
                (&*format!("{own}{own}"), "400"),
                ("host: local host\r\n", "400"),
                ("host: rebound.example\r\n", "403"),
                ("host: host.docker.internal\r\n", "403"),
                (&*format!("{own}origin: http://shop.example\r\n"), "403"),
                (&*format!("{own}origin: null\r\n"), "403"),
                (&*format!("{own}origin: http://127.0.0.1:9\r\naccess-control-request-method: POST\r\n"), "403"),
            ] {
                // The API is for everybody, and answers pages as far as the template says.
                if status == "403" && port == api && !path.starts_with("/_local") {
                    continue;
                }
                let head = answered(port, &request(headers)).await;
                assert!(head.starts_with(&format!("http/1.1 {status} ")), "{port} {method} {path} {headers}: {head}");
                assert!(!head.contains("access-control-"), "{port} {method} {path} {headers}: {head}");
            }
        }
    }
    let head = answered(api, "GET /products HTTP/1.1\r\nhost: shop.example\r\norigin: http://shop.example\r\n\r\n").await;
    assert!(head.starts_with("http/1.1 200 ") && !head.contains("access-control-"), "{head}");
}

#[tokio::test]
async fn containers_are_let_in_where_the_shop_listens_to_more_than_this_machine() {
    let running = Running::start(&["--port", "0", "--memory", "--no-seed", "--listen", "0.0.0.0"]).await;
    let aws = running.dynamodb.rsplit_once(':').unwrap().1.parse().unwrap();
    let list = |host: &str| {
        let signature =
            "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0";
        format!(
            "POST / HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: 2\r\n\
             x-amz-target: DynamoDB_20120810.ListTables\r\nx-amz-date: 20260101T000000Z\r\nauthorization: {signature}\r\n\r\n{{}}"
        )
    };
    for (host, status) in [("host.docker.internal:3002", "200"), ("127.0.0.1:3002", "200"), ("rebound.example:3002", "403")] {
        let head = answered(aws, &list(host)).await;
        assert!(head.starts_with(&format!("http/1.1 {status} ")), "{host}: {head}");
    }
}

#[tokio::test]
async fn other_services_of_aws_are_refused_by_name() {
    let running = Running::start(&["--port", "0", "--memory", "--no-seed"]).await;
    for (target, service, says) in [
        ("TrentService.Decrypt", "kms", "kms Decrypt is not served locally; there are"),
        ("AmazonSQS.SendMessage", "sqs", "sqs SendMessage is not served locally; of sqs there are"),
        ("", "s3", "s3 POST / is not served locally; there are"),
    ] {
        let signature = format!("AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/{service}/aws4_request, Signature=0");
        let request = Client::new().post(&running.dynamodb).header("x-amz-target", target).header("authorization", signature);
        let answer = request.body("{}").send().await.unwrap();
        assert_eq!(answer.status(), 501, "{service}");
        let body = answer.text().await.unwrap();
        assert!(body.contains(says), "{service}: {body}");
    }
}

#[tokio::test]
async fn only_its_owner_may_read_the_data() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data.sqlite");
    for run in ["new", "one that others could read"] {
        let mut running = Running::start(&["--port", "0", "--data", data.to_str().unwrap()]).await;
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(folder.path()).unwrap().flatten() {
            let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
            files.insert(entry.file_name().into_string().unwrap(), mode);
        }
        assert!(files.contains_key("data.sqlite-wal"), "{run}: {files:?}");
        assert!(files.values().all(|mode| *mode == 0o600), "{run}: {files:?}");
        running.signal("TERM");
        running.child.wait().await.unwrap();
        fs::set_permissions(&data, fs::Permissions::from_mode(0o644)).unwrap();
    }
}

#[tokio::test]
async fn what_was_acknowledged_survives_being_killed() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("shop/data.sqlite");
    let arguments = ["--port", "0", "--data", data.to_str().unwrap()];
    let mut running = Running::start(&arguments).await;
    let children = children_of(running.pid());

    // A thousand products from sixteen clients, and a sudden end in the middle.
    let (token, url) = (running.admin().await, running.url.clone());
    let mut clients = JoinSet::new();
    for worker in 0..16 {
        let (token, url) = (token.clone(), url.clone());
        clients.spawn(async move {
            let client = Client::new();
            let mut acknowledged = Vec::new();
            for n in (worker..1000).step_by(16) {
                let product = bodies::product(format!("Product {n}")).quantity(n).json();
                let sent = client.post(format!("{url}/products")).bearer_auth(&token).json(&product).send().await;
                match sent {
                    Ok(answer) if answer.status() == 201 => {
                        acknowledged.push((answer.headers()["location"].to_str().unwrap().to_owned(), n));
                    }
                    Ok(answer) => panic!("{}", answer.text().await.unwrap_or_default()),
                    Err(_) => break,
                }
            }
            acknowledged
        });
    }
    let mut answered = 0;
    while answered < 500 {
        let line = running.output.next_line().await.unwrap().expect("it runs");
        answered += usize::from(line.contains(" POST /products 201 "));
    }
    running.signal("KILL");
    running.child.wait().await.unwrap();
    let acknowledged: Vec<_> = clients.join_all().await.into_iter().flatten().collect();
    assert!((490..1000).contains(&acknowledged.len()), "{}", acknowledged.len());
    assert!(gone(&children).await, "functions end when nobody is there to call them");

    let start = Instant::now();
    let mut again = Running::start(&arguments).await;
    assert!(start.elapsed() < Duration::from_secs(5), "a second start took {:?}", start.elapsed());
    let (client, url) = (Client::new(), again.url.clone());
    let read = async {
        for (path, quantity) in &acknowledged {
            let product: Value = client.get(format!("{url}{path}")).send().await.unwrap().json().await.unwrap();
            assert_eq!(product["quantity"], *quantity, "{path}");
        }
    };
    tokio::select! {
        () = read => {}
        () = Running::drain(&mut again.output) => panic!("it ended"),
    }
    let (named, owned) = names(&again.dynamodb).await;
    assert_eq!(named, owned, "every product has its name, and every name its product");
    assert!(named.len() >= acknowledged.len());
}

/// Calls DynamoDB behind the shop's back.
async fn dynamodb(url: &str, operation: &str, body: &Value) -> Value {
    emulator::dynamodb::Client::at(url).unwrap().call(operation, body).await.unwrap()
}

/// The names of all products, as the products have them and as the items that keep them unique do.
async fn names(url: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut named, mut owned) = (BTreeSet::new(), BTreeSet::new());
    let mut start = json!(null);
    loop {
        let mut request = json!({"TableName": "stockroom-Table"});
        if !start.is_null() {
            request["ExclusiveStartKey"] = start;
        }
        let page = dynamodb(url, "Scan", &request).await;
        for item in page["Items"].as_array().unwrap_or_else(|| panic!("{page}")) {
            let text = |name: &str| item[name]["S"].as_str().unwrap_or_default();
            if text("sk") == "PRODUCT" {
                named.insert(format!("{} {}", text("gsi1sk"), text("pk").replace("PRODUCT#", "")));
            } else if let Some(name) = text("pk").strip_prefix("PRODUCT_NAME#") {
                owned.insert(format!("{name} {}", text("product_id")));
            }
        }
        start = page["LastEvaluatedKey"].clone();
        if start.is_null() {
            return (named, owned);
        }
    }
}

#[tokio::test]
async fn an_audit_looks_into_a_shop_that_runs_and_one_that_does_not() {
    let audit = |arguments: &[&str]| {
        let Output { status, stdout, stderr } = local(arguments).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (status.code().unwrap(), text(stdout), text(stderr))
    };
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data.sqlite");
    let data = data.to_str().unwrap();
    let running = Running::start(&["--port", "0", "--data", data, "--faults", "seed=1,delay=50%:1ms"]).await;

    let (code, stdout, stderr) = audit(&["audit", "--dynamodb", &running.dynamodb]);
    assert!(code == 0 && stdout.ends_with(" items, no violation\n"), "{stdout}{stderr}");
    let (code, stdout, stderr) = audit(&["audit", "--data", data]);
    assert!(code == 0 && stdout.ends_with(" items, no violation\n"), "{stdout}{stderr}");
    assert!(stderr.starts_with(&format!("{data}: in use by a running shop: what follows is what was in it at ")), "{stderr}");
    let told = refused(&mut local(&["repair", "--data", data]), 1);
    assert_eq!(told, format!("{data}: in use by a running shop; end that first"));
    let (code, stdout, stderr) = audit(&["audit", "--dynamodb", &running.dynamodb, "--stack", "other"]);
    assert!(code == 1 && stdout.is_empty() && stderr.contains("ResourceNotFoundException"), "{stdout}{stderr}");

    let lost = json!({
        "TableName": "stockroom-Table",
        "Key": {"pk": {"S": "PRODUCT_NAME#notebook"}, "sk": {"S": "OWNER"}},
    });
    dynamodb(&running.dynamodb, "DeleteItem", &lost).await;
    let pid = running.pid();
    let mut child = running.child;
    Command::new("kill").arg(pid.to_string()).status().unwrap();
    child.wait().await.unwrap();
    let (code, stdout, stderr) = audit(&["audit", "--data", data]);
    assert!(
        code == 1 && stdout.contains(" PRODUCT: does not own its name \"notebook\" [torn: an entity without its owner item]\n"),
        "{stdout}{stderr}"
    );
    assert!(stdout.ends_with(" items, 1 violation, 1 of them torn\n"), "{stdout}");

    let (code, stdout, stderr) = audit(&["repair", "--data", data]);
    assert!(code == 1 && stdout.contains("\n  put PRODUCT_NAME#notebook OWNER: product_id = "), "{stdout}{stderr}");
    assert!(stdout.contains("\n1 remedy proposed; ") && stdout.ends_with(" items, 1 violation, 1 of them torn\n"), "{stdout}");
    let (code, stdout, stderr) = audit(&["repair", "--data", data, "--apply"]);
    assert!(code == 0 && stdout.contains("\n  done\n1 remedy carried out; "), "{stdout}{stderr}");
    let (code, stdout, stderr) = audit(&["audit", "--data", data]);
    assert!(code == 0 && stdout.ends_with(" items, no violation\n"), "{stdout}{stderr}");
}

/// What an audit says of a shop: its exit code, and what is on stdout.
async fn audited(arguments: &[&str]) -> (i32, String) {
    let Output { status, stdout, .. } = tokio::process::Command::from(local(arguments)).output().await.unwrap();
    (status.code().unwrap(), String::from_utf8(stdout).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_of_a_shop_that_sells_tells_what_is_broken_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data.sqlite");
    let data = data.to_str().unwrap();
    let mut running = Running::start(&["--port", "0", "--data", data]).await;
    let (token, url, aws) = (running.admin().await, running.url.clone(), running.dynamodb.clone());
    let drained = tokio::spawn(async move {
        Running::drain(&mut running.output).await;
        running
    });
    let client = Client::new();
    let product = bodies::product("Pencil").quantity(100_000).json();
    let made = client.post(format!("{url}/products")).bearer_auth(&token).json(&product).send().await.unwrap();
    let pencil = made.json::<Value>().await.unwrap()["product_id"].as_str().unwrap().to_owned();

    // People buy it, and admins make products that are bought at once.
    let (stop, sold) = (&*Box::leak(Box::new(AtomicBool::new(false))), &*Box::leak(Box::new(AtomicUsize::new(0))));
    let mut people = JoinSet::new();
    for n in 0..4 {
        let (client, url, token, pencil) = (client.clone(), url.clone(), token.clone(), pencil.clone());
        people.spawn(async move {
            let post = async |path: &str, body: &Value| -> Value {
                let sent = client.post(format!("{url}{path}")).bearer_auth(&token).json(body).send().await.unwrap();
                sent.json().await.unwrap()
            };
            while !stop.load(Ordering::Relaxed) {
                let count = sold.fetch_add(1, Ordering::Relaxed);
                let new = bodies::product(format!("Product {count}")).quantity(5).json();
                let bought = if n == 0 {
                    post("/products", &new).await["product_id"].as_str().unwrap().to_owned()
                } else {
                    pencil.clone()
                };
                let placed = post("/orders", &bodies::order([(bought.as_str(), 1)])).await;
                assert_eq!(placed["item_count"], 1, "{placed}");
            }
        });
    }
    for _ in 0..4 {
        let (code, told) = audited(&["audit", "--data", data]).await;
        assert!(code == 0 && told.ends_with(" items, no violation\n"), "a copy is of one instant: {told}");
        let (_, told) = audited(&["audit", "--dynamodb", &aws]).await;
        assert!(!told.contains("[broken]"), "what is being written is not broken: {told}");
    }

    // A piece is taken out of the stock that sells, by hand.
    let planted = json!({
        "TableName": "stockroom-Table", "Key": {"pk": {"S": format!("PRODUCT#{pencil}")}, "sk": {"S": "STOCK#00"}},
        "UpdateExpression": "ADD quantity :less", "ExpressionAttributeValues": {":less": {"N": "-1"}},
    });
    dynamodb(&aws, "UpdateItem", &planted).await;
    let lost = json!({"TableName": "stockroom-Table", "Key": {"pk": {"S": "PRODUCT_NAME#notebook"}, "sk": {"S": "OWNER"}}});
    dynamodb(&aws, "DeleteItem", &lost).await;
    let broken =
        format!("PRODUCT#{pencil} STOCK#00: received is 100000, but quantity, reserved and shipped come to 99999 [broken]\n");
    for source in [["--data", data], ["--dynamodb", &aws]] {
        let before = sold.load(Ordering::Relaxed);
        let (code, told) = audited(&["audit", source[0], source[1]]).await;
        assert!(code == 1 && told.contains(&broken), "{source:?}: {told}");
        assert!(
            told.contains("does not own its name \"notebook\" [torn: an entity without its owner item]\n"),
            "{source:?}: {told}"
        );
        assert!(source[0] != "--data" || told.ends_with(" items, 2 violations, 1 of them torn\n"), "and nothing else: {told}");
        assert!(sold.load(Ordering::Relaxed) > before, "it sells meanwhile");
    }
    stop.store(true, Ordering::Relaxed);
    people.join_all().await;
    drained.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_whose_lines_nobody_reads_goes_on() {
    const REQUESTS: usize = 1_600;
    let mut running = Running::start(&["--port", "0", "--memory", "--no-seed", "--log", "json"]).await;
    let ready: Value = serde_json::from_str(running.head.last().unwrap()).unwrap();
    let url = format!("{}/products?limit=1", ready["url"].as_str().unwrap());
    let client = Client::builder().timeout(Duration::from_mins(1)).build().unwrap();
    let mut people = JoinSet::new();
    for _ in 0..8 {
        let (client, url) = (client.clone(), url.clone());
        people.spawn(async move {
            for _ in 0..REQUESTS / 8 {
                assert_eq!(client.get(&url).send().await.expect("an answer").status(), 200);
            }
        });
    }
    people.join_all().await;
    // Whoever reads at last is told how many are missing, before what comes next.
    let (mut read, mut missed) = (0, 0);
    while missed == 0 {
        let next = tokio::time::timeout(Duration::from_millis(500), running.output.next_line()).await;
        let Ok(line) = next else {
            assert_eq!(client.get(&url).send().await.unwrap().status(), 200);
            continue;
        };
        let line: Value = serde_json::from_str(&line.unwrap().expect("it runs")).unwrap();
        match line["kind"].as_str() {
            Some("missed") => missed = usize::try_from(line["lines"].as_u64().unwrap()).unwrap(),
            _ => read += usize::from(line["kind"] == "request"),
        }
    }
    assert!(missed > 0 && read + missed >= REQUESTS, "{read} were read, and {missed} are missing");
}

#[tokio::test]
async fn a_table_of_an_account_is_read_with_its_credentials() {
    let running = Running::start(&["--port", "0", "--memory"]).await;
    let audit = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut command = local(arguments);
        for (name, _) in env::vars().filter(|(name, _)| name.starts_with("AWS_")) {
            command.env_remove(name);
        }
        let nowhere = [("AWS_EC2_METADATA_DISABLED", "true"), ("HOME", "/nonexistent")];
        let Output { status, stdout, stderr } = command.envs(nowhere).envs(variables.iter().copied()).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (status.code().unwrap(), text(stdout), text(stderr))
    };
    // Where AWS's own tools look for another endpoint than AWS's.
    let endpoint = ("AWS_ENDPOINT_URL_DYNAMODB", running.dynamodb.as_str());
    let credentials = [endpoint, ("AWS_ACCESS_KEY_ID", "AKIALOCAL"), ("AWS_SECRET_ACCESS_KEY", "secret")];
    let table = ["audit", "--table", "stockroom-Table", "--region", "eu-central-1"];

    let (code, stdout, stderr) = audit(&table, &credentials);
    assert!(code == 0 && stdout.ends_with(" items, no violation\n"), "{stdout}{stderr}");
    // A stand-in for the AWS CLI, which knows profiles.
    let folder = tempfile::tempdir().unwrap();
    let path = ("PATH", folder.path().to_str().unwrap());
    let (code, stdout, stderr) = audit(&table, &[endpoint, path]);
    let no_credentials = "no credentials: log in with the AWS CLI, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";
    assert!(code == 1 && stdout.is_empty() && stderr.contains(no_credentials), "{stdout}{stderr}");
    assert!(stderr.contains("(the AWS CLI is not installed)"), "{stderr}");
    let (code, _, stderr) = audit(&table, &[credentials[1], credentials[2], ("AWS_ENDPOINT_URL", "127.0.0.1:3002")]);
    let no_url = "error: \"127.0.0.1:3002\", from AWS_ENDPOINT_URL, is no whole URL such as http://127.0.0.1:3002\n";
    assert!(code == 1 && stderr == no_url, "{stderr}");
    let (code, _, stderr) = audit(&table[..3], &[endpoint, path]);
    assert!(code == 1 && stderr.contains("no region: name one with --region, or set AWS_REGION"), "{stderr}");
    let program = folder.path().join("aws");
    let answers = r#"[ "$2" = get ] && echo eu-central-1 || echo '{"Version": 1, "AccessKeyId": "AKIALOCAL", "SecretAccessKey": "secret"}'"#;
    fs::write(&program, format!("#!/bin/sh\n{answers}\n")).unwrap();
    fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    let (code, stdout, stderr) = audit(&table[..3], &[endpoint, path]);
    assert!(code == 0 && stdout.ends_with(" items, no violation\n"), "{stdout}{stderr}");
    fs::write(&program, "#!/bin/sh\necho 'The SSO session has expired' >&2\nexit 255\n").unwrap();
    let (code, _, stderr) = audit(&table, &[endpoint, path]);
    assert!(code == 1 && stderr.contains("The SSO session has expired"), "{stderr}");
    let (code, stdout, stderr) = audit(&["repair", "--table", "other", "--region", "eu-central-1"], &credentials);
    assert!(code == 1 && stdout.is_empty() && stderr.contains("ResourceNotFoundException"), "{stdout}{stderr}");
}

#[tokio::test]
async fn the_console_tells_what_happened_and_what_is_there() {
    let running = Running::start(&["--port", "0", "--memory"]).await;
    let (client, token) = (Client::new(), running.admin().await);
    let get = async |path: &str| -> Value {
        let answer = client.get(format!("{}{path}", running.console)).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        answer.json().await.unwrap()
    };
    let seen = get("/requests").await["total"].as_u64().unwrap();
    let product = bodies::product("Pencil").price("0.80").quantity(5).json();
    let made = client.post(format!("{}/products", running.url)).bearer_auth(&token).json(&product).send().await.unwrap();
    let id = made.headers()["apigw-requestid"].to_str().unwrap();

    // The request is remembered a moment after its answer, and so are its lines.
    let mut told = json!(null);
    for _ in 0..100 {
        told = get(&format!("/requests?after={seen}")).await;
        if told["total"] == seen + 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let [request] = told["requests"].as_array().unwrap().as_slice() else { panic!("one request: {told}") };
    assert_eq!((&request["request_id"], &request["path"], &request["status"]), (&json!(id), &json!("/products"), &json!(201)));
    assert_eq!((&request["function"], &request["cold"]), (&json!("product-create"), &json!(false)));
    assert_eq!(request["operations"], json!(["GetItem", "TransactWriteItems"]), "the authorizer's call and its own");
    let dollars = request["dollars_per_million"].as_f64().unwrap();
    assert!((dollars - (1.0 + 2.0 * 0.2 + 0.125 + 10.0 * 0.625)).abs() < 1e-9, "{dollars}");

    let mut lines = Vec::new();
    for _ in 0..100 {
        lines = get(&format!("/requests/{id}")).await["lines"].as_array().unwrap().clone();
        if lines.len() == 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let functions: BTreeSet<_> = lines.iter().map(|line| line["function"].as_str().unwrap()).collect();
    assert_eq!(functions, BTreeSet::from(["authorizer", "product-create"]));
    assert!(lines.iter().all(|line| line["text"].as_str().unwrap().contains(id)));

    let said = get(&format!("/requests/{id}")).await;
    assert_eq!((&said["sent"]["body"], &said["answered"]["body"]["name"]), (&product, &json!("Pencil")));
    let authorization = said["sent"]["headers"].as_array().unwrap().iter().find(|header| header[0] == "authorization").unwrap();
    assert_eq!((&authorization[1], &request["role"]), (&json!("…"), &json!("admin")));
    assert!(!get("/requests").await.to_string().contains(&token));

    let items = get("/items?entity=Products&search=PENC").await;
    let count = |name: &str| {
        let entities = items["entities"].as_array().unwrap();
        entities.iter().find(|entity| entity["name"] == name).unwrap()["count"].clone()
    };
    assert_eq!((count("Products"), &items["found"], &items["rows"][0]["name"]), (json!(5), &json!(1), &json!("Pencil")));
    assert_eq!(count("Others"), 0, "every item of the shop has its name");
    let passwords = get("/items?entity=Passwords&stored=true").await;
    assert!(!passwords.to_string().contains("argon2"), "{passwords}");
    let hidden: Vec<_> = passwords["rows"].as_array().unwrap().iter().map(|item| &item["password"]).collect();
    assert_eq!(hidden, [&json!("…"); 2]);

    let routes = get("/routes?seconds=60").await;
    let slowest = routes["routes"].as_array().unwrap().iter().find(|route| route["route"] == "POST /products").unwrap();
    assert_eq!((&slowest["count"], &slowest["refused"]), (&json!(5), &json!(0)));
}

/// Resident memory in KiB and open file handles.
fn footprint(pid: u32) -> (usize, usize) {
    let status = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    let memory = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    (memory, fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count())
}

/// `LOAD_SECONDS` says for how long, 8 unless given.
#[tokio::test(flavor = "multi_thread")]
async fn fifty_clients_leave_nothing_behind() {
    let seconds = env::var("LOAD_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(8);
    let mut running = Running::start(&["--port", "0", "--memory"]).await;
    let (token, pid, url) = (running.admin().await, running.pid(), running.url.clone());
    let drained = tokio::spawn(async move {
        Running::drain(&mut running.output).await;
        running
    });

    let measured = async |length: Duration| {
        let (stop, answered) = (&*Box::leak(Box::new(AtomicBool::new(false))), &*Box::leak(Box::new(AtomicUsize::new(0))));
        let mut clients = JoinSet::new();
        for n in 0..50 {
            let (token, url) = (token.clone(), url.clone());
            clients.spawn(async move {
                let client = Client::new();
                while !stop.load(Ordering::Relaxed) {
                    let request = match n % 5 {
                        0 => client.get(format!("{url}/auth/me")).bearer_auth(&token),
                        _ => client.get(format!("{url}/products?limit=3")),
                    };
                    let answer = request.send().await.expect("an answer");
                    assert_eq!(answer.status(), 200);
                    answer.bytes().await.expect("a whole answer");
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        tokio::time::sleep(length).await;
        stop.store(true, Ordering::Relaxed);
        clients.join_all().await;
        // Connections close a moment after their clients are gone.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let (memory, handles) = footprint(pid);
        let environments = children_of(pid).len();
        println!("{} answers; {memory} KiB, {handles} handles, {environments} environments", answered.load(Ordering::Relaxed));
        (memory, handles, environments)
    };

    // The first part fills what is bounded: the rings of the log, and the environments of each function.
    let half = Duration::from_secs_f64(f64::from(seconds) / 2.0);
    let before = measured(half).await;
    let after = measured(half).await;
    assert!(after.0 < before.0 + before.0 / 5, "memory grew from {} to {} KiB", before.0, after.0);
    // Connections to the database are pooled, as many as were ever busy at once; a leak would show in thousands.
    assert!(after.1 <= before.1 + 40, "handles grew from {} to {}", before.1, after.1);
    // Ten for each of the three functions under load, one for each of the five that seeded the shop, one that tells of it, and one
    // that sends mail because of it.
    assert!(after.2 <= 37, "{} environments", after.2);

    Command::new("kill").arg(pid.to_string()).status().unwrap();
    drained.await.unwrap();
}
