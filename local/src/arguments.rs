//! What the program can be told on its command line.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use emulator::{Contention, Faults, Format, is_url};
use local::STACK;

/// The shop's data unless somebody says otherwise.
const DATA: &str = ".stockroom/data.sqlite";

/// The whole API on one machine, from template.yaml
#[derive(Parser)]
#[command(name = "local", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub serve: ServeArguments,
}

#[derive(Subcommand)]
pub enum Command {
    /// Read a whole table and name everything in it that contradicts something else
    Audit(AuditArguments),
    /// Name what would put right what an audit finds, as far as a machine can decide it
    Repair(RepairArguments),
    /// Delete the data that are kept: the next start begins anew
    Reset(ResetArguments),
    /// Print what lets a shell complete this program's options, such as `local completions bash`
    Completions { shell: Shell },
}

/// A table: of a local shop, an emulator or an account.
#[derive(Args)]
pub struct TableArguments {
    /// The file that keeps the data
    #[arg(long, value_name = "FILE", default_value = DATA, conflicts_with_all = ["dynamodb", "table"])]
    pub data: PathBuf,
    /// Where DynamoDB answers: a running shop's, or an emulator's
    #[arg(long, value_name = "URL", value_parser = url)]
    pub dynamodb: Option<String>,
    /// The table's name; without --dynamodb, of a table of the account whose credentials AWS's own tools would take
    #[arg(long, value_name = "NAME")]
    pub table: Option<String>,
    /// The account's region; the profile's unless given
    #[arg(long, value_name = "REGION", requires = "table", conflicts_with = "dynamodb")]
    pub region: Option<String>,
    /// The stack whose table it is, unless it is named
    #[arg(long, value_name = "NAME", default_value = STACK)]
    pub stack: String,
}

#[derive(Args)]
pub struct AuditArguments {
    #[command(flatten)]
    pub table: TableArguments,
    /// Read an export of a table instead: a folder with manifest-summary.json, copied from S3
    #[arg(long, value_name = "FOLDER")]
    pub export: Option<PathBuf>,
}

#[derive(Args)]
pub struct RepairArguments {
    #[command(flatten)]
    pub source: AuditArguments,
    /// Carry it out; the shop must be closed
    #[arg(long)]
    pub apply: bool,
}

#[derive(Args)]
pub struct ResetArguments {
    /// The file that keeps the data
    #[arg(long, value_name = "FILE", default_value = DATA)]
    pub data: PathBuf,
    /// Do not ask first
    #[arg(long, short)]
    pub yes: bool,
}

#[derive(Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option that is given or not")]
pub struct ServeArguments {
    /// The gateway's port; Lambda's Invoke API and the rest of AWS take the next two, and 0 takes free ones for all. Without it, 3000,
    /// or the next that are free
    #[arg(long, value_parser = port)]
    pub port: Option<u16>,
    /// The address to listen at. 0.0.0.0 lets in whoever reaches this machine: containers, phones and strangers alike
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1", value_parser = address)]
    pub listen: IpAddr,
    /// Keep the data in memory and forget it at the end
    #[arg(long, conflicts_with_all = ["data", "dynamodb"])]
    pub memory: bool,
    /// The file that keeps the data
    #[arg(long, value_name = "FILE", default_value = DATA, conflicts_with = "dynamodb")]
    pub data: PathBuf,
    /// An emulator that is running already, instead of the embedded one
    #[arg(long, value_name = "URL", value_parser = url)]
    pub dynamodb: Option<String>,
    /// Start an empty shop, without demonstration data
    #[arg(long)]
    pub no_seed: bool,
    /// The cargo profile that the functions are built with
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
    /// Run the functions that are in this folder, and build none
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["profile", "watch"])]
    pub functions: Option<PathBuf>,
    /// Build again when a source changes
    #[arg(long)]
    pub watch: bool,
    /// Show the console in a browser
    #[arg(long)]
    pub open: bool,
    /// How a line looks that is printed: as people read it, or as an object of JSON
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub log: LogFormat,
    /// Print only where it answers, and what goes wrong
    #[arg(long, short)]
    pub quiet: bool,
    /// The template to run; the workspace's own unless given
    #[arg(long, value_name = "FILE")]
    pub template: Option<PathBuf>,
    /// A value for one of the template's parameters; may be repeated
    #[arg(long = "parameter", value_name = "NAME=VALUE", value_parser = parameter)]
    pub parameters: Vec<(String, String)>,
    /// Send every event to this URL by POST, with `x-api-key: local`: the template's `WebhookUrl` and `WebhookKey`
    #[arg(long, value_name = "URL", value_parser = url)]
    pub webhook: Option<String>,
    /// Let calls to DynamoDB fail, and those to the event bus and of the stream's reader: `10%` of them in every way, or such as `seed=7,conflict=2%,throttle=2%,error=2%,lost=2%,drop=1%,delay=1%:50ms,kill=1%`
    #[arg(long, value_name = "SPEC")]
    pub faults: Option<Faults>,
    /// Let those who want the same item at one instant conflict as on AWS: alone, or such as `transaction=15ms,write_units=1000`
    #[arg(long, value_name = "SPEC", num_args = 0..=1, default_missing_value = "")]
    pub contention: Option<Contention>,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

impl From<LogFormat> for Format {
    fn from(format: LogFormat) -> Self {
        match format {
            LogFormat::Text => Self::Text,
            LogFormat::Json => Self::Json,
        }
    }
}

fn parameter(text: &str) -> Result<(String, String), &'static str> {
    match text.split_once('=') {
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => Err("must be NAME=VALUE"),
    }
}

/// With room for the two after it.
fn port(text: &str) -> Result<u16, &'static str> {
    let port = text.parse().ok().filter(|port| *port <= 65_533);
    port.ok_or("must be a number from 0 to 65533: the two after it are taken, too")
}

fn address(text: &str) -> Result<IpAddr, &'static str> {
    if text == "localhost" {
        return Ok(Ipv4Addr::LOCALHOST.into());
    }
    text.parse().map_err(|_| "must be an IP address of this machine: 127.0.0.1, or 0.0.0.0 for all that it has")
}

fn url(text: &str) -> Result<String, &'static str> {
    is_url(text).then(|| text.to_owned()).ok_or("must be a whole URL, such as http://127.0.0.1:8000")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
