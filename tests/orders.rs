//! Orders: their lines, totals, lifecycle and history, and the stock they hold.

use std::collections::BTreeSet;

use emulator::{Options, Outcome};
use futures_util::future::join_all;
use insta::{assert_json_snapshot, assert_snapshot};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    app::{Actor, Answer, Order, Product, TestApp, line, lines, unique},
    bodies,
};

/// An admin, a customer, and nothing else in the shop.
async fn people(app: &TestApp) -> (Actor, Actor) {
    (app.admin().await, app.customer("ada").await)
}

async fn status(who: &Actor, order: &Order, to: &str) -> Answer {
    who.put(order, json!({"status": to})).await
}

/// Brings an order to a status, step by step.
pub async fn bring(admin: &Actor, order: &Order, to: &str) {
    for step in ["CONFIRMED", "SHIPPED", "DELIVERED"] {
        assert_eq!(status(admin, order, step).await.status, 200, "{step}");
        if step == to {
            return;
        }
    }
}

#[tokio::test]
async fn an_order_is_placed_with_its_lines() {
    let app = TestApp::start().await;
    let (admin, ada) = people(&app).await;
    let (pen, ink) = (admin.product(&unique("Pen"), 3).await, admin.product(&unique("Ink"), 5).await);
    admin.put(&ink, json!({"price": "0.05"})).await;

    let placed = ada.post("/orders", lines([(&pen, 2), (&ink, 3), (&pen, 1)])).await;

    assert_eq!(placed.status, 201, "{placed:?}");
    assert_json_snapshot!(placed.json, {
        ".order_id" => "[id]", ".customer_id" => "[id]", ".created_at" => "[time]", ".updated_at" => "[time]",
        ".items[].order_id" => "[id]", ".items[].order_item_id" => "[id]", ".items[].product_id" => "[id]",
        ".items[].created_at" => "[time]", ".items[].updated_at" => "[time]",
    }, @r#"
    {
      "created_at": "[time]",
      "customer_id": "[id]",
      "history": [],
      "item_count": 3,
      "items": [
        {
          "created_at": "[time]",
          "line_total": "39.80",
          "order_id": "[id]",
          "order_item_id": "[id]",
          "price": "19.90",
          "product_id": "[id]",
          "quantity": 2,
          "updated_at": "[time]"
        },
        {
          "created_at": "[time]",
          "line_total": "0.15",
          "order_id": "[id]",
          "order_item_id": "[id]",
          "price": "0.05",
          "product_id": "[id]",
          "quantity": 3,
          "updated_at": "[time]"
        },
        {
          "created_at": "[time]",
          "line_total": "19.90",
          "order_id": "[id]",
          "order_item_id": "[id]",
          "price": "19.90",
          "product_id": "[id]",
          "quantity": 1,
          "updated_at": "[time]"
        }
      ],
      "metadata": {},
      "order_id": "[id]",
      "status": "PENDING",
      "total_price": "59.85",
      "updated_at": "[time]"
    }
    "#);
    let order = Order { path: placed.header("location").to_owned() };
    assert_eq!(order.path, format!("/orders/{}", placed["order_id"].as_str().unwrap()));
    let read = ada.get(&order).await;
    assert_eq!((read.status, &read.json), (200, &placed.json));
    assert_eq!(read.header("etag"), placed.header("etag"));
    assert_eq!(read.header("cache-control"), "no-store");
    assert_eq!(ada.stock(&pen).await, (0, 3));
    assert_eq!(ada.stock(&ink).await, (2, 3));

    let empty = ada.post("/orders", json!({})).await;
    assert_eq!((empty.status, &empty["total_price"], &empty["item_count"]), (201, &json!("0.00"), &json!(0)));
}

#[tokio::test]
async fn an_order_is_stored_with_its_lines_and_history() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let (admin, ada) = people(&app).await;
    let pen = admin.product("Pen", 3).await;
    let order = ada.order([(&pen, 2)]).await;
    ada.put(&order, json!({"status": "CANCELLED", "reason": "too dear"})).await;

    let mut items = app.items().await;
    items.retain(|item| item["pk"]["S"].as_str().unwrap().starts_with("ORDER#"));
    let [stored] = items.as_slice() else { panic!("one item: {items:?}") };
    let mut text = serde_json::to_string_pretty(stored).unwrap();
    for id in [id(&order), pen.id.clone(), stored["customer_id"]["S"].as_str().unwrap().to_owned()] {
        text = text.replace(&id, "[id]");
    }
    let line_id = stored["lines"]["M"].as_object().unwrap().keys().next().unwrap();
    text = text.replace(line_id, "[line]");
    for time in [&stored["created_at"]["N"], &stored["updated_at"]["N"]] {
        text = text.replace(time.as_str().unwrap(), "[ms]");
    }
    assert_snapshot!(text, @r#"
    {
      "created_at": {
        "N": "[ms]"
      },
      "customer_id": {
        "S": "[id]"
      },
      "gsi1pk": {
        "S": "CUSTOMER#[id]"
      },
      "gsi1sk": {
        "S": "[id]"
      },
      "gsi2pk": {
        "S": "ORDERS#CANCELLED#0"
      },
      "gsi2sk": {
        "S": "[id]"
      },
      "history": {
        "M": {
          "2": {
            "M": {
              "at": {
                "N": "[ms]"
              },
              "by": {
                "S": "[id]"
              },
              "from": {
                "S": "PENDING"
              },
              "reason": {
                "S": "too dear"
              },
              "stock": {
                "S": "released"
              },
              "to": {
                "S": "CANCELLED"
              }
            }
          }
        }
      },
      "item_count": {
        "N": "1"
      },
      "lines": {
        "M": {
          "[line]": {
            "M": {
              "price": {
                "N": "1990"
              },
              "product_id": {
                "S": "[id]"
              },
              "quantity": {
                "N": "2"
              }
            }
          }
        }
      },
      "pk": {
        "S": "ORDER#[id]"
      },
      "sk": {
        "S": "ORDER"
      },
      "status": {
        "S": "CANCELLED"
      },
      "total": {
        "N": "3980"
      },
      "updated_at": {
        "N": "[ms]"
      },
      "version": {
        "N": "2"
      }
    }
    "#);
}

#[tokio::test]
async fn an_order_takes_all_its_stock_or_none() {
    let app = TestApp::start().await;
    let (admin, ada) = people(&app).await;
    let (pen, ink) = (admin.product(&unique("Pen"), 3).await, admin.product(&unique("Ink"), 1).await);

    let refused = ada.post("/orders", lines([(&pen, 2), (&ink, 2)])).await;

    assert_eq!(refused.problem(), (409, "out-of-stock"));
    assert_eq!((&refused["product_id"], &refused["available"]), (&json!(ink.id), &json!(1)));
    assert_eq!((ada.stock(&pen).await, ada.stock(&ink).await), ((3, 0), (1, 0)));
    assert_eq!(ada.get("/orders").await["orders"], json!([]));

    let twice = ada.post("/orders", lines([(&ink, 1), (&ink, 1)])).await;
    assert_eq!(twice.problem(), (409, "out-of-stock"), "two lines of one product need their sum");
}

#[tokio::test]
async fn what_is_wrong_with_an_order_is_told() {
    let app = TestApp::start().await;
    let (admin, ada) = people(&app).await;
    let pen = admin.product(&unique("Pen"), 100).await;
    let with = |name: &str, value: Value| {
        let mut line = line(&pen, 1);
        line[name] = value;
        json!({"items": [crate::app::line(&pen, 1), line]})
    };

    for (body, pointers) in [
        (json!([]), vec![""]),
        (json!({"items": {}}), vec!["/items"]),
        (json!({"items": 5}), vec!["/items"]),
        (json!({"items": [1, "x"]}), vec!["/items/0", "/items/1"]),
        (json!({"items": [{}]}), vec!["/items/0/product_id", "/items/0/quantity"]),
        (json!({"items": vec![line(&pen, 1); 41]}), vec!["/items"]),
        (json!({"status": "CONFIRMED", "total_price": "0"}), vec!["/status", "/total_price"]),
        (json!({"customer_id": "me"}), vec!["/customer_id"]),
        (with("quantity", json!(0)), vec!["/items/1/quantity"]),
        (with("quantity", json!(-1)), vec!["/items/1/quantity"]),
        (with("quantity", json!(1.5)), vec!["/items/1/quantity"]),
        (with("quantity", json!(10_001)), vec!["/items/1/quantity"]),
        (with("quantity", json!("1")), vec!["/items/1/quantity"]),
        (with("price", json!("0.01")), vec!["/items/1/price"]),
        (with("product_id", json!("x")), vec!["/items/1/product_id"]),
    ] {
        let refused = ada.post("/orders", body.clone()).await;
        assert_eq!((refused.problem(), refused.pointers()), ((422, "invalid-request"), pointers), "{body}");
    }
    let unknown = ada.post("/orders", with("product_id", json!(Uuid::now_v7()))).await;
    assert_eq!((unknown.problem(), unknown.pointers()), ((422, "unknown-product"), vec!["/items/1/product_id"]));
    assert_eq!(ada.post("/orders", json!({"items": vec![line(&pen, 1); 40]})).await.status, 201);
    assert_eq!(ada.stock(&pen).await, (60, 40));

    let order = ada.order([]).await;
    for (body, pointer) in [
        (json!({}), "/product_id"),
        (line(&pen, 0), "/quantity"),
        (json!({"product_id": pen.id, "quantity": 1, "price": 1}), "/price"),
    ] {
        assert_eq!(ada.post(order.items(), body).await.pointers()[0], pointer);
    }
    let refused = ada.post(order.items(), bodies::line(Uuid::now_v7().to_string(), 1)).await;
    assert_eq!((refused.problem(), refused.pointers()), ((422, "unknown-product"), vec!["/product_id"]));
    for (body, pointer) in [
        (json!({}), ""),
        (json!({"reason": "why not"}), ""),
        (json!({"metadata": {}, "restock": false}), "/restock"),
        (json!({"metadata": {"note": 1}}), "/metadata/note"),
        (json!({"metadata": []}), "/metadata"),
        (json!({"status": "pending"}), "/status"),
        (json!({"status": "CANCELLED", "reason": ""}), "/reason"),
        (json!({"status": "CANCELLED", "reason": "x".repeat(501)}), "/reason"),
        (json!({"status": "CANCELLED", "restock": 1}), "/restock"),
        (json!({"status": "CANCELLED", "restock": true}), "/restock"),
        (json!({"status": "CANCELLED", "total_price": "0"}), "/total_price"),
    ] {
        let refused = ada.put(&order, body.clone()).await;
        assert_eq!((refused.problem(), refused.pointers()), ((422, "invalid-request"), vec![pointer]), "{body}");
    }
}

#[tokio::test]
async fn the_total_follows_the_lines() {
    let app = TestApp::start().await;
    let (admin, ada) = people(&app).await;
    let pen = admin.product(&unique("Pen"), 10).await;
    let order = ada.order([]).await;
    let total = async || {
        let order = ada.get(&order).await;
        (order["total_price"].as_str().unwrap().to_owned(), order["item_count"].as_u64().unwrap())
    };

    let two = ada.post(order.items(), line(&pen, 2)).await;
    assert_eq!(two.status, 201, "{two:?}");
    assert_json_snapshot!(two.json, {
        ".order_id" => "[id]", ".order_item_id" => "[id]", ".product_id" => "[id]", ".created_at" => "[time]", ".updated_at" => "[time]",
    }, @r#"
    {
      "created_at": "[time]",
      "line_total": "39.80",
      "order_id": "[id]",
      "order_item_id": "[id]",
      "price": "19.90",
      "product_id": "[id]",
      "quantity": 2,
      "updated_at": "[time]"
    }
    "#);
    assert_eq!((total().await, ada.stock(&pen).await), (("39.80".into(), 1), (8, 2)));

    admin.put(&pen, json!({"price": "100"})).await;
    let three = ada.post(order.items(), line(&pen, 3)).await;
    assert_eq!((&three["price"], &three["line_total"]), (&json!("100.00"), &json!("300.00")));
    assert_eq!(total().await, ("339.80".into(), 2), "each line at the price of its day");

    let more = ada.put(order.item(&two), json!({"quantity": 5})).await;
    assert_eq!((more.status, &more["price"], &more["line_total"]), (200, &json!("19.90"), &json!("99.50")));
    assert_eq!((total().await, ada.stock(&pen).await), (("399.50".into(), 2), (2, 8)));
    let less = ada.put(order.item(&two), json!({"quantity": 1})).await;
    assert_eq!((&less["quantity"], &less["created_at"]), (&json!(1), &two["created_at"]));
    assert_eq!((total().await, ada.stock(&pen).await), (("319.90".into(), 2), (6, 4)));
    assert_eq!(ada.put(order.item(&two), json!({"quantity": 1})).await.status, 200, "the same again");

    let refused = ada.put(order.item(&two), json!({"quantity": 8})).await;
    assert_eq!((refused.problem(), &refused["available"]), ((409, "out-of-stock"), &json!(6)));
    assert_eq!(ada.delete(order.item(&three)).await.status, 204);
    assert_eq!((total().await, ada.stock(&pen).await), (("19.90".into(), 1), (9, 1)));
    assert_eq!(ada.delete(order.item(&three)).await.problem(), (404, "not-found"));
    assert_eq!(ada.put(order.item(&three), json!({"quantity": 1})).await.problem(), (404, "not-found"));
}

#[tokio::test]
async fn an_order_has_at_most_forty_lines() {
    let app = TestApp::start().await;
    let (admin, ada) = people(&app).await;
    let pen = admin.product(&unique("Pen"), 100).await;
    let order = ada.order(vec![(&pen, 1); 39]).await;

    let fortieth = ada.post(order.items(), line(&pen, 1)).await;
    assert_eq!(fortieth.status, 201);
    assert_eq!(ada.post(order.items(), line(&pen, 1)).await.problem(), (409, "too-many-items"));
    assert_eq!(ada.put(order.item(&fortieth), json!({"quantity": 2})).await.status, 200, "its lines may still change");
    ada.delete(order.item(&fortieth)).await;
    assert_eq!(ada.post(order.items(), line(&pen, 1)).await.status, 201);
}

#[tokio::test]
async fn a_strangers_order_does_not_exist() {
    let app = TestApp::start().await;
    let (admin, ada) = people(&app).await;
    let bob = app.customer("bob").await;
    let pen = admin.product(&unique("Pen"), 9).await;
    let order = ada.order([(&pen, 1)]).await;
    let first = ada.get(&order).await["items"][0]["order_item_id"].as_str().unwrap().to_owned();
    let item = format!("{}/{first}", order.items());
    let nowhere = Order { path: format!("/orders/{}", Uuid::now_v7()) };

    for (who, order, item) in [(&bob, &order, item.clone()), (&ada, &nowhere, format!("{}/{first}", nowhere.items()))] {
        assert_eq!(who.get(order).await.problem(), (404, "not-found"));
        assert_eq!(status(who, order, "CANCELLED").await.problem(), (404, "not-found"));
        assert_eq!(who.delete(order).await.problem(), (404, "not-found"));
        assert_eq!(who.post(order.items(), line(&pen, 1)).await.problem(), (404, "not-found"));
        assert_eq!(who.put(&item, json!({"quantity": 2})).await.problem(), (404, "not-found"));
        assert_eq!(who.delete(&item).await.problem(), (404, "not-found"));
    }
    assert_eq!(bob.get("/orders").await["orders"], json!([]));
    assert_eq!(ada.stock(&pen).await, (8, 1));

    assert_eq!(admin.get(&order).await.status, 200);
    assert_eq!(admin.post(order.items(), line(&pen, 1)).await.status, 201);
    assert_eq!(admin.put(&item, json!({"quantity": 2})).await.status, 200);
    assert_eq!(admin.delete(&item).await.status, 204);
    assert_eq!(ada.get(&order).await["item_count"], 1);
}

#[tokio::test]
async fn an_admin_orders_for_a_customer() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let (admin, ada) = people(&app).await;
    let pen = admin.product("Pen", 9).await;
    let of = async |who: &Actor| who.get("/auth/me").await["user_id"].clone();
    let (ada_id, admin_id) = (of(&ada).await, of(&admin).await);
    let order_for = |customer: &Value| {
        let mut body = lines([(&pen, 1)]);
        body["customer_id"] = customer.clone();
        body
    };

    let placed = admin.post("/orders", order_for(&ada_id)).await;
    assert_eq!((placed.status, &placed["customer_id"]), (201, &ada_id));
    assert_eq!(ada.get(placed.header("location")).await.status, 200);
    assert_eq!(admin.post("/orders", order_for(&admin_id)).await["customer_id"], admin_id);
    assert_eq!(ada.post("/orders", order_for(&ada_id)).await.status, 201, "a customer may name themself");
    assert_eq!(ada.post("/orders", order_for(&admin_id)).await.problem(), (403, "forbidden"));

    assert_eq!(admin.post("/orders", order_for(&json!(Uuid::now_v7()))).await.problem(), (422, "unknown-customer"));
    app.shop().invoke("account-admin", json!({"user_id": ada_id, "is_active": false})).await;
    assert_eq!(admin.post("/orders", order_for(&ada_id)).await.problem(), (422, "unknown-customer"), "a closed account");
    assert_eq!(admin.stock(&pen).await, (6, 3));
}

#[tokio::test]
async fn every_step_of_an_orders_life_moves_its_stock() {
    let app = TestApp::start().await;
    let (admin, ada) = people(&app).await;

    let mut table = String::new();
    for path in [
        "CONFIRMED SHIPPED DELIVERED",
        "CANCELLED",
        "CONFIRMED CANCELLED",
        "CONFIRMED SHIPPED CANCELLED",
        "CONFIRMED SHIPPED CANCELLED+restock",
        "CONFIRMED SHIPPED DELIVERED CANCELLED",
        "CONFIRMED SHIPPED DELIVERED CANCELLED+restock",
    ] {
        let pen = admin.product(&unique("Pen"), 10).await;
        let order = ada.order([(&pen, 2), (&pen, 1)]).await;
        table += &format!("PENDING {:?}", admin.stock(&pen).await);
        for step in path.split(' ') {
            let (to, restock) = step.split_once('+').map_or((step, false), |(to, _)| (to, true));
            let mut body = json!({"status": to, "reason": "because"});
            if restock {
                body["restock"] = json!(true);
            }
            let answer = admin.put(&order, body).await;
            assert_eq!(
                (answer.status, &answer["status"], &answer["total_price"]),
                (200, &json!(to), &json!("59.70")),
                "{path}: {answer:?}"
            );
            assert_eq!(answer.json, ada.get(&order).await.json);
            table += &format!(" → {step} {:?}", admin.stock(&pen).await);
        }
        table.push('\n');
    }
    assert_snapshot!(table, @"
    PENDING (7, 3) → CONFIRMED (7, 3) → SHIPPED (7, 0) → DELIVERED (7, 0)
    PENDING (7, 3) → CANCELLED (10, 0)
    PENDING (7, 3) → CONFIRMED (7, 3) → CANCELLED (10, 0)
    PENDING (7, 3) → CONFIRMED (7, 3) → SHIPPED (7, 0) → CANCELLED (7, 0)
    PENDING (7, 3) → CONFIRMED (7, 3) → SHIPPED (7, 0) → CANCELLED+restock (10, 0)
    PENDING (7, 3) → CONFIRMED (7, 3) → SHIPPED (7, 0) → DELIVERED (7, 0) → CANCELLED (7, 0)
    PENDING (7, 3) → CONFIRMED (7, 3) → SHIPPED (7, 0) → DELIVERED (7, 0) → CANCELLED+restock (10, 0)
    ");
}

#[tokio::test]
async fn only_the_steps_of_the_lifecycle_are_taken() {
    let app = TestApp::start().await;
    let (admin, ada) = people(&app).await;
    let pen = admin.product(&unique("Pen"), 1000).await;

    let mut table = String::new();
    for from in ["PENDING", "CONFIRMED", "SHIPPED", "DELIVERED", "CANCELLED"] {
        for to in ["PENDING", "CONFIRMED", "SHIPPED", "DELIVERED", "CANCELLED"] {
            table += &format!("{from:9} {to:9}");
            for who in [&ada, &admin] {
                let order = ada.order([(&pen, 1)]).await;
                match from {
                    "PENDING" => {}
                    "CANCELLED" => assert_eq!(status(&admin, &order, from).await.status, 200),
                    from => bring(&admin, &order, from).await,
                }
                let before = ada.get(&order).await;
                let answer = status(who, &order, to).await;
                let after = ada.get(&order).await;
                if answer.status == 200 && from != to {
                    table += " 200";
                } else {
                    assert_eq!(before.json, after.json, "{from} → {to}: what is refused, or asked for again, changes nothing");
                    assert_eq!(before.header("etag"), after.header("etag"));
                    table += &if answer.status == 200 { " same".to_owned() } else { format!(" {}", answer.problem().1) };
                }
            }
            table.push('\n');
        }
    }
    assert_snapshot!(table, @"
    PENDING   PENDING   same same
    PENDING   CONFIRMED 200 200
    PENDING   SHIPPED   illegal-transition illegal-transition
    PENDING   DELIVERED illegal-transition illegal-transition
    PENDING   CANCELLED 200 200
    CONFIRMED PENDING   illegal-transition illegal-transition
    CONFIRMED CONFIRMED same same
    CONFIRMED SHIPPED   forbidden 200
    CONFIRMED DELIVERED illegal-transition illegal-transition
    CONFIRMED CANCELLED 200 200
    SHIPPED   PENDING   illegal-transition illegal-transition
    SHIPPED   CONFIRMED illegal-transition illegal-transition
    SHIPPED   SHIPPED   same same
    SHIPPED   DELIVERED forbidden 200
    SHIPPED   CANCELLED forbidden invalid-request
    DELIVERED PENDING   illegal-transition illegal-transition
    DELIVERED CONFIRMED illegal-transition illegal-transition
    DELIVERED SHIPPED   illegal-transition illegal-transition
    DELIVERED DELIVERED same same
    DELIVERED CANCELLED forbidden invalid-request
    CANCELLED PENDING   illegal-transition illegal-transition
    CANCELLED CONFIRMED illegal-transition illegal-transition
    CANCELLED SHIPPED   illegal-transition illegal-transition
    CANCELLED DELIVERED illegal-transition illegal-transition
    CANCELLED CANCELLED same same
    ");

    let empty = ada.order([]).await;
    assert_eq!(status(&ada, &empty, "CONFIRMED").await.problem(), (409, "empty-order"));
    assert_eq!(status(&ada, &empty, "CANCELLED").await.status, 200);
}

#[tokio::test]
async fn of_two_steps_at_once_the_second_is_judged_by_the_first() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let (admin, ada) = people(&app).await;
    let pen = admin.product("Pen", 10).await;
    let order = ada.order([(&pen, 1)]).await;
    // Everything is awake, so that nothing is late but what is meant to be.
    assert_eq!(status(&ada, &ada.order([(&pen, 1)]).await, "CANCELLED").await.status, 200);
    // The admin's session is read, and then the order.
    let confirm = status(&admin, &order, "CONFIRMED");
    let (confirmed, cancelled) = app.while_late(&["GetItem", "GetItem"], confirm, status(&ada, &order, "CANCELLED")).await;
    assert_eq!((confirmed.problem(), cancelled.status), ((409, "illegal-transition"), 200), "{cancelled:?}");
    assert_eq!((&admin.get(&order).await["status"], admin.stock(&pen).await), (&json!("CANCELLED"), (10, 0)));
}

#[tokio::test]
async fn lines_change_while_an_order_is_pending() {
    let app = TestApp::start().await;
    let (admin, ada) = people(&app).await;
    let pen = admin.product(&unique("Pen"), 100).await;
    for to in ["CONFIRMED", "SHIPPED", "DELIVERED", "CANCELLED"] {
        let order = ada.order([(&pen, 1)]).await;
        let first = format!("{}/{}", order.items(), ada.get(&order).await["items"][0]["order_item_id"].as_str().unwrap());
        match to {
            "CANCELLED" => assert_eq!(status(&ada, &order, to).await.status, 200),
            to => bring(&admin, &order, to).await,
        }
        let before = admin.stock(&pen).await;
        for who in [&ada, &admin] {
            assert_eq!(who.post(order.items(), line(&pen, 1)).await.problem(), (409, "order-not-editable"), "{to}");
            assert_eq!(who.put(&first, json!({"quantity": 2})).await.problem(), (409, "order-not-editable"), "{to}");
            assert_eq!(who.delete(&first).await.problem(), (409, "order-not-editable"), "{to}");
        }
        assert_eq!(admin.stock(&pen).await, before);
    }
}

#[tokio::test]
async fn a_deleted_order_gives_back_what_it_held() {
    let app = TestApp::start().await;
    let (admin, ada) = people(&app).await;
    let (pen, ink) = (admin.product(&unique("Pen"), 10).await, admin.product(&unique("Ink"), 10).await);

    let order = ada.order([(&pen, 2), (&ink, 3), (&pen, 1)]).await;
    assert_eq!(admin.delete(&pen).await.problem(), (409, "product-in-use"));
    assert_eq!(ada.delete(&order).await.status, 204);
    assert_eq!((ada.stock(&pen).await, ada.stock(&ink).await), ((10, 0), (10, 0)));
    assert_eq!(ada.get(&order).await.problem(), (404, "not-found"));
    assert_eq!(ada.delete(&order).await.problem(), (404, "not-found"));
    assert_eq!(ada.get("/orders").await["orders"], json!([]));

    for to in ["CONFIRMED", "SHIPPED", "DELIVERED"] {
        let order = ada.order([(&pen, 1)]).await;
        bring(&admin, &order, to).await;
        for who in [&ada, &admin] {
            assert_eq!(who.delete(&order).await.problem(), (409, "order-not-deletable"), "{to}");
        }
    }
    let order = ada.order([(&ink, 1)]).await;
    assert_eq!(status(&ada, &order, "CONFIRMED").await.status, 200);
    assert_eq!(status(&ada, &order, "CANCELLED").await.status, 200);
    assert_eq!(ada.delete(&order).await.problem(), (409, "order-not-deletable"));
    assert_eq!(admin.delete(&order).await.status, 204, "with its history");
    assert_eq!(admin.stock(&ink).await, (10, 0));
    assert_eq!(admin.delete(&ink).await.status, 204, "nobody holds it any more");
}

#[tokio::test]
async fn restocking_leaves_out_what_the_shop_sells_no_more() {
    let app = TestApp::start().await;
    let (admin, ada) = people(&app).await;
    let (pen, ink) = (admin.product(&unique("Pen"), 10).await, admin.product(&unique("Ink"), 10).await);
    let order = ada.order([(&pen, 2), (&ink, 3)]).await;
    bring(&admin, &order, "SHIPPED").await;
    assert_eq!(admin.delete(&ink).await.status, 204, "what has left the shop holds no product");

    let refused = status(&admin, &order, "CANCELLED").await;
    assert_eq!((refused.problem(), refused.pointers()), ((422, "invalid-request"), vec!["/reason"]));
    let back = admin.put(&order, json!({"status": "CANCELLED", "reason": "sent back", "restock": true})).await;
    assert_eq!((back.status, &back["item_count"]), (200, &json!(2)));
    assert_eq!(admin.stock(&pen).await, (10, 0));
    let last = |order: &Value| order["history"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((&last(&back.json)["stock"], &last(&back.json)["not_restocked"]), (&json!("restocked"), &json!([ink.id])));
    assert_eq!(last(&ada.get(&order).await.json), last(&back.json), "and whoever looks later is told the same");
}

#[tokio::test]
async fn a_price_that_changes_meanwhile_does_not_slip_through() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let (admin, ada) = people(&app).await;
    let order = ada.order([]).await;
    // Everything is awake, so that nothing is late but what is meant to be.
    let other = admin.product(&unique("Ink"), 10).await;
    ada.order([(&other, 1)]).await;
    assert_eq!(ada.post(order.items(), line(&other, 1)).await.status, 201);
    for spread in [1, 4] {
        let pen = admin.product(&unique("Pen"), 10).await;
        assert_eq!(admin.put(&pen, json!({"stock_shards": spread})).await.status, 200);
        // The price is read, and changes before whoever has read it is told.
        let change = async |price: &str| assert_eq!(admin.put(&pen, json!({"price": price})).await.status, 200);
        let place = ada.post("/orders", lines([(&pen, 2)]));
        let (placed, ()) = app.while_late(&["BatchGetItem"], place, change("21.00")).await;
        let add = ada.post(order.items(), line(&pen, 1));
        let (added, ()) = app.while_late(&["BatchGetItem"], add, change("22.00")).await;
        assert_eq!((&placed["items"][0]["price"], &placed["total_price"]), (&json!("21.00"), &json!("42.00")), "{placed:?}");
        assert_eq!(added["price"], "22.00", "{added:?}");
    }
}

#[tokio::test]
async fn restocking_makes_no_product_out_of_one_that_goes_meanwhile() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let (admin, ada) = people(&app).await;
    // Every answer comes late, so that the product goes after it was looked at and before it is restocked.
    for head_start in [30, 45, 60] {
        let pen = admin.product(&unique("Pen"), 10).await;
        let order = ada.order([(&pen, 2)]).await;
        bring(&admin, &order, "SHIPPED").await;
        app.shop().inject(Some("delay=100%:60ms,seed=1".parse().expect("faults")));
        let delete = async {
            tokio::time::sleep(std::time::Duration::from_millis(head_start)).await;
            admin.delete(&pen).await
        };
        let back = admin.put(&order, json!({"status": "CANCELLED", "reason": "sent back", "restock": true}));
        let (back, deleted) = tokio::join!(back, delete);
        app.shop().inject(None);
        assert_eq!((back.status, deleted.status), (200, 204), "{back:?} {deleted:?}");
        assert_eq!(admin.get(&pen).await.status, 404, "with what was restocked or without");
    }
}

#[tokio::test]
async fn an_order_tells_its_history() {
    let app = TestApp::start().await;
    let (admin, ada) = people(&app).await;
    let pen = admin.product(&unique("Pen"), 10).await;
    let order = ada.order([(&pen, 2)]).await;
    assert_eq!(ada.get(&order).await["history"], json!([]));
    status(&ada, &order, "CONFIRMED").await;
    status(&admin, &order, "SHIPPED").await;
    status(&admin, &order, "SHIPPED").await;
    admin.put(&order, json!({"status": "CANCELLED", "reason": " lost on the way "})).await;

    let (ada_id, admin_id) = (ada.get("/auth/me").await["user_id"].clone(), admin.get("/auth/me").await["user_id"].clone());
    let history = ada.get(&order).await["history"].clone();
    let by: Vec<_> = history.as_array().unwrap().iter().map(|entry| entry["by"].clone()).collect();
    assert_eq!(by, [ada_id, admin_id.clone(), admin_id]);
    assert_json_snapshot!(history, {"[].at" => "[time]", "[].by" => "[id]"}, @r#"
    [
      {
        "at": "[time]",
        "by": "[id]",
        "from": "PENDING",
        "reason": null,
        "stock": "none",
        "to": "CONFIRMED"
      },
      {
        "at": "[time]",
        "by": "[id]",
        "from": "CONFIRMED",
        "reason": null,
        "stock": "shipped",
        "to": "SHIPPED"
      },
      {
        "at": "[time]",
        "by": "[id]",
        "from": "SHIPPED",
        "reason": "lost on the way",
        "stock": "none",
        "to": "CANCELLED"
      }
    ]
    "#);
}

/// What an admin did is not answered to the customer that they have become, nor the other way round.
#[tokio::test]
async fn a_key_is_of_the_role_it_was_used_in() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let (admin, bob) = (app.admin().await, app.customer("bob").await);
    let (email, _) = app.register("eve").await;
    let role = async |role: &str| {
        let outcome = app.shop().invoke("account-admin", json!({"email": email, "role": role})).await.outcome;
        assert!(matches!(outcome, emulator::Outcome::Payload(_)), "{outcome:?}");
        app.login(&email, crate::app::PASSWORD).await
    };
    let pen = admin.product("Pen", 9).await;
    let order = bob.order([]).await;
    let keyed = async |who: &Actor, path: &str, key: &str, body: &Value| {
        who.send(who.request(Method::POST, path).header("idempotency-key", key).json(body)).await
    };

    let eve = role("admin").await;
    assert_eq!(keyed(&eve, &order.items(), "line", &line(&pen, 1)).await.status, 201);
    assert_eq!(keyed(&eve, &order.items(), "line", &line(&pen, 1)).await.header("idempotent-replayed"), "true");

    let eve = role("customer").await;
    assert_eq!(keyed(&eve, &order.items(), "line", &line(&pen, 1)).await.problem(), (404, "not-found"));
    let own = keyed(&eve, "/orders", "own", &json!({})).await;
    assert_eq!(own.status, 201);

    let eve = role("admin").await;
    let again = keyed(&eve, "/orders", "own", &json!({})).await;
    assert_eq!((again.status, again.headers.get("idempotent-replayed")), (201, None));
    assert_ne!(again["order_id"], own["order_id"]);
    assert_eq!(keyed(&eve, &order.items(), "line", &line(&pen, 1)).await.header("idempotent-replayed"), "true");
}

#[tokio::test]
async fn null_is_the_same_as_left_out() {
    let app = TestApp::start().await;
    let (admin, ada) = (app.admin().await, app.customer("ada").await);
    let pen = Product::draft(unique("Pen")).quantity(5).description("Blue").with("stock_shards", Value::Null).json();
    let created = admin.post("/products", pen).await;
    assert_eq!((created.status, created["stock_shards"].is_null()), (201, true), "{created:?}");
    let path = created.header("location");
    let kept = json!({"name": null, "description": null, "price": "2", "quantity": null, "stock_shards": null});
    let changed = admin.put(path, kept).await;
    assert_eq!((changed.status, &changed["name"], &changed["quantity"]), (200, &created["name"], &json!(5)), "{changed:?}");
    assert!(changed["description"].is_null(), "what can be cleared is cleared: {changed:?}");
    let nothing = json!({"name": null, "price": null, "quantity": null, "stock_shards": null});
    assert_eq!(admin.put(path, nothing).await.problem(), (422, "invalid-request"));
    assert_eq!(admin.put(path, json!({"description": null})).await.status, 200);
    let bare = admin.post("/products", json!({"name": null, "price": null, "quantity": null, "description": null})).await;
    assert_eq!((bare.problem(), bare.pointers()), ((422, "invalid-request"), vec!["/name", "/price", "/quantity"]));

    let placed = ada.post("/orders", json!({"customer_id": null, "items": null})).await;
    assert_eq!((placed.status, &placed["item_count"]), (201, &json!(0)), "{placed:?}");
    let cancel = json!({"status": "CANCELLED", "reason": null, "restock": null});
    assert_eq!(ada.put(placed.header("location"), cancel).await.status, 200);
    let nobody = ada.post("/auth/login", json!({"email": null, "username": unique("nobody"), "password": "wrong"})).await;
    assert_eq!(nobody.problem(), (401, "invalid-credentials"));
    assert_eq!(ada.post("/auth/logout", json!({"all": null})).await.status, 204);
}

#[tokio::test]
async fn preconditions_hold_for_orders_and_their_lines() {
    let app = TestApp::start().await;
    let (admin, ada) = people(&app).await;
    let pen = admin.product(&unique("Pen"), 10).await;
    let order = ada.order([(&pen, 2)]).await;
    let seen = ada.get(&order).await.header("etag").to_owned();
    let send = async |method: Method, name: &str, value: &str| {
        let request = ada.request(method, &order).header(name, value).json(&json!({"status": "CONFIRMED"}));
        ada.send(request).await
    };

    assert_eq!(send(Method::GET, "if-none-match", &seen).await.status, 304);
    let added = ada.post(order.items(), line(&pen, 1)).await;
    assert_eq!(send(Method::GET, "if-none-match", &seen).await.status, 200, "a new line is a new version");
    assert_eq!(send(Method::PUT, "if-match", &seen).await.problem(), (412, "precondition-failed"));
    assert_eq!(send(Method::DELETE, "if-match", &seen).await.problem(), (412, "precondition-failed"));
    let seen = ada.get(&order).await.header("etag").to_owned();
    ada.put(order.item(&added), json!({"quantity": 2})).await;
    assert_eq!(send(Method::PUT, "if-match", &seen).await.problem(), (412, "precondition-failed"));
    let seen = ada.get(&order).await.header("etag").to_owned();
    let confirmed = send(Method::PUT, "if-match", &seen).await;
    assert_eq!(confirmed.status, 200);
    assert_eq!(confirmed.header("etag"), ada.get(&order).await.header("etag"));
}

#[tokio::test]
async fn an_order_is_placed_once_per_key() {
    let app = TestApp::start().await;
    let (admin, ada) = people(&app).await;
    let pen = admin.product(&unique("Pen"), 10).await;
    let keyed = async |path: &str, key: &str, body: &Value| {
        ada.send(ada.request(Method::POST, path).header("idempotency-key", key).json(body)).await
    };

    let first = keyed("/orders", "one", &lines([(&pen, 2)])).await;
    admin.put(&pen, json!({"price": "1"})).await;
    let again = keyed("/orders", "one", &lines([(&pen, 2)])).await;
    assert_eq!((first.status, again.status, &again.body), (201, 201, &first.body));
    assert_eq!(again.header("idempotent-replayed"), "true");
    for header in ["location", "etag"] {
        assert_eq!(again.header(header), first.header(header));
    }
    assert_eq!(keyed("/orders", "one", &lines([(&pen, 3)])).await.problem(), (422, "idempotency-key-reused"));
    let order = Order { path: first.header("location").to_owned() };
    assert_eq!(keyed(&order.items(), "one", &line(&pen, 1)).await.problem(), (422, "idempotency-key-reused"), "another path");

    let item = keyed(&order.items(), "two", &line(&pen, 1)).await;
    let again = keyed(&order.items(), "two", &line(&pen, 1)).await;
    assert_eq!((item.status, again.status, &again.body), (201, 201, &item.body));
    assert_eq!(ada.stock(&pen).await, (7, 3));

    // What was answered stays answered: after the order is closed, gone, and the product with it.
    status(&ada, &order, "CANCELLED").await;
    assert_eq!(keyed(&order.items(), "two", &line(&pen, 1)).await.body, item.body);
    admin.delete(&order).await;
    admin.delete(&pen).await;
    assert_eq!(keyed(&order.items(), "two", &line(&pen, 1)).await.body, item.body);
    assert_eq!(keyed("/orders", "one", &lines([(&pen, 2)])).await.body, first.body);
    assert_eq!(keyed("/orders", "one", &lines([(&pen, 3)])).await.problem(), (422, "idempotency-key-reused"));
    assert_eq!(keyed("/orders", "three", &lines([(&pen, 2)])).await.problem(), (422, "unknown-product"));
}

/// Walks through a list by its cursors; the ids it met.
async fn walk(who: &Actor, first: &str) -> Vec<String> {
    let (mut ids, mut path) = (Vec::new(), first.to_owned());
    loop {
        let page = who.get(&path).await;
        assert_eq!(page.status, 200, "{path}: {page:?}");
        ids.extend(page["orders"].as_array().unwrap().iter().map(|order| order["order_id"].as_str().unwrap().to_owned()));
        if page["next_cursor"].is_null() {
            return ids;
        }
        page.header("link").strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap().clone_into(&mut path);
    }
}

fn id(order: &Order) -> String {
    order.path.strip_prefix("/orders/").unwrap().to_owned()
}

#[tokio::test]
async fn orders_are_listed_newest_first() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let (admin, ada) = people(&app).await;
    let bob = app.customer("bob").await;
    let pen = admin.product("Pen", 100).await;
    let (mut all, mut of_ada, mut confirmed, mut confirmed_of_ada) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for n in 0..12 {
        let who = if n % 3 == 0 { &bob } else { &ada };
        let order = who.order([(&pen, 1)]).await;
        all.insert(0, id(&order));
        if n % 3 != 0 {
            of_ada.insert(0, id(&order));
        }
        match n % 4 {
            0 => {}
            1 => {
                bring(&admin, &order, "CONFIRMED").await;
                confirmed.insert(0, id(&order));
                if n % 3 != 0 {
                    confirmed_of_ada.insert(0, id(&order));
                }
            }
            2 => bring(&admin, &order, "DELIVERED").await,
            _ => assert_eq!(status(who, &order, "CANCELLED").await.status, 200),
        }
    }
    let ada_id = ada.get("/auth/me").await["user_id"].as_str().unwrap().to_owned();

    for limit in [1, 2, 5, 11, 12, 13, 100] {
        assert_eq!(walk(&ada, &format!("/orders?limit={limit}")).await, of_ada, "{limit}");
        assert_eq!(walk(&ada, &format!("/orders?limit={limit}&status=CONFIRMED")).await, confirmed_of_ada, "{limit}");
        assert_eq!(walk(&admin, &format!("/orders?limit={limit}")).await, all, "{limit}");
        assert_eq!(walk(&admin, &format!("/orders?limit={limit}&status=CONFIRMED")).await, confirmed, "{limit}");
        assert_eq!(walk(&admin, &format!("/orders?limit={limit}&customer_id={ada_id}")).await, of_ada, "{limit}");
    }
    assert_eq!(walk(&ada, &format!("/orders?customer_id={ada_id}")).await, of_ada);
    assert_eq!(walk(&ada, "/orders?status=SHIPPED").await, Vec::<String>::new());

    let page = ada.get("/orders?limit=1").await;
    assert_json_snapshot!(page.json, {
        ".orders[].order_id" => "[id]", ".orders[].customer_id" => "[id]", ".orders[].created_at" => "[time]",
        ".orders[].updated_at" => "[time]", ".next_cursor" => "[cursor]",
    }, @r#"
    {
      "next_cursor": "[cursor]",
      "orders": [
        {
          "created_at": "[time]",
          "customer_id": "[id]",
          "item_count": 1,
          "order_id": "[id]",
          "status": "CANCELLED",
          "total_price": "19.90",
          "updated_at": "[time]"
        }
      ]
    }
    "#);

    let bob_id = bob.get("/auth/me").await["user_id"].as_str().unwrap().to_owned();
    assert_eq!(ada.get(format!("/orders?customer_id={bob_id}")).await.problem(), (403, "forbidden"));
    for (query, pointer) in
        [("status=pending", "?status"), ("status=", "?status"), ("customer_id=x", "?customer_id"), ("limit=0", "?limit")]
    {
        let refused = admin.get(format!("/orders?{query}")).await;
        assert_eq!((refused.problem(), refused.pointers()), ((422, "invalid-request"), vec![pointer]), "{query}");
    }
    let cursor = page["next_cursor"].as_str().unwrap();
    for (who, query) in [(&ada, "status=PENDING&"), (&bob, ""), (&admin, ""), (&admin, "status=PENDING&")] {
        let refused = who.get(format!("/orders?{query}cursor={cursor}")).await;
        assert_eq!(refused.problem(), (422, "invalid-cursor"), "{query}: made for another list");
    }
    let altered = format!("{}{}", if cursor.starts_with('A') { 'B' } else { 'A' }, &cursor[1..]);
    assert_eq!(ada.get(format!("/orders?cursor={altered}")).await.problem(), (422, "invalid-cursor"));
}

#[tokio::test]
async fn a_walk_through_all_orders_misses_none_that_moves_on() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let (admin, ada) = people(&app).await;
    let pen = admin.product("Pen", 1000).await;
    let mut orders = Vec::new();
    for _ in 0..20 {
        orders.push(ada.order([(&pen, 1)]).await);
    }

    for page_size in [3, 7] {
        let (mut seen, mut path) = (Vec::new(), format!("/orders?limit={page_size}"));
        for round in 0.. {
            let page = admin.get(&path).await;
            seen.extend(page["orders"].as_array().unwrap().iter().map(|order| order["order_id"].as_str().unwrap().to_owned()));
            // Between two pages: a new order, and others that move to another collection.
            ada.order([(&pen, 1)]).await;
            for order in orders.iter().skip(round % 5).step_by(5) {
                let to = if page_size == 3 { "CONFIRMED" } else { "SHIPPED" };
                status(&admin, order, to).await;
            }
            match page["next_cursor"].as_str() {
                Some(cursor) => path = format!("/orders?limit={page_size}&cursor={cursor}"),
                None => break,
            }
        }
        for order in &orders {
            assert_eq!(seen.iter().filter(|seen| **seen == id(order)).count(), 1, "{order:?}");
        }
    }
}

