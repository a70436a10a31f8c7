// The console of `local` in a browser, as a developer sees it while requests come in.

import assert from "node:assert/strict";
import { test } from "node:test";
import { complaints, logIn, page, PASSWORD, printed, screenshot, send, webhook } from "./shop.mjs";

const ADMIN = ["admin@example.com", "keep-this-one-local"];

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
  assert.deepEqual([calls, reads, writes], [4, 3.5, 12]);
  // The gateway, two functions, and DynamoDB.
  assert.equal(dollars.toFixed(2), (1 + 2 * 0.2 + 3.5 * 0.125 + 12 * 0.625).toFixed(2));

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
  // Lines and history are for the order's own page.
  const heads = await page.getByRole("table", { name: "Orders" }).getByRole("columnheader").allTextContents();
  assert.ok(heads.includes("item_count") && !heads.includes("lines") && !heads.includes("history"), heads.join(" "));

  await entities.getByRole("link", { name: /^Users/ }).click();
  const user = page.getByRole("row").filter({ hasText: "grace@example.com" });
  await user.waitFor();
  await entities.getByRole("link", { name: /^Passwords/ }).click();
  await page.getByRole("table", { name: "Passwords" }).getByRole("cell", { name: "…", exact: true }).first().waitFor();
  assert.ok(!(await page.content()).includes("argon2"));
  await entities.getByRole("link", { name: /^Users/ }).click();

  await buy("mary");
  await page.getByRole("button", { name: "Read again" }).click();
  await page.getByRole("row").filter({ hasText: "mary@example.com" }).waitFor();
  assert.deepEqual(complaints, []);
});

test("events are there as they happen, with who was told of them, and can be sent again", async () => {
  await page.goto(printed.Console);
  await page.getByRole("link", { name: "Events", exact: true }).click();
  const admin = await logIn(...ADMIN);
  const body = { name: "Wax seal", description: "", price: "1.50", quantity: 10 };
  const { json: paper } = await send("POST", "/products", { token: admin, body });
  const items = [{ product_id: paper.product_id, quantity: 3 }];
  const { json: order } = await send("POST", "/orders", { token: admin, body: { items } });
  await send("PUT", `/orders/${order.order_id}`, { token: admin, body: { status: "CONFIRMED" } });
  const path = `/orders/${order.order_id}`;
  const events = page.getByRole("table", { name: "The latest events, newest first" });
  const told = (type) => events.getByRole("row").filter({ hasText: path }).filter({ hasText: type });
  await told("order.confirmed").getByRole("cell", { name: "204" }).waitFor();

  await page.getByLabel("Subject").fill(path);
  await events.getByRole("row").filter({ hasText: "account.registered" }).first().waitFor({ state: "hidden" });
  const types = await events.locator("tbody tr td:nth-child(2)").allTextContents();
  assert.deepEqual(types, ["order.confirmed", "order.placed"]);
  await page.getByLabel("Type").selectOption("order.placed");
  await told("order.confirmed").waitFor({ state: "hidden" });
  await told("order.placed").click();

  const event = page.getByRole("region", { name: "order.placed" });
  const shown = JSON.parse(await event.locator("pre").innerText());
  assert.deepEqual([shown.subject, shown.version, shown.data.order_id], [path, 1, order.order_id]);
  const sent = () => webhook.filter(({ key, event }) => key === "local" && event.id === shown.id);
  assert.deepEqual(sent().map(({ event }) => event), [shown]);
  await event.getByRole("button", { name: "Send again" }).click();
  await event.getByRole("row").nth(2).waitFor();
  assert.deepEqual(sent().map(({ event }) => event), [shown, shown]);
  await event.getByRole("link", { name: "Close" }).click();
  await event.waitFor({ state: "hidden" });
  assert.deepEqual(complaints, []);
});

/** The texts of all rows of a table below its head, cell by cell. */
async function rows(name) {
  const table = page.getByRole("table", { name, exact: true });
  await table.waitFor();
  return table.locator("tbody tr").evaluateAll((rows) => rows.map((row) => [...row.cells].map((cell) => cell.textContent)));
}

