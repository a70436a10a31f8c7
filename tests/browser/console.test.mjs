// The console of `local` in a browser, as a developer sees it while requests come in.

import assert from "node:assert/strict";
import { test } from "node:test";
import { complaints, logIn, page, PASSWORD, printed, screenshot, send } from "./shop.mjs";

/** Registers a customer who looks around and places an order, and returns what the order was answered. */
async function buy(name) {
  const email = `${name}@example.com`;
  await send("POST", "/auth/register", { body: { email, username: name, password: PASSWORD } });
  const token = await logIn(email, PASSWORD);
  const { json: catalogue } = await send("GET", "/products?limit=2");
  const items = catalogue.products.map(({ product_id }) => ({ product_id, quantity: 1 }));
  const placed = await send("POST", "/orders", { token, body: { items } });
  assert.equal(placed.status, 201, JSON.stringify(placed.json));
  await send("GET", "/auth/me");
  await send("GET", "/products/no-such-product");
  await send("PUT", `/orders/${placed.json.order_id}`, { token, body: { status: "CONFIRMED" } });
  const { id: last } = await send("GET", "/orders", { token });
  return { ...placed, last };
}

const row = (id) => page.locator(`#request-rows tr[data-id="${id}"]`);

test("a request arrives while one looks, and tells its lines when it is clicked", async () => {
  await page.goto(printed.Console);
  await page.getByRole("status").getByText("Live").waitFor();
  const placed = await buy("ada");

  await row(placed.last).waitFor();
  const cells = await row(placed.id).getByRole("cell").allTextContents();
  assert.deepEqual(cells.slice(1, 6), ["POST", "/orders", "201", "order-create", "cold"]);
  const [duration, calls, reads, writes, dollars] = cells.slice(6).map(Number);
  assert.ok(duration > 0);
  assert.deepEqual([calls, reads, writes], [4, 3.5, 14]);
  // The gateway, two functions, and DynamoDB.
  assert.equal(dollars.toFixed(2), (1 + 2 * 0.2 + 3.5 * 0.125 + 14 * 0.625).toFixed(2));

  await row(placed.id).click();
  const request = page.getByRole("region", { name: "POST /orders 201" });
  const line = request.getByRole("article").filter({ hasText: "order-create" });
  await line.waitFor();
  assert.ok((await line.innerText()).includes(placed.id));
  await request.getByRole("article").filter({ hasText: "authorizer" }).waitFor();
  await screenshot("console");

  await line.getByText("As written").click();
  const written = JSON.parse(await line.locator("pre").innerText());
  assert.equal(written.request_id, placed.id);
  // Later polls leave alone what has not changed.
  await send("GET", "/products");
  await page.waitForTimeout(1500);
  await line.locator("pre").waitFor();
  await request.getByRole("link", { name: "Close" }).click();
  await request.waitFor({ state: "hidden" });

  const paths = await page.locator("#request-rows .path").allTextContents();
  assert.ok(paths.length > 8 && paths.every((path) => !path.startsWith("/_local") && path !== "/favicon.ico"), paths.join(" "));
  assert.deepEqual(complaints, []);
});

test("all items are there by entity, and no hash of a password", async () => {
  const placed = await buy("grace");
  await page.goto(printed.Console);
  await page.getByRole("link", { name: "Items", exact: true }).click();
  const entities = page.getByRole("navigation", { name: "Entities" });

  await entities.getByRole("link", { name: /^Orders/ }).click();
  const order = page.getByRole("row").filter({ hasText: `ORDER#${placed.json.order_id}` });
  assert.ok((await order.innerText()).includes("CONFIRMED"));
  await entities.getByRole("link", { name: /^Order items/ }).click();
  const lines = page.getByRole("row").filter({ hasText: placed.json.order_id });
  // The page shows one row of the order until it shows its lines.
  await lines.nth(1).waitFor();
  assert.equal(await lines.count(), 2);

  await entities.getByRole("link", { name: /^Users/ }).click();
  const user = page.getByRole("row").filter({ hasText: "grace@example.com" });
  await user.getByRole("cell", { name: "…", exact: true }).waitFor();
  assert.ok(!(await page.content()).includes("argon2"));

  await buy("mary");
  await page.getByRole("button", { name: "Read again" }).click();
  await page.getByRole("row").filter({ hasText: "mary@example.com" }).waitFor();
  assert.deepEqual(complaints, []);
});

test("markup in an item or a path is text", async () => {
  const token = await logIn("admin@example.com", "keep-this-one-local");
  const name = "<img src=x onerror=alert(1)>";
  const { status } = await send("POST", "/products", { token, body: { name, description: "", price: "1.00", quantity: 1 } });
  assert.equal(status, 201);
  const { id } = await send("GET", `/products/${encodeURIComponent(name)}`);
  await page.goto(`${printed.Console}#requests/${encodeURIComponent(id)}`);
  await page.getByRole("article").first().waitFor();
  await page.goto(`${printed.Console}#items/Products`);
  await page.getByRole("cell", { name, exact: true }).first().waitFor();
  assert.equal(await page.locator("img").count(), 0);
  assert.deepEqual(complaints, []);
});

test("everything is within reach of the keyboard", async () => {
  const { id } = await send("GET", "/products");
  await page.goto(printed.Console);
  await row(id).waitFor();
  const focused = () => page.evaluate(() => document.activeElement.closest("tr")?.dataset.id ?? document.activeElement.id);
  const met = [];
  for (let presses = 0; presses < 6 && met.at(-1) !== id; presses += 1) {
    await page.keyboard.press("Tab");
    met.push(await focused());
  }
  assert.ok(met.includes("to-items") && met.at(-1) === id, met.join(" "));
  await page.keyboard.press("Enter");
  await page.getByRole("region", { name: "GET /products 200" }).getByRole("article").waitFor();
  assert.deepEqual(complaints, []);
});

test("a shop that went away and came back is told", async () => {
  const { id } = await send("GET", "/products");
  await page.goto(printed.Console);
  await row(id).waitFor();
  await page.route("**/_local/requests**", (route) => route.abort());
  await page.getByRole("status").getByText("The shop does not answer").waitFor();
  await page.unroute("**/_local/requests**");
  await page.getByRole("status").getByText("Live").waitFor();
  assert.equal(await row(id).count(), 1);
});