#[tokio::test]
async fn more_shards_may_be_added_to_a_table_in_use() {
    let Some(first) = TestApp::start_local(|_| {}).await else { return };
    let stack = first.table().strip_suffix("-Table").unwrap().to_owned();
    let (admin, ada) = people(&first).await;
    let pen = admin.product("Pen", 100).await;
    let mut orders = Vec::new();
    for _ in 0..6 {
        orders.push(ada.order([(&pen, 1)]).await);
    }

    // The same table with more shards: as after a deployment with another parameter.
    let again = async |shards: &str| {
        let change = |options: &mut Options| {
            options.store = emulator::Store::Url(first.shop().dynamodb_url().to_owned());
            options.stack.clone_from(&stack);
            options.parameters.insert("OrderShards".into(), shards.into());
        };
        TestApp::start_local(change).await.unwrap()
    };
    let second = again("4").await;
    // The second one audits the table that they share, and takes it away if it is lent.
    first.tampered();
    let (admin, ada) = (second.admin().await, second.customer("bob").await);
    for _ in 0..8 {
        orders.push(ada.order([(&pen, 1)]).await);
    }
    for order in orders.iter().step_by(3) {
        assert_eq!(status(&admin, order, "CONFIRMED").await.status, 200);
    }

    let newest_first: Vec<_> = orders.iter().rev().map(id).collect();
    for limit in [1, 5, 100] {
        assert_eq!(walk(&admin, &format!("/orders?limit={limit}")).await, newest_first);
    }
    let confirmed: Vec<_> = orders.iter().step_by(3).rev().map(id).collect();
    assert_eq!(walk(&admin, "/orders?limit=2&status=CONFIRMED").await, confirmed);
    let collections: BTreeSet<_> = second
        .items()
        .await
        .iter()
        .filter_map(|item| item["gsi2pk"]["S"].as_str()?.rsplit('#').next().map(str::to_owned))
        .collect();
    assert!(collections.len() > 1, "{collections:?}");

    // Functions that do not know of it yet, or that were brought back, see all there is, and look through all of it.
    let before = first.admin().await;
    assert_eq!(walk(&before, "/orders").await, newest_first);
    second.tampered();
    let third = again("2").await;
    third.tampered();
    orders.push(third.customer("eve").await.order([(&pen, 1)]).await);
    let newest_first: Vec<_> = orders.iter().rev().map(id).collect();
    for app in [&first, &third] {
        assert_eq!(walk(&app.admin().await, "/orders").await, newest_first);
    }
    for order in &orders {
        age(&first, order, 25).await;
    }
    assert_eq!(expire(&first).await["cancelled"], orders.len() - confirmed.len());
}