/** The names of the headings on the page of a product or an order, which follow each other without a gap in their levels. */
async function headings() {
  const shown = page.locator("h1:visible, h2:visible, h3:visible, h4:visible");
  const all = await shown.evaluateAll((headings) => headings.map((heading) => [Number(heading.localName[1]), heading.textContent]));
  assert.deepEqual(all.map(([level]) => level), [1, 2, ...all.slice(2).map(() => 3)]);
  return all.slice(1).map(([, text]) => text);
}

const currentEntity = async () => (await page.locator("#entities [aria-current]").allTextContents()).map((text) => text.split(" ")[0]);

test("mails are there as they are sent, and their links do what they say", async () => {
  const email = "hedy@example.com";
  await send("POST", "/auth/register", { body: { email, username: "hedy", password: PASSWORD } });
  await page.goto(`${printed.Console}#mails`);
  const list = page.getByRole("region", { name: "Mail", exact: true });
  const first = list.getByRole("row").filter({ hasText: email });
  await first.waitFor();
  await first.getByRole("link", { name: "Is this address yours?" }).click();
  const mail = page.getByRole("region", { name: "Is this address yours?" });
  await mail.getByText("Hello hedy,").first().waitFor();
  const shown = page.frameLocator("#mail-html");
  await shown.getByRole("heading", { name: "Is this address yours?" }).waitFor();
  assert.deepEqual(complaints, []);

  const [told] = (await (await fetch(`${printed.Console}/mails`)).json()).filter(({ to }) => to === email);
  assert.deepEqual(Object.keys(told).sort(), ["at", "html", "number", "subject", "text", "to"]);
  const token = told.text.split(/\s+/).find((word) => word.split(".").length === 4 && word.length > 80).replace(/^.*=/, "");
  await page.goto(`${printed.Console}#verification=${token}`);
  await page.getByRole("button", { name: "Send it" }).click();
  await page.getByText("Done.").waitFor();
  assert.deepEqual(complaints, []);
  const access = await logIn(email, PASSWORD);
  const { json: me } = await send("GET", "/auth/me", { token: access });
  assert.equal(me.email_verified, true);
  await page.getByRole("button", { name: "Send it" }).click();
  await page.getByText("401: the token is not valid").waitFor();

  await send("POST", "/auth/recovery", { body: { email } });
  await page.goto(`${printed.Console}#mails`);
  await list.getByRole("link", { name: "Set another password" }).waitFor();
  const mails = await (await fetch(`${printed.Console}/mails`)).json();
  const recovery = mails.at(-1).text.split(/\s+/).find((word) => word.split(".").length === 4 && word.length > 80).replace(/^.*=/, "");
  await page.goto(`${printed.Console}#recovery=${recovery}`);
  await page.getByLabel("New password").fill("Quittengelee mit Nelken");
  await page.getByRole("button", { name: "Send it" }).click();
  await page.getByText("Done.").waitFor();
  await logIn(email, "Quittengelee mit Nelken");
});

