//! Everything of one kind as it is now, page by page, as the events that tell of it.

use super::{movements as movements_of, orders as all_orders, products as catalogue, table::Table, users};
use crate::{
    Error, Result,
    domain::{Event, NamePrefix, Refusal},
};

/// Entities of one page.
const PAGE: u16 = 100;

/// Events, and where to go on.
type Page = (Vec<Event>, Option<String>);

/// The next products, by name.
pub async fn products(table: &Table, cursor: Option<&str>) -> Result<Page> {
    let (products, next) = catalogue::list(table, &NamePrefix::parse("")?, PAGE, cursor).await?;
    Ok((products.into_iter().map(Event::state_of_product).collect(), next))
}

/// The next orders, newest first.
pub async fn orders(table: &Table, cursor: Option<&str>) -> Result<Page> {
    let (orders, next) = all_orders::list_all(table, None, PAGE, cursor).await?;
    // One that was deleted since the index was read is left out.
    let mut details = all_orders::find_all(table, orders.iter().map(|order| order.order_id)).await?;
    details.sort_by_key(|details| std::cmp::Reverse(details.order.order_id));
    Ok((details.into_iter().map(Event::state_of_order).collect(), next))
}

/// The next accounts, by e-mail address.
pub async fn accounts(table: &Table, cursor: Option<&str>) -> Result<Page> {
    let (users, next) = users::list(table, &NamePrefix::parse("")?, PAGE, cursor).await?;
    Ok((users.iter().map(Event::state_of_account).collect(), next))
}

/// The next movements: of all products that there are, by name, and newest first of each.
pub async fn movements(table: &Table, cursor: Option<&str>) -> Result<Page> {
    // The last movement that was told of a product, if there are more, and where that product comes in the catalogue.
    let (before, after) = cursor.map_or(Ok(("", "")), |cursor| cursor.split_once('|').ok_or(Error::InvalidCursor))?;
    let (before, after) = (Some(before).filter(|text| !text.is_empty()), Some(after).filter(|text| !text.is_empty()));
    let (products, next_product) = catalogue::list(table, &NamePrefix::parse("")?, 1, after).await?;
    let Some(product) = products.first() else { return Ok((Vec::new(), None)) };
    let (movements, last) = match movements_of::list(table, product.product_id, PAGE, before).await {
        // It was deleted since the index was read.
        Err(Error::Refused(Refusal::NotFound(_))) => (Vec::new(), None),
        listed => listed?,
    };
    let next = match last {
        Some(last) => Some(format!("{last}|{}", after.unwrap_or_default())),
        None => next_product.map(|position| format!("|{position}")),
    };
    Ok((movements.into_iter().map(Event::of_movement).collect(), next))
}
