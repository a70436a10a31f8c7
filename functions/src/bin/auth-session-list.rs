//! `GET /auth/sessions`: the caller sees where they are logged in.

use shared::{
    App, Result, entry,
    http::{self, Request, Response},
    store::sessions,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), entry::StartupError> {
    entry::http::serve(handle).await
}

async fn handle(app: &App, request: Request) -> Result<Response> {
    let caller = request.caller()?;

    let sessions = sessions::list(&app.table, caller.user_id, app.now()).await?;

    let sessions: Vec<_> = sessions.iter().map(|session| session.facts(caller.session_id)).collect();
    http::whole_list("sessions", &sessions)
}
