//! The wire: API Gateway events in, responses and problems out.

mod answer;
mod event;
mod identity;
mod page;
mod precondition;
mod problem;
mod reply;
mod request;
mod saved;
mod syntax;

pub use answer::{
    File, Representation, accepted, cacheable, created, file, idempotent, kept_for, no_content, ok, ok_unless_known, options,
    page, part, part_created, part_gone, plain, plainly_created, whole_list,
};
pub use event::{Event, to_gateway};
pub use identity::Decision;
pub use page::{Cursor, PageRequest};
pub use problem::{PROBLEMS, ProblemType, code, problem, report, status};
pub use reply::Response;
pub use request::Request;
