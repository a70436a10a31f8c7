//! `DELETE /auth/sessions/{session_id}`: the caller ends one of their sessions, as that of a telephone that is lost.

use shared::{
    App, Result,
    domain::Resource,
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
    let session_id = request.path_id("session_id", Resource::Session)?;

    sessions::end_one(&app.table, caller.user_id, session_id).await?;

    http::no_content()
}
