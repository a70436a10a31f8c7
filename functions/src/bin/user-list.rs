//! `GET /users`: admins walk through the accounts, by e-mail address.

use shared::{
    App, Result,
    domain::NamePrefix,
    entry,
    http::{self, Cursor, Request, Response},
    store::users,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), entry::StartupError> {
    entry::http::serve(handle).await
}

async fn handle(app: &App, request: Request) -> Result<Response> {
    request.caller()?.require_admin()?;
    let prefix = NamePrefix::parse(&request.query("prefix")?.unwrap_or_default())?;
    let list = format!("users {}", prefix.as_str());
    let page = request.page(&list)?;

    let (users, next) = users::list(&app.table, &prefix, page.limit, page.after.as_deref()).await?;

    http::page(&request, "users", &users, next.map(|position| Cursor::new(list, position)))
}
