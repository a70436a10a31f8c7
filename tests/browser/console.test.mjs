// The console of `local` in a browser, as a developer sees it while requests come in.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile, readdir } from "node:fs/promises";
import { test } from "node:test";
import { promisify } from "node:util";
import { accessible, complaints, lighthouse, logIn, page, PASSWORD, printed, screenshot, send, webhook, workspace } from "./shop.mjs";

const ADMIN = ["admin@example.com", "keep-this-one-local"];

/** Registers a customer who looks around and places an order, and returns what the order was answered. */
async function buy(name) {
  const email = `${name}@example.com`;
  await send("POST", "/auth/register", { body: { email, username: name, password: PASSWORD } });
  const token = await logIn(email, PASSWORD);
  const { json: catalogue } = await send("GET", "/products");
  const enough = catalogue.products.filter(({ quantity }) => quantity > 20).slice(0, 2);
  const items = enough.map(({ product_id }) => ({ product_id, quantity: 1 }));
  const placed = await send("POST", "/orders", { token, body: { items } });
  assert.equal(placed.status, 201, JSON.stringify(placed.json));
  await send("GET", "/auth/me");
  await send("GET", "/products/no-such-product");
  await send("PUT", `/orders/${placed.json.order_id}`, { token, body: { status: "CONFIRMED" } });
  const { id: last } = await send("GET", "/orders", { token });
  return { ...placed, last };
}

const row = (id) => page.locator(`#request-rows tr[data-id="${id}"]`);
const filters = () => page.getByRole("search");
const detail = (name) => page.getByRole("region", { name });

test("a request arrives while one looks, and tells its lines when it is clicked", async () => {
  await page.goto(printed.Console);
  await page.getByRole("status").getByText("Live").waitFor();
  const placed = await buy("ada");

  await row(placed.last).waitFor();
  await row(placed.id).getByRole("cell", { name: "ada", exact: true }).waitFor();
  const cells = await row(placed.id).getByRole("cell").allInnerTexts();
  assert.deepEqual(cells.slice(1, 6), ["POST", "/orders", "201", "ada", "cold"]);
  const [duration, calls, reads, writes, dollars] = cells.slice(6).map(Number);
  assert.ok(duration > 0);
  assert.deepEqual([calls, reads, writes], [4, 3.5, 12]);
  // The gateway, two functions, and DynamoDB.
  assert.equal(dollars.toFixed(2), (1 + 2 * 0.2 + 3.5 * 0.125 + 12 * 0.625).toFixed(2));

  await row(placed.id).click();
  const request = detail("POST /orders 201");
  const line = request.getByRole("article").filter({ hasText: "order-create" });
  await line.waitFor();
  assert.ok((await line.innerText()).includes(placed.id));
  await request.getByRole("article").filter({ hasText: "authorizer" }).waitFor();

  await line.getByText("As written").click();
  const written = JSON.parse(await line.locator("pre").innerText());
  assert.equal(written.request_id, placed.id);
  // Later polls leave alone what has not changed.
  await send("GET", "/products");
  await page.waitForTimeout(1500);
  assert.ok(await line.locator("pre").isVisible());
  await request.getByRole("link", { name: "Close" }).click();
  await request.waitFor({ state: "hidden" });

  const paths = await page.locator("#request-rows .path").allInnerTexts();
  assert.ok(paths.length > 8 && paths.every((path) => !path.startsWith("/_local") && path !== "/favicon.ico"), paths.join(" "));
  assert.deepEqual(complaints, []);
});

test("rows do not print through the head of their table", async () => {
  for (let count = 0; count < 40; count += 1) await send("GET", "/products?limit=1");
  await page.goto(printed.Console);
  await page.locator("#request-rows tr").nth(39).waitFor();
  await page.getByRole("region", { name: "Requests" }).evaluate((region) => region.scrollTo(0, 400));
  const heads = page.locator("thead th");
  for (let at = 0; at < (await heads.count()); at += 1) {
    const { x, y, width, height } = await heads.nth(at).boundingBox();
    const above = await page.evaluate(([x, y]) => document.elementFromPoint(x, y).closest("th, td").localName, [x + width / 2, y + height / 2]);
    assert.equal(above, "th", `head ${at}`);
  }
});

