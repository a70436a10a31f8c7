//! `GET /auth/me`: the caller sees their own account.

use shared::{
    App, Error, Result, entry,
    http::{self, Request, Response},
    store::users,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), entry::StartupError> {
    entry::http::serve(handle).await
}

async fn handle(app: &App, request: Request) -> Result<Response> {
    let caller = request.caller()?;

    let user = users::find(&app.table, caller.user_id).await?.ok_or(Error::Unauthenticated)?;

    http::plain(&user)
}
