//! `GET /products/{product_id}/movements`: an admin sees how the pieces of a product came to be, newest first.

use shared::{
    App, Result,
    domain::Resource,
    entry,
    http::{self, Cursor, Request, Response},
    store::movements,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), entry::StartupError> {
    entry::http::serve(handle).await
}

async fn handle(app: &App, request: Request) -> Result<Response> {
    request.caller()?.require_admin()?;
    let product_id = request.path_id("product_id", Resource::Product)?;
    let list = format!("movements {product_id}");
    let page = request.page(&list)?;

    let (movements, next) = movements::list(&app.table, product_id, page.limit, page.after.as_deref()).await?;

    http::page(&request, "movements", &movements, next.map(|position| Cursor::new(list, position)))
}
