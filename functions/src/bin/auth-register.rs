//! `POST /auth/register`: anyone opens an account; it is a customer's.

use shared::{
    App, Result,
    auth::Registration,
    domain::User,
    http::{self, Request, Response},
    store::users,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), http::Fatal> {
    http::serve(handle).await
}

async fn handle(app: &App, request: Request) -> Result<Response> {
    let Registration { email, username, password } = request.json()?;
    password.require_strength(&[email.as_str(), username.as_str()])?;

    let user = User::register(app.new_id(), email, username, app.now());
    users::register(&app.table, &user, &password.hash().await?).await?;

    http::plainly_created(&user)
}
