//! `GET /openapi.json`, `GET /docs` and `GET /docs/{file}`: the contract as a document, and a page to read it and try it on.

use shared::{
    Error, Result,
    http::{self, File, Request, Response},
};

const DOCUMENT: File = File::plain("application/json", include_bytes!("../../../openapi.json"));
const PAGE: File = File::plain("text/html; charset=utf-8", include_bytes!("../../assets/docs.html"));

/// What the page is made of. Swagger UI comes with a crate; build.rs takes it out and compresses it.
const FILES: &[(&str, File)] = &[
    ("docs.css", File::plain("text/css; charset=utf-8", include_bytes!("../../assets/docs.css"))),
    ("docs.js", File::plain("text/javascript; charset=utf-8", include_bytes!("../../assets/docs.js"))),
    (
        "swagger-ui.js",
        File::gzipped("text/javascript; charset=utf-8", include_bytes!(concat!(env!("OUT_DIR"), "/swagger-ui-bundle.js.gz"))),
    ),
    ("swagger-ui.css", File::gzipped("text/css; charset=utf-8", include_bytes!(concat!(env!("OUT_DIR"), "/swagger-ui.css.gz")))),
];

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), http::Fatal> {
    http::serve(handle).await
}

async fn handle((): &(), request: Request) -> Result<Response> {
    let file = match request.route() {
        "GET /openapi.json" => &DOCUMENT,
        "GET /docs" => &PAGE,
        _ => {
            let name: String = request.path_id("file", "page")?;
            FILES.iter().find(|(its, _)| *its == name).map(|(_, file)| file).ok_or(Error::NotFound("page"))?
        }
    };

    http::file(file)
}
