//! Orders with their lines and history, and the stock they hold.

mod lines;
mod list;
mod place;
mod row;
mod sale;
mod status;

pub use lines::{LinesOf, Written, add_item, change_item, remove_item};
pub(super) use list::from_stored;
pub use list::{Walk, ended, find, find_all, list_all, list_of_customer};
pub use place::place;
pub(super) use status::forget;
pub use status::{change, delete, expire};
