//! `POST /products`: an admin adds a product to the catalogue.

use shared::{
    App, Result,
    domain::{NewProduct, Product},
    entry,
    http::{self, Request, Response},
    store::products,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), entry::StartupError> {
    entry::http::serve(handle).await
}

async fn handle(app: &App, request: Request) -> Result<Response> {
    let caller = request.caller()?;
    caller.require_admin()?;
    let new: NewProduct = request.json()?;

    let product = Product::new(app.new_id(), new, app.now());
    let respond = |product: &Product| http::created(&format!("/products/{}", product.product_id), product);
    let idempotency = request.idempotency(&caller, product.created_at, respond)?;
    let by = (caller.user_id, app.new_id());
    let created = products::create(&app.table, product, by, idempotency.as_ref()).await?;

    http::idempotent(created, respond)
}
