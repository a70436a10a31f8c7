// A shop of one's own, and a browser to look at it, for one file of tests.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { after, afterEach, before, beforeEach } from "node:test";
import { fileURLToPath } from "node:url";
import runLighthouse from "lighthouse";
import { chromium } from "playwright-core";

export const workspace = fileURLToPath(new URL("../..", import.meta.url));
export const PASSWORD = "Zwetschgenmus mit Zimt";
/** Long enough for the functions to be built from nothing. */
const READY_LIMIT = 15 * 60 * 1000;

const sites = [];
/** A page of an origin of its own, with no policy of its own. */
export async function site(title) {
  const server = createServer((_, answer) => answer.setHeader("content-type", "text/html").end(`<title>${title}</title>`));
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  sites.push(server);
  return `http://127.0.0.1:${server.address().port}`;
}

/** The events that the shop has sent by POST, as they came. */
export const webhook = [];
/** Takes every event. */
async function hook() {
  const server = createServer((request, answer) => {
    let body = "";
    request.on("data", (part) => (body += part)).on("end", () => {
      webhook.push({ key: request.headers["x-api-key"], event: JSON.parse(body) });
      answer.writeHead(204).end();
    });
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  sites.push(server);
  return `http://127.0.0.1:${server.address().port}/hook`;
}

/** A port that nobody has. */
async function freePort() {
  const server = createServer();
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  const { port } = server.address();
  await new Promise((closed) => server.close(closed));
  return port;
}

let shop, browser, debugging;
/** The origin whose pages may call the API. */
export let shopFront;
/** The page of the test that runs. */
export let page;
/** What the shop has printed, by name. */
export const printed = {};
/** What the page has complained of. */
export let complaints;

before(async () => {
  shopFront = await site("shop front");
  const options = ["--memory", "--port", "0", "--parameter", `CorsAllowOrigin=${shopFront}`, "--webhook", await hook()];
  shop = spawn("target/debug/local", options, { cwd: workspace, stdio: ["ignore", "pipe", "ignore"] });
  await new Promise((resolve, reject) => {
    shop.once("exit", (code) => reject(new Error(`it ended with ${code} before it was ready`)));
    createInterface(shop.stdout).on("line", (line) => {
      const [, name, url] = line.match(/^(\w+) +(http:\S+)$/) ?? [];
      if (name) printed[name] = url;
      if (name === "ready") resolve();
    });
  });
  debugging = await freePort();
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    // Another site's name that leads here.
    args: [`--remote-debugging-port=${debugging}`, "--host-resolver-rules=MAP rebound.example 127.0.0.1", ...(process.getuid() === 0 ? ["--no-sandbox"] : [])],
  });
}, { timeout: READY_LIMIT });

after(async () => {
  await browser?.close();
  shop?.kill();
  for (const site of sites) {
    site.closeAllConnections();
    site.close();
  }
});

beforeEach(async () => {
  page = await browser.newPage({ viewport: { width: 1280, height: 800 }, colorScheme: "light" });
  complaints = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("dialog", (dialog) => complaints.push(`dialog: ${dialog.message()}`));
});

afterEach(() => page.close());

/** Sends a request to the API; `token` and `body` if there are any. */
export async function send(method, path, { token, body } = {}) {
  const headers = { "content-type": "application/json" };
  if (token) headers.authorization = `Bearer ${token}`;
  const answer = await fetch(printed.API + path, { method, headers, body: body && JSON.stringify(body) });
  const text = await answer.text();
  return { status: answer.status, id: answer.headers.get("apigw-requestid"), json: text === "" ? null : JSON.parse(text) };
}

/** What Lighthouse gives a page in these categories, of 100 each. */
export async function lighthouse(url, onlyCategories) {
  const { lhr } = await runLighthouse(url, { port: debugging, onlyCategories, logLevel: "error" });
  return Object.fromEntries(onlyCategories.map((category) => [category, Math.round(lhr.categories[category].score * 100)]));
}

export async function logIn(email, password) {
  const { json } = await send("POST", "/auth/login", { body: { email, password } });
  return json.access_token;
}

/** Shows it in the repository, if that is asked for. */
export async function screenshot(name) {
  if (process.env.SCREENSHOTS === "1") await page.screenshot({ path: `${workspace}docs/${name}.png` });
}

/** Whether axe finds nothing wrong with the page as it is. */
export async function accessible(what) {
  if (!(await page.evaluate(() => "axe" in globalThis))) await page.evaluate(await readFile(`${workspace}tests/browser/node_modules/axe-core/axe.min.js`, "utf8"));
  // Frames hold what somebody else wrote.
  const { violations } = await page.evaluate(() => axe.run({ exclude: ["iframe"] }, { iframes: false }));
  const told = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html, any }) => `${html} ${any.map(({ message }) => message).join(" ")}`).join("\n  ")}`);
  assert.deepEqual(told, [], what);
}
