// The session of the README with the client that OpenAPI Generator makes for TypeScript.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
// snippet
import { AuthApi, Configuration, OrdersApi, ProblemCode, ProblemFromJSON, ProductsApi, ResponseError, type Product } from "./stockroom/index.js";
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

/** What a call was refused with. */
async function refused(status: number, call: Promise<unknown>): Promise<Response> {
  const error = await call.then(() => assert.fail(`a call that must be refused with ${status} was not`), (error: unknown) => error);
  assert.ok(error instanceof ResponseError, String(error));
  expect("status", error.response.status, status);
  return error.response;
}

const api = setting("API_URL");
const name = `typescript-${randomUUID().slice(0, 8)}`;
const email = `${name}@example.com`;
const password = "Zwetschgenmus mit Zimt";
const user = await new AuthApi(new Configuration({ basePath: api })).register({ registration: { email, username: name, password } });
expect("registered", user.username, name);

// snippet
const anyone = new Configuration({ basePath: api });
const tokens = await new AuthApi(anyone).login({ credentials: { email, password } });
const customer = new Configuration({ basePath: api, accessToken: tokens.accessToken });
const orders = new OrdersApi(customer);

// All products, page by page.
const products: Product[] = [];
let cursor: string | null | undefined;
do {
  const page = await new ProductsApi(anyone).listProducts({ limit: 2, ...(cursor && { cursor }) });
  products.push(...page.products);
  cursor = page.nextCursor;
} while (cursor !== null);

// The key makes it safe to send again.
const items = products.slice(0, 2).map(({ productId }) => ({ productId, quantity: 1 }));
const idempotencyKey = randomUUID();
const order = await orders.createOrder({ orderInput: { items }, idempotencyKey });

// A problem has a code, and what there is to say with it.
let available: number | undefined;
try {
  await orders.createOrder({ orderInput: { items: [{ productId: products[0].productId, quantity: 10_000 }] } });
} catch (error) {
  if (!(error instanceof ResponseError)) throw error;
  const problem = ProblemFromJSON(await error.response.json());
  if (problem.code === ProblemCode.OutOfStock) available = problem.available;
}
// end of snippet

expect("me", await new AuthApi(customer).me(), user);
expect("pages", new Set(products.map(({ productId }) => productId)).size, products.length);
expect("more than one", products.length >= 4, true);
expect("order", order.items.map(({ productId }) => productId), items.map(({ productId }) => productId));
expect("409 has a code", available, products[0].quantity - 1);

const again = await orders.createOrderRaw({ orderInput: { items }, idempotencyKey });
expect("replay", [await again.value(), again.raw.headers.get("idempotent-replayed")], [order, "true"]);

const { orderId } = order;
const etag = (await orders.getOrderRaw({ orderId })).raw.headers.get("etag");
assert.ok(etag);
await refused(304, orders.getOrder({ orderId, ifNoneMatch: etag }));
const cancelled = await orders.updateOrder({ orderId, orderChange: { status: "CANCELLED" }, ifMatch: etag });
expect("cancelled", cancelled.status, "CANCELLED");

const credentials = { email: setting("ADMIN_EMAIL"), password: setting("ADMIN_PASSWORD") };
const login = await new AuthApi(anyone).login({ credentials });
const admin = new ProductsApi(new Configuration({ basePath: api, accessToken: login.accessToken }));
const added = await admin.createProductRaw({ productInput: { name: `Pencil of ${name}`, price: "0.80", quantity: 500 } });
const { productId } = await added.value();
const ifMatch = added.raw.headers.get("etag");
assert.ok(ifMatch);
expect("price", (await admin.updateProduct({ productId, productChange: { price: "0.95" }, ifMatch })).price, "0.95");
const stale = await refused(412, admin.updateProduct({ productId, productChange: { price: "0.99" }, ifMatch }));
expect("412 has a code", ProblemFromJSON(await stale.json()).code, ProblemCode.PreconditionFailed);
await admin.deleteProduct({ productId });

await new AuthApi(customer).logout();
const revoked = await refused(401, new AuthApi(customer).me());
expect("401 has a code", ProblemFromJSON(await revoked.json()).code, ProblemCode.TokenRevoked);
