//! `GET /products/{product_id}`: anyone sees one product.

use shared::{
    App, Result,
    http::{self, Request, Response},
    store::products,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), http::StartupError> {
    http::serve(handle).await
}

async fn handle(app: &App, request: Request) -> Result<Response> {
    let product_id = request.path_id("product_id", "product")?;

    let product = products::find(&app.table, product_id).await?;

    http::cacheable(&request, &product)
}
