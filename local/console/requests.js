// Requests as they come, and all that is known of one.

import {
  ask, cell, check, choice, clock, dateAndTime, detail, draw, fields, filters, html, json, latest, linked, links, mentions, milliseconds,
  named, nothing, place, repeat, searchField, statusKind, tablePart, to,
} from "./page.js";

/** How many rows are drawn at once, and how many requests the page keeps to filter. */
const SHOWN = 200;
const REMEMBERED = 10_000;

/** Newest first. */
let requests = [];
/** How many the page has been told of; 0 asks for the latest of all. */
let seen = 0;
/** How many there have been beside those. */
let waiting = 0;
let paused = false;
/** The request that is shown, with what it said and the lines about it; `null` in it is what is no longer remembered. */
let chosen = null;
/** The form to send it again, while it is open, and what that came to. */
let again = null;
let copied = "";
/** When it was last asked whose ids are. */
let learned = 0;

export const title = "Requests";

/** Whether it is another shop at the same address now. */
export async function pollAlways() {
  const { total, requests: latest } = await ask(`requests?after=${seen}`);
  const another = total < seen;
  if (another) {
    forget();
    return true;
  }
  waiting = total - seen;
  if (paused && seen > 0) return false;
  if (seen === 0) requests = [];
  seen = total;
  waiting = 0;
  if (latest.length > 0) requests = [...latest.reverse(), ...requests].slice(0, REMEMBERED);
  await learn();
  return false;
}

export function forget() {
  seen = 0;
}

/** Callers are shown by their names. */
async function learn() {
  const unknown = requests.slice(0, SHOWN).some(({ user_id }) => user_id !== null && !(user_id in links));
  if (!unknown || Date.now() - learned < 2000) return;
  learned = Date.now();
  Object.assign(links, await ask("links"));
}

export async function poll() {
  const { what } = place();
  if (what === null) {
    chosen = again = null;
    return;
  }
  if (chosen?.id !== what) {
    chosen = { id: what };
    again = null;
  }
  const answer = await fetch(`/_local/requests/${encodeURIComponent(what)}`);
  const told = answer.ok ? await answer.json() : null;
  if (place().what === what) chosen = { id: what, told };
}

const COLUMNS = [
  { label: "Time", width: "time" },
  { label: "Method", width: "method", hide: "phone" },
  { label: "Path" },
  { label: "Status", width: "status" },
  { label: "Who", width: "who", hide: "phone" },
  { label: "Start", width: "short", hide: "narrow" },
  { label: "ms", width: "number", number: true, hide: "phone" },
  { label: "Calls", width: "number", number: true, hide: "narrow" },
  { label: "Read units", width: "number", number: true, hide: "narrow" },
  { label: "Write units", width: "number", number: true, hide: "narrow" },
  { label: "$ a million", width: "cost", number: true, hide: "narrow" },
];

const target = ({ path, query }) => (query === "" ? path : `${path}?${query}`);
const caller = ({ user_id }) => (user_id === null ? "" : (links[user_id]?.name ?? user_id));
const units = (count) => (count === 0 ? "" : String(count));
const start = ({ function: name, cold }) => (name === null ? "" : cold ? "cold" : "warm");
const faults = ({ faults }) => (faults.length === 0 ? nothing : html` <span class="fault" title=${faults.join(", ")}>fault</span>`);

function row(request, current, parameters) {
  const [time, method, path, status, who, begun, ms, calls, reads, writes, cost] = COLUMNS;
  const { request_id, status: answered, code, detail } = request;
  // It covers its row, and tells what has no room there.
  const hint = detail === null ? target(request) : `${target(request)}\n${detail}`;
  const link = html`<a href=${to("requests", request_id, null, parameters)} title=${hint} aria-current=${current ? "true" : nothing}
    ><span class="only-phone">${request.method} </span>${target(request)}</a>`;
  return html`<tr data-id=${request_id}>
    ${cell(time, clock(request.received_at))}
    ${cell(method, request.method)}
    ${cell(path, link, "path")}
    ${cell(status, html`${answered} ${code ?? detail ?? ""}${faults(request)}`, statusKind(answered))}
    ${cell(who, caller(request))}
    ${cell(begun, start(request), start(request))}
    ${cell(ms, milliseconds(request.duration_ms))}
    ${cell(calls, units(request.operations.length))}
    ${cell(reads, units(request.read_units))}
    ${cell(writes, units(request.write_units))}
    ${cell(cost, request.dollars_per_million.toFixed(2))}
  </tr>`;
}

