//! The catalogue.

use serde_json::{Value, json};

use super::{
    Id, Link, Resource, Route,
    conventions::{page, pieces, times},
    examples::{ADMIN_ID, MOVEMENT_ID, PRODUCT_ID},
    schema::{answer, change, field, id, input, merged, query, reference, strictly, with},
    text::text_pattern,
};
use crate::domain::{self, Amount, Description, MovementKind, ProductName, Reason, Role, Sku, Stock, StockShards};

pub(super) const PRODUCTS: Resource = Resource {
    tag: "products",
    description: "What the shop sells, and how much of it there is",
    routes: ROUTES,
    ids: &[Id { name: "product_id", of: domain::Resource::Product, description: "The product", example: PRODUCT_ID }],
    parameters,
    schemas,
};

const ROUTES: &[Route] = &[
    Route {
        key: "GET /products",
        function: "product-list",
        operation_id: "listProducts",
        summary: "List the catalogue by name",
        description: "In the order of the names after NFKC, case folding and collapsing of white space. A walk from page to page under concurrent writes meets everything that was there all along exactly once.",
        what: "the catalogue by name; `?prefix=`, `?limit=`, `?cursor=`",
        parameters: &["namePrefix", "limit", "cursor"],
        success: (200, Some("ProductPage")),
        headers: &["Link"],
        problems: &["invalid-request", "invalid-cursor"],
        query: "prefix=p&limit=2",
        ..Route::PLAIN
    },
    Route {
        key: "POST /products",
        function: "product-create",
        operation_id: "createProduct",
        summary: "Add a product",
        description: "Admins only.",
        who: "admin",
        what: "adds a product",
        caller: Some(Role::Admin),
        parameters: &["Idempotency-Key"],
        body: Some("ProductInput"),
        success: (201, Some("Product")),
        headers: &["Location", "ETag", "Idempotent-Replayed"],
        problems: &[
            "forbidden",
            "name-taken",
            "sku-taken",
            "invalid-request",
            "invalid-idempotency-key",
            "idempotency-key-reused",
        ],
        link: Some(Link { name: "product", operation_id: "getProduct", id: "product_id" }),
        idempotency_key: Some("7f0c1c56-8d5e-4f0e-8a53-0f3d0a3d7b11"),
        ..Route::PLAIN
    },
    Route {
        key: "GET /products/{product_id}",
        function: "product-get",
        operation_id: "getProduct",
        summary: "Get a product",
        what: "one product",
        parameters: &["If-None-Match"],
        success: (200, Some("Product")),
        headers: &["ETag"],
        problems: &["invalid-header", "not-found"],
        ..Route::PLAIN
    },
    Route {
        key: "PUT /products/{product_id}",
        function: "product-update",
        operation_id: "updateProduct",
        summary: "Change some or all fields of a product",
        description: "Admins only. Fields that are left out keep their value. `If-Match` asks that nothing was written to the product since; whether some of it was sold meanwhile matters only to a change of `quantity`.",
        who: "admin",
        what: "changes some or all of its fields",
        caller: Some(Role::Admin),
        parameters: &["If-Match"],
        body: Some("ProductChange"),
        success: (200, Some("Product")),
        headers: &["ETag"],
        problems: &[
            "invalid-header",
            "forbidden",
            "not-found",
            "name-taken",
            "sku-taken",
            "precondition-failed",
            "invalid-request",
        ],
        ..Route::PLAIN
    },
    Route {
        key: "POST /products/{product_id}/movements",
        function: "movement-create",
        operation_id: "createMovement",
        summary: "Say how many pieces came in or were taken out",
        description: "Admins only. It adds to what can be sold, or takes from it, whatever is sold meanwhile.",
        who: "admin",
        what: "adds pieces or takes some out: `{\"amount\", \"reason\"?}`",
        caller: Some(Role::Admin),
        parameters: &["Idempotency-Key"],
        body: Some("MovementInput"),
        success: (201, Some("Movement")),
        headers: &["Idempotent-Replayed"],
        problems: &[
            "forbidden",
            "not-found",
            "out-of-stock",
            "invalid-request",
            "invalid-idempotency-key",
            "idempotency-key-reused",
        ],
        idempotency_key: Some("3c7a1f0e-52d4-4d0b-9a8e-1f6b0c2d4e61"),
        ..Route::PLAIN
    },
    Route {
        key: "GET /products/{product_id}/movements",
        function: "movement-list",
        operation_id: "listMovements",
        summary: "List the movements of a product, newest first",
        description: "Admins only. How its pieces came to be: `received` of its stock is the sum of them.",
        who: "admin",
        what: "how its pieces came to be, newest first; `?limit=`, `?cursor=`",
        caller: Some(Role::Admin),
        parameters: &["limit", "cursor"],
        success: (200, Some("MovementPage")),
        headers: &["Link"],
        problems: &["forbidden", "not-found", "invalid-request", "invalid-cursor"],
        query: "limit=10",
        ..Route::PLAIN
    },
    Route {
        key: "GET /products/{product_id}/stock",
        function: "stock-get",
        operation_id: "getStock",
        summary: "Get the books of a product: where its pieces are",
        description: "Admins only. `received` is `quantity` and `reserved` and `shipped` together, in all and in each shard.",
        who: "admin",
        what: "where its pieces are: received, to be sold, reserved, shipped",
        caller: Some(Role::Admin),
        success: (200, Some("Books")),
        problems: &["forbidden", "not-found"],
        ..Route::PLAIN
    },
    Route {
        key: "DELETE /products/{product_id}",
        function: "product-delete",
        operation_id: "deleteProduct",
        summary: "Take a product out of the catalogue",
        description: "Admins only, and not while orders hold stock of it. Its name and SKU are free again.",
        who: "admin",
        what: "takes it out of the catalogue",
        caller: Some(Role::Admin),
        parameters: &["If-Match"],
        success: (204, None),
        problems: &["invalid-header", "forbidden", "not-found", "product-in-use", "precondition-failed"],
        ends: true,
        ..Route::PLAIN
    },
];

