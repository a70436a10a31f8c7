//! What is read of a running emulator, by people or by programs: a line for each thing that happens.

use std::fmt;
use std::io::Write;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use console::style;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::macros::format_description;

/// How many lines wait for whoever reads them; what comes after those is not printed.
const WAITING_LINES: usize = 1_000;

/// How long the last lines wait for a reader.
const LAST_LINES_LIMIT: Duration = Duration::from_secs(1);

/// How much is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    #[default]
    Silent,
    /// Only what went wrong.
    Failures,
    Everything,
}

/// How a line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    #[default]
    Text,
    /// An object of JSON, whose `kind` says what the line is about.
    Json,
}

/// Prints lines about what happens on stdout, and what functions write on stderr. One by default prints nothing.
#[derive(Debug, Default)]
pub struct Printer {
    verbosity: Mutex<Verbosity>,
    format: Format,
    output: Lines,
    errors: Lines,
}

impl Printer {
    pub fn new(verbosity: Verbosity, format: Format) -> Self {
        Self { verbosity: Mutex::new(verbosity), format, ..Self::default() }
    }

    /// Prints so much from now on.
    pub fn set(&self, verbosity: Verbosity) {
        *self.verbosity.lock().unwrap_or_else(PoisonError::into_inner) = verbosity;
    }

    /// Whether a line is printed that is so important.
    pub fn prints(&self, least: Verbosity) -> bool {
        *self.verbosity.lock().unwrap_or_else(PoisonError::into_inner) >= least
    }

    /// A line that is printed at least at this verbosity: as a text, or as its fields.
    pub fn say(&self, least: Verbosity, kind: &str, text: impl fmt::Display, fields: impl FnOnce() -> Value) {
        if self.prints(least) {
            let line = match self.format {
                Format::Text => text.to_string(),
                Format::Json => object(kind, fields()).to_string(),
            };
            self.output.print(line, self.format, std::io::stdout);
        }
    }

    /// A line that a function has written.
    pub fn pass_on(&self, least: Verbosity, function: &str, text: &str) {
        if self.prints(least) {
            let line = match self.format {
                Format::Text => format!("{} {text}", style(format!("[{function}]")).for_stderr().dim()),
                Format::Json => {
                    // What is JSON already stays so.
                    let line = serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
                    object("line", serde_json::json!({"function": function, "line": line})).to_string()
                }
            };
            self.errors.print(line, self.format, std::io::stderr);
        }
    }
}

/// The way to one stream. A thread writes to it, because whoever reads may take their time, and nobody who works here waits for that.
#[derive(Debug, Default)]
struct Lines(Mutex<Option<Queue>>);

#[derive(Debug)]
struct Queue {
    lines: SyncSender<String>,
    /// Lines that there was no room for, since the last one that there was.
    missed: u64,
    format: Format,
    /// Ends with the thread.
    end: Receiver<()>,
}

impl Lines {
    /// The stream is opened with the first line.
    fn print<W: Write>(&self, line: String, format: Format, stream: impl FnOnce() -> W + Send + 'static) {
        let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        queue.get_or_insert_with(|| Queue::start(format, stream)).push(line);
    }
}

impl Queue {
    fn start<W: Write>(format: Format, stream: impl FnOnce() -> W + Send + 'static) -> Self {
        let (lines, waiting) = mpsc::sync_channel::<String>(WAITING_LINES);
        let (ends, end) = mpsc::channel();
        std::thread::spawn(move || {
            let _ends: mpsc::Sender<()> = ends;
            let mut stream = stream();
            for line in waiting {
                // A closed terminal is no reason to stop serving.
                let _ = writeln!(stream, "{line}");
            }
        });
        Self { lines, missed: 0, format, end }
    }

    fn push(&mut self, line: String) {
        if !self.tell_of_missed() || self.lines.try_send(line).is_err() {
            self.missed += 1;
        }
    }

