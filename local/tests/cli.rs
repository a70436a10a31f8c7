//! The program as people run it: what it prints, how it ends, and what survives when it does not end well.

#![expect(clippy::disallowed_methods, reason = "the environment is off limits for functions, not for those who test them")]

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
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
    process::{Child, ChildStdout},
    task::JoinSet,
};

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
    output: Lines<BufReader<ChildStdout>>,
    url: String,
    dynamodb: String,
    console: String,
}

impl Running {
    async fn start(arguments: &[&str]) -> Self {
        let mut command = tokio::process::Command::from(local(arguments));
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut printed: BTreeMap<String, String> = BTreeMap::new();
        let ready = async {
            while let Some(line) = output.next_line().await.unwrap() {
                if let Some((name, url)) = line.split_once("http://") {
                    printed.insert(name.trim().to_owned(), format!("http://{url}"));
                }
                if line.starts_with("ready ") {
                    return;
                }
            }
            panic!("it ended before it was ready");
        };
        tokio::time::timeout(READY_LIMIT, ready).await.expect("it is ready in time");
        let url = |name: &str| printed[name].clone();
        Self { child, output, url: url("ready"), dynamodb: url("AWS"), console: url("Console") }
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

#[test]
fn what_cannot_work_is_told_in_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken_port = taken.local_addr().unwrap().port().to_string();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let template = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../template.yaml")).unwrap();
    let not_yaml = file("broken.yaml", "Resources: [");
    let unknown = file("unknown.yaml", &template.replacen("!Ref Table", "!Ref Tabel", 1));
    let extra = file("extra.yaml", &template.replace("ProductGetFunction", "ProductGteFunction"));
    let admin = "  AccountAdminFunction:\n    Type: ";
    let lacking = file(
        "lacking.yaml",
        &template.replace(&format!("{admin}AWS::Serverless::Function"), &format!("{admin}AWS::Logs::LogGroup")),
    );
    let clock = file("clock.yaml", &template.replacen("Schedule: rate(15 minutes)", "Schedule: cron(0 12 * * ? *)", 1));
    let source = file("source.yaml", &template.replacen("Type: Schedule", "Type: SQS", 1));
    let topic = file("topic.yaml", &template.replacen("Type: AWS::Logs::LogGroup", "Type: AWS::SNS::Topic", 1));
    let junk =
        file("junk.sqlite", "this is no database, and it is longer than a header of one would be, so that it is looked at");

    for (arguments, says) in [
        (vec!["--port", &taken_port], "cannot listen on port"),
        (vec!["--port", "0", "--template", &not_yaml], "broken.yaml"),
        (vec!["--port", "0", "--template", "/nowhere/template.yaml"], "/nowhere/template.yaml"),
        (vec!["--port", "0", "--template", &unknown], "Tabel"),
        (vec!["--port", "0", "--template", &extra], "product-gte"),
        (vec!["--port", "0", "--template", &lacking], "account-admin"),
        (vec!["--port", "0", "--data", &junk], "junk.sqlite"),
        (vec!["--port", "0", "--data", "/proc/none/data"], "/proc/none"),
        (vec!["--port", "0", "--dynamodb", "http://127.0.0.1:9"], "http://127.0.0.1:9"),
        (vec!["--port", "0", "--memory", "--parameter", "NoSuch=1"], "NoSuch"),
        (vec!["--port", "0", "--profile", "no-such-profile"], "build"),
        (vec!["--port", "0", "--memory", "--template", &clock], "Events.Schedule.Properties.Schedule"),
        (
            vec!["--port", "0", "--memory", "--template", &source],
            "Events.Schedule: SQS: only HttpApi, Schedule, DynamoDB and EventBridgeRule",
        ),
        (vec!["--port", "0", "--memory", "--template", &topic], "AWS::SNS::Topic does not exist here"),
        (
            vec!["--port", "0", "--memory", "--parameter", "OrderShards=0"],
            "Parameters.OrderShards: \"0\" does not match its AllowedPattern",
        ),
        (vec!["audit", "--data", "/nowhere/data.sqlite"], "/nowhere/data.sqlite"),
        (vec!["audit", "--data", &junk], "junk.sqlite"),
        (vec!["audit", "--dynamodb", "http://127.0.0.1:9"], "http://127.0.0.1:9"),
    ] {
        let Output { status, stdout, stderr } = local(&arguments).output().unwrap();
        let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        assert_eq!(status.code(), Some(1), "{arguments:?}: {stderr}");
        assert!(!stdout.contains("ready"), "{arguments:?}: {stdout}");
        let last = stderr.lines().last().unwrap_or_default();
        assert!(last.starts_with("error: ") && last.contains(says), "{arguments:?}: {stderr}");
        assert!(stderr.lines().count() == 1 || says == "build", "cargo may explain itself, nobody else: {stderr}");
    }
    for arguments in [
        vec!["--prot", "1"],
        vec!["--port", "x"],
        vec!["--port", "70000"],
        vec!["--memory", "--data", "x"],
        vec!["extra"],
        vec!["--faults", "10"],
        vec!["--memory", "audit"],
        vec!["audit", "--data", "x", "--dynamodb", "http://127.0.0.1:9"],
        vec!["audit", "--data", "x", "--table", "y"],
        vec!["audit", "--region", "eu-central-1"],
        vec!["audit", "--apply"],
    ] {
        let refused = local(&arguments).output().unwrap();
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}");
        assert!(String::from_utf8_lossy(&refused.stderr).starts_with("error: "), "{arguments:?}");
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
        ("AmazonSQS.SendMessage", "sqs", "AmazonSQS is not emulated here"),
        ("DynamoDBStreams_20120810.ListStreams", "dynamodb", "DynamoDBStreams_20120810 is not emulated here"),
        ("", "s3", "s3 is not emulated here"),
    ] {
        let signature = format!("AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/{service}/aws4_request, Signature=0");
        let request = Client::new().post(&running.dynamodb).header("x-amz-target", target).header("authorization", signature);
        let answer = request.body("{}").send().await.unwrap();
        assert_eq!(answer.status(), 400, "{service}");
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
        answered += usize::from(line.starts_with("POST /products 201"));
    }
    running.signal("KILL");
    running.child.wait().await.unwrap();
    let acknowledged: Vec<_> = clients.join_all().await.into_iter().flatten().collect();
    assert!((490..1000).contains(&acknowledged.len()), "{}", acknowledged.len());
    assert!(gone(&children).await, "functions end when nobody is there to call them");

