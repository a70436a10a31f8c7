//! `DELETE /products/{product_id}`: an admin takes a product out of the catalogue.

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
    request.caller()?.require_admin()?;
    let product_id = request.path_id("product_id", Resource::Product)?;

    products::delete(&app.table, product_id, request.if_match()?.as_deref()).await?;

    http::no_content()
}
