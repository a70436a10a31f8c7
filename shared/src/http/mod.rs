//! The wire: API Gateway events in, responses and problems out.

mod authorize;
mod event;
mod page;
mod precondition;
mod problem;
mod request;
mod response;
mod serve;
mod syntax;

pub use crate::app::StartupError;
pub use authorize::{Decision, authorize};
pub use page::{Cursor, PageRequest};
pub use problem::code;
pub(crate) use problem::{report, status};
pub use request::Request;
pub use response::{
    File, Representation, Response, cacheable, created, file, no_content, ok, ok_unless_known, options, page, part, part_created,
    part_gone, plain, plainly_created,
};
pub use serve::serve;
pub(crate) use serve::{carry_out, start};
