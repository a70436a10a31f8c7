//! `cargo run -p local`: builds the functions and runs the whole API on this machine.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use emulator::template::Template;
use emulator::{Contention, Database, Faults, Options, Store};
use indicatif::ProgressBar;
use local::audit::source::{Source, Table};
use local::audit::{self, Finding};
use local::{CONSOLE, Error, Result, STACK, Shop, cargo, repair, seed, watch};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The shop's data unless somebody says otherwise.
const DATA: &str = ".stockroom/data.sqlite";

/// The whole API on one machine, from template.yaml
#[derive(Parser)]
#[command(name = "local", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeArguments,
}

#[derive(Subcommand)]
enum Command {
    /// Read a whole table and name everything in it that contradicts something else
    Audit(AuditArguments),
    /// Name what would put right what an audit finds, as far as a machine can decide it
    Repair(RepairArguments),
}

/// A table: of a local shop, an emulator or an account.
#[derive(Args)]
struct TableArguments {
    /// The file that keeps the data
    #[arg(long, value_name = "FILE", default_value = DATA, conflicts_with_all = ["dynamodb", "table"])]
    data: PathBuf,
    /// Where DynamoDB answers: a running shop's, or an emulator's
    #[arg(long, value_name = "URL")]
    dynamodb: Option<String>,
    /// The table's name; without --dynamodb, of a table of the account whose credentials AWS's own tools would take
    #[arg(long, value_name = "NAME")]
    table: Option<String>,
    /// The account's region; the profile's unless given
    #[arg(long, value_name = "REGION", requires = "table", conflicts_with = "dynamodb")]
    region: Option<String>,
    /// The stack whose table it is, unless it is named
    #[arg(long, value_name = "NAME", default_value = STACK)]
    stack: String,
}

#[derive(Args)]
struct AuditArguments {
    #[command(flatten)]
    table: TableArguments,
    /// Read an export of a table instead: a folder with manifest-summary.json, copied from S3
    #[arg(long, value_name = "FOLDER")]
    export: Option<PathBuf>,
}

#[derive(Args)]
struct RepairArguments {
    #[command(flatten)]
    source: AuditArguments,
    /// Carry it out; the shop must be closed
    #[arg(long)]
    apply: bool,
}

#[derive(Args)]
struct ServeArguments {
    /// The gateway's port; Lambda's Invoke API and the rest of AWS take the next two, and 0 takes free ones for all
    #[arg(long, default_value_t = 3000, value_parser = clap::value_parser!(u16).range(..=65533))]
    port: u16,
    /// The address to listen at. 0.0.0.0 lets in whoever reaches this machine: containers, phones and strangers alike
    #[arg(long, value_name = "ADDRESS", default_value_t = Options::default().address)]
    listen: IpAddr,
    /// Keep the data in memory and forget it at the end
    #[arg(long, conflicts_with_all = ["data", "dynamodb"])]
    memory: bool,
    /// The file that keeps the data
    #[arg(long, value_name = "FILE", default_value = DATA, conflicts_with = "dynamodb")]
    data: PathBuf,
    /// An emulator that is running already, instead of the embedded one
    #[arg(long, value_name = "URL")]
    dynamodb: Option<String>,
    /// Start an empty shop, without demonstration data
    #[arg(long)]
    no_seed: bool,
    /// The cargo profile that the functions are built with
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// Build again when a source changes
    #[arg(long)]
    watch: bool,
    /// The template to run; the workspace's own unless given
    #[arg(long, value_name = "FILE")]
    template: Option<PathBuf>,
    /// A value for one of the template's parameters; may be repeated
    #[arg(long = "parameter", value_name = "NAME=VALUE", value_parser = parameter)]
    parameters: Vec<(String, String)>,
    /// Send every event to this URL by POST, with `x-api-key: local`: the template's `WebhookUrl` and `WebhookKey`
    #[arg(long, value_name = "URL")]
    webhook: Option<String>,
    /// Let calls to DynamoDB fail, and those to the event bus and of the stream's reader: `10%` of them in every way, or such as `seed=7,conflict=2%,throttle=2%,error=2%,lost=2%,drop=1%,delay=1%:50ms`
    #[arg(long, value_name = "SPEC")]
    faults: Option<Faults>,
    /// Let those who want the same item at one instant conflict as on AWS: alone, or such as `transaction=15ms,write_units=1000`
    #[arg(long, value_name = "SPEC", num_args = 0..=1, default_missing_value = "")]
    contention: Option<Contention>,
}

fn parameter(text: &str) -> Result<(String, String), &'static str> {
    match text.split_once('=') {
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => Err("must be NAME=VALUE"),
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let ended = match cli.command {
        // Ctrl-C ends these at once, as it ends any program.
        Some(Command::Audit(arguments)) => run_audit(arguments).await,
        Some(Command::Repair(arguments)) => run_repair(arguments).await,
        None => tokio::select! {
            ended = serve(cli.serve) => ended.map(|()| ExitCode::SUCCESS),
            // Dropping the shop ends every function.
            Ok(()) = interrupted() => Ok(ExitCode::SUCCESS),
        },
    };
    ended.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::FAILURE
    })
}

