//! Orders and their items.

use serde_json::{Value, json};

use super::{
    Id, Link, Resource, Route,
    conventions::{page, pieces, times},
    examples::{ITEM_ID, ORDER_ID, PRODUCT_ID, TIME, USER_ID},
    schema::{answer, change, field, id, input, merged, query, reference, strictly, with},
    text::text_pattern,
};
use crate::domain::{self, Metadata, Order, Quantity, Reason, Role, Status};

pub(super) const ORDERS: Resource = Resource {
    tag: "orders",
    description: "Orders, their items, and the stock that they hold",
    routes: ROUTES,
    ids: &[
        Id { name: "order_id", of: domain::Resource::Order, description: "The order", example: ORDER_ID },
        Id { name: "item_id", of: domain::Resource::OrderItem, description: "The order item", example: ITEM_ID },
    ],
    parameters,
    schemas,
};

const ROUTES: &[Route] = &[
    Route {
        key: "POST /orders",
        function: "order-create",
        operation_id: "createOrder",
        summary: "Place an order",
        description: "With lines or without. It takes the stock of all its lines or none; the price of each line is the product's at that instant. Only an admin may name another customer.",
        who: "customer; admin for anyone",
        what: "places an order, with or without lines; it takes all its stock or none",
        caller: Some(Role::Customer),
        parameters: &["Idempotency-Key"],
        body: Some("OrderInput"),
        success: (201, Some("OrderDetails")),
        headers: &["Location", "ETag", "Idempotent-Replayed"],
        problems: &[
            "forbidden",
            "email-not-verified",
            "out-of-stock",
            "too-many-open-orders",
            "invalid-request",
            "unknown-product",
            "unknown-customer",
            "invalid-idempotency-key",
            "idempotency-key-reused",
        ],
        link: Some(Link { name: "order", operation_id: "getOrder", id: "order_id" }),
        idempotency_key: Some("0d1f6a52-6f0b-4b0a-9f0f-3f4c8a1e2b55"),
        ..Route::PLAIN
    },
    Route {
        key: "GET /orders",
        function: "order-list",
        operation_id: "listOrders",
        summary: "List orders, newest first",
        description: "A customer's own; for an admin everybody's, or one customer's.",
        who: "customer: own; admin: all",
        what: "newest first; `?status=`, `?customer_id=`",
        caller: Some(Role::Customer),
        parameters: &["statusFilter", "customerFilter", "limit", "cursor"],
        success: (200, Some("OrderPage")),
        headers: &["Link"],
        problems: &["forbidden", "invalid-request", "invalid-cursor"],
        query: "status=PENDING&limit=10",
        ..Route::PLAIN
    },
    Route {
        key: "GET /orders/{order_id}",
        function: "order-get",
        operation_id: "getOrder",
        summary: "Get an order with its items and history",
        description: "For its customer and for admins; for anybody else it does not exist.",
        who: "owner, admin",
        what: "an order with its lines and history",
        caller: Some(Role::Customer),
        parameters: &["If-None-Match"],
        success: (200, Some("OrderDetails")),
        headers: &["ETag"],
        problems: &["invalid-header", "not-found"],
        ..Route::PLAIN
    },
    Route {
        key: "POST /orders/{order_id}/items",
        function: "order-item-add",
        operation_id: "addItem",
        summary: "Add an item to an order",
        description: "While it is PENDING. The same product may stand on several lines.",
        who: "owner, admin",
        what: "adds a line while the order is PENDING, as do the next two",
        caller: Some(Role::Customer),
        parameters: &["Idempotency-Key", "If-Match"],
        body: Some("OrderItemInput"),
        success: (201, Some("OrderItem")),
        headers: &["ETag", "Idempotent-Replayed"],
        problems: &[
            "not-found",
            "order-not-editable",
            "out-of-stock",
            "too-many-items",
            "precondition-failed",
            "invalid-request",
            "unknown-product",
            "invalid-idempotency-key",
            "idempotency-key-reused",
        ],
        ..Route::PLAIN
    },
    Route {
        key: "PUT /orders/{order_id}/items/{item_id}",
        function: "order-item-update",
        operation_id: "updateItem",
        summary: "Change the quantity of an item",
        description: "While the order is PENDING. Its price stays what it was. A quantity that it has already changes nothing.",
        who: "owner, admin",
        what: "changes a line's quantity",
        caller: Some(Role::Customer),
        parameters: &["If-Match"],
        body: Some("OrderItemChange"),
        success: (200, Some("OrderItem")),
        headers: &["ETag"],
        problems: &["not-found", "order-not-editable", "out-of-stock", "precondition-failed", "invalid-request"],
        ..Route::PLAIN
    },
    Route {
        key: "DELETE /orders/{order_id}/items/{item_id}",
        function: "order-item-remove",
        operation_id: "removeItem",
        summary: "Remove an item from an order",
        description: "While the order is PENDING.",
        who: "owner, admin",
        what: "removes a line",
        caller: Some(Role::Customer),
        parameters: &["If-Match"],
        success: (204, None),
        headers: &["ETag"],
        problems: &["not-found", "order-not-editable", "precondition-failed"],
        ..Route::PLAIN
    },
    Route {
        key: "PUT /orders/{order_id}",
        function: "order-update",
        operation_id: "updateOrder",
        summary: "Take an order one step on in its life, or change its metadata",
        description: "PENDING → CONFIRMED → SHIPPED → DELIVERED → CANCELLED, and CANCELLED may be reached early. Customers confirm and cancel what has not left the shop; the rest is for admins. Asking for the status that it has already changes nothing. `metadata` is replaced as a whole, by its customer while it is PENDING and by admins always.",
        who: "owner, admin",
        what: "takes an order one step on in its life, or replaces its `metadata`",
        caller: Some(Role::Customer),
        parameters: &["If-Match"],
        body: Some("OrderChange"),
        success: (200, Some("OrderDetails")),
        headers: &["ETag"],
        problems: &[
            "invalid-header",
            "forbidden",
            "not-found",
            "illegal-transition",
            "empty-order",
            "order-not-editable",
            "precondition-failed",
            "invalid-request",
        ],
        ..Route::PLAIN
    },
    Route {
        key: "DELETE /orders/{order_id}",
        function: "order-delete",
        operation_id: "deleteOrder",
        summary: "Delete an order with its items",
        description: "While it is PENDING; for an admin when it is CANCELLED as well. What it holds goes back on the shelf.",
        who: "owner, admin",
        what: "deletes an order while PENDING, or for an admin when CANCELLED",
        caller: Some(Role::Admin),
        parameters: &["If-Match"],
        success: (204, None),
        problems: &["invalid-header", "not-found", "order-not-deletable", "precondition-failed"],
        ends: true,
        ..Route::PLAIN
    },
];