function passes(request, { route = "", status = "", who = "", search, assets }) {
  const { code, detail, request_id } = request;
  return (
    (assets === "true" || !request.asset || route !== "") &&
    (route === "" || (request.route ?? "no route") === route) &&
    (status === "" || String(request.status).startsWith(status)) &&
    (who === "" || (who === "nobody" ? request.user_id === null : request.user_id === who)) &&
    mentions(search, `${request.method} ${target(request)}`, String(request.status), code, detail, request_id, caller(request), request.function)
  );
}

const distinct = (values) => [...new Set(values)].sort();

function bar({ route, status, who, search, assets }, found) {
  const routes = distinct(requests.filter(({ asset }) => assets === "true" || !asset).map(({ route }) => route ?? "no route"));
  const statuses = distinct(requests.map(({ status }) => String(status)));
  const callers = distinct(requests.map(({ user_id }) => user_id).filter((id) => id !== null));
  if (route && !routes.includes(route)) routes.push(route);
  if (who && who !== "nobody" && !callers.includes(who)) callers.push(who);
  const classes = [["2", "2xx done"], ["3", "3xx elsewhere"], ["4", "4xx refused"], ["5", "5xx failed"]];
  return filters(
    "Requests",
    searchField(search, "path, code, id, name"),
    choice("Route", "route", route, [["", "all"], ...routes.map((route) => [route, route])]),
    choice("Status", "status", status, [["", "all"], ...classes, ...statuses.map((status) => [status, status])]),
    choice("Who", "who", who, [["", "all"], ["nobody", "nobody"], ...callers.map((id) => [id, links[id]?.name ?? id])]),
    check("Assets", "assets", assets),
    html`<span class="buttons">
      <button type="button" aria-pressed=${paused} @click=${pause}>${paused ? `Go on${waiting > 0 ? ` (${waiting} new)` : ""}` : "Pause"}</button>
      <button type="button" @click=${clear}>Clear</button>
      <button type="button" ?disabled=${found.length === 0} @click=${() => exported(found)}>Export HAR</button>
    </span>`,
  );
}

function pause() {
  paused = !paused;
  draw();
}

function clear() {
  requests = [];
  draw();
}

