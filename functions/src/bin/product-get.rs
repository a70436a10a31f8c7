//! `GET /products/{product_id}`: anyone sees one product.

use shared::{
    App, Result,
    domain::Resource,
    entry,
    http::{self, Request, Response},
    store::products,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), entry::StartupError> {
    entry::http::serve(handle).await
}

async fn handle(app: &App, request: Request) -> Result<Response> {
    let product_id = request.path_id("product_id", Resource::Product)?;

    let product = products::find(&app.table, product_id).await?;

    http::cacheable(&request, &product)
}
