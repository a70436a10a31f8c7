//! `$default`: whatever has no route. 405 where the path has routes for other methods, 404 everywhere else. And
//! `OPTIONS /{proxy+}`: the methods of a path, for anyone.

use shared::{
    Error, Result,
    domain::{Refusal, Resource},
    entry,
    http::{self, Request, Response},
};

#[path = "../routes.rs"]
mod routes;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), entry::StartupError> {
    entry::http::serve(handle).await
}

async fn handle((): &(), request: Request) -> Result<Response> {
    let known = routes::ROUTES.iter().find(|(path, _)| matches(path, request.path()));
    // A route that would have been asked if it were there: this stack was deployed without it.
    let known = known.filter(|(_, allowed)| allowed.split(", ").all(|method| method != request.method()));
    match known {
        Some((_, allowed)) if request.method() == "OPTIONS" => http::options(allowed),
        Some((_, allowed)) => Err(Error::MethodNotAllowed { allowed: (*allowed).to_owned() }),
        None => Err(Refusal::NotFound(Resource::Path).into()),
    }
}

/// Whether `path` is one that `template`, such as `/products/{product_id}`, stands for.
fn matches(template: &str, path: &str) -> bool {
    let (mut segments, mut templates) = (path.split('/'), template.split('/'));
    loop {
        match (segments.next(), templates.next()) {
            (None, None) => return true,
            (Some(segment), Some(template)) if template.starts_with('{') => {
                if segment.is_empty() {
                    return false;
                }
            }
            (Some(segment), Some(template)) if segment == template => {}
            _ => return false,
        }
    }
}