test("why an order was refused is in its row, and beside what was asked", async () => {
  await buy("emmy");
  const token = await logIn("emmy@example.com", PASSWORD);
  const { json: found } = await send("GET", "/products?prefix=Blotting");
  const [paper] = found.products;
  const items = [{ product_id: paper.product_id, quantity: paper.quantity + 1 }];
  const refused = await send("POST", "/orders?from=basket&token=s3cret", { token, body: { items } });
  assert.equal(refused.status, 409);
  await page.goto(printed.Console);
  await row(refused.id).getByText("409 out-of-stock").waitFor();
  await row(refused.id).click();
  const request = detail("POST /orders 409");
  await request.getByText(refused.json.detail).first().waitFor();
  // What was asked and answered, with a way to the product.
  await request.locator(".why").getByRole("link", { name: "Blotting paper" }).waitFor();
  const sent = request.locator("section").filter({ has: page.getByRole("heading", { name: "Request" }) });
  assert.deepEqual(JSON.parse(await sent.locator("pre").innerText()), { items });
  assert.match(await sent.innerText(), /from\s+basket\s+token\s+…/);
  await sent.getByText("Headers (").click();
  assert.match(await sent.innerText(), /authorization\s+…/);
  const answer = request.locator("section").filter({ has: page.getByRole("heading", { name: "Answer" }) });
  assert.equal(JSON.parse(await answer.locator("pre").innerText()).code, "out-of-stock");
  await screenshot("console");
  await sent.getByRole("link", { name: paper.product_id }).click();
  await page.getByRole("heading", { name: "Blotting paper" }).waitFor();

  // No password and no token has come to the page.
  await page.goto(`${printed.Console}#requests?route=POST /auth/login`);
  await page.locator("#request-rows a").first().click();
  await detail("POST /auth/login 200").getByRole("heading", { name: "Answer" }).waitFor();
  const text = await page.locator("body").innerText();
  assert.ok(/"password": "…"/.test(text) && /"access_token": "…"/.test(text), text);
  assert.ok(!text.includes(PASSWORD) && !text.includes(token));
  assert.deepEqual(complaints, []);
});

test("requests are filtered by route, status, who and text", async () => {
  const placed = await buy("rosalind");
  const asset = await send("GET", "/openapi.json");
  await page.goto(printed.Console);
  await row(placed.last).waitFor();
  const shown = () => page.locator("#request-rows tr").evaluateAll((rows) => rows.map((row) => row.dataset.id));
  const all = await shown();
  assert.ok(all.includes(placed.id) && !all.includes(asset.id));
  await filters().getByLabel("Assets").check();
  await row(asset.id).waitFor();
  await filters().getByLabel("Assets").uncheck();

  await filters().getByLabel("Who").selectOption("rosalind");
  await row(asset.id).waitFor({ state: "hidden" });
  const hers = await page.locator("#request-rows tr").allInnerTexts();
  assert.ok(hers.length === 3 && hers.every((text) => text.includes("rosalind")), hers.join("\n"));
  await filters().getByLabel("Route").selectOption("POST /orders");
  await row(placed.last).waitFor({ state: "hidden" });
  assert.deepEqual(await shown(), [placed.id]);
  await filters().getByLabel("Status").selectOption("4");
  await page.getByText("No request is like this.").waitFor();
  // The place says what is shown, so that it can be kept and shared.
  await page.reload();
  await page.getByText("No request is like this.").waitFor();
  await page.goto(`${printed.Console}#requests?search=no-such-product`);
  await page.locator("#request-rows tr").first().waitFor();
  assert.ok((await page.locator("#request-rows .path").allInnerTexts()).every((path) => path === "/products/no-such-product"));
  assert.deepEqual(complaints, []);
});

test("the list can be paused, cleared and exported", async () => {
  const { id: before } = await send("GET", "/products?limit=3");
  await page.goto(printed.Console);
  await row(before).waitFor();
  await page.getByRole("button", { name: "Pause" }).click();
  const { id: meanwhile } = await send("GET", "/products?limit=4");
  await page.getByRole("button", { name: "Go on (1 new)" }).waitFor();
  assert.equal(await row(meanwhile).count(), 0);
  await page.getByRole("button", { name: "Go on" }).click();
  await row(meanwhile).waitFor();
  await page.getByRole("button", { name: "Clear" }).click();
  await page.getByText("No request yet.").waitFor();
  const { id: after } = await send("GET", "/products?limit=5");
  await row(after).waitFor();
  assert.equal(await page.locator("#request-rows tr").count(), 1);

  const started = page.waitForEvent("download");
  await page.getByRole("button", { name: "Export HAR" }).click();
  const download = await started;
  assert.equal(download.suggestedFilename(), "stockroom.har");
  const { log } = JSON.parse(await readFile(await download.path(), "utf8"));
  assert.deepEqual([log.version, log.entries.length], ["1.2", 1]);
  const [{ request, response }] = log.entries;
  assert.deepEqual([request.method, request.url, response.status], ["GET", `${printed.API}/products?limit=5`, 200]);
  assert.ok(JSON.parse(response.content.text).products.length > 0);
  assert.deepEqual(complaints, []);
});

