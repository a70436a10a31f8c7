//! `PUT /users/{user_id}`: admins set the role of an account, or whether it is active; its sessions end.

use shared::{
    App, Result,
    domain::{Resource, UserUpdate},
    entry,
    http::{self, Request, Response},
    store::users::{self, LastAdmin},
    telemetry::{AccountChange, record},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), entry::StartupError> {
    entry::http::serve(handle).await
}

async fn handle(app: &App, request: Request) -> Result<Response> {
    request.caller()?.require_admin()?;
    let user_id = request.path_id("user_id", Resource::Account)?;
    let UserUpdate { role, is_active } = request.json()?;

    record(|metrics| metrics.account = Some(AccountChange { user_id, role, is_active }));
    let user = users::administer(&app.table, user_id, role, is_active, LastAdmin::Stays, app.now()).await?;

    http::plain(&user)
}
