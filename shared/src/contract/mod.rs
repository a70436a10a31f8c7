//! What the API is, says and refuses: the one description from which `cargo xtask generate` makes openapi.json, openapi-3.0.json,
//! asyncapi.json, what editors and Postman send, events/ and the tables of docs/.
//!
//! A file per resource has its routes, each with everything about it, and the schemas of its bodies; limits come from the domain's
//! own constants. No function is built with this module: it is behind the feature `contract`.

mod accounts;
mod conventions;
pub mod events;
mod examples;
mod functions;
pub mod openapi;
mod openapi_3_0;
mod orders;
mod problems;
mod products;
mod schema;
pub mod steps;
mod text;

pub use functions::{FUNCTIONS, Function, Invocation};
use serde_json::Value;

use crate::domain::{self, Role};

/// A route, and everything that there is to know about it.
pub struct Route {
    /// Method and path, as template.yaml has them.
    pub key: &'static str,
    /// The function that answers: the stem of its binary, of its resource in template.yaml and of its event.
    pub function: &'static str,
    /// Its name in the document, for clients that are made from it.
    pub operation_id: &'static str,
    pub summary: &'static str,
    /// Beyond what the summary says.
    pub description: &'static str,
    /// Who may, in the README.
    pub who: &'static str,
    /// What it does, in the README.
    pub what: &'static str,
    /// Whose token the example has; `None` for a route that takes no token.
    pub caller: Option<Role>,
    /// Names of parameters, those of the path left out.
    pub parameters: &'static [&'static str],
    /// Name of the schema of the body, if there is one.
    pub body: Option<&'static str>,
    pub body_required: bool,
    /// The status of success and the name of its schema, if it has a body.
    pub success: (u16, Option<&'static str>),
    /// Names of headers that come with success.
    pub headers: &'static [&'static str],
    /// Codes of the problems that are its own.
    pub problems: &'static [&'static str],
    /// The route that shows what this one has made.
    pub link: Option<Link>,
    /// The query of the example.
    pub query: &'static str,
    /// The `Idempotency-Key` of the example.
    pub idempotency_key: Option<&'static str>,
    /// Whether it ends what the requests before it have made, and so comes after all that need it.
    pub ends: bool,
}

impl Route {
    /// What most routes have nothing of.
    const PLAIN: Self = Self {
        key: "",
        function: "",
        operation_id: "",
        summary: "",
        description: "",
        who: "anyone",
        what: "",
        caller: None,
        parameters: &[],
        body: None,
        body_required: true,
        success: (200, None),
        headers: &[],
        problems: &[],
        link: None,
        query: "",
        idempotency_key: None,
        ends: false,
    };

    pub fn method(&self) -> &'static str {
        self.key.split_once(' ').map_or("", |(method, _)| method)
    }

    pub fn path(&self) -> &'static str {
        self.key.split_once(' ').map_or("", |(_, path)| path)
    }

    /// The ids in its path, in their order.
    pub fn ids(&self) -> impl Iterator<Item = &'static Id> {
        self.path().split(['{', '}']).skip(1).step_by(2).filter_map(|name| ids().find(|id| id.name == name))
    }
}

/// Where to go from what a route has made.
pub struct Link {
    pub name: &'static str,
    pub operation_id: &'static str,
    /// The id in its path, which the answer has under the same name.
    pub id: &'static str,
}

/// An id in paths.
pub struct Id {
    /// Its name in the path.
    pub name: &'static str,
    /// What it names.
    pub of: domain::Resource,
    pub description: &'static str,
    pub example: &'static str,
}

/// What the routes of a tag are about.
pub struct Resource {
    pub tag: &'static str,
    pub description: &'static str,
    /// In the order of their lives: each route finds what those before it have made.
    pub routes: &'static [Route],
    ids: &'static [Id],
    /// Query parameters by name, as OpenAPI has them.
    parameters: fn() -> Value,
    /// Schemas by name.
    schemas: fn() -> Value,
}

pub const RESOURCES: &[Resource] = &[products::PRODUCTS, orders::ORDERS, accounts::ACCOUNTS];

/// All routes, by resource.
pub fn routes() -> impl Iterator<Item = &'static Route> {
    RESOURCES.iter().flat_map(|resource| resource.routes)
}

/// All routes in an order in which each finds what it needs: an account first, then products, then orders of them, and what ends
/// them the other way round.
pub fn session() -> impl Iterator<Item = &'static Route> {
    let resources = || [&accounts::ACCOUNTS, &products::PRODUCTS, &orders::ORDERS].into_iter();
    let begin = resources().flat_map(|resource| resource.routes).filter(|route| !route.ends);
    let end = resources().rev().flat_map(|resource| resource.routes).filter(|route| route.ends);
    begin.chain(end)
}

/// All ids that stand in paths.
pub fn ids() -> impl Iterator<Item = &'static Id> {
    RESOURCES.iter().flat_map(|resource| resource.ids)
}
