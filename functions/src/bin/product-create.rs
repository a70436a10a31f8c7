//! `POST /products`: an admin adds a product to the catalogue.

use shared::{
    App, Result,
    domain::{NewProduct, Product},
    http::{self, Request, Response},
    store::products,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), http::StartupError> {
    http::serve(handle).await
}

async fn handle(app: &App, request: Request) -> Result<Response> {
    let caller = request.caller()?;
    caller.require_admin()?;
    let new: NewProduct = request.json()?;

    let product = Product::new(app.new_id(), new, app.now());
    let answer = http::created(&format!("/products/{}", product.product_id), &product)?;
    let idempotency = request.idempotency(&caller, &answer, app.now())?;
    products::create(&app.table, &product, idempotency.as_ref()).await?;

    Ok(answer)
}
