//! A function for the tests only: it panics, hangs or behaves, as its path says.

use std::time::Duration;

use shared::{
    Error, Result, entry,
    http::{self, Request, Response},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), entry::StartupError> {
    entry::http::serve(handle).await
}

async fn handle((): &(), request: Request) -> Result<Response> {
    match request.path() {
        "/panic" => panic!("as it was asked to"),
        "/hang" => {
            tokio::time::sleep(Duration::from_mins(1)).await;
            http::no_content()
        }
        "/fail" => Err(Error::Internal("a detail that stays in the log".into())),
        _ => http::no_content(),
    }
}