test("a request is copied as curl, and sent again", async () => {
  const name = `Sealing wax, ${"it's red"}`;
  const admin = await logIn(...ADMIN);
  const body = { name, description: "", price: "2.50", quantity: 4 };
  const made = await send("POST", "/products", { token: admin, body });
  assert.equal(made.status, 201);
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await page.goto(`${printed.Console}#requests/${encodeURIComponent(made.id)}`);
  const request = detail("POST /products 201");
  await request.getByRole("button", { name: "Copy as curl" }).click();
  await request.getByRole("button", { name: "Copied" }).waitFor();
  const curl = await page.evaluate(() => navigator.clipboard.readText());
  const { stdout } = await promisify(execFile)("bash", ["-c", `${curl} --silent`], { env: { ...process.env, TOKEN: admin } });
  assert.match(stdout, /^HTTP\/1.1 409 [^]*"code":"name-taken"/);

  await request.getByRole("button", { name: "Send again" }).click();
  const form = page.getByRole("form", { name: "Send again" });
  assert.equal(await form.getByLabel("As", { exact: true }).inputValue(), "admin");
  await form.getByLabel("Password").fill(ADMIN[1]);
  assert.deepEqual(JSON.parse(await form.getByLabel("Body").inputValue()), body);
  await form.getByLabel("Body").fill(JSON.stringify({ ...body, name: "Sealing wax, blue" }));
  await form.getByRole("button", { name: "Send it" }).click();
  await form.getByRole("link", { name: "201 Created" }).click();
  await page.getByText('"name": "Sealing wax, blue"').first().waitFor();
  const { json: found } = await send("GET", "/products?prefix=Sealing wax, blue");
  assert.equal(found.products.length, 1);
  assert.deepEqual(complaints, []);
});

test("the slowest route of the last minute comes first, with its percentiles", async () => {
  for (let count = 0; count < 3; count += 1) await send("GET", "/products");
  // A password is hashed there, which nothing else comes near.
  await send("POST", "/auth/register", { body: { email: "slow@example.com", username: "slow", password: PASSWORD } });
  await page.goto(printed.Console);
  await page.getByRole("link", { name: "Routes", exact: true }).click();
  const table = page.getByRole("table", { name: "Routes, last minute" });
  await table.waitFor();
  // Both at one instant.
  const [sentence, told] = await table.evaluate((table) => [
    table.previousElementSibling.innerText,
    [...table.tBodies[0].rows].map((row) => [...row.cells].map((cell) => cell.innerText.trim())),
  ]);
  const slowness = told.map((cells) => Number(cells[5]));
  assert.ok(slowness.length > 1 && slowness.every((p95, at) => at === 0 || p95 <= slowness[at - 1]), slowness.join(" "));
  assert.ok(sentence.includes(told[0][0]) && sentence.includes(told[0][5]), sentence);
  const [, count, , , p50, p95] = told.find(([route]) => route === "GET /products");
  assert.ok(Number(count) >= 3 && Number(p50) > 0 && Number(p50) <= Number(p95), `${count} ${p50} ${p95}`);
  await table.getByRole("img", { name: /^p95 of GET \/products over time/ }).locator("rect").first().waitFor();
  await table.getByRole("button", { name: "Route" }).click();
  const names = await table.locator("tbody th").allInnerTexts();
  assert.deepEqual(names, [...names].sort((a, b) => a.localeCompare(b)));
  await table.getByRole("link", { name: "GET /products", exact: true }).click();
  await page.locator("#request-rows tr").first().waitFor();
  assert.ok((await page.locator("#request-rows .path").allInnerTexts()).every((path) => path.startsWith("/products")));
  assert.deepEqual(complaints, []);
});

