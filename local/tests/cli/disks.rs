//! What is said of files and disks that something has happened to: the table in docs/local.md, tried.

use std::{
    fs::{self, OpenOptions, Permissions},
    io::{Seek as _, SeekFrom, Write as _},
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _, chown},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use reqwest::Client;
use rusqlite::Connection;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;

use super::{Running, audited, bodies, local, refused};

/// Somebody who is not root, if we are: for root, nothing is read-only.
const NOBODY: u32 = 65_534;

/// What holds for as long as `local` is tried, and what is tried.
struct Tried {
    command: Command,
    _held: Option<Box<dyn std::any::Any>>,
}

/// The first two columns of each row, and whether the shop starts.
fn rows() -> Vec<(String, String, bool)> {
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/local.md")).unwrap();
    let table = text.split("| what has happened to the file of the data |").nth(1).unwrap().split("\n\n").next().unwrap();
    let cells = |row: &str| row.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let row = |row: &str| match cells(row).as_slice() {
        [what, says, and] => (what.clone(), says.clone(), and == "starts"),
        other => panic!("{other:?}"),
    };
    table.lines().skip(2).map(row).collect()
}

/// Makes it happen to the files of a shop that has been sold from; `None` if it cannot be made to happen here.
fn happen(what: &str, data: &Path) -> Option<Tried> {
    let serve = || local(&["--port", "0", "--data", data.to_str().unwrap()]);
    let length = fs::metadata(data).unwrap().len();
    let overwrite = |at: u64, bytes: &[u8]| {
        let mut file = OpenOptions::new().write(true).open(data).unwrap();
        file.seek(SeekFrom::Start(at)).unwrap();
        file.write_all(bytes).unwrap();
    };
    let cut = |length: u64| OpenOptions::new().write(true).open(data).unwrap().set_len(length).unwrap();
    let mut held: Option<Box<dyn std::any::Any>> = None;
    let mut command = serve();
    match what {
        "it was cut to nothing" => cut(0),
        "its second half was cut off" => cut(length / 2),
        "its beginning was overwritten" => overwrite(0, &[0xA5; 64]),
        "pages in its middle were overwritten" => overwrite(length / 2 / 4096 * 4096, &vec![0xA5; 5 * 4096]),
        "a part of an item was overwritten" => {
            let bytes = fs::read(data).unwrap();
            let part = br#"{"S":"blotting paper"}"#;
            let places = bytes.windows(part.len()).enumerate().filter(|(_, bytes)| bytes == part);
            let places: Vec<_> = places.map(|(place, _)| place as u64).collect();
            assert!(!places.is_empty());
            for place in places {
                overwrite(place, &[0xA5; 9]);
            }
        }
        "it never was a database" => {
            fs::remove_file(data.with_added_extension("secrets.json")).unwrap();
            fs::remove_file(data.with_added_extension("streams.json")).unwrap();
            fs::write(data, "A list of what to buy, and nothing that a shop has ever kept.\n".repeat(200)).unwrap();
        }
        "it is another program's database" => {
            fs::remove_file(data).unwrap();
            Connection::open(data).unwrap().execute_batch("CREATE TABLE bookmarks (url)").unwrap();
        }
        "it is another stack's" => {
            let database = Connection::open(data).unwrap();
            assert_eq!(database.execute("UPDATE _tables SET table_name = 'other-Table'", []).unwrap(), 1);
        }
        "a shop has it open" => {
            let lock = OpenOptions::new().write(true).open(data.with_added_extension("lock")).unwrap();
            lock.lock().unwrap();
            held = Some(Box::new(lock));
        }
        "another program has locked it" => {
            let database = Connection::open(data).unwrap();
            database.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN IMMEDIATE; UPDATE _config SET value = value").unwrap();
            held = Some(Box::new(database));
        }
        "it may not be written" | "its folder may not be written" => {
            let (folder, is_root) = (data.parent().unwrap(), fs::metadata("/proc/self").unwrap().uid() == 0);
            let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
            for path in files.chain([folder.to_owned()]).filter(|_| is_root) {
                chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
            }
            let (path, mode) = if what.contains("folder") { (folder, 0o500) } else { (data, 0o400) };
            fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
            if is_root {
                command.uid(NOBODY).gid(NOBODY);
                // It must be able to reach what it runs.
                let mut reach = Command::new(command.get_program());
                reach.arg("--version").current_dir(command.get_current_dir().unwrap()).uid(NOBODY).gid(NOBODY);
                if !reach.stdout(Stdio::null()).status().is_ok_and(|status| status.success()) {
                    return None;
                }
            }
        }
        "its disk is full" => command = limited(&["ulimit -f 0"], &command),
        "the secrets beside it are missing" => fs::remove_file(data.with_added_extension("secrets.json")).unwrap(),
        "it is missing, and the secrets are there" => fs::remove_file(data).unwrap(),
        other => panic!("nobody has tried {other:?}"),
    }
    Some(Tried { command, _held: held })
}

