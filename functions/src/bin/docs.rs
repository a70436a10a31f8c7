//! `GET /openapi.json`, `GET /openapi-3.0.json`, `GET /asyncapi.json`, `GET /docs` and `GET /docs/{file}`: the contract as documents,
//! and a page to read it and try it on.

use shared::{
    Result,
    domain::{Refusal, Resource},
    entry,
    http::{self, File, Representation, Request, Response},
};

/// Every file by its path, as build.rs has collected them.
const FILES: &[(&str, File)] = &include!(concat!(env!("OUT_DIR"), "/files.rs"));

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), entry::StartupError> {
    entry::http::serve(handle).await
}

async fn handle((): &(), request: Request) -> Result<Response> {
    let (_, file) = FILES.iter().find(|(path, _)| *path == request.path()).ok_or(Refusal::NotFound(Resource::Page))?;

    http::file(&request, file)
}