    let start = Instant::now();
    let again = Running::start(&arguments).await;
    assert!(start.elapsed() < Duration::from_secs(5), "a second start took {:?}", start.elapsed());
    let client = Client::new();
    for (path, quantity) in &acknowledged {
        let product: Value = client.get(format!("{}{path}", again.url)).send().await.unwrap().json().await.unwrap();
        assert_eq!(product["quantity"], *quantity, "{path}");
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
    assert!(code == 1 && stdout.is_empty() && stderr.contains("--dynamodb"), "{stdout}{stderr}");
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
    let (code, stdout, stderr) = audit(&table, &[endpoint]);
    assert!(code == 1 && stdout.is_empty() && stderr.contains("credentials"), "{stdout}{stderr}");
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
        lines = get(&format!("/requests/{id}/lines")).await["lines"].as_array().unwrap().clone();
        if lines.len() == 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let functions: BTreeSet<_> = lines.iter().map(|line| line["function"].as_str().unwrap()).collect();
    assert_eq!(functions, BTreeSet::from(["authorizer", "product-create"]));
    assert!(lines.iter().all(|line| line["text"].as_str().unwrap().contains(id)));

    let items = get("/items").await;
    assert!(!items.to_string().contains("argon2"), "{items}");
    let named = |name: &str| {
        let entities = items["entities"].as_array().unwrap();
        entities.iter().find(|entity| entity["name"] == name).unwrap()
    };
    assert_eq!((&named("Products")["count"], &named("Products")["items"][0]["name"]), (&json!(5), &json!("Pencil")));
    let passwords: Vec<_> = named("Passwords")["items"].as_array().unwrap().iter().map(|item| &item["password"]).collect();
    assert_eq!(passwords, [&json!("…"); 2]);
    assert_eq!(named("Others")["count"], 0, "every item of the shop has its name");
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