/// Makes an order look as if nobody had touched it for a while.
pub async fn age(app: &TestApp, order: &Order, hours: i64) {
    let key = json!({"pk": {"S": format!("ORDER#{}", id(order))}, "sk": {"S": "ORDER"}});
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    let then = i64::try_from(now).unwrap() - hours * 60 * 60 * 1000;
    // An id tells when its order was made; so that this one was, it gets an older place in the index.
    let made = format!("{:08x}-{:04x}-7000-8000-{}", then >> 16, then & 0xffff, &id(order)[24..]);
    app.tampered();
    app.dynamodb(
        "UpdateItem",
        json!({
            "TableName": app.table(), "Key": key, "UpdateExpression": "SET updated_at = :then, gsi2sk = :made",
            "ExpressionAttributeValues": {":then": {"N": then.to_string()}, ":made": {"S": made}},
        }),
    )
    .await;
}

/// Makes an order look as if it had been made a while ago.
async fn backdate(app: &TestApp, order: &Order, hours: i64) {
    let key = json!({"pk": {"S": format!("ORDER#{}", id(order))}, "sk": {"S": "ORDER"}});
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    let then = i64::try_from(now).unwrap() - hours * 60 * 60 * 1000;
    app.tampered();
    app.dynamodb(
        "UpdateItem",
        json!({
            "TableName": app.table(), "Key": key, "UpdateExpression": "SET created_at = :then, gsi2sk = :made",
            "ExpressionAttributeValues": {":then": {"N": then.to_string()}, ":made": {"S": "0"}},
        }),
    )
    .await;
}

