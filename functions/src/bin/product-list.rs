//! `GET /products`: anyone walks through the catalogue, by name.

use shared::{
    App, Result,
    domain::NamePrefix,
    entry,
    http::{self, Cursor, Request, Response},
    store::products,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), entry::StartupError> {
    entry::http::serve(handle).await
}

async fn handle(app: &App, request: Request) -> Result<Response> {
    let prefix = NamePrefix::parse(&request.query("prefix")?.unwrap_or_default())?;
    let list = format!("products {}", prefix.as_str());
    let page = request.page(&list)?;

    let (products, next) = products::list(&app.table, &prefix, page.limit, page.after.as_deref()).await?;

    http::page(&request, "products", &products, next.map(|position| Cursor::new(list, position)))
}