fn parameters() -> Value {
    json!({
        "statusFilter": query("status", reference("schemas", "Status"), "Only orders with this status"),
        "customerFilter": query("customer_id", reference("schemas", "Id"), "Only orders of this customer; another than the caller's own takes an admin"),
    })
}

fn metadata(description: &str) -> Value {
    json!({
        "type": "object",
        "additionalProperties": {"type": "string", "maxLength": Metadata::MAX_VALUE_CHARS},
        "maxProperties": Metadata::MAX_MEMBERS,
        "description": description,
        "examples": [{"payment": "pi_4711"}],
    })
}

/// As it may be sent. In words and not in patterns: who makes up data from such a pattern for each name and value is at it for seconds.
fn sent_metadata(description: &str) -> Value {
    let words = "names and values of the characters that a reason has, 4,096 bytes of them at most";
    let names = json!({"minLength": 1, "maxLength": Metadata::MAX_KEY_CHARS});
    strictly(metadata(&format!("{description}; {words}")), json!({"propertyNames": names}))
}

fn schemas() -> Value {
    let order = || {
        merged(
            json!({
                "order_id": id(ORDER_ID, "The order"),
                "customer_id": id(USER_ID, "Whose it is"),
                "status": with(reference("schemas", "Status"), "examples", json!([Status::Confirmed])),
                "total_price": with(field("Money", "The sum of all items"), "examples", json!(["39.80"])),
                "item_count": pieces(Order::MAX_ITEMS as u64, 0, "How many items there are", 1),
            }),
            times(),
        )
    };
    let reason = json!({"type": "string", "minLength": 1, "maxLength": Reason::MAX_CHARS, "description": "Why; needed to cancel what has left the shop", "examples": ["sent back"]});
    // Here `null` says something.
    let cleared = |mut metadata: Value| {
        metadata["type"] = json!(["object", "null"]);
        metadata["x-public"]["type"] = metadata["type"].clone();
        metadata
    };
    json!({
        "Status": {"type": "string", "enum": Status::ALL.map(Status::as_str), "description": "Where an order is in its life", "examples": [Status::Pending]},
        "Order": answer(order(), &[]),
        "OrderPage": page("orders", "Order"),
        "OrderItem": answer(
            merged(
                json!({
                    "order_item_id": id(ITEM_ID, "The item"),
                    "order_id": id(ORDER_ID, "The order it is on"),
                    "product_id": id(PRODUCT_ID, "The product"),
                    "quantity": pieces(Quantity::MAX, 1, "Pieces", 2),
                    "price": field("Money", "The product's price at the instant the item was written"),
                    "line_total": with(field("Money", "Price times quantity"), "examples", json!(["39.80"])),
                }),
                times(),
            ),
            &[],
        ),
        "HistoryEntry": with(
            answer(
                json!({
                    "at": field("Time", "When"),
                    "by": {"type": ["string", "null"], "format": "uuid", "description": "Who did it; `null` is the shop itself, when an order expires"},
                    "from": reference("schemas", "Status"),
                    "to": reference("schemas", "Status"),
                    "reason": {"type": ["string", "null"], "maxLength": Reason::MAX_CHARS, "description": "Why, if that was said"},
                    // No schema of its own: in Go, whose enumerations share their names, its `shipped` would be that of the status.
                    "stock": {"type": "string", "enum": ["none", "released", "shipped", "restocked"], "description": "What a step did to the stock of the items' products", "examples": ["none"]},
                    "not_restocked": {"type": "array", "maxItems": Order::MAX_ITEMS, "items": reference("schemas", "Id"), "description": "Products that were to come back on the shelf and are no longer in the shop"},
                }),
                &["not_restocked"],
            ),
            "examples",
            json!([{"at": TIME, "by": USER_ID, "from": Status::Pending, "to": Status::Confirmed, "reason": null, "stock": "none"}]),
        ),
        "OrderDetails": answer(
            merged(
                order(),
                json!({
                    "metadata": metadata("What the shop needs to remember with it: an address, the reference of a payment, a note"),
                    "items": {"type": "array", "items": reference("schemas", "OrderItem"), "maxItems": Order::MAX_ITEMS, "description": "In the order in which they were added"},
                    "history": {"type": "array", "items": reference("schemas", "HistoryEntry"), "maxItems": Status::ALL.len(), "description": "Every change of status, oldest first"},
                }),
            ),
            &[],
        ),
        "OrderItemInput": input(
            json!({
                "product_id": id(PRODUCT_ID, "The product"),
                "quantity": pieces(Quantity::MAX, 1, "Pieces", 2),
            }),
            &[],
        ),
        "OrderInput": with(
            input(
                json!({
                    "customer_id": id(USER_ID, "Whom it is for, if not the caller; takes an admin"),
                    "items": {"type": "array", "items": reference("schemas", "OrderItemInput"), "maxItems": Order::MAX_ITEMS, "description": "What to order"},
                    "metadata": sent_metadata("What the shop needs to remember with it"),
                }),
                &["customer_id", "items", "metadata"],
            ),
            "examples",
            json!([{"items": [{"product_id": PRODUCT_ID, "quantity": 2}]}]),
        ),
        "OrderItemChange": input(json!({"quantity": pieces(Quantity::MAX, 1, "Pieces", 3)}), &[]),
        "OrderChange": change(
            with(
                input(
                    json!({
                        "status": reference("schemas", "Status"),
                        "metadata": cleared(sent_metadata("What the shop needs to remember with it, replaced as a whole; `null` clears it")),
                        "reason": strictly(reason, json!({"pattern": text_pattern(true)})),
                        "restock": {"type": "boolean", "default": false, "description": "Whether what comes back goes on the shelf again; only for what has left the shop"},
                    }),
                    &["status", "reason", "restock", "metadata"],
                ),
                "examples",
                json!([{"status": "CONFIRMED"}]),
            ),
            &[("status", Some(json!("string"))), ("metadata", None)],
        ),
    })
}