fn parameters() -> Value {
    let prefix = json!({"type": "string", "maxLength": ProductName::MAX_CHARS});
    json!({"namePrefix": query("prefix", prefix, "Only names that begin so, whatever the case")})
}

/// A field that an admin sets.
struct Field {
    name: &'static str,
    schema: Value,
    /// The JSON types that set it, where `null` is the same as leaving it out; `None` where `null` clears it.
    types: Option<Value>,
    /// Whether a new product must have it.
    required: bool,
}

/// `shards`: what is said of how the stock is spread.
fn fields(shards: &str) -> [Field; 7] {
    let name = json!({
        "type": "string", "minLength": 1, "maxLength": ProductName::MAX_CHARS,
        "description": "Unique in the catalogue after NFKC, case folding and collapsing of white space. Kept in NFC, without surrounding space. Control, private-use and invisible characters are refused, but for the joiners and variation selectors of scripts and emoji.",
        "examples": ["Ruler"],
    });
    let name = strictly(name, json!({"pattern": text_pattern(true)}));
    [
        Field { name: "name", schema: name, types: Some(json!("string")), required: true },
        Field { name: "sku", schema: sku(), types: None, required: false },
        Field { name: "description", schema: description(), types: None, required: false },
        Field { name: "price", schema: reference("schemas", "Price"), types: Some(json!(["string", "number"])), required: true },
        Field {
            name: "quantity",
            schema: pieces(Stock::MAX, 0, "Pieces on the shelf", 12),
            types: Some(json!("integer")),
            required: true,
        },
        Field { name: "low_stock_at", schema: low_stock_at(), types: None, required: false },
        Field { name: "stock_shards", schema: stock_shards(1, shards), types: Some(json!("integer")), required: false },
    ]
}

fn sku() -> Value {
    json!({
        "type": ["string", "null"], "minLength": 1, "maxLength": Sku::MAX_CHARS, "pattern": "^[A-Za-z0-9._-]+$",
        "description": "The merchant's own number for it (stock keeping unit), unique in the catalogue whatever the case; `null` for none.",
        "examples": ["RULER-30"],
    })
}

fn description() -> Value {
    let description = json!({
        "type": ["string", "null"], "maxLength": Description::MAX_CHARS,
        "description": "What there is to say about it; `null` for nothing. Of the same characters as a name.", "examples": ["30 cm, brass"],
    });
    strictly(description, json!({"pattern": text_pattern(false)}))
}

fn low_stock_at() -> Value {
    json!({
        "type": ["integer", "null"], "format": "int64", "minimum": 0, "maximum": Stock::MAX,
        "description": "The quantity at which stock counts as low; `null` for none", "examples": [5],
    })
}

