//! `POST /auth/logout`: the caller ends this session, or all of theirs.

use shared::{
    App, Result,
    auth::LogoutRequest,
    entry,
    http::{self, Request, Response},
    store::sessions,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), entry::StartupError> {
    entry::http::serve(handle).await
}

async fn handle(app: &App, request: Request) -> Result<Response> {
    let caller = request.caller()?;
    let LogoutRequest { all } = request.json_or_default()?;

    if all {
        sessions::end_all(&app.table, caller.user_id).await?;
    } else {
        sessions::end(&app.table, caller.user_id, caller.session_id).await?;
    }

    http::no_content()
}