test("a product's page shows its books and movements, and an order's its lines and timeline", async () => {
  const admin = await logIn(...ADMIN);
  const body = { name: "Reading lamp", sku: "LAMP-1", description: "", price: "12.50", quantity: 10 };
  const { status, json: lamp } = await send("POST", "/products", { token: admin, body });
  assert.equal(status, 201);
  const delivery = { amount: 5, reason: "delivery <b>at noon</b>" };
  const moved = await send("POST", `/products/${lamp.product_id}/movements`, { token: admin, body: delivery });
  assert.equal(moved.status, 201, JSON.stringify(moved.json));
  await send("POST", "/auth/register", { body: { email: "joan@example.com", username: "joan", password: PASSWORD } });
  const token = await logIn("joan@example.com", PASSWORD);
  const items = [{ product_id: lamp.product_id, quantity: 3 }];
  const { json: order } = await send("POST", "/orders", { token, body: { items, metadata: { note: "<i>ring twice</i>" } } });
  const confirmed = await send("PUT", `/orders/${order.order_id}`, { token, body: { status: "CONFIRMED" } });
  assert.equal(confirmed.status, 200, JSON.stringify(confirmed.json));
  const cancelled = await send("PUT", `/orders/${order.order_id}`, { token, body: { status: "CANCELLED", reason: "too bright" } });
  assert.equal(cancelled.status, 200, JSON.stringify(cancelled.json));
  const { json: other } = await send("POST", "/orders", { token, body: { items } });

  // Without a mouse: a row leads to the page, and the page back to the list.
  await page.goto(`${printed.Console}#items/Orders`);
  await page.getByRole("link", { name: `ORDER#${order.order_id}` }).press("Enter");
  const time = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/;
  assert.deepEqual(await rows("Lines"), [["Reading lamp", "3", "12.50", "37.50", ""]]);
  assert.deepEqual(await headings(), [`Order ${order.order_id}`, "Metadata", "Lines", "Timeline"]);
  assert.deepEqual(await currentEntity(), ["Orders"]);
  const timeline = await rows("Timeline");
  assert.ok(timeline.every(([at]) => time.test(at)), JSON.stringify(timeline));
  assert.deepEqual(timeline.map(([, ...rest]) => rest), [
    ["PENDING → CONFIRMED", order.customer_id, "", "none", ""],
    ["CONFIRMED → CANCELLED", order.customer_id, "too bright", "released", ""],
  ]);
  const pairs = page.locator("#item-page dl div");
  const facts = await pairs.evaluateAll((pairs) => pairs.map((pair) => [...pair.children].map((part) => part.textContent)));
  assert.deepEqual(facts.slice(0, 3), [["Status", "CANCELLED"], ["Customer", order.customer_id], ["Total", "37.50"]]);
  assert.deepEqual(facts.slice(3, 5).map(([name, at]) => [name, time.test(at)]), [["Created", true], ["Updated", true]]);
  assert.deepEqual(facts.slice(5), [["note", "<i>ring twice</i>"]]);

  await page.getByRole("table", { name: "Lines" }).getByRole("link", { name: "Reading lamp" }).press("Enter");
  assert.deepEqual(await rows("Books"), [["0", "15", "12", "3", "0"], ["Total", "15", "12", "3", "0"]]);
  assert.deepEqual(await headings(), ["Reading lamp", "Books", "Movements"]);
  assert.deepEqual(await currentEntity(), ["Products"]);
  const movements = await rows("Movements");
  assert.ok(movements.every(([at]) => time.test(at)), JSON.stringify(movements));
  const by = moved.json.by;
  assert.deepEqual(movements.map(([, ...rest]) => rest), [["received", "+5", delivery.reason, by], ["initial", "+10", "", by]]);
  const about = await page.locator("#item-page dl").innerText();
  assert.ok(about.includes("LAMP-1") && about.includes("12.50"), about);
  assert.equal(await page.locator("#items :is(b, i)").count(), 0);

  // What happens meanwhile is there when it is read again.
  await send("PUT", `/orders/${other.order_id}`, { token, body: { status: "CANCELLED" } });
  await page.getByRole("button", { name: "Read again" }).click();
  const total = page.getByRole("table", { name: "Books" }).getByRole("row", { name: "Total 15 15 0 0" });
  await total.waitFor();
  await page.getByRole("link", { name: "All products" }).press("Enter");
  const listed = page.getByRole("table", { name: "Products" }).getByRole("row").filter({ hasText: "Reading lamp" });
  await listed.getByRole("cell", { name: "12.50", exact: true }).waitFor();
  await listed.getByRole("link", { name: `PRODUCT#${lamp.product_id}` }).waitFor();
  assert.equal(await page.locator("#item-page").isVisible(), false);
  assert.deepEqual(complaints, []);

  await page.goto(`${printed.Console}#items/Orders/no-such-order`);
  await page.getByText("There is none with this id.").waitFor();
  await page.getByRole("link", { name: "All orders" }).waitFor();
  // The browser itself says so of every answer that is no success.
  assert.match(complaints.splice(0).join("\n"), /^[^\n]* 404 [^\n]*$/);
});

test("markup in an item or a path is text", async () => {
  const token = await logIn(...ADMIN);
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
