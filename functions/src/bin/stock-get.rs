//! `GET /products/{product_id}/stock`: an admin sees where the pieces of a product are that were ever received.

use shared::{
    App, Result,
    domain::Resource,
    entry,
    http::{self, Request, Response},
    store::movements,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), entry::StartupError> {
    entry::http::serve(handle).await
}

async fn handle(app: &App, request: Request) -> Result<Response> {
    request.caller()?.require_admin()?;
    let product_id = request.path_id("product_id", Resource::Product)?;

    let books = movements::books(&app.table, product_id).await?;

    http::plain(&books)
}