/// The same in a shell that has limits, and whose writes beyond them fail as on a full disk.
fn limited(limits: &[&str], command: &Command) -> Command {
    let mut shell = Command::new("sh");
    let script = [&["trap '' XFSZ"], limits, &["exec \"$0\" \"$@\""]].concat().join("; ");
    shell.args(["-c", &script]).arg(command.get_program()).args(command.get_args());
    shell.current_dir(command.get_current_dir().unwrap()).stdin(Stdio::null());
    shell
}

fn copied(from: &Path, to: &Path) -> PathBuf {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
    to.join("data.sqlite")
}

#[tokio::test]
async fn what_has_happened_to_a_file_is_told() {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    let sold = folder.path().join("sold");
    let data = sold.join("data.sqlite");
    let mut running = Running::start(&["--port", "0", "--data", data.to_str().unwrap()]).await;
    running.signal("TERM");
    running.child.wait().await.unwrap();
    drop(running);
    assert!(data.with_added_extension("streams.json").exists());

    let rows = rows();
    assert!(rows.len() >= 15, "{rows:?}");
    for (n, (what, says, starts)) in rows.into_iter().enumerate() {
        let data = copied(&sold, &folder.path().join(n.to_string()));
        let says = says.replace("FILE", data.to_str().unwrap());
        let Some(mut tried) = happen(&what, &data) else {
            println!("skipped: {what}: nobody else may run this program here");
            continue;
        };
        // To read it here would let go of the locks that this process has on it.
        let state = || fs::metadata(&data).map(|file| (file.len(), file.modified().unwrap())).ok();
        let before = state();
        if !starts {
            assert_eq!(refused(&mut tried.command, 1), says, "{what}");
            assert_eq!(state(), before, "{what}: nothing is written");
            continue;
        }
        let mut running = Running::run(tried.command.stderr(Stdio::piped())).await;
        running.signal("TERM");
        let mut told = String::new();
        running.errors.take().unwrap().read_to_string(&mut told).await.unwrap();
        running.child.wait().await.unwrap();
        assert!(told.contains(&says), "{what}: {told}");
    }
}

#[tokio::test]
async fn a_shop_whose_disk_becomes_full_loses_nothing_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data.sqlite");
    let data = data.to_str().unwrap();
    let mut running = Running::run(limited(&[], &local(&["--port", "0", "--data", data])).stderr(Stdio::null())).await;
    let (token, url, client) = (running.admin().await, running.url.clone(), Client::new());
    let post = async |path: &str, body: &Value| {
        let answer = client.post(format!("{url}{path}")).bearer_auth(&token).json(body).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    let get = async |path: &str| client.get(format!("{url}{path}")).bearer_auth(&token).send().await.unwrap();
    let pid = running.pid().to_string();
    let room = |size: &str| {
        let limit = format!("--fsize={size}:unlimited");
        assert!(Command::new("prlimit").args(["--pid", &pid, &limit]).status().unwrap().success());
    };
    let (_, pencil) = post("/products", &bodies::product("Pencil").quantity(1_000).json()).await;
    let pencil = pencil["product_id"].as_str().unwrap().to_owned();
    let order = bodies::order([(pencil.as_str(), 1)]);
    let mut acknowledged = Vec::new();
    for full in [false, true, false, true, false] {
        room(if full { "0" } else { "unlimited" });
        for _ in 0..3 {
            let (status, answer) = post("/orders", &order).await;
            if full {
                assert_eq!((status, &answer["code"]), (503, &json!("unavailable")), "{answer}");
                assert_eq!(get(&format!("/products/{pencil}")).await.status(), 200, "what is there can be read");
            } else {
                assert_eq!(status, 201, "{answer}");
                acknowledged.push(answer["order_id"].as_str().unwrap().to_owned());
            }
        }
    }
    for order in &acknowledged {
        assert_eq!(get(&format!("/orders/{order}")).await.status(), 200, "{order}");
    }
    let books: Value = get(&format!("/products/{pencil}/stock")).await.json().await.unwrap();
    assert_eq!((&books["reserved"], &books["received"]), (&json!(acknowledged.len()), &json!(1_000)), "{books}");
    running.signal("TERM");
    running.child.wait().await.unwrap();
    let (code, told) = audited(&["audit", "--data", data]).await;
    assert!(code == 0 && told.ends_with(" items, no violation\n"), "{told}");
}
