//! `cargo run -p local`: builds the functions and runs the whole API on this machine.

mod arguments;

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::sync::Arc;

use arguments::{AuditArguments, Cli, Command, RepairArguments, ResetArguments, ServeArguments, TableArguments};
use clap::{CommandFactory as _, Parser as _};
use emulator::dynamodb::file;
use emulator::template::Template;
use emulator::{Clock, Database, Emulator, Options, Printer, Store, Verbosity, now_millis, server};
use indicatif::ProgressBar;
use local::audit::source::{Source, Table};
use local::audit::{self, Finding};
use local::{CONSOLE, Error, Result, STACK, Shop, cargo, repair, seed, watch};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Where the shop is unless somebody says otherwise.
const PORT: u16 = 3000;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let ended = match cli.command {
        // Ctrl-C ends these at once, as it ends any program.
        Some(Command::Audit(arguments)) => run_audit(arguments).await,
        Some(Command::Repair(arguments)) => run_repair(arguments).await,
        Some(Command::Reset(arguments)) => reset(&arguments),
        Some(Command::Completions { shell }) => {
            clap_complete::generate(shell, &mut Cli::command(), "local", &mut std::io::stdout());
            Ok(ExitCode::SUCCESS)
        }
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
        let (table, served) = arguments.table.open(true, &stop).await?;
        (Source::Table(table), served)
    };
    let mut tell = |finding: Finding| {
        say(&finding.to_string());
        Ok(())
    };
    let report = match &source {
        // However much there is to tell of an export, it is told as it is found.
        Source::Export(_) => audit::look(&source, &progress(), &mut tell).await?,
        Source::Table(_) => {
            let (findings, report) = audit::look_twice(&source, &progress()).await?;
            findings.into_iter().try_for_each(&mut tell)?;
            report
        }
    };
    say(&report.to_string());
    Ok(if report.violations == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn run_repair(arguments: RepairArguments) -> Result<ExitCode> {
    let stop = CancellationToken::new();
    let (table, _served) = arguments.source.table.open(false, &stop).await?;
    let source = arguments.source.export.map_or_else(|| Source::Table(table.clone()), Source::Export);
    let repair = repair::run(&source, &table, arguments.apply, &progress(), &mut say).await?;
    say(&repair.to_string());
    let nothing_left = repair.report.violations == 0 && (arguments.apply || repair.remedies == 0);
    Ok(if nothing_left { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl TableArguments {
    /// The table, and what serves it if it is in a file. One that a shop has open can only be read, as it is at this instant.
    async fn open(self, only_read: bool, stop: &CancellationToken) -> Result<(Table, Option<Database>)> {
        if let (Some(name), None) = (&self.table, &self.dynamodb) {
            return Ok((Table::of_account(name, self.region).await?, None));
        }
        let (url, served) = if let Some(url) = self.dynamodb {
            (url, None)
        } else {
            let database = match Database::open_existing(&self.data, stop).await {
                Err(emulator::Error::DatabaseInUse { path }) if only_read => {
                    eprintln!("{}: in use by a running shop: what follows is what was in it at {}", path.display(), now());
                    Database::copy_of(&path, stop).await.map_err(in_use)?
                }
                opened => opened.map_err(in_use)?,
            };
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

/// Deletes what is kept, if it is there and somebody means it.
fn reset(arguments: &ResetArguments) -> Result<ExitCode> {
    let path = &arguments.data;
    if !path.exists() {
        say(&format!("{}: there is nothing to delete", path.display()));
        return Ok(ExitCode::SUCCESS);
    }
    if !arguments.yes {
        if !std::io::stdin().is_terminal() {
            return Err(Error::NobodyToAsk { path: path.clone() });
        }
        eprint!("Delete {} and all that is in it? [y/N] ", path.display());
        let mut answer = String::new();
        // What cannot be read is no consent.
        let _ = std::io::stdin().read_line(&mut answer);
        if !["y", "yes"].contains(&answer.trim().to_lowercase().as_str()) {
            say("nothing is deleted");
            return Ok(ExitCode::FAILURE);
        }
    }
    for file in file::delete(path).map_err(in_use)? {
        say(&format!("deleted {}", file.display()));
    }
    Ok(ExitCode::SUCCESS)
}

async fn serve(arguments: ServeArguments) -> Result {
    let workspace = workspace();
    let printer = Arc::new(Printer::new(Verbosity::Failures, arguments.log.into()));
    // What is wrong with ports or template is told before minutes are spent on a build.
    let (mut options, template) = checked(&arguments, &workspace, &printer).await?;
    options.binaries = match &arguments.functions {
        Some(folder) => built(&template, folder)?,
        None => cargo::build_functions(&workspace, arguments.profile.as_deref()).await?,
    };
    let shop = Shop::start(options).await?;
    // Only what goes wrong with the demonstration data is printed: the requests are nobody's.
    let accounts = if arguments.no_seed { Vec::new() } else { seed::run(&shop).await? };
    printer.set(if arguments.quiet { Verbosity::Failures } else { Verbosity::Everything });
    let has_docs = template.routes.iter().any(|route| route.key == "GET /docs");
    introduce(&shop, &printer, &arguments, &accounts, has_docs);
    // Only now: the demonstration data is no part of the experiment.
    shop.inject(arguments.faults);
    shop.contend(arguments.contention);
    printer.say(Verbosity::Failures, "ready", format_args!("ready {}", shop.url()), || json!({"url": shop.url()}));
    if arguments.open {
        open(&shop.console_url());
    }
    let told = tell_of_mails(&shop, &printer);
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

/// The template's functions as they are in a folder.
fn built(template: &Template, folder: &Path) -> Result<BTreeMap<String, PathBuf>> {
    // They are started elsewhere than here.
    let folder = folder.canonicalize().map_err(|source| Error::File { path: folder.to_owned(), source })?;
    let binaries = template.functions.iter().map(|function| (function.binary.clone(), folder.join(&function.binary)));
    let binaries: BTreeMap<_, _> = binaries.collect();
    match binaries.values().find(|binary| !binary.is_file()) {
        Some(path) => Err(Error::NoFunction { path: path.clone() }),
        None => Ok(binaries),
    }
}

/// What to start with, and the template that it names. Who has asked for a port gets that or is told who has it; a port that nobody has
/// asked for gives way to the next that is free, as with other servers that people develop with.
async fn checked(arguments: &ServeArguments, workspace: &Path, printer: &Arc<Printer>) -> Result<(Options, Template)> {
    let at = |port| options(arguments, workspace, Arc::clone(printer), port);
    let first = at(arguments.port.unwrap_or(PORT));
    let taken = match Emulator::check(&first).await {
        Ok(template) => return Ok((first, template)),
        Err(taken @ emulator::Error::PortTaken { .. }) => taken,
        Err(error) => return Err(error.into()),
    };
    let next = server::free_ports(arguments.listen, first.port.saturating_add(1), 3);
    match (arguments.port, next) {
        (None, Some(next)) => {
            eprintln!("{taken}: taking {next} and the two after it instead");
            let second = at(next);
            let template = Emulator::check(&second).await?;
            Ok((second, template))
        }
        (Some(_), Some(next)) => Err(Error::PortTaken { taken, next }),
        (_, None) => Err(taken.into()),
    }
}

fn options(arguments: &ServeArguments, workspace: &Path, printer: Arc<Printer>, port: u16) -> Options {
    let mut parameters = BTreeMap::new();
    if arguments.template.is_none() {
        // Everybody here has one address.
        parameters.insert("AttemptsPerAddress".to_owned(), "0".to_owned());
        // They go nowhere: the console has them, and the links in them lead there.
        parameters.insert("MailFrom".to_owned(), "Stockroom <shop@example.com>".to_owned());
        if port != 0 {
            parameters.insert("PagesUrl".to_owned(), format!("http://127.0.0.1:{port}{CONSOLE}"));
        }
    }
    if let Some(url) = &arguments.webhook {
        parameters.insert("WebhookUrl".to_owned(), url.clone());
        parameters.insert("WebhookKey".to_owned(), "local".to_owned());
    }
    parameters.extend(arguments.parameters.iter().cloned());
    let next = |distance| if port == 0 { 0 } else { port + distance };
    Options {
        template: arguments.template.clone().unwrap_or_else(|| workspace.join("template.yaml")),
        stack: STACK.to_owned(),
        parameters,
        address: arguments.listen,
        port,
        invoke_port: next(1),
        aws_port: next(2),
        store: match &arguments.dynamodb {
            Some(url) => Store::Url(url.clone()),
            None if arguments.memory => Store::Memory,
            None => Store::File(arguments.data.clone()),
        },
        printer,
        home: Some(CONSOLE.to_owned()),
        ..Options::default()
    }
}

/// Tells what is where, and how to get in.
fn introduce(shop: &Shop, printer: &Printer, arguments: &ServeArguments, accounts: &[&str], has_docs: bool) {
    let docs = has_docs.then(|| format!("{}/docs", shop.url()));
    let (faults, contention) =
        (arguments.faults.as_ref().map(ToString::to_string), arguments.contention.as_ref().map(ToString::to_string));
    let login = (!accounts.is_empty()).then(|| format!("{}, with the password {}", accounts.join(" and "), seed::PASSWORD));
    let lines = [
        ("API", Some(shop.url().to_owned())),
        ("Docs", docs.clone()),
        ("Console", Some(shop.console_url())),
        ("Lambda", Some(shop.invoke_url().to_owned())),
        ("AWS", Some(shop.aws_url().to_owned())),
        ("Webhook", arguments.webhook.clone()),
        ("Accounts", login),
        ("Faults", faults.clone()),
        ("Contention", contention.clone()),
    ];
    let lines: Vec<_> = lines.into_iter().filter_map(|(name, is)| Some(format!("{name:<10} {}", is?))).collect();
    printer.say(Verbosity::Everything, "start", lines.join("\n"), || {
        json!({
            "api": shop.url(),
            "docs": docs,
            "console": shop.console_url(),
            "lambda": shop.invoke_url(),
            "aws": shop.aws_url(),
            "webhook": arguments.webhook,
            "accounts": accounts,
            "password": (!accounts.is_empty()).then_some(seed::PASSWORD),
            "faults": faults,
            "contention": contention,
        })
    });
}

/// Shows a page in the browser that this system's own command chooses.
fn open(url: &str) {
    let command = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let mut command_line = std::process::Command::new(command);
    let opened = command_line.arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    if opened.is_err() {
        eprintln!("{command} is not there to show a page in a browser: it is at {url}");
    }
}

/// A line for each mail that a function sends: what it is about and where to see it, and not whom it is for.
async fn tell_of_mails(shop: &Shop, printer: &Printer) -> Result {
    // Those of the demonstration data are no news.
    let mut seen = shop.mails().last().map_or(0, |mail| mail.number + 1);
    loop {
        for mail in shop.next_mails(seen).await {
            seen = mail.number + 1;
            let url = format!("{}#mails/{}", shop.console_url(), mail.number);
            let fields = || json!({"subject": mail.subject, "url": url});
            printer.say(Verbosity::Everything, "mail", format_args!("mail {} {url}", mail.subject), fields);
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

/// The time, as in the lines of a running shop.
fn now() -> Clock {
    Clock(now_millis())
}

fn say(line: &str) {
    // A closed pipe is no reason to stop serving.
    let _ = writeln!(std::io::stdout(), "{line}");
}
