// The files for editors, from beginning to end, as httpyac sends them: every answer is the one that the file says.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const api = process.env.API_URL;
const local = "@api = http://127.0.0.1:3000\n";

/** Sends all requests of a text, and returns what httpyac has to say of each. */
async function sent(text, plugin) {
  const folder = await mkdtemp(join(tmpdir(), "stockroom-"));
  try {
    await writeFile(join(folder, "requests.http"), text);
    const env = { ...process.env, ...(plugin && { HTTPYAC_PLUGIN: here(plugin) }) };
    const command = [here("node_modules/httpyac/bin/httpyac.js"), "send", "requests.http", "--all", "--json"];
    const printed = await new Promise((resolve, reject) => {
      // Its status says whether something failed, and what it prints says what.
      execFile(process.execPath, command, { cwd: folder, env, maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
        if (stdout.includes("{")) resolve(stdout);
        else reject(new Error(stderr, { cause: error }));
      });
    });
    return JSON.parse(printed.slice(printed.indexOf("{"))).requests;
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** What a file says of its requests: name, status and code. */
const promised = (text) =>
  [...text.matchAll(/^# It is answered (\d+)(?: ([a-z-]+))?\.\n# @name (\w+)$/gm)].map(([, status, code, name]) => [name, Number(status), code]);

/** What they were answered. */
const answered = (requests) =>
  requests.map(({ name, response, testResults }) => {
    const wrong = testResults.filter(({ status }) => status !== "SUCCESS").map(({ message, error }) => `${message}: ${error?.displayMessage}`);
    assert.deepEqual(wrong, [], name);
    const problem = response.headers["content-type"] === "application/problem+json";
    return [name, response.statusCode, problem ? JSON.parse(response.body).code : undefined];
  });

for (const [path, plugin] of [["../../requests.http", "rest-client.cjs"], ["../../clients/jetbrains.http"]]) {
  const text = await readFile(here(path), "utf8");
  assert.ok(text.includes(local));
  const requests = promised(text);
  assert.equal(requests.length, text.match(/^### /gm).length);

  for (const time of ["once", "again"]) {
    test(`${path} works ${time}`, async () => {
      assert.deepEqual(answered(await sent(text.replace(local, `@api = ${api}\n`), plugin)), requests);
    });
  }
}

test("a wrong answer is noticed", async () => {
  const text = `@api = ${api}\n\n### Nothing\n# @name nothing\nGET {{api}}/nothing\n\n> {%\nclient.test("it is there", () => client.assert(response.status === 200, "it is not"));\n%}\n`;
  const requests = await sent(text);
  assert.equal(requests[0].response.statusCode, 404);
  assert.throws(() => answered(requests), /it is there/);
});
