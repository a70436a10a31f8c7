//! The wire: API Gateway events in, responses and problems out.

mod authorize;
mod page;
mod precondition;
mod problem;
mod request;
mod response;
mod serve;

pub use authorize::{Verdict, authorize};
pub use page::{Cursor, PageRequest};
pub use request::Request;
pub use response::{Response, cacheable, created, no_content, ok, page};
pub use serve::{Fatal, serve};