test("all items are there by entity, in words that people know, and no hash of a password", async () => {
  const placed = await buy("grace");
  await page.goto(printed.Console);
  await page.getByRole("link", { name: "Items", exact: true }).click();
  const entities = page.getByRole("navigation", { name: "Entities" });

  await entities.getByRole("link", { name: /^Orders/ }).click();
  const orders = page.getByRole("table", { name: "Orders" });
  const order = orders.getByRole("row").filter({ hasText: placed.json.order_id });
  await order.getByRole("link", { name: "grace" }).waitFor();
  const text = await order.innerText();
  assert.ok(text.includes("CONFIRMED") && text.includes(placed.json.total_price) && /\d{4}-\d\d-\d\d/.test(text), text);
  // Lines and history are for the order's own page.
  const heads = await orders.getByRole("columnheader").allInnerTexts();
  assert.deepEqual(heads, ["Order", "Status", "Customer", "Items", "Total", "Created", "Updated"]);

  // By the name of the customer, and by id.
  await page.getByLabel("Search").fill("GRACE");
  await page.getByText("1", { exact: true }).and(page.locator(".about")).waitFor();
  await page.getByLabel("Search").fill(placed.json.order_id);
  await order.waitFor();
  await page.getByLabel("Search").fill("nobody at all");
  await page.getByText("There are none.").waitFor();
  await page.getByLabel("Search").fill("");
  await orders.getByRole("button", { name: "Total" }).click();
  await orders.locator("th[aria-sort=descending]").waitFor();
  const totals = (await orders.locator("tbody td:nth-child(5)").allInnerTexts()).map(Number);
  assert.ok(totals.length > 1 && totals.every((total, at) => at === 0 || total <= totals[at - 1]), totals.join(" "));

  await entities.getByRole("link", { name: /^Users/ }).click();
  await page.getByRole("link", { name: "grace", exact: true }).click();
  await page.getByRole("heading", { name: "grace" }).waitFor();
  assert.deepEqual((await rows("Orders")).map(([id, status]) => [id, status]), [[placed.json.order_id, "CONFIRMED"]]);
  await page.getByRole("link", { name: "Mails to them" }).click();
  await page.getByRole("table", { name: "The latest mails, newest first" }).getByRole("link", { name: "Is this address yours?" }).waitFor();
  assert.equal(await page.locator("tbody tr").count(), 1);

  await page.goto(`${printed.Console}#items/Passwords`);
  await page.getByRole("table", { name: "Passwords" }).getByRole("cell", { name: "…", exact: true }).first().waitFor();
  await page.getByLabel("As stored").check();
  await page.getByRole("columnheader", { name: "pk" }).waitFor();
  await page.getByRole("cell", { name: /^PASSWORD#/ }).first().waitFor();
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

  await page.getByLabel("Search").fill(path);
  await events.getByRole("row").filter({ hasText: "account.registered" }).first().waitFor({ state: "hidden" });
  const types = await events.locator("tbody tr td:nth-child(2)").allTextContents();
  assert.deepEqual(types, ["order.confirmed", "order.placed"]);
  await page.getByLabel("Type").selectOption("order.placed");
  await told("order.confirmed").waitFor({ state: "hidden" });
  await told("order.placed").click();

  const event = detail("order.placed");
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
  return table.locator("tbody tr").evaluateAll((rows) => rows.map((row) => [...row.cells].map((cell) => cell.innerText.trim())));
}

/** The names of the headings on the page of a product or an order, which follow each other without a gap in their levels. */
async function headings() {
  const shown = page.locator("h1:visible, h2:visible, h3:visible, h4:visible");
  const all = await shown.evaluateAll((headings) => headings.map((heading) => [Number(heading.localName[1]), heading.textContent]));
  assert.deepEqual(all.map(([level]) => level), [1, 2, ...all.slice(2).map(() => 3)]);
  return all.slice(1).map(([, text]) => text);
}

const currentEntity = () => page.locator("#entities [aria-current] :not(.count)").allInnerTexts();

test("mails are there as they are sent, and their links do what they say", async () => {
  const email = "hedy@example.com";
  await send("POST", "/auth/register", { body: { email, username: "hedy", password: PASSWORD } });
  await page.goto(`${printed.Console}#mails`);
  const list = page.getByRole("region", { name: "Mail", exact: true });
  const first = list.getByRole("row").filter({ hasText: email });
  await first.waitFor();
  await page.getByLabel("Search").fill("hedy@");
  await list.getByRole("row").filter({ hasText: "customer@example.com" }).waitFor({ state: "hidden" });
  await first.getByRole("link", { name: "Is this address yours?" }).click();
  const mail = detail("Is this address yours?");
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
  await page.getByRole("link", { name: order.order_id }).press("Enter");
  const time = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/;
  assert.deepEqual(await rows("Lines"), [["Reading lamp", "3", "12.50", "37.50", ""]]);
  assert.deepEqual(await headings(), [`Order ${order.order_id}`, "Metadata", "Lines", "Timeline", "What it cost"]);
  assert.deepEqual(await currentEntity(), ["Orders"]);
  const timeline = await rows("Timeline");
  assert.ok(timeline.every(([at]) => time.test(at)), JSON.stringify(timeline));
  assert.deepEqual(timeline.map(([, ...rest]) => rest), [
    ["placed", "joan", "", "", ""],
    ["PENDING → CONFIRMED", "joan", "", "none", ""],
    ["CONFIRMED → CANCELLED", "joan", "too bright", "released", ""],
  ]);
  const pairs = page.locator("#item-page dl div");
  const facts = await pairs.evaluateAll((pairs) => pairs.map((pair) => [...pair.children].map((part) => part.innerText)));
  assert.deepEqual(facts.slice(0, 3), [["Status", "CANCELLED"], ["Customer", "joan"], ["Total", "37.50"]]);
  assert.deepEqual(facts.slice(3, 5).map(([name, at]) => [name, time.test(at)]), [["Created", true], ["Updated", true]]);
  assert.deepEqual(facts.slice(5), [["note", "<i>ring twice</i>"]]);
  // Placed, confirmed and cancelled: what each took, and all together.
  const costs = await rows("What it cost");
  assert.deepEqual(costs.map(([, request, status]) => [request, status]), [
    ["POST /orders", "201"], ["PUT /orders/{order_id}", "200"], ["PUT /orders/{order_id}", "200"],
  ]);
  const together = await page.getByRole("table", { name: "What it cost" }).locator("tfoot tr > *").allInnerTexts();
  for (const column of [5, 6, 7]) {
    assert.equal(Number(together[column]), costs.reduce((sum, cells) => sum + Number(cells[column]), 0), `column ${column}`);
  }
  assert.ok(Number(together[7]) > 0);

  await page.getByRole("table", { name: "Lines" }).getByRole("link", { name: "Reading lamp" }).press("Enter");
  assert.deepEqual(await rows("Shards"), [["0", "15", "12", "3", "0"]]);
  assert.deepEqual(await headings(), ["Reading lamp", "Orders that have some", "Movements", "Shards"]);
  assert.deepEqual(await currentEntity(), ["Products"]);
  // What is left, and where the rest is.
  const tiles = async () => (await page.locator(".tile").allInnerTexts()).map((text) => text.split("\n").slice(0, 2).join(" "));
  assert.deepEqual(await tiles(), ["On the shelf 12", "Reserved 3", "Sold 0", "Received 15"]);
  const held = await rows("Orders that have some");
  assert.deepEqual(held.map(([pieces, customer, status, , id]) => [pieces, customer, status, id]), [["3 reserved", "joan", "PENDING", other.order_id]]);
  const movements = await rows("Movements");
  assert.ok(movements.every(([at]) => time.test(at)), JSON.stringify(movements));
  assert.deepEqual(movements.map(([, ...rest]) => rest), [["received", "+5", delivery.reason, "admin"], ["initial", "+10", "", "admin"]]);
  const about = await page.locator("#item-page > dl").first().innerText();
  assert.ok(about.includes("LAMP-1") && about.includes("12.50"), about);
  assert.equal(await page.locator("#items :is(b, i)").count(), 0);

  // What happens meanwhile is there when it is read again.
  await send("PUT", `/orders/${other.order_id}`, { token, body: { status: "CANCELLED" } });
  await page.getByRole("button", { name: "Read again" }).click();
  await page.getByText("No order has any.").waitFor();
  assert.deepEqual(await tiles(), ["On the shelf 15", "Reserved 0", "Sold 0", "Received 15"]);
  await page.getByRole("link", { name: "All products" }).press("Enter");
  const listed = page.getByRole("table", { name: "Products" }).getByRole("row").filter({ hasText: "Reading lamp" });
  await listed.getByRole("cell", { name: "12.50", exact: true }).waitFor();
  assert.equal(await page.locator("#item-page").count(), 0);
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
  const { id: older } = await send("GET", "/products?limit=2");
  const { id } = await send("GET", "/products");
  await page.goto(printed.Console);
  await row(id).waitFor();
  const focused = () => page.evaluate(() => document.activeElement.closest("tr")?.dataset.id ?? document.activeElement.id);
  const met = [];
  for (let presses = 0; presses < 20 && met.at(-1) !== id; presses += 1) {
    await page.keyboard.press("Tab");
    met.push(await focused());
  }
  assert.ok(met.includes("to-items") && met.at(-1) === id, met.join(" "));
  await page.keyboard.press("Enter");
  const open = detail("GET /products 200");
  await open.getByRole("article").waitFor();
  // What is open follows the arrows, and Esc closes it and leads back to its row.
  await page.keyboard.press("ArrowDown");
  await open.getByText(older).first().waitFor();
  assert.equal(await focused(), older);
  await page.keyboard.press("Escape");
  await open.waitFor({ state: "hidden" });
  assert.equal(await focused(), older);
  await page.keyboard.press("ArrowUp");
  assert.equal(await focused(), id);
  for (const view of ["requests", "events", "mails", "items"]) {
    await page.goto(`${printed.Console}#${view}`);
    await page.getByLabel("Search").waitFor();
    await page.keyboard.press("/");
    await page.keyboard.type("a/b");
    assert.equal(await page.getByLabel("Search").inputValue(), "a/b", view);
  }
  assert.deepEqual(complaints, []);
});

test("every view is for everybody, in light and dark, on a screen and on a phone", async () => {
  const token = await logIn(...ADMIN);
  const { json: catalogue } = await send("GET", "/products?prefix=Fountain pen");
  const [pen] = catalogue.products;
  const items = [{ product_id: pen.product_id, quantity: 7 }];
  const { json: order, id } = await send("POST", "/orders", { token, body: { items } });
  const { id: refused } = await send("PUT", `/orders/${order.order_id}`, { token, body: { status: "SHIPPED" } });
  const { json: me } = await send("GET", "/auth/me", { token });
  const places = [
    "requests", `requests/${encodeURIComponent(id)}`, `requests/${encodeURIComponent(refused)}`, "routes", "events", "events/0", "mails", "mails/0",
    "items", "items/Movements", "items/Sessions?stored=true", `items/Products/${pen.product_id}`, `items/Orders/${order.order_id}`,
    `items/Users/${me.user_id}`, "recovery=a.b.c.d",
  ];
  const looks = [["light", 1280, 800], ["dark", 1280, 800], ["light", 390, 844]];
  for (const [colorScheme, width, height] of looks) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width, height });
    for (const place of places) {
      await page.goto(`${printed.Console}#${place}`);
      await page.locator("#state.live").waitFor();
      // The answers of a first look are drawn when nothing is added any more.
      let text;
      for (let before = null; before !== text; await page.waitForTimeout(200)) {
        before = text;
        text = await page.evaluate(() => document.body.innerText);
      }
      await accessible(`${place} ${colorScheme} ${width}`);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(wide <= 0, `${place} is ${wide} pixels wider than ${width}`);
    }
    // The last is what is there once all is drawn.
    const shown = {
      dark1280: ["console-dark", "routes", "table tbody tr"],
      light390: ["console-phone", `items/Products/${pen.product_id}`, "dl.tiles"],
    }[colorScheme + width];
    if (shown) {
      await page.goto(`${printed.Console}#${shown[1]}`);
      await page.locator(shown[2]).first().waitFor();
      await screenshot(shown[0]);
    }
  }
  await page.goto(`${printed.Console}#requests/${encodeURIComponent(id)}`);
  // On a phone, what is open has the whole screen, and is closed there.
  await page.getByRole("button", { name: "Send again" }).click();
  await accessible("send again, on a phone");
  const box = await detail("POST /orders 201").boundingBox();
  assert.deepEqual([box.x, box.y, box.width, box.height], [0, 0, 390, 844]);
  await page.getByRole("link", { name: "Close" }).click();
  await detail("POST /orders 201").waitFor({ state: "hidden" });
  assert.deepEqual(complaints, []);
});

test("the library that the console renders with is the published one", async () => {
  const ours = `${workspace}local/console/lit-html/`;
  const files = (await readdir(ours, { recursive: true, withFileTypes: true })).filter((file) => file.isFile());
  assert.ok(files.length > 1);
  for (const { parentPath, name } of files) {
    const file = `${parentPath}/${name}`.slice(ours.length);
    const published = await readFile(`${workspace}tests/browser/node_modules/lit-html/${file}`, "utf8");
    assert.equal(await readFile(ours + file, "utf8"), published, file);
  }
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

test("Lighthouse finds it accessible", async () => {
  const { accessibility } = await lighthouse(printed.Console, ["accessibility"]);
  assert.equal(accessibility, 100);
});