    /// A line in the place of those that are missing, if some are; tells whether there was room for it.
    fn tell_of_missed(&mut self) -> bool {
        let missed = self.missed;
        let line = match self.format {
            _ if missed == 0 => return true,
            Format::Text => format!("{missed} lines are missing here: nobody read them in time"),
            Format::Json => object("missed", serde_json::json!({"lines": missed})).to_string(),
        };
        let told = self.lines.try_send(line).is_ok();
        self.missed *= u64::from(!told);
        told
    }
}

impl Drop for Lines {
    /// Whatever was said is printed before the end, unless nobody reads it.
    fn drop(&mut self) {
        let queue = self.0.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut queue) = queue {
            queue.tell_of_missed();
            drop(queue.lines);
            // It ends by itself, or is left behind.
            let _ = queue.end.recv_timeout(LAST_LINES_LIMIT);
        }
    }
}

/// The fields behind the kind of line that they are.
fn object(kind: &str, fields: Value) -> Value {
    let mut object = Map::from_iter([("kind".to_owned(), kind.into())]);
    if let Value::Object(fields) = fields {
        object.extend(fields);
    }
    Value::Object(object)
}

/// `10:12:31.042Z`. UTC, as all times in answers, in what functions write and in the data.
pub struct Clock(pub u64);

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let format = format_description!("[hour]:[minute]:[second].[subsecond digits:3]Z");
        let nanoseconds = i128::from(self.0) * 1_000_000;
        let time = OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        write!(f, "{}", style(time.format(format).unwrap_or_default()).dim())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    /// A stream that takes nothing while somebody holds the lock.
    #[derive(Clone, Default)]
    struct Pipe {
        taken: Arc<Mutex<Vec<u8>>>,
        /// Whether anything has been written to it.
        is_used: Arc<AtomicBool>,
    }

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.is_used.store(true, Ordering::Release);
            self.taken.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Pipe {
        fn read(&self) -> Vec<String> {
            String::from_utf8(self.taken.lock().unwrap().clone()).unwrap().lines().map(str::to_owned).collect()
        }
    }

    #[test]
    fn all_that_was_said_is_printed_before_the_end() {
        let (pipe, lines) = (Pipe::default(), Lines::default());
        for n in 0..WAITING_LINES {
            let stream = pipe.clone();
            lines.print(n.to_string(), Format::Text, move || stream);
        }
        drop(lines);
        assert_eq!(pipe.read(), (0..WAITING_LINES).map(|n| n.to_string()).collect::<Vec<_>>());
    }

    #[test]
    fn what_nobody_reads_keeps_nobody_and_is_counted_in_its_place() {
        for (format, told) in
            [(Format::Text, "lines are missing here: nobody read them in time"), (Format::Json, r#"{"kind":"missed","lines":"#)]
        {
            let (pipe, lines) = (Pipe::default(), Lines::default());
            let print = |line: usize| {
                let stream = pipe.clone();
                lines.print(line.to_string(), format, move || stream);
            };
            let held = pipe.taken.lock().unwrap();
            print(0);
            // The first is under way, and the others wait.
            while !pipe.is_used.load(Ordering::Acquire) {
                std::thread::yield_now();
            }
            (1..3 * WAITING_LINES).for_each(print);
            drop(held);
            // There is room again once the first of those that wait is written.
            let mut after = 3 * WAITING_LINES;
            while !pipe.read().iter().any(|line| line.contains(told)) {
                print(after);
                after += 1;
                std::thread::sleep(Duration::from_millis(1));
            }
            drop(lines);
            let read = pipe.read();
            let place = read.iter().position(|line| line.contains(told)).unwrap();
            let missed: usize = read[place].chars().filter(char::is_ascii_digit).collect::<String>().parse().unwrap();
            let numbers = |lines: &[String]| lines.iter().map(|line| line.parse().unwrap()).collect::<Vec<usize>>();
            assert_eq!(numbers(&read[..place]), (0..place).collect::<Vec<_>>(), "in order, and none of them twice");
            assert_eq!(numbers(&read[place + 1..]), (place + missed..after).collect::<Vec<_>>(), "every other line is there");
            assert_eq!(place, WAITING_LINES + 1);
        }
    }
}
