// The session of the README with the client that @hey-api/openapi-ts makes.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
// snippet
import { createClient } from "./stockroom/client/index.js";
import * as stockroom from "./stockroom/index.js";
// end of snippet

function setting(name: string): string {
  const value = process.env[name];
  assert.ok(value, `${name} is not set`);
  return value;
}

function expect(what: string, seen: unknown, wanted: unknown): void {
  assert.deepEqual(seen, wanted, what);
  console.log(`ok ${what}: ${JSON.stringify(seen)}`);
}

/** What a request was answered, which must be a success. */
function success<T>({ data, error }: { data?: T; error?: unknown }): T {
  assert.ok(data !== undefined, JSON.stringify(error));
  return data;
}

/** A header of an answer. */
function header(name: string, { response }: { response?: Response }): string {
  const value = response?.headers.get(name);
  assert.ok(value, name);
  return value;
}

const baseUrl = setting("API_URL");
const name = `hey-${randomUUID().slice(0, 8)}`;
const email = `${name}@example.com`;
const password = "Zwetschgenmus mit Zimt";
const body = { email, username: name, password };
const user = success(await stockroom.register({ client: createClient({ baseUrl }), body }));
expect("registered", user.username, name);

// snippet
const anyone = createClient({ baseUrl });
const login = await stockroom.login({ client: anyone, body: { email, password } });
if (!login.data) throw new Error(login.error?.detail);
const customer = createClient({ baseUrl, auth: login.data.access_token });

// All products, page by page.
const products: stockroom.Product[] = [];
let cursor: string | null | undefined;
do {
  const { data } = await stockroom.listProducts({ client: anyone, query: { limit: 2, ...(cursor && { cursor }) }, throwOnError: true });
  products.push(...data.products);
  cursor = data.next_cursor;
} while (cursor !== null);

// The key makes it safe to send again.
const items = products.slice(0, 2).map(({ product_id }) => ({ product_id, quantity: 1 }));
const headers = { "Idempotency-Key": randomUUID() };
const placed = await stockroom.createOrder({ client: customer, body: { items }, headers });

// A problem has a code, and what there is to say with it.
const tooMany = [{ product_id: products[0]!.product_id, quantity: 10_000 }];
const { error } = await stockroom.createOrder({ client: customer, body: { items: tooMany } });
const available = error?.code === "out-of-stock" ? error.available : undefined;
// end of snippet

expect("me", success(await stockroom.me({ client: customer })), user);
expect("pages", new Set(products.map(({ product_id }) => product_id)).size, products.length);
expect("more than one", products.length >= 4, true);
const order = success(placed);
expect("order", order.items.map(({ product_id }) => product_id), items.map(({ product_id }) => product_id));
expect("409 has a code", available, products[0]!.quantity - 1);

const again = await stockroom.createOrder({ client: customer, body: { items }, headers });
expect("replay", [success(again), header("idempotent-replayed", again)], [order, "true"]);

const path = { order_id: order.order_id };
const etag = header("etag", await stockroom.getOrder({ client: customer, path }));
const known = await stockroom.getOrder({ client: customer, path, headers: { "If-None-Match": etag } });
expect("known", known.response?.status, 304);
const cancel = { client: customer, path, body: { status: "CANCELLED" }, headers: { "If-Match": etag } } as const;
expect("cancelled", success(await stockroom.updateOrder(cancel)).status, "CANCELLED");

const credentials = { email: setting("ADMIN_EMAIL"), password: setting("ADMIN_PASSWORD") };
const admin = createClient({ baseUrl, auth: success(await stockroom.login({ client: anyone, body: credentials })).access_token });
const pencil = { name: `Pencil of ${name}`, price: "0.80", quantity: 500 };
const added = await stockroom.createProduct({ client: admin, body: pencil });
const product = { client: admin, path: { product_id: success(added).product_id }, headers: { "If-Match": header("etag", added) } };
expect("price", success(await stockroom.updateProduct({ ...product, body: { price: "0.95" } })).price, "0.95");
const stale = await stockroom.updateProduct({ ...product, body: { price: "0.99" } });
expect("412 has a code", [stale.response?.status, stale.error?.code], [412, "precondition-failed"]);
const deleted = await stockroom.deleteProduct({ client: admin, path: product.path });
expect("deleted", deleted.response?.status, 204);

expect("logged out", (await stockroom.logout({ client: customer })).response?.status, 204);
const revoked = await stockroom.me({ client: customer });
expect("401 has a code", [revoked.response?.status, revoked.error?.code], [401, "token-revoked"]);