pub async fn expire(app: &TestApp) -> Value {
    let event = std::fs::read(crate::app::workspace().join("events/order-expire.json")).unwrap();
    match app.shop().invoke("order-expire", serde_json::from_slice(&event).unwrap()).await.outcome {
        Outcome::Payload(report) => serde_json::from_slice(&report).unwrap(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn forgotten_orders_give_their_stock_back() {
    let hours = |hours: &str| {
        let hours = hours.to_owned();
        move |options: &mut Options| {
            options.parameters.insert("PendingOrderHours".into(), hours);
        }
    };
    let Some(app) = TestApp::start_local(hours("2")).await else { return };
    let (admin, ada) = people(&app).await;
    let pen = admin.product("Pen", 100).await;
    let [old, touched, confirmed, young] =
        [ada.order([(&pen, 1)]).await, ada.order([(&pen, 1)]).await, ada.order([(&pen, 1)]).await, ada.order([(&pen, 1)]).await];
    status(&ada, &confirmed, "CONFIRMED").await;
    for order in [&old, &touched, &confirmed] {
        age(&app, order, 3).await;
    }
    ada.post(touched.items(), line(&pen, 1)).await;

    assert_eq!(expire(&app).await, json!({"cancelled": 1, "spared": 0}));
    assert_eq!(admin.stock(&pen).await, (96, 4));
    let expired = ada.get(&old).await;
    assert_eq!(expired["status"], "CANCELLED");
    assert_json_snapshot!(expired["history"], {"[].at" => "[time]"}, @r#"
    [
      {
        "at": "[time]",
        "by": null,
        "from": "PENDING",
        "reason": "expired",
        "stock": "released",
        "to": "CANCELLED"
      }
    ]
    "#);
    for (order, status) in [(&touched, "PENDING"), (&confirmed, "CONFIRMED"), (&young, "PENDING")] {
        assert_eq!(ada.get(order).await["status"], status);
    }
    assert_eq!(expire(&app).await, json!({"cancelled": 0, "spared": 0}));

    // Two runs at once: each order is cancelled by one of them.
    for _ in 0..10 {
        let order = ada.order([(&pen, 1)]).await;
        age(&app, &order, 3).await;
    }
    let (one, other) = tokio::join!(expire(&app), expire(&app));
    assert_eq!(one["cancelled"].as_u64().unwrap() + other["cancelled"].as_u64().unwrap(), 10, "{one} {other}");
    assert_eq!(admin.stock(&pen).await, (96, 4));

    let Some(never) = TestApp::start_local(hours("0")).await else { return };
    let (admin, ada) = people(&never).await;
    let pen = admin.product("Pen", 100).await;
    let order = ada.order([(&pen, 1)]).await;
    age(&never, &order, 10_000).await;
    assert_eq!(expire(&never).await, json!({"cancelled": 0, "spared": 0}));
    assert_eq!(ada.get(&order).await["status"], "PENDING");
}

fn two_hours(options: &mut Options) {
    options.parameters.insert("PendingOrderHours".into(), "2".into());
}

#[tokio::test]
async fn a_hold_ends_however_often_it_is_renewed() {
    let Some(app) = TestApp::start_local(two_hours).await else { return };
    let (admin, ada) = people(&app).await;
    let pen = admin.product("Pen", 100).await;
    let [same, renewed, kept] = [ada.order([]).await, ada.order([]).await, ada.order([]).await];
    let mut items = Vec::new();
    for order in [&same, &renewed, &kept] {
        items.push(order.item(&ada.post(order.items(), line(&pen, 2)).await));
        age(&app, order, 3).await;
    }
    // A quantity that the line has already is no change: neither the order nor the line is written.
    let before = app.items().await;
    let unchanged = ada.put(&items[0], json!({"quantity": 2})).await;
    assert_eq!((unchanged.status, &unchanged["quantity"]), (200, &json!(2)));
    assert_eq!(unchanged.header("etag"), ada.get(&same).await.header("etag"));
    assert_eq!(app.items().await, before);
    // A change holds for longer, though not beyond three times as long from when the order was made.
    for item in &items[1..] {
        assert_eq!(ada.put(item, json!({"quantity": 3})).await.status, 200);
    }
    backdate(&app, &renewed, 7).await;
    backdate(&app, &kept, 5).await;

    assert_eq!(expire(&app).await, json!({"cancelled": 2, "spared": 0}));
    for (order, status) in [(&same, "CANCELLED"), (&renewed, "CANCELLED"), (&kept, "PENDING")] {
        assert_eq!(ada.get(order).await["status"], status);
    }
    assert_eq!(admin.stock(&pen).await, (97, 3));
}

#[tokio::test]
async fn an_order_that_cannot_be_cancelled_keeps_nothing_back() {
    let Some(app) = TestApp::start_local(two_hours).await else { return };
    let (admin, ada) = people(&app).await;
    let (pen, ink) = (admin.product("Pen", 100).await, admin.product("Ink", 100).await);
    let broken = [ada.order([(&ink, 1)]).await, ada.order([(&pen, 1)]).await];
    let others = [ada.order([(&pen, 1)]).await, ada.order([(&pen, 2)]).await, ada.order([(&pen, 3)]).await];
    for (order, hours) in broken.iter().zip([9, 8]).chain(others.iter().zip([7, 6, 5])) {
        age(&app, order, hours).await;
    }
    // One holds stock of nothing, and one cannot even be read.
    let remove = |pk: String, sk: &str| json!({"TableName": app.table(), "Key": {"pk": {"S": pk}, "sk": {"S": sk}}});
    app.dynamodb("DeleteItem", remove(format!("PRODUCT#{}", ink.id), "STOCK#00")).await;
    let mut unreadable = remove(format!("ORDER#{}", id(&broken[1])), "ORDER");
    unreadable["UpdateExpression"] = json!("REMOVE customer_id");
    app.dynamodb("UpdateItem", unreadable).await;

    let event = std::fs::read(crate::app::workspace().join("events/order-expire.json")).unwrap();
    for run in 0..2 {
        let outcome = app.shop().invoke("order-expire", serde_json::from_slice(&event).unwrap()).await.outcome;
        let Outcome::Error(failure) = outcome else { panic!("{outcome:?}") };
        let told = failure.error_message;
        let counted = format!("{} orders were cancelled, 2 could not be", if run == 0 { 3 } else { 0 });
        assert!(told.contains(&counted) && broken.iter().all(|order| told.contains(&id(order))), "{told}");
    }
    for order in &others {
        assert_eq!(ada.get(order).await["status"], "CANCELLED");
    }
}

#[tokio::test]
async fn a_customer_has_a_limited_number_of_open_orders() {
    let limit = |options: &mut Options| {
        options.parameters.insert("MaxOpenOrders".into(), "3".into());
    };
    let Some(app) = TestApp::start_local(limit).await else { return };
    let (admin, ada) = people(&app).await;
    let pen = admin.product("Pen", 100).await;
    let keyed = async |key: &str| {
        let request = ada.request(Method::POST, "/orders").header("idempotency-key", key).json(&lines([(&pen, 1)]));
        ada.send(request).await
    };
    let first = keyed("first").await;
    let orders = [ada.order([(&pen, 1)]).await, ada.order([]).await];
    assert_eq!(ada.post("/orders", lines([(&pen, 1)])).await.problem(), (409, "too-many-open-orders"));
    assert_eq!(keyed("first").await.body, first.body, "a repetition is no further order");
    assert_eq!(admin.stock(&pen).await, (98, 2), "a refused order holds nothing");

    // Others have their own, and admins any number: for themselves and for customers.
    app.customer("bob").await.order([(&pen, 1)]).await;
    let ada_id = ada.get("/auth/me").await["user_id"].clone();
    for _ in 0..4 {
        admin.order([(&pen, 1)]).await;
        assert_eq!(admin.post("/orders", json!({"customer_id": ada_id})).await.status, 201);
    }
    for order in &orders {
        assert_eq!(ada.post("/orders", json!({})).await.problem(), (409, "too-many-open-orders"));
        status(&ada, order, "CANCELLED").await;
    }
    for order in ada.get("/orders?status=PENDING").await["orders"].as_array().unwrap().iter().take(3) {
        let path = format!("/orders/{}", order["order_id"].as_str().unwrap());
        assert_eq!(ada.put(path, json!({"status": "CANCELLED"})).await.status, 200);
    }
    ada.order([(&pen, 1)]).await;
}

#[tokio::test]
async fn a_shop_may_leave_it_to_admins_to_confirm() {
    let confirm = |options: &mut Options| {
        options.parameters.insert("CustomersConfirm".into(), "false".into());
    };
    let Some(app) = TestApp::start_local(confirm).await else { return };
    let (admin, ada) = people(&app).await;
    let pen = admin.product("Pen", 100).await;
    let (paid, unpaid) = (ada.order([(&pen, 1)]).await, ada.order([(&pen, 1)]).await);
    assert_eq!(status(&ada, &paid, "CONFIRMED").await.problem(), (403, "forbidden"));
    assert_eq!(status(&admin, &paid, "CONFIRMED").await.status, 200);
    assert_eq!(status(&ada, &paid, "CONFIRMED").await.status, 200, "it is confirmed already");
    assert_eq!(status(&ada, &unpaid, "CANCELLED").await.status, 200);
}

#[tokio::test]
async fn preconditions_hold_for_lines_and_each_answer_has_the_orders_tag() {
    let app = TestApp::start().await;
    let (admin, ada) = people(&app).await;
    let pen = admin.product(&unique("Pen"), 10).await;
    let order = ada.order([(&pen, 1)]).await;
    let stale = ada.get(&order).await.header("etag").to_owned();
    let send = async |method: Method, path: &str, tag: &str, body: Value| {
        ada.send(ada.request(method, path).header("if-match", tag).json(&body)).await
    };
    let items = order.items();

    let added = send(Method::POST, &items, &stale, line(&pen, 1)).await;
    assert_eq!((added.status, added.header("etag")), (201, ada.get(&order).await.header("etag")));
    assert_eq!(send(Method::POST, &items, &stale, line(&pen, 1)).await.problem(), (412, "precondition-failed"));
    let item = order.item(&added);
    for method in [Method::PUT, Method::DELETE] {
        let refused = send(method, &item, &stale, json!({"quantity": 2})).await;
        assert_eq!(refused.problem(), (412, "precondition-failed"));
    }
    let tag = added.header("etag").to_owned();
    let changed = send(Method::PUT, &item, &tag, json!({"quantity": 2})).await;
    let now = ada.get(&order).await;
    assert_eq!((changed.status, changed.header("etag")), (200, now.header("etag")));
    assert!(now["items"].as_array().unwrap().contains(&changed.json), "what is answered is kept: {changed:?} {now:?}");
    assert_eq!(send(Method::DELETE, &item, &tag, json!({})).await.problem(), (412, "precondition-failed"));
    let tag = format!("\"1\", {}", changed.header("etag"));
    let removed = send(Method::DELETE, &item, &tag, json!({})).await;
    assert_eq!((removed.status, removed.header("etag")), (204, ada.get(&order).await.header("etag")));
    assert_eq!(admin.stock(&pen).await, (9, 1));

    // Of several at once that have seen the same, one comes first; a repetition under its key is answered as the first time.
    let tag = removed.header("etag").to_owned();
    let at_once = join_all((0..6).map(|_| send(Method::POST, &items, &tag, line(&pen, 1)))).await;
    let count = |status| at_once.iter().filter(|answer| answer.status == status).count();
    assert_eq!((count(201), count(412)), (1, 5));
    let tag = ada.get(&order).await.header("etag").to_owned();
    let keyed = async || {
        let request = ada.request(Method::POST, &items).header("if-match", &tag).header("idempotency-key", "k");
        ada.send(request.json(&line(&pen, 1))).await
    };
    let (first, again) = (keyed().await, keyed().await);
    assert_eq!((first.status, again.status, &again.body), (201, 201, &first.body));
    assert_eq!(again.header("etag"), first.header("etag"));
}

#[tokio::test]
async fn a_precondition_on_a_line_holds_until_it_is_written() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let (admin, ada) = people(&app).await;
    let pen = admin.product(&unique("Pen"), 10).await;
    let order = ada.order([(&pen, 1)]).await;
    let item = order.item(&ada.post(order.items(), line(&pen, 1)).await);
    // Everything is awake, so that nothing is late but what is meant to be.
    assert_eq!(ada.put(&item, json!({"quantity": 2})).await.status, 200);
    // The last of them reads the order; where it is another, the authorizer has read the session in the same way.
    for (method, path, body, reads) in [
        (Method::POST, order.items(), line(&pen, 1), &["BatchGetItem"][..]),
        (Method::PUT, item.clone(), json!({"quantity": 3}), &["GetItem", "GetItem"]),
        (Method::DELETE, item.clone(), json!({}), &["GetItem", "GetItem"]),
    ] {
        let tag = ada.get(&order).await.header("etag").to_owned();
        let pinned = ada.send(ada.request(method.clone(), &path).header("if-match", &tag).json(&body));
        let change = ada.put(&order, json!({"metadata": {"gift": method.as_str()}}));
        let (pinned, changed) = app.while_late(reads, pinned, change).await;
        assert_eq!((pinned.problem(), changed.status), ((412, "precondition-failed"), 200), "{method} {changed:?}");
    }
}

#[tokio::test]
async fn a_filtered_list_is_read_in_few_full_pages() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let (admin, ada) = people(&app).await;
    let pen = admin.product("Pen", 100).await;
    let mut confirmed = Vec::new();
    for n in 0..36 {
        let order = ada.order([(&pen, 1)]).await;
        if n % 12 == 0 {
            bring(&admin, &order, "CONFIRMED").await;
            confirmed.push(id(&order));
        }
    }
    confirmed.reverse();
    let page = ada.get("/orders?status=CONFIRMED&limit=1").await;
    assert_eq!(page["orders"][0]["order_id"], json!(confirmed[0]));
    assert_eq!(app.operations(&page), ["GetItem", "Query"], "one for the authorizer and one for the list");
    assert_eq!(walk(&ada, "/orders?status=CONFIRMED&limit=1").await, confirmed);
    assert_eq!(walk(&ada, "/orders?status=CONFIRMED&limit=2").await, confirmed);
    let none = ada.get("/orders?status=SHIPPED&limit=1").await;
    assert_eq!((&none["orders"], &none["next_cursor"]), (&json!([]), &Value::Null));
}

/// Somebody with so many orders that the only one of its status is behind what one query looks at.
#[tokio::test]
async fn a_rare_status_is_found_in_a_second_fuller_query() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let (admin, ada) = people(&app).await;
    let pen = admin.product("Pen", 100).await;
    let (rare, common) = (ada.order([(&pen, 1)]).await, ada.order([]).await);
    bring(&admin, &rare, "CONFIRMED").await;
    app.tampered();
    let key = json!({"pk": {"S": format!("ORDER#{}", id(&common))}, "sk": {"S": "ORDER"}});
    let item = app.dynamodb("GetItem", json!({"TableName": app.table(), "Key": key})).await["Item"].to_string();
    let copies: Vec<Value> = (0..1200)
        .map(|n| serde_json::from_str(&item.replace(&id(&common), &format!("01ffffff-0000-7000-8000-{n:012x}"))).unwrap())
        .collect();
    for copies in copies.chunks(25) {
        let puts: Vec<_> = copies.iter().map(|item| json!({"PutRequest": {"Item": item}})).collect();
        app.dynamodb("BatchWriteItem", json!({"RequestItems": {app.table(): puts}})).await;
    }
    let page = ada.get("/orders?status=CONFIRMED").await;
    assert_eq!(page["orders"][0]["order_id"], json!(id(&rare)), "{page:?}");
    assert_eq!((page["orders"].as_array().unwrap().len(), &page["next_cursor"]), (1, &Value::Null));
    assert_eq!(app.operations(&page), ["GetItem", "Query", "Query"], "the authorizer's, and two for the list");
}

#[tokio::test]
async fn no_order_route_makes_more_calls_than_it_must() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let (admin, ada) = people(&app).await;
    let (pen, ink) = (admin.product("Pen", 100).await, admin.product("Ink", 100).await);
    let calls = |answer: &Answer| {
        let operations = app.operations(answer).join(", ");
        operations.strip_prefix("GetItem, ").expect("the authorizer's").to_owned()
    };

    assert_eq!(calls(&ada.post("/orders", json!({})).await), "TransactWriteItems");
    let placed = ada.post("/orders", lines([(&pen, 1), (&ink, 1)])).await;
    assert_eq!(calls(&placed), "BatchGetItem, TransactWriteItems");
    let order = Order { path: placed.header("location").to_owned() };
    assert_eq!(calls(&ada.get(&order).await), "GetItem");
    assert_eq!(calls(&ada.get("/orders").await), "Query");
    assert_eq!(calls(&admin.get("/orders?status=PENDING").await), "GetItem, Query", "how many parts there are, and one of them");
    let added = ada.post(order.items(), line(&pen, 1)).await;
    assert_eq!(calls(&added), "BatchGetItem, TransactWriteItems");
    assert_eq!(calls(&ada.put(order.item(&added), json!({"quantity": 2})).await), "GetItem, TransactWriteItems");
    assert_eq!(calls(&ada.put(order.item(&added), json!({"quantity": 2})).await), "GetItem", "nothing to change");
    assert_eq!(calls(&ada.delete(order.item(&added)).await), "GetItem, TransactWriteItems");
    assert_eq!(calls(&status(&ada, &order, "CONFIRMED").await), "GetItem, TransactWriteItems");
    assert_eq!(calls(&status(&ada, &order, "CONFIRMED").await), "GetItem");
    assert_eq!(calls(&status(&admin, &order, "CANCELLED").await), "GetItem, TransactWriteItems");
    assert_eq!(calls(&admin.delete(&order).await), "GetItem, TransactWriteItems");
    let no_id = ada.get("/orders/none").await;
    assert_eq!((no_id.problem(), app.operations(&no_id).join(", ")), ((404, "not-found"), "GetItem".into()));
}