/// Where pieces are.
fn places() -> Value {
    let pieces = |description: &str, example: u64| json!({"type": "integer", "format": "int64", "minimum": 0, "description": description, "examples": [example]});
    json!({
        "received": pieces("Pieces that ever came in, less those that were taken out", 20),
        "quantity": pieces("Of these, those that can be sold", 12),
        "reserved": pieces("Those that PENDING and CONFIRMED orders hold", 3),
        "shipped": pieces("Those that have left the shop and have not come back", 5),
    })
}

fn reason() -> Value {
    let reason = json!({"type": "string", "minLength": 1, "maxLength": Reason::MAX_CHARS, "description": "Why, of the same characters as the name of a product", "examples": ["delivery 4711"]});
    strictly(reason, json!({"pattern": text_pattern(true)}))
}

/// Pieces that come in, or go out where there are fewer.
fn amount() -> Value {
    let most = i64::try_from(Amount::MAX).unwrap_or(i64::MAX);
    let amount = json!({
        "type": "integer", "format": "int64", "minimum": -most, "maximum": most,
        "description": "Pieces: more if it is positive, fewer if it is negative; never 0", "examples": [50],
    });
    strictly(amount, json!({"not": {"const": 0}}))
}

/// A number of shards, from `min` up.
fn stock_shards(min: u32, description: &str) -> Value {
    json!({"type": "integer", "format": "int32", "minimum": min, "maximum": StockShards::MAX, "description": description, "examples": [8]})
}

fn schemas() -> Value {
    let new = fields("Over how many items of the table the stock is spread, so that many may buy at the same instant");
    let change_fields = fields("Over how many items of the table the stock is spread; may be changed while it is sold");
    let properties =
        |fields: &[Field]| fields.iter().map(|field| (field.name.to_owned(), field.schema.clone())).collect::<Value>();
    let effects = change_fields.each_ref().map(|field| (field.name, field.types.clone()));
    json!({
        "Product": answer(
            merged(
                json!({
                    "product_id": id(PRODUCT_ID, "The product"),
                    "name": {"type": "string", "maxLength": ProductName::MAX_CHARS, "description": "Unique in the catalogue", "examples": ["Ruler"]},
                    "sku": sku(),
                    "description": description(),
                    "price": field("Money", "What one piece costs"),
                    "quantity": pieces(Stock::MAX * 2, 0, "Pieces that can still be sold", 12),
                    "reserved": {"type": "integer", "format": "int64", "minimum": 0, "description": "Pieces that PENDING and CONFIRMED orders hold", "examples": [3]},
                    "low_stock_at": low_stock_at(),
                    "stock_shards": stock_shards(2, "Left out where it is 1: over how many items of the table the stock is spread"),
                }),
                times(),
            ),
            &["stock_shards"],
        ),
        "ProductPage": page("products", "Product"),
        "Movement": answer(
            json!({
                "movement_id": id(MOVEMENT_ID, "The movement"),
                "product_id": id(PRODUCT_ID, "The product"),
                "kind": reference("schemas", "MovementKind"),
                "amount": amount(),
                "reason": {"type": ["string", "null"], "maxLength": Reason::MAX_CHARS, "description": "Why, if that was said", "examples": ["delivery 4711"]},
                "by": id(ADMIN_ID, "The admin who did it"),
                "created_at": field("Time", "When"),
            }),
            &[],
        ),
        "MovementKind": {"type": "string", "enum": MovementKind::ALL.map(MovementKind::as_str), "description": "`initial` with the product, `received` or `removed` by a movement that was sent, `counted` where a change of the product said how many there are", "examples": [MovementKind::Received.as_str()]},
        "MovementPage": page("movements", "Movement"),
        "MovementInput": input(json!({"amount": amount(), "reason": reason()}), &["reason"]),
        "Books": answer(
            merged(
                json!({
                    "product_id": id(PRODUCT_ID, "The product"),
                    "shards": {
                        "type": "array", "maxItems": StockShards::MAX, "items": reference("schemas", "ShardBooks"),
                        "description": "The same for each shard of the stock",
                    },
                }),
                places(),
            ),
            &[],
        ),
        "ShardBooks": answer(
            merged(json!({"shard": {"type": "integer", "format": "int32", "minimum": 0, "maximum": StockShards::MAX - 1, "description": "Its number", "examples": [0]}}), places()),
            &[],
        ),
        "ProductInput": input(properties(&new), &new.iter().filter(|field| !field.required).map(|field| field.name).collect::<Vec<_>>()),
        "ProductChange": change(
            with(input(properties(&change_fields), &change_fields.each_ref().map(|field| field.name)), "examples", json!([{"price": "17.90"}])),
            &effects,
        ),
    })
}
