// The page about the API, in the hands of a developer who knows nothing else of it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { accessible, complaints, lighthouse, page, PASSWORD, printed, screenshot, send } from "./shop.mjs";

const ACCOUNT = { email: "admin@example.com", password: "keep-this-one-local" };
/** What a first visit may weigh, as it is sent. */
const WEIGHT_LIMIT = 150_000;

const open = async (hash = "") => {
  await page.goto(`${printed.API}/docs${hash}`);
  await page.getByLabel("Filter").waitFor();
};

const operation = (id) => page.locator(`details.operation[id="${id}"]`);

const bodyOf = (shown) => shown.locator("textarea[name=body]");

async function expand(id) {
  const shown = operation(id);
  if (!(await shown.evaluate((details) => details.open))) await shown.locator("summary").first().press("Enter");
  return shown;
}

/** Fills in an operation as the page offers it, sends it, and returns the status and the body that the page shows. */
async function use(id, { parameters = {}, body } = {}) {
  const shown = await expand(id);
  for (const [name, value] of Object.entries(parameters)) await shown.locator(`[name="${name}"]`).fill(value);
  if (body) await bodyOf(shown).fill(JSON.stringify(body, null, 2));
  const answered = page.waitForResponse((answer) => answer.request().resourceType() === "fetch" && !answer.url().includes("/_local/"));
  await shown.getByRole("button", { name: "Send" }).click();
  const answer = await answered;
  await shown.getByRole("status").getByText(new RegExp(`^${answer.status()}\\b`)).waitFor();
  await shown.locator("form button:enabled", { hasText: "Send" }).waitFor();
  const text = await shown.locator(".answer code").first().innerText();
  return { status: answer.status(), json: JSON.parse(text), shown };
}

/** What a developer sees who has just sent something: by day, by night and on a phone. */
async function pictures(shown) {
  for (const [name, colorScheme, width, height] of [["docs", "light", 1280, 800], ["docs-dark", "dark", 1280, 800], ["docs-phone", "light", 390, 800]]) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width, height });
    await shown.evaluate((details) => details.scrollIntoView());
    await screenshot(name);
  }
  await page.emulateMedia({ colorScheme: "light" });
  await page.setViewportSize({ width: 1280, height: 800 });
}

/** The form of the page, as it is filled in. */
async function logInOnPage() {
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByRole("button", { name: "Log out" }).waitFor();
}

const logInShown = () => page.getByRole("button", { name: "Log in" });
const kept = () => page.evaluate(() => [Object.keys(sessionStorage), Object.keys(localStorage), document.cookie]);

test("a developer who knows only the page shops on it", async () => {
  const elsewhere = [];
  page.on("request", (request) => {
    const { protocol, origin } = new URL(request.url());
    if (protocol !== "data:" && origin !== new URL(printed.API).origin) elsewhere.push(request.url());
  });
  await open();

  // Examples are there to be sent as they stand.
  const registered = await use("register");
  assert.equal(registered.status, 201);
  assert.equal(registered.json.username, "ada");
  const login = await use("login", { body: { email: "ada@example.com", password: PASSWORD } });
  assert.equal(login.status, 200);
  await page.getByText("ada@example.com, customer.").waitFor();

  const { json: found } = await use("listProducts", { parameters: { limit: "2" } });
  const [one, other] = found.products;
  // An example orders what has just been seen.
  const example = JSON.parse(await bodyOf(await expand("createOrder")).inputValue());
  assert.equal(example.items[0].product_id, one.product_id);
  const items = [{ product_id: one.product_id, quantity: 2 }, { product_id: other.product_id, quantity: 1 }];
  const placed = await use("createOrder", { body: { items } });
  const order = placed.json;
  assert.deepEqual([placed.status, order.item_count], [201, 2]);
  await pictures(placed.shown);
  const { json: left } = await use("getProduct", { parameters: { product_id: one.product_id } });
  assert.deepEqual([left.quantity, left.reserved], [one.quantity - 2, one.reserved + 2]);

  const token = login.json.access_token;
  const line = { product_id: other.product_id, quantity: 1 };
  for (let lines = 2; lines < 40; lines += 1) {
    const added = await send("POST", `/orders/${order.order_id}/items`, { token, body: line });
    assert.equal(added.status, 201, JSON.stringify(added.json));
  }
  assert.deepEqual(complaints, []);
  // What has just been placed is what the other forms are about.
  const refused = await use("addItem", { body: line });
  assert.deepEqual([refused.status, refused.json.code], [409, "too-many-items"]);
  // The browser itself says so of every answer that is no success.
  assert.match(complaints.splice(0).join("\n"), /^[^\n]* 409 [^\n]*$/);

  const cancelled = await use("updateOrder", { body: { status: "CANCELLED" } });
  assert.deepEqual([cancelled.status, cancelled.json.status, cancelled.json.order_id], [200, "CANCELLED", order.order_id]);
  const { json: back } = await use("getProduct", { parameters: { product_id: one.product_id } });
  assert.equal(back.quantity, one.quantity);

  await cancelled.shown.getByText("As a command").click();
  const curl = await cancelled.shown.getByRole("group", { name: "command for" }).innerText();
  assert.ok(curl.startsWith("curl -X 'PUT'") && curl.includes(`/orders/${order.order_id}'`) && curl.includes(`Bearer ${token}`), curl);
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await cancelled.shown.getByRole("button", { name: "Copy command for" }).click();
  await page.getByText("Copied").waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), curl);
  assert.deepEqual([complaints, elsewhere], [[], []]);
});

