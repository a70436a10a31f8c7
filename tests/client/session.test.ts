// The session of the README with a client that knows nothing but openapi.json: what does not compile is not promised there.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

function setting(name: string): string {
  const value = process.env[name];
  assert.ok(value, `${name} is not set`);
  return value;
}

const baseUrl = setting("API_URL");
const anyone = createClient<paths>({ baseUrl });
const as = ({ access_token }: components["schemas"]["Tokens"]) =>
  createClient<paths>({ baseUrl, headers: { authorization: `Bearer ${access_token}` } });

/** What a request was answered, which must be a success. */
function expect<T>({ data, error, response }: { data?: T; error?: unknown; response: Response }): T {
  assert.ok(data !== undefined, `${response.status} ${JSON.stringify(error)}`);
  return data;
}

const username = `client-${randomUUID().slice(0, 8)}`;
const account = { email: `${username}@example.com`, password: "Zwetschgenmus mit Zimt" };

test("a customer signs up, orders once, and logs out", async () => {
  const user = expect(await anyone.POST("/auth/register", { body: { ...account, username } }));
  const tokens = expect(await anyone.POST("/auth/login", { body: account }));
  const customer = as(tokens);
  assert.deepEqual(expect(await customer.GET("/auth/me")), user);

  const { products } = expect(await anyone.GET("/products", { params: { query: { limit: 2 } } }));
  const items = products.map(({ product_id }, index) => ({ product_id, quantity: 2 - index }));
  const place = () =>
    customer.POST("/orders", { params: { header: { "Idempotency-Key": username } }, body: { items } });
  const placed = await place();
  const order = expect(placed);
  assert.equal(order.items.length, 2);
  const again = await place();
  assert.deepEqual(expect(again), order);
  assert.equal(again.response.headers.get("idempotent-replayed"), "true");

  const path = { order_id: order.order_id };
  const seen = await customer.GET("/orders/{order_id}", { params: { path } });
  const etag = seen.response.headers.get("etag");
  assert.ok(etag);
  const known = await customer.GET("/orders/{order_id}", { params: { path, header: { "If-None-Match": etag } } });
  assert.equal(known.response.status, 304);

  const confirmed = expect(await customer.PUT("/orders/{order_id}", { params: { path }, body: { status: "CONFIRMED" } }));
  assert.deepEqual(confirmed.history.map(({ to }) => to).at(-1), "CONFIRMED");
  expect(await customer.PUT("/orders/{order_id}", { params: { path }, body: { status: "CANCELLED" } }));

  const next = expect(await anyone.POST("/auth/refresh", { body: { refresh_token: tokens.refresh_token } }));
  const { response } = await as(next).POST("/auth/logout");
  assert.equal(response.status, 204);
  const { error } = await as(next).GET("/auth/me");
  assert.equal(error?.code, "token-revoked");
});

test("an admin adds a product and changes it as it was seen", async () => {
  const credentials = { email: setting("ADMIN_EMAIL"), password: setting("ADMIN_PASSWORD") };
  const admin = as(expect(await anyone.POST("/auth/login", { body: credentials })));
  const added = await admin.POST("/products", { body: { name: `Pencil of ${username}`, price: "0.80", quantity: 500 } });
  const { product_id, reserved } = expect(added);
  assert.equal(reserved, 0);
  const etag = added.response.headers.get("etag");
  assert.ok(etag);

  const params = { path: { product_id }, header: { "If-Match": etag } };
  const changed = expect(await admin.PUT("/products/{product_id}", { params, body: { price: "0.95" } }));
  assert.equal(changed.price, "0.95");
  const { error } = await admin.PUT("/products/{product_id}", { params, body: { price: "0.99" } });
  // The code is one of those that the document names, to the compiler too.
  assert.equal(error?.code satisfies components["schemas"]["ProblemCode"] | undefined, "precondition-failed");
  const { response } = await admin.DELETE("/products/{product_id}", { params: { path: { product_id } } });
  assert.equal(response.status, 204);
});
