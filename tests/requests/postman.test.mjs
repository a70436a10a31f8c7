// The collection for Postman, from beginning to end, as newman sends it.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import newman from "newman";

const collection = JSON.parse(await readFile(new URL("../../clients/stockroom.postman_collection.json", import.meta.url), "utf8"));
const requests = collection.item.flatMap(({ item }) => item);

/** Sends all requests of a collection, and returns what newman has to say of them. */
function sent(collection) {
  const envVar = [{ key: "baseUrl", value: process.env.API_URL }];
  return new Promise((resolve, reject) => {
    newman.run({ collection, envVar }, (error, summary) => (error ? reject(error) : resolve(summary.run)));
  });
}

const failures = ({ failures }) => failures.map(({ source, error }) => `${source?.name}: ${error.message}`);

for (const time of ["once", "again"]) {
  test(`the collection works ${time}`, async () => {
    const run = await sent(collection);
    assert.deepEqual(failures(run), []);
    assert.equal(run.stats.requests.total, requests.length);
    assert.equal(run.stats.assertions.total, requests.length);
  });
}

test("a wrong answer is noticed", async () => {
  const [first] = structuredClone(requests);
  first.request.body.raw = '{"email": "nobody@example.com", "password": "wrong"}';
  const run = await sent({ ...collection, item: [first] });
  assert.match(failures(run).join("\n"), /expected response to have status code 200 but got 401/);
});
