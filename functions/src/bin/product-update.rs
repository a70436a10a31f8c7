//! `PUT /products/{product_id}`: an admin changes some or all fields of a product.

use shared::{
    App, Result,
    domain::ProductChange,
    http::{self, Request, Response},
    store::products,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), http::StartupError> {
    http::serve(handle).await
}

async fn handle(app: &App, request: Request) -> Result<Response> {
    request.caller()?.require_admin()?;
    let product_id = request.path_id("product_id", "product")?;
    let change: ProductChange = request.json()?;

    let product = products::update(&app.table, product_id, &change, request.if_match()?.as_deref(), app.now()).await?;

    http::ok(&product)
}
