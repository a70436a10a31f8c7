//! Builds again when a source changes, and swaps the functions whose binary came out different.

use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{ErrorKind, Event, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;

use crate::cargo;
use crate::error::{Error, Result};
use crate::shop::Shop;

/// An editor touches several files at once; the build waits until it is done.
const QUIET_FOR: Duration = Duration::from_millis(200);

/// Watches until the future is dropped.
pub async fn run(workspace: &Path, profile: Option<&str>, shop: &Shop) -> Result {
    let (sender, mut changes) = mpsc::unbounded_channel();
    // Held, because dropping it ends the watch.
    let _watcher = watcher(workspace, sender).map_err(|error| Error::Watch(why(&error)))?;
    while changes.recv().await.is_some() {
        while tokio::time::timeout(QUIET_FOR, changes.recv()).await.is_ok_and(|change| change.is_some()) {}
        match cargo::build_functions(workspace, profile).await {
            Ok(_) => match shop.renew().as_slice() {
                [] => {}
                renewed => eprintln!("renewed {}", renewed.join(", ")),
            },
            // Cargo has said why; what was built last keeps serving.
            Err(error) => eprintln!("error: {error}"),
        }
    }
    Ok(())
}

fn why(error: &notify::Error) -> String {
    match &error.kind {
        ErrorKind::MaxFilesWatch => "the system watches no more files (fs.inotify.max_user_watches)".to_owned(),
        ErrorKind::Io(error) => emulator::reason(error),
        _ => error.to_string(),
    }
}

fn watcher(workspace: &Path, sender: mpsc::UnboundedSender<()>) -> notify::Result<RecommendedWatcher> {
    let root = workspace.canonicalize()?;
    let folders = ["functions", "shared", ".cargo"].map(|name| root.join(name));
    let files = ["Cargo.toml", "Cargo.lock"].map(|name| root.join(name));
    let watched = folders.clone();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
        if event.is_ok_and(|event| concerns(&event, &watched, &files)) {
            // Nobody listens any more when the shop is stopping.
            let _ = sender.send(());
        }
    })?;
    // The folder and not the files: most editors replace a file instead of writing into it.
    watcher.watch(&root, RecursiveMode::NonRecursive)?;
    for folder in folders.iter().filter(|folder| folder.exists()) {
        watcher.watch(folder, RecursiveMode::Recursive)?;
    }
    Ok(watcher)
}

fn concerns(event: &Event, folders: &[PathBuf], files: &[PathBuf]) -> bool {
    // Reading is not a change, and building reads everything.
    !event.kind.is_access()
        && event.paths.iter().any(|path| files.contains(path) || folders.iter().any(|folder| path.starts_with(folder)))
}
