//! No route, invoked with IAM rights: an operator sets an account's role or activity, and its sessions end.
//!
//! `{"email" | "username" | "user_id", "role"?, "is_active"?}` is answered with the account. The only way to become an admin.

use shared::{
    App, Result,
    domain::{AccountName, AccountUpdate, Refusal, Resource, User},
    entry,
    store::users::{self, LastAdmin},
    telemetry::{AccountChange, record},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), entry::StartupError> {
    entry::operator::serve(handle).await
}

async fn handle(app: &App, update: AccountUpdate) -> Result<User> {
    let user_id = match &update.account {
        AccountName::Id(user_id) => *user_id,
        AccountName::Login(login) => users::owner(&app.table, login).await?.ok_or(Refusal::NotFound(Resource::Account))?,
    };

    record(|metrics| metrics.account = Some(AccountChange { user_id, role: update.role, is_active: update.is_active }));
    // Whoever may call this makes another admin if none is left.
    users::administer(&app.table, user_id, update.role, update.is_active, LastAdmin::MayGo, app.now()).await
}