#[tokio::test]
async fn what_a_shop_must_remember_is_kept_with_the_order() {
    let app = TestApp::start().await;
    let (admin, ada) = people(&app).await;
    let pen = admin.product(&unique("Pen"), 10).await;
    let mut body = lines([(&pen, 1)]);
    body["metadata"] = json!({"payment": "pi_4711", "note": "ring twice"});
    let placed = ada.post("/orders", body).await;
    assert_eq!((placed.status, &placed["metadata"]), (201, &json!({"payment": "pi_4711", "note": "ring twice"})));
    let order = Order { path: placed.header("location").to_owned() };
    assert_eq!(ada.get(&order).await.json, placed.json);
    let none = ada.order([]).await;
    assert_eq!(ada.get(&none).await["metadata"], json!({}));
    let listed = ada.get("/orders").await;
    assert!(listed["orders"].as_array().unwrap().iter().all(|order| order["metadata"].is_null()), "a list has none");

    // Replaced as a whole, under the precondition of what was seen; the same again changes nothing.
    let put = async |who: &Actor, tag: &str, body: Value| {
        who.send(who.request(Method::PUT, &order).header("if-match", tag).json(&body)).await
    };
    let changed = put(&ada, placed.header("etag"), json!({"metadata": {"address": "Unter den Linden 1"}})).await;
    assert_eq!((changed.status, &changed["metadata"]), (200, &json!({"address": "Unter den Linden 1"})), "{changed:?}");
    assert_eq!(
        (&changed["status"], &changed["history"], &changed["total_price"]),
        (&json!("PENDING"), &json!([]), &json!("19.90"))
    );
    assert_ne!(changed.header("etag"), placed.header("etag"));
    assert_eq!(put(&ada, placed.header("etag"), json!({"metadata": {}})).await.problem(), (412, "precondition-failed"));
    let same = put(&ada, changed.header("etag"), json!({"metadata": {"address": "Unter den Linden 1"}})).await;
    assert_eq!((same.status, &same.json, same.header("etag")), (200, &changed.json, changed.header("etag")));

    // With a step or alone; by its customer while it is PENDING, and by an admin always.
    let both = json!({"status": "CONFIRMED", "metadata": {"payment": "pi_1"}});
    let confirmed = ada.put(&order, both.clone()).await;
    assert_eq!((confirmed.status, &confirmed["status"], &confirmed["metadata"]), (200, &json!("CONFIRMED"), &both["metadata"]));
    assert_eq!(ada.put(&order, both).await.json, confirmed.json, "nothing is new in it");
    let late = json!({"metadata": {"payment": "pi_2"}});
    assert_eq!(ada.put(&order, late.clone()).await.problem(), (409, "order-not-editable"));
    let both = json!({"status": "CANCELLED", "metadata": {"payment": "pi_2"}});
    assert_eq!(ada.put(&order, both).await.problem(), (409, "order-not-editable"), "all or nothing");
    assert_eq!(ada.get(&order).await.json, confirmed.json);
    let bob = app.customer("bob").await;
    assert_eq!(bob.put(&order, late.clone()).await.problem(), (404, "not-found"));
    assert_eq!(admin.put(&order, late.clone()).await["metadata"], late["metadata"]);
    let cleared = admin.put(&order, json!({"metadata": null})).await;
    assert_eq!((cleared.status, &cleared["metadata"]), (200, &json!({})));
}

/// The answer to an order of forty lines is kept in a small part of what it takes to tell it, and told again byte by byte.
#[tokio::test]
async fn what_is_kept_for_a_repetition_is_small() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let (admin, ada) = people(&app).await;
    let mut products = Vec::new();
    for n in 0..40 {
        products.push(admin.product(&format!("Product {n}"), 1_000).await);
    }
    let body = lines(products.iter().zip(1..));
    let place = async || ada.send(ada.request(Method::POST, "/orders").header("idempotency-key", "k").json(&body)).await;
    let (first, again) = (place().await, place().await);
    assert_eq!((first.status, again.status, again.header("idempotent-replayed")), (201, 201, "true"));
    assert_eq!(
        (&first.body, first.header("etag"), first.header("location")),
        (&again.body, again.header("etag"), again.header("location"))
    );
    let record =
        app.items().await.into_iter().find(|item| item["pk"]["S"].as_str().unwrap().starts_with("IDEMPOTENCY#")).unwrap();
    let kept = record["answer"]["B"].as_str().expect("bytes").len() * 3 / 4;
    println!("{} bytes are kept of {}", kept, first.body.len());
    assert!(kept + 300 < 4096, "{kept} bytes are kept of {}", first.body.len());
}
