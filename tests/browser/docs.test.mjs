// The page about the API, in the hands of a developer who knows nothing else of it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { complaints, page, PASSWORD, printed, screenshot, send } from "./shop.mjs";

/** Fills in an operation as the page offers it, sends it, and returns the status and the body that the page shows. */
async function use(id, { path = {}, query = {}, body } = {}) {
  const operation = page.locator(`[id="operations-${id}"]`);
  if (!(await operation.getAttribute("class")).includes("is-open")) await operation.locator(".opblock-summary-control").click();
  for (const [name, value] of Object.entries({ ...path, ...query })) {
    await operation.locator(`tr[data-param-name="${name}"] input`).fill(value);
  }
  if (body) await operation.locator(".body-param__text").fill(JSON.stringify(body));
  const answered = page.waitForResponse((answer) => answer.request().resourceType() === "fetch");
  await operation.getByRole("button", { name: "Execute" }).click();
  const answer = await answered;
  const shown = operation.locator(".live-responses-table");
  await shown.locator(".response-col_status", { hasText: String(answer.status()) }).waitFor();
  const text = await shown.locator(".response-col_description .highlight-code code").first().innerText();
  return { status: answer.status(), json: JSON.parse(text), operation };
}

test("a developer who knows only the page shops on it", async () => {
  const elsewhere = [];
  page.on("request", (request) => {
    const { protocol, origin } = new URL(request.url());
    if (protocol !== "data:" && origin !== new URL(printed.API).origin) elsewhere.push(request.url());
  });
  await page.goto(`${printed.API}/docs`);

  // Examples are there to be sent as they stand.
  const registered = await use("auth-register");
  assert.equal(registered.status, 201);
  assert.equal(registered.json.username, "ada");
  const login = await use("auth-login", { body: { email: "ada@example.com", password: PASSWORD } });
  assert.equal(login.status, 200);

  const { json: found } = await use("products-listProducts", { query: { prefix: "", limit: "2" } });
  const [one, other] = found.products;
  const items = [{ product_id: one.product_id, quantity: 2 }, { product_id: other.product_id, quantity: 1 }];
  const placed = await use("orders-createOrder", { body: { items } });
  const order = placed.json;
  assert.deepEqual([placed.status, order.item_count], [201, 2]);
  await placed.operation.locator(".request-snippets").evaluate((snippet) => snippet.scrollIntoView());
  await screenshot("docs");
  const { json: left } = await use("products-getProduct", { path: { product_id: one.product_id } });
  assert.deepEqual([left.quantity, left.reserved], [one.quantity - 2, one.reserved + 2]);

  const token = login.json.access_token;
  const line = { product_id: other.product_id, quantity: 1 };
  for (let lines = 2; lines < 40; lines += 1) {
    const added = await send("POST", `/orders/${order.order_id}/items`, { token, body: line });
    assert.equal(added.status, 201, JSON.stringify(added.json));
  }
  assert.deepEqual(complaints, []);
  const refused = await use("orders-addItem", { path: { order_id: order.order_id }, body: line });
  assert.deepEqual([refused.status, refused.json.code], [409, "too-many-items"]);
  // The browser itself says so of every answer that is no success.
  assert.match(complaints.splice(0).join("\n"), /^[^\n]* 409 [^\n]*$/);

  const cancelled = await use("orders-updateOrder", { path: { order_id: order.order_id }, body: { status: "CANCELLED" } });
  assert.deepEqual([cancelled.status, cancelled.json.status], [200, "CANCELLED"]);
  const { json: back } = await use("products-getProduct", { path: { product_id: one.product_id } });
  assert.equal(back.quantity, one.quantity);

  const curl = await cancelled.operation.locator(".request-snippets code").innerText();
  assert.ok(curl.startsWith("curl -X 'PUT'") && curl.includes(`/orders/${order.order_id}'`) && curl.includes(`Bearer ${token}`), curl);
  assert.deepEqual([complaints, elsewhere], [[], []]);
});
