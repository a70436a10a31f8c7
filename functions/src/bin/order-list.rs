//! `GET /orders`: a customer sees their own orders, an admin everybody's or one customer's; newest first.

use shared::{
    App, Result,
    domain::{OrderFilter, Role},
    entry,
    http::{self, Cursor, Request, Response},
    store::orders,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), entry::StartupError> {
    entry::http::serve(handle).await
}

async fn handle(app: &App, request: Request) -> Result<Response> {
    let caller = request.caller()?;
    let filter = OrderFilter::parse(request.query("status"), request.query("customer_id"))?;
    let customer = match caller.role {
        Role::Admin => filter.customer_id,
        Role::Customer => Some(filter.only_of(caller.user_id)?),
    };
    let list = filter.name(customer);
    let page = request.page(&list)?;

    let (orders, next) = match customer {
        Some(customer) => {
            orders::list_of_customer(&app.table, customer, filter.status, page.limit, page.after.as_deref()).await?
        }
        None => orders::list_all(&app.table, filter.status, page.limit, page.after.as_deref()).await?,
    };

    http::page(&request, "orders", &orders, next.map(|position| Cursor::new(list, position)))
}
