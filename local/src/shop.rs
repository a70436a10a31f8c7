//! The shop on one machine: the emulator with this shop's console beside its API, and an audit of its tables.

use std::ops::Deref;
use std::sync::Arc;

use emulator::guard::Guard;
use emulator::{Emulator, Inside, Options};
use indicatif::ProgressBar;

use crate::audit::source::{Source, Table};
use crate::audit::{self, Finding, Violation};
use crate::console::{self, Account, Accounts, Console};
use crate::error::Result;
use crate::repair::{self, Repair};

/// The name of the shop's stack unless somebody says otherwise.
pub const STACK: &str = "stockroom";

/// A running shop. It ends, and every process it started with it, when it is stopped or dropped.
pub struct Shop {
    emulator: Emulator,
    accounts: Accounts,
}

/// What any emulator can do.
impl Deref for Shop {
    type Target = Emulator;

    fn deref(&self) -> &Emulator {
        &self.emulator
    }
}

impl Shop {
    pub async fn start(options: Options) -> Result<Self> {
        let accounts = Accounts::default();
        let offered = Arc::clone(&accounts);
        let pages = |inside: Inside| Console::new(inside).router(Guard::default(), offered);
        Ok(Self { emulator: Emulator::start(options, pages).await?, accounts })
    }

    /// Where a browser sees what happens here.
    pub fn console_url(&self) -> String {
        format!("{}{}", self.url(), console::PATH)
    }

    /// Lets whoever opens the page about the API log in with one of these.
    pub fn offer(&self, accounts: Vec<Account>) {
        // The first ones stay: a shop is seeded once.
        let _ = self.accounts.set(accounts);
    }

    /// Looks at every item there is. What is being written meanwhile may look wrong: ask when nobody is at work.
    pub async fn audit(&self) -> Result<Vec<Violation>> {
        let mut violations = Vec::new();
        for table in self.tables() {
            violations.extend(audit::run(self.dynamodb_url(), table).await?);
        }
        Ok(violations)
    }

    /// Like [`Shop::audit`], and with what it takes to put right what is found.
    pub async fn findings(&self) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        for table in self.tables() {
            let mut tell = |finding| {
                findings.push(finding);
                Ok(())
            };
            audit::look(&Source::at(self.dynamodb_url(), table), &ProgressBar::hidden(), &mut tell).await?;
        }
        Ok(findings)
    }

    /// Puts right what an audit finds; gives what became of it in each table, and what there is to tell.
    pub async fn repair(&self) -> Result<(Vec<Repair>, Vec<String>)> {
        let (mut repairs, mut told) = (Vec::new(), Vec::new());
        for table in self.tables() {
            let table = Table::at(self.dynamodb_url(), table);
            let source = Source::Table(table.clone());
            let mut tell = |line: &str| told.push(line.to_owned());
            repairs.push(repair::run(&source, &table, true, &ProgressBar::hidden(), &mut tell).await?);
        }
        Ok((repairs, told))
    }

    /// Ends every process and frees every port before it returns.
    pub async fn stop(self) {
        self.emulator.stop().await;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use emulator::template::Template;

    use super::*;

    #[test]
    fn the_shops_template_is_understood() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../template.yaml");
        let template = Template::read(&path, STACK, &BTreeMap::new()).unwrap();
        assert!(template.routes.iter().any(|route| route.key == "GET /products"), "{:?}", template.routes);
    }
}