/** All operations of the document. */
async function operations() {
  const { json: document } = await send("GET", "/openapi.json");
  const all = Object.values(document.paths).flatMap((item) => Object.values(item)).filter(({ operationId }) => operationId);
  assert.ok(all.length > 30);
  return all;
}

/** Opens whatever can be opened. What is in an operation is made when it opens. */
async function expandAll() {
  const all = () => page.evaluate(() => document.querySelectorAll("details").forEach((details) => (details.open = true)));
  await all();
  await page.locator("details.operation:not(:has(> .inside))").first().waitFor({ state: "detached" });
  await all();
}

test("every operation of the document is there, with an example where it has a body", async () => {
  await open();
  const all = await operations();
  const shown = await page.locator("details.operation").evaluateAll((all) => all.map(({ id }) => id));
  assert.deepEqual([...shown].sort(), all.map(({ operationId }) => operationId).sort());

  await expandAll();
  for (const { operationId, requestBody } of all.filter(({ requestBody }) => requestBody)) {
    const { example, examples } = requestBody.content["application/json"];
    const given = example ?? Object.values(examples)[0].value;
    assert.deepEqual(JSON.parse(await bodyOf(operation(operationId)).inputValue()), given, operationId);
  }
  const text = await page.locator("main").innerText();
  // No mark of Markdown that the page does not know, and nothing that it has no words for.
  assert.doesNotMatch(text, /`|\*\*|\]\(|undefined|NaN|\[object/);
  assert.deepEqual(complaints, []);
});

test("what is typed finds an operation by its path, words and problems", async () => {
  await open();
  const found = () => page.locator("details.operation:visible").evaluateAll((all) => all.map(({ id }) => id).sort());
  await page.keyboard.press("/");
  await page.keyboard.type("post /orders place");
  assert.deepEqual(await found(), ["createOrder"]);
  assert.match(await page.getByRole("status").first().innerText(), /^1 of \d+$/);
  await page.getByLabel("Filter").fill("too-many-items");
  assert.deepEqual(await found(), ["addItem"]);
  await page.getByLabel("Filter").fill("no such thing");
  assert.deepEqual([await found(), await page.locator("#operations h2:visible").count()], [[], 0]);
  await page.getByLabel("Filter").fill("");
  assert.ok((await found()).length > 30);
});

test("an operation has an address of its own", async () => {
  await open("#createOrder");
  await operation("createOrder").getByRole("button", { name: "Send" }).waitFor();
  await expand("listProducts");
  await page.waitForURL(/#listProducts$/);
});

test("whoever is logged in stays so while the tab is open, and nowhere else", async () => {
  await open();
  assert.equal(await page.getByLabel("E-mail address or username").inputValue(), ACCOUNT.email);
  await logInOnPage();
  await page.getByText(`${ACCOUNT.email}, admin.`).waitFor();
  assert.deepEqual(await kept(), [["tokens"], [], ""]);
  await page.reload();
  await page.getByText(`${ACCOUNT.email}, admin.`).waitFor();
  const users = await use("listUsers");
  assert.equal(users.status, 200);

  // A token that has run out is replaced before it is sent.
  const age = () =>
    page.evaluate(() => {
      const tokens = JSON.parse(sessionStorage.getItem("tokens"));
      sessionStorage.setItem("tokens", JSON.stringify({ ...tokens, expires_at: Date.now() }));
      return tokens.access_token;
    });
  const old = await age();
  const refreshed = page.waitForResponse((answer) => answer.url().endsWith("/auth/refresh"));
  await operation("listUsers").getByRole("button", { name: "Send" }).click();
  assert.equal((await refreshed).status(), 200);
  await operation("listUsers").getByRole("status").getByText(/^200\b/).waitFor();

  const opened = page.context().waitForEvent("page");
  await page.evaluate(() => window.open(location.href, "_blank", "noopener"));
  const other = await opened;
  await other.getByRole("button", { name: "Log in" }).waitFor();
  await other.close();

  const { access_token } = await page.evaluate(() => JSON.parse(sessionStorage.getItem("tokens")));
  assert.notEqual(access_token, old);
  await page.getByRole("button", { name: "Log out" }).click();
  await logInShown().waitFor();
  assert.deepEqual(await kept(), [[], [], ""]);
  assert.equal((await send("GET", "/auth/me", { token: access_token })).json.code, "token-revoked");
  assert.deepEqual(complaints, []);
});

test("a session that a request ends is over on the page, too", async () => {
  await open();
  await logInOnPage();
  await expand("logout");
  await operation("logout").getByRole("button", { name: "Send" }).click();
  await logInShown().waitFor();
  assert.deepEqual(await kept(), [[], [], ""]);

  await page.getByLabel("Password", { exact: true }).fill("another one");
  await logInShown().click();
  await page.locator("#login-failed", { hasText: "wrong" }).waitFor();
  assert.deepEqual(await kept(), [[], [], ""]);
});

test("a shop with a name of its own, as a deployment has, offers no account", async () => {
  const asked = [];
  page.on("request", (request) => asked.push(new URL(request.url()).pathname));
  await page.goto(`${printed.API.replace("127.0.0.1", "rebound.example")}/docs`);
  await page.getByLabel("Filter").waitFor();
  await page.waitForLoadState("networkidle");
  assert.equal(await page.getByLabel("E-mail address or username").inputValue(), "");
  assert.equal(await page.getByLabel("Password", { exact: true }).inputValue(), "");
  assert.ok(asked.includes("/openapi.json") && !asked.some((path) => path.startsWith("/_local")), asked.join(" "));
  const { json: accounts } = await send("GET", "/_local/accounts");
  const files = ["/docs", ...asked.filter((path) => path.startsWith("/docs/"))];
  for (const file of files) {
    const text = await (await fetch(printed.API + file)).text();
    for (const { email, password } of accounts) assert.ok(!text.includes(email) && !text.includes(password), file);
  }
  assert.equal(accounts.length, 2);
});

test("axe finds nothing wrong with anything on the page, in the light and in the dark, wide and on a phone", async () => {
  await open();
  await accessible("at first");
  await logInOnPage();
  await use("listProducts", { parameters: { limit: "2" } });
  await expandAll();
  for (const [colorScheme, width] of [["light", 1280], ["dark", 390]]) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width, height: 800 });
    await accessible(`${colorScheme} ${width}`);
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), width, "nothing is cut off at the side");
  }
});

test("a first visit weighs little", async () => {
  const session = await page.context().newCDPSession(page);
  await session.send("Network.enable");
  await session.send("Network.setCacheDisabled", { cacheDisabled: true });
  let [requests, bytes] = [0, 0];
  session.on("Network.loadingFinished", ({ encodedDataLength }) => {
    requests += 1;
    bytes += encodedDataLength;
  });
  await page.goto(`${printed.API}/docs`, { waitUntil: "networkidle" });
  assert.ok(requests > 6 && bytes > 10_000 && bytes < WEIGHT_LIMIT, `${bytes} bytes in ${requests} answers`);
});

test("Lighthouse finds it accessible", async (t) => {
  const { accessibility, performance } = await lighthouse(`${printed.API}/docs`, ["accessibility", "performance"]);
  // That depends on what else the machine does.
  t.diagnostic(`performance ${performance}`);
  assert.equal(accessibility, 100);
});
