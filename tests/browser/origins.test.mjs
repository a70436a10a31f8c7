// Pages of other origins: one that the shop is configured for, and one that is up to no good.

import assert from "node:assert/strict";
import { test } from "node:test";
import { logIn, page, PASSWORD, printed, send, shopFront, site } from "./shop.mjs";

/** A call to DynamoDB, as a page sends it. */
const call = (operation, body) => ({
  method: "POST",
  headers: {
    "content-type": "application/x-amz-json-1.0",
    "x-amz-target": `DynamoDB_20120810.${operation}`,
    "x-amz-date": "20260101T000000Z",
    authorization: "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0",
  },
  body: JSON.stringify(body),
});

/** What a page is answered, or the name of the error that it gets instead. */
const fetched = (url, options) =>
  page.evaluate(
    async ([url, options]) => {
      try {
        const answer = await fetch(url, options);
        return [answer.type, answer.status, await answer.text()];
      } catch (error) {
        return [error.name];
      }
    },
    [url, options],
  );

test("a page of the configured origin orders something", async () => {
  await page.goto(shopFront);
  const done = await page.evaluate(
    async ([api, password]) => {
      const ask = async (method, path, { body, ...headers } = {}) => {
        const answer = await fetch(api + path, {
          method,
          headers: body ? { "content-type": "application/json", ...headers } : headers,
          body: body && JSON.stringify(body),
        });
        const text = await answer.text();
        return { status: answer.status, headers: Object.fromEntries(answer.headers), json: text && JSON.parse(text) };
      };
      const email = "front@example.com";
      await ask("POST", "/auth/register", { body: { email, username: "front", password } });
      const { json: login } = await ask("POST", "/auth/login", { body: { email, password } });
      const authorization = `Bearer ${login.access_token}`;
      const { json: catalogue } = await ask("GET", "/products?limit=1");
      const items = [{ product_id: catalogue.products[0].product_id, quantity: 1 }];
      const placed = await ask("POST", "/orders", { authorization, "idempotency-key": "front-1", body: { items } });
      const order = placed.headers.location;
      const repeated = await ask("POST", "/orders", { authorization, "idempotency-key": "front-1", body: { items } });
      const seen = await ask("GET", order, { authorization });
      const confirmed = await ask("PUT", order, { authorization, "if-match": seen.headers.etag, body: { status: "CONFIRMED" } });
      const other = await ask("POST", "/orders", { authorization, body: {} });
      const removed = await ask("DELETE", other.headers.location, { authorization });
      const unknown = await ask("GET", "/orders/none", { authorization });
      return { placed, repeated, seen, confirmed, removed, unknown };
    },
    [printed.API, PASSWORD],
  );
  assert.equal(done.placed.status, 201, JSON.stringify(done.placed.json));
  assert.equal(done.repeated.headers["idempotent-replayed"], "true");
  assert.equal(done.repeated.json.order_id, done.placed.json.order_id);
  assert.equal(done.seen.headers.etag, '"1"');
  assert.deepEqual([done.confirmed.status, done.confirmed.json.status], [200, "CONFIRMED"]);
  assert.deepEqual([done.removed.status, done.unknown.status, done.unknown.json.code], [204, 404, "not-found"]);
});

test("a page of another origin reads and changes nothing", async () => {
  const email = "victim@example.com";
  await send("POST", "/auth/register", { body: { email, username: "victim", password: PASSWORD } });
  const token = await logIn(email, PASSWORD);
  const { json: before } = await send("GET", "/products");
  const key = { pk: { S: `PRODUCT#${before.products[0].product_id}` }, sk: { S: "PRODUCT" } };
  const makeAdmin = JSON.stringify({ email, role: "admin" });
  const invoke = `${printed.Lambda}/2015-03-31/functions/AccountAdminFunction/invocations`;

  await page.goto(await site("stranger"));
  for (const [url, options] of [
    [`${printed.API}/products`],
    [`${printed.API}/auth/me`, { headers: { authorization: `Bearer ${token}` } }],
    [`${printed.Console}/items`],
    [`${printed.Console}/requests`],
    [printed.AWS],
    [printed.AWS, call("Scan", { TableName: "stockroom-Table" })],
    [printed.AWS, call("DeleteItem", { TableName: "stockroom-Table", Key: key })],
    [invoke, { method: "POST", body: makeAdmin }],
  ]) {
    assert.deepEqual(await fetched(url, options), ["TypeError"], url);
  }
  // What a page may send without asking.
  for (const url of [printed.AWS, invoke]) {
    const sent = await fetched(url, { method: "POST", mode: "no-cors", body: makeAdmin });
    assert.deepEqual(sent, ["opaque", 0, ""], url);
  }
  await page.evaluate(
    ([action, json]) => {
      // A form's way to write JSON: `{"email": …, "ignored": "="}`.
      const form = Object.assign(document.createElement("form"), { action, method: "post", enctype: "text/plain" });
      form.append(Object.assign(document.createElement("input"), { name: `${json.slice(0, -1)},"ignored":"`, value: '"}' }));
      document.body.append(form);
      form.submit();
    },
    [invoke, makeAdmin],
  );
  await page.waitForURL(invoke);

  assert.equal((await send("GET", "/auth/me", { token })).json.role, "customer");
  assert.deepEqual((await send("GET", "/products")).json, before);
});

test("a name that leads here is not this machine's", async () => {
  for (const url of [`${printed.Console}/items`, printed.Lambda, printed.AWS]) {
    const { port, pathname } = new URL(url);
    const answer = await page.goto(`http://rebound.example:${port}${pathname}`);
    assert.equal(answer.status(), 403, url);
    const sent = await fetched("/", call("ListTables", {}));
    assert.notEqual(sent[1], 200, url);
  }
});
