// asyncapi.json as the parser of the AsyncAPI initiative reads it.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Parser } from "@asyncapi/parser";

const text = readFileSync(new URL("../../asyncapi.json", import.meta.url), "utf8");

/** What is wrong with a document; notes and hints are nothing wrong. */
async function faults(document) {
  const { document: read, diagnostics } = await new Parser().parse(document);
  return { read, wrong: diagnostics.filter(({ severity }) => severity < 2).map(({ message, path }) => `${path.join(".")}: ${message}`) };
}

test("asyncapi.json is a sound AsyncAPI document", async () => {
  const { read, wrong } = await faults(text);
  assert.deepEqual(wrong, []);
  const messages = read.messages().all();
  assert.ok(messages.length > 10 && messages.every((message) => message.hasPayload() && message.examples().length > 0));
});

test("one that is not is found out", async () => {
  const { wrong } = await faults(text.replace('"action": "send"', '"action": "shout"'));
  assert.notDeepEqual(wrong, []);
});
