//! `GET /users/{user_id}`: admins see an account.

use shared::{
    App, Result,
    domain::{Refusal, Resource},
    entry,
    http::{self, Request, Response},
    store::users,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), entry::StartupError> {
    entry::http::serve(handle).await
}

async fn handle(app: &App, request: Request) -> Result<Response> {
    request.caller()?.require_admin()?;
    let user_id = request.path_id("user_id", Resource::Account)?;

    let user = users::find(&app.table, user_id).await?.ok_or(Refusal::NotFound(Resource::Account))?;

    http::plain(&user)
}