async function exported(found) {
  const body = JSON.stringify(found.map(({ request_id }) => request_id).reverse());
  const archive = await ask("requests.har", { method: "POST", headers: { "content-type": "application/json" }, body });
  const url = URL.createObjectURL(new Blob([JSON.stringify(archive, null, 2)], { type: "application/json" }));
  Object.assign(document.createElement("a"), { href: url, download: "stockroom.har" }).click();
  // The browser has begun to read it by then.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

export function view({ what, parameters }) {
  const found = requests.filter((request) => passes(request, parameters));
  const shown = found.slice(0, SHOWN);
  const none = requests.length === 0 ? "No request yet." : found.length === 0 ? "No request is like this." : "";
  const more = found.length > SHOWN ? `The latest ${SHOWN} of ${found.length}.` : none;
  return html`
    ${bar(parameters, found)}
    ${latest("Requests", "request", COLUMNS, repeat(shown, ({ request_id }) => request_id, (request) => row(request, request.request_id === what, parameters)), more)}
    ${what === null ? nothing : one(to("requests", null, null, parameters))}
    <footer>US dollars for a million requests like this one: gateway, Lambda requests and DynamoDB on demand in us-east-1, public lists of
      2025, without compute time and logs. <kbd>/</kbd> search, <kbd>↑</kbd> <kbd>↓</kbd> move, <kbd>Esc</kbd> close.</footer>`;
}

// One request

function one(close) {
  const { id, told } = chosen ?? {};
  if (told === undefined) return detail("…", id, nothing, close, nothing);
  if (told === null) return detail("This request is no longer remembered.", id, nothing, close, nothing);
  const { request, sent, answered, lines } = told;
  const { method, path, status, code, detail: why } = request;
  const buttons = html`
    <button type="button" @click=${() => copy(request, sent)}>${copied === id ? "Copied" : "Copy as curl"}</button>
    <button type="button" aria-expanded=${again !== null} @click=${() => openAgain(request, sent)}>Send again</button>`;
  const calls = request.operations.length === 0 ? "no call to DynamoDB" : request.operations.join(", ");
  // Whatever the answer names beside its own words, such as the product that is out of stock.
  const about = status < 400 ? [] : Object.values(answered?.body ?? {}).filter((value) => Object.hasOwn(links, value));
  const beside = html`${dateAndTime(request.received_at)} · ${milliseconds(request.duration_ms)} ms · ${id} · ${calls}`;
  const reason = code === null && why === null ? nothing : html`<p class="why ${statusKind(status)}"><strong>${code ?? status}</strong> ${linked(why ?? "")}${about.map((id) => html` ${named(id)}`)}</p>`;
  const facts = [
    ["Who", request.user_id === null ? "nobody" : html`${named(request.user_id)} (${request.role})`],
    ["Route", request.route ?? "none"],
    ["Function", request.function === null ? "none" : `${request.function}, ${start(request)}`],
    ["Cost", `${request.read_units} read and ${request.write_units} write units, $ ${request.dollars_per_million.toFixed(2)} a million`],
    ["Path", linked(target(request))],
    ...(request.location === null ? [] : [["Made", linked(request.location)]]),
    ...(request.faults.length === 0 ? [] : [["Faults", request.faults.join(", ")]]),
  ];
  const parts = html`${reason}${again === null ? nothing : againForm()}<div class="facts">${fields(facts)}</div>
    <div class="lines">
      ${said("Request", sent, request.query)}
      ${said("Answer", answered, "")}
      ${lines.length === 0 ? html`<p class="empty">No function has written about it.</p>` : lines.map(lineCard)}
    </div>`;
  return detail(`${method} ${path} ${status}`, beside, buttons, close, parts);
}

function said(name, message, query) {
  if (message === null) return html`<section class="card"><h3>${name}</h3><p>What it said is no longer remembered.</p></section>`;
  const { headers, bytes, body } = message;
  const asked = query === "" ? nothing : html`<h4>Query</h4>${fields([...new URLSearchParams(query)].map(([name, value]) => [name, linked(value)]))}`;
  const text = body !== null ? json(body) : html`<p>${bytes === 0 ? "No body." : `${bytes} bytes, which are not kept: only JSON of up to 32 KiB is.`}</p>`;
  return html`<section class="card"><h3>${name}</h3>${asked}${text}
    <details><summary>Headers (${headers.length})</summary>${fields(headers)}</details></section>`;
}

function lineCard({ function: name, time, text }) {
  const heading = html`<h3>${name} <time>${clock(time)}</time></h3>`;
  let parsed = null;
  try {
    parsed = JSON.parse(text);
  } catch {
    // Lambda's own lines are no JSON.
  }
  if (parsed === null || typeof parsed !== "object") return html`<article class="card">${heading}<pre>${text}</pre></article>`;
  // `_aws` is where CloudWatch finds its metrics: as long as all the rest, and the same in every line.
  const told = Object.entries(parsed).filter(([name]) => name !== "_aws");
  const shown = ([name, value]) => [name, linked(typeof value === "string" ? value : JSON.stringify(value))];
  return html`<article class="card">${heading}${fields(told.map(shown))}
    <details><summary>As written</summary><pre>${text}</pre></details></article>`;
}

// Copy, and send again

const MASK = "…";
/** What a browser or curl writes by itself, or what is about the way here. */
const OWN = /^(accept-encoding|accept-language|connection|content-length|host|origin|priority|referer|sec-.*|upgrade-.*|user-agent|x-amzn-.*|x-forwarded-.*)$/;
const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

const worthSending = (sent) => (sent?.headers ?? []).filter(([name]) => !OWN.test(name));

function curl(request, sent) {
  const headers = worthSending(sent).map(([name, value]) => {
    // What is masked is the reader's to fill in.
    if (name === "authorization" && value === MASK) return `-H "authorization: Bearer $TOKEN"`;
    return `-H ${quoted(`${name}: ${value}`)}`;
  });
  const body = sent?.body ? [`-d ${quoted(JSON.stringify(sent.body))}`] : [];
  return [`curl -i -X ${request.method} ${quoted(location.origin + target(request))}`, ...headers, ...body].join(" \\\n  ");
}

async function copy(request, sent) {
  await navigator.clipboard.writeText(curl(request, sent));
  copied = request.request_id;
  draw();
  setTimeout(() => {
    copied = "";
    draw();
  }, 2000);
}

function openAgain(request, sent) {
  const headers = worthSending(sent).filter(([, value]) => value !== MASK);
  again = again !== null ? null : {
    method: request.method,
    target: target(request),
    headers: headers.map(([name, value]) => `${name}: ${value}`).join("\n"),
    as: caller(request),
    body: sent?.body ? JSON.stringify(sent.body, null, 2) : "",
    answer: "",
  };
  draw();
}

function againForm() {
  const masked = again.body.includes(MASK) || again.target.includes(MASK);
  return html`<form class="again" aria-label="Send again" @submit=${(event) => sendAgain(event).catch((error) => answered(error.message))}>
    <label>Method <input name="method" required .value=${again.method}></label>
    <label class="long">Path <input name="target" required .value=${again.target}></label>
    <label>As <input name="as" autocomplete="username" placeholder="nobody" .value=${again.as}></label>
    <label>Password <input name="password" type="password" autocomplete="current-password"></label>
    <label class="all">Headers <textarea name="headers" rows="3" spellcheck="false" .value=${again.headers}></textarea></label>
    <label class="all">Body <textarea name="body" rows="6" spellcheck="false" .value=${again.body}></textarea></label>
    <p class="all" ?hidden=${!masked}>Passwords and tokens are not kept: write them where there is ${MASK}.</p>
    <button type="submit">Send it</button>
    <p role="status">${again.answer}</p>
  </form>`;
}

function answered(text) {
  if (again !== null) again.answer = text;
  draw();
}

/** Access tokens by account, as long as the page is open. */
const tokens = new Map();

async function tokenOf(as, password) {
  if (tokens.has(as) && password === "") return tokens.get(as);
  const body = JSON.stringify({ [as.includes("@") ? "email" : "username"]: as, password });
  const answer = await fetch("/auth/login", { method: "POST", headers: { "content-type": "application/json" }, body });
  const told = await answer.json();
  if (!answer.ok) throw new Error(`Log in as ${as}: ${answer.status} ${told.detail}`);
  tokens.set(as, told.access_token);
  return told.access_token;
}

async function sendAgain(submitted) {
  submitted.preventDefault();
  const form = Object.fromEntries(new FormData(submitted.target));
  const headers = new Headers();
  for (const line of form.headers.split("\n").filter((line) => line.includes(":"))) {
    const at = line.indexOf(":");
    headers.append(line.slice(0, at).trim(), line.slice(at + 1).trim());
  }
  const as = form.as.trim();
  if (as !== "") headers.set("authorization", `Bearer ${await tokenOf(as, form.password)}`);
  const body = form.body === "" ? undefined : form.body;
  const answer = await fetch(new URL(form.target, location.origin), { method: form.method, headers, body });
  if (answer.status === 401) tokens.delete(as);
  const id = answer.headers.get("apigw-requestid");
  answered(html`Answered <a href=${to("requests", id)}>${answer.status} ${answer.statusText}</a>.`);
}

/** Requests as a part of another page. */
export function requestsPart(title, listed) {
  const sum = (value) => listed.reduce((sum, request) => sum + value(request), 0);
  const columns = [
    { label: "Time" },
    { label: "Request" },
    { label: "Status" },
    { label: "Who", hide: "phone" },
    { label: "ms", number: true },
    { label: "Calls", number: true },
    { label: "Read units", number: true },
    { label: "Write units", number: true },
    { label: "$ a million", number: true, hide: "phone" },
  ];
  const row = (request) => [
    dateAndTime(request.received_at),
    html`<a href=${to("requests", request.request_id)}>${request.method} ${request.route?.split(" ")[1] ?? request.path}</a>`,
    html`<span class=${statusKind(request.status)}>${request.status} ${request.code ?? ""}</span>`,
    named(request.user_id),
    milliseconds(request.duration_ms),
    String(request.operations.length),
    String(request.read_units),
    String(request.write_units),
    request.dollars_per_million.toFixed(2),
  ];
  const total = [
    "Together", "", "", "", milliseconds(sum(({ duration_ms }) => duration_ms)), String(sum(({ operations }) => operations.length)),
    String(sum(({ read_units }) => read_units)), String(sum(({ write_units }) => write_units)),
    sum(({ dollars_per_million }) => dollars_per_million).toFixed(2),
  ];
  return tablePart(title, columns, listed.map(row), "No request about it is remembered.", total);
}