async fn run_audit(arguments: AuditArguments) -> Result<ExitCode> {
    let stop = CancellationToken::new();
    let (source, _served) = if let Some(folder) = arguments.export {
        (Source::Export(folder), None)
    } else {
        let (table, served) = arguments.table.open(&stop).await?;
        (Source::Table(table), served)
    };
    let mut tell = |finding: Finding| {
        say(&finding.to_string());
        Ok(())
    };
    let report = audit::look(&source, &progress(), &mut tell).await?;
    say(&report.to_string());
    Ok(if report.violations == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn run_repair(arguments: RepairArguments) -> Result<ExitCode> {
    let stop = CancellationToken::new();
    let (table, _served) = arguments.source.table.open(&stop).await?;
    let source = arguments.source.export.map_or_else(|| Source::Table(table.clone()), Source::Export);
    let repair = repair::run(&source, &table, arguments.apply, &progress(), &mut say).await?;
    say(&repair.to_string());
    let nothing_left = repair.report.violations == 0 && (arguments.apply || repair.remedies == 0);
    Ok(if nothing_left { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl TableArguments {
    /// The table, and what serves it if it is in a file.
    async fn open(self, stop: &CancellationToken) -> Result<(Table, Option<Database>)> {
        if let (Some(name), None) = (&self.table, &self.dynamodb) {
            return Ok((Table::of_account(name, self.region).await, None));
        }
        let (url, served) = if let Some(url) = self.dynamodb {
            (url, None)
        } else {
            let database = Database::open_existing(&self.data, stop).await.map_err(in_use)?;
            (database.url.clone(), Some(database))
        };
        let name = if let Some(name) = self.table {
            name
        } else {
            let template = Template::read(&workspace().join("template.yaml"), &self.stack, &BTreeMap::new())?;
            let table = template.tables.into_iter().next();
            table.map_or_else(|| format!("{}-Table", self.stack), |table| table.name)
        };
        Ok((Table::at(&url, &name), served))
    }
}

/// A file that a shop has open can be read through the shop.
fn in_use(error: emulator::Error) -> Error {
    match error {
        emulator::Error::DatabaseInUse { path } => Error::DatabaseRunning { path },
        other => other.into(),
    }
}

/// On a terminal; nothing elsewhere.
fn progress() -> ProgressBar {
    ProgressBar::new(0)
}

async fn serve(arguments: ServeArguments) -> Result {
    let workspace = workspace();
    let binaries = cargo::build_functions(&workspace, arguments.profile.as_deref()).await?;
    let mut parameters = BTreeMap::new();
    if arguments.template.is_none() {
        // Everybody here has one address.
        parameters.insert("AttemptsPerAddress".to_owned(), "0".to_owned());
    }
    if arguments.template.is_none() {
        // They go nowhere: the console has them, and the links in them lead there.
        parameters.insert("MailFrom".to_owned(), "Stockroom <shop@example.com>".to_owned());
        if arguments.port != 0 {
            parameters.insert("PagesUrl".to_owned(), format!("http://127.0.0.1:{}{}", arguments.port, CONSOLE));
        }
    }
    if let Some(url) = &arguments.webhook {
        parameters.insert("WebhookUrl".to_owned(), url.clone());
        parameters.insert("WebhookKey".to_owned(), "local".to_owned());
    }
    parameters.extend(arguments.parameters);
    let next = |distance| if arguments.port == 0 { 0 } else { arguments.port + distance };
    let shop = Shop::start(Options {
        template: arguments.template.unwrap_or_else(|| workspace.join("template.yaml")),
        binaries,
        stack: STACK.to_owned(),
        parameters,
        address: arguments.listen,
        port: arguments.port,
        invoke_port: next(1),
        aws_port: next(2),
        store: match arguments.dynamodb {
            Some(url) => Store::Url(url),
            None if arguments.memory => Store::Memory,
            None => Store::File(arguments.data),
        },
        ..Options::default()
    })
    .await?;
    say(&format!("API       {}", shop.url()));
    say(&format!("Lambda    {}", shop.invoke_url()));
    say(&format!("AWS       {}", shop.aws_url()));
    say(&format!("Console   {}", shop.console_url()));
    if let Some(url) = arguments.webhook {
        say(&format!("Webhook   {url}"));
    }
    if !arguments.no_seed {
        seed::run(&shop).await?;
    }
    if let Some(faults) = arguments.faults {
        say(&format!("Faults    {faults}"));
        // Only now: the demonstration data is no part of the experiment.
        shop.inject(Some(faults));
    }
    if let Some(contention) = arguments.contention {
        say(&format!("Contention {contention}"));
        shop.contend(Some(contention));
    }
    say(&format!("ready {}", shop.url()));
    let told = tell_of_mails(&shop);
    let watched = async {
        if arguments.watch {
            watch::run(&workspace, arguments.profile.as_deref(), &shop).await
        } else {
            std::future::pending().await
        }
    };
    tokio::select! {
        ended = watched => ended,
        never = told => never,
    }
}

/// A line for each mail that a function sends: what it is about and where to see it, and not whom it is for.
async fn tell_of_mails(shop: &Shop) -> Result {
    let mut seen = 0;
    loop {
        for mail in shop.next_mails(seen).await {
            seen = mail.number + 1;
            say(&format!("mail {} {}#mails/{}", mail.subject, shop.console_url(), mail.number));
        }
    }
}

/// Waits for Ctrl-C or SIGTERM.
async fn interrupted() -> Result {
    let mut terminated = signal(SignalKind::terminate()).map_err(Error::Signals)?;
    tokio::select! {
        pressed = tokio::signal::ctrl_c() => pressed.map_err(Error::Signals),
        _ = terminated.recv() => Ok(()),
    }
}

/// The workspace around the working directory, otherwise the one that this program was built in.
fn workspace() -> PathBuf {
    let here = std::env::current_dir().unwrap_or_default();
    let around = here.ancestors().find(|folder| folder.join("Cargo.lock").exists());
    around.map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join(".."), Path::to_path_buf)
}

fn say(line: &str) {
    // A closed pipe is no reason to stop serving.
    let _ = writeln!(std::io::stdout(), "{line}");
}
