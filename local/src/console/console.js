// Asks once a second what is new and shows it. What others wrote only ever becomes text, never markup.
"use strict";

const SHOWN = 200;
const EVERY = 1000;

const byId = (id) => document.getElementById(id);

/** How many requests the page has been told of; 0 asks for the latest of all. */
let seen = 0;
/** The request whose lines are shown, and what of them is on the page. */
let selected = null;
let shownLines = "";
/** What the table held when it was last read. */
let entities = [];

function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

async function ask(path) {
  const answer = await fetch(`/_local/${path}`);
  if (!answer.ok) throw new Error((await answer.text()) || `${answer.status}`);
  return answer.json();
}

const pad = (number, digits) => String(number).padStart(digits, "0");

function clock(millis) {
  const time = new Date(millis);
  return [time.getHours(), time.getMinutes(), time.getSeconds()].map((part) => pad(part, 2)).join(":");
}

function dateAndTime(millis) {
  const time = new Date(millis);
  return `${time.getFullYear()}-${pad(time.getMonth() + 1, 2)}-${pad(time.getDate(), 2)} ${clock(millis)}`;
}

// Requests

function requestRow(request) {
  const link = element("a", { href: `#requests/${encodeURIComponent(request.request_id)}`, title: request.path }, request.path);
  const number = (text, extra = {}) => element("td", { class: "number", ...extra }, text);
  const units = (count) => (count === 0 ? "" : String(count));
  const start = request.function === null ? "" : request.cold ? "cold" : "warm";
  const kind = request.status < 400 ? "fine" : request.status < 500 ? "refused" : "failed";
  return element(
    "tr",
    { "data-id": request.request_id },
    element("td", {}, clock(request.received_at)),
    element("td", {}, request.method),
    element("td", { class: "path" }, link),
    element("td", { class: `number ${kind}` }, String(request.status)),
    element("td", {}, request.function ?? ""),
    element("td", { class: start }, start),
    number(request.duration_ms.toFixed(1)),
    number(units(request.operations.length), { title: request.operations.join(", ") }),
    number(units(request.read_units)),
    number(units(request.write_units)),
    number(request.dollars_per_million.toFixed(2)),
  );
}

async function pollRequests() {
  const { total, requests } = await ask(`requests?after=${seen}`);
  const rows = byId("request-rows");
  // Fewer than before: it is another shop at the same address.
  if (total < seen) {
    seen = 0;
    events.clear();
    eventsSeen = 0;
    mails.clear();
    mailsSeen = 0;
    return pollRequests();
  }
  if (seen === 0) rows.replaceChildren();
  seen = total;
  if (requests.length === 0) return;
  rows.prepend(...requests.map(requestRow).reverse());
  while (rows.rows.length > SHOWN) rows.deleteRow(-1);
  byId("no-requests").hidden = true;
  markSelected();
}

function markSelected() {
  for (const row of byId("request-rows").rows) {
    const link = row.querySelector("a");
    if (row.dataset.id === selected) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}

/** Names, each with its value. */
function fields(pairs) {
  const text = (value) => (typeof value === "string" ? value : JSON.stringify(value));
  const one = ([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, text(value)));
  return element("dl", {}, ...pairs.map(one));
}

function lineCard(line) {
  const title = element("h3", {}, line.function, " ", element("time", {}, clock(line.time)));
  const raw = element("pre", {}, line.text);
  let parsed = null;
  try {
    parsed = JSON.parse(line.text);
  } catch {
    // Lambda's own lines are no JSON.
  }
  if (parsed === null || typeof parsed !== "object") return element("article", {}, title, raw);
  const written = element("details", {}, element("summary", {}, "As written"), raw);
  // `_aws` is where CloudWatch finds its metrics: as long as all the rest, and the same in every line.
  const told = Object.entries(parsed).filter(([name]) => name !== "_aws");
  return element("article", {}, title, fields(told), written);
}

/** Lines may come a moment after their request's answer, so this is asked again while a request is selected. */
async function pollLines() {
  const asked = selected;
  if (asked === null) return;
  const answer = await fetch(`/_local/requests/${encodeURIComponent(asked)}/lines`);
  const found = answer.ok ? await answer.json() : null;
  const text = JSON.stringify([asked, found]);
  if (asked !== selected || text === shownLines) return;
  shownLines = text;
  if (found === null) {
    byId("request-title").textContent = "This request is no longer remembered.";
    byId("request-about").textContent = asked;
    byId("request-lines").replaceChildren();
    return;
  }
  const { request, lines } = found;
  byId("request-title").textContent = `${request.method} ${request.path} ${request.status}`;
  const calls = request.operations.length === 0 ? "no call to DynamoDB" : request.operations.join(", ");
  byId("request-about").textContent = `${request.request_id} · ${calls}`;
  const cards = lines.length === 0 ? [element("p", { class: "empty" }, "No function has written about it.")] : lines.map(lineCard);
  byId("request-lines").replaceChildren(...cards);
}

// Events

/** Events by their number, as far as the page has been told of them. */
const events = new Map();
/** How many events there have been. */
let eventsSeen = 0;
/** How many of the latest are asked for again, because who was told of them may have answered since. */
const ASKED_AGAIN = 50;
/** How many the page keeps, to filter. */
const REMEMBERED = 2000;
/** The number of the event that is shown, and what is on the page of it and of the list. */
let selectedEvent = null;
let shownEvent = "";
let shownEvents = "";

/** What the last attempt to tell of an event came to, for each rule. */
function toldOf({ deliveries }) {
  const last = new Map(deliveries.map(({ rule, answer }) => [rule, answer]));
  return [...last.values()].join(", ");
}

const wasTold = ({ answer }) => /^2\d\d$/.test(answer);

async function pollEvents() {
  for (const record of await ask(`events?after=${Math.max(0, eventsSeen - ASKED_AGAIN)}`)) {
    events.set(record.number, record);
    eventsSeen = record.number + 1;
  }
  for (const number of events.keys()) if (number < eventsSeen - REMEMBERED) events.delete(number);
  showEvents();
}

function eventRow(record) {
  const { number, at, event, deliveries } = record;
  const link = element("a", { href: `#events/${number}`, title: event.subject }, event.subject);
  if (number === selectedEvent) link.setAttribute("aria-current", "true");
  const failed = deliveries.length > 0 && !wasTold(deliveries[deliveries.length - 1]);
  return element(
    "tr",
    {},
    element("td", {}, clock(at)),
    element("td", {}, event.type),
    element("td", { class: "path" }, link),
    element("td", { class: "number" }, String(event.version)),
    element("td", { class: failed ? "failed" : "" }, toldOf(record)),
  );
}

/** Shows those that pass the filters, and the types that there are to choose from. */
function showEvents() {
  const all = [...events.values()].reverse();
  const types = [...new Set(all.map(({ event }) => event.type))].sort();
  const choice = byId("event-type");
  const listed = [...choice.options].map((option) => option.value).filter((value) => value !== "");
  for (const type of types) if (!listed.includes(type)) choice.append(element("option", { value: type }, type));
  const subject = byId("event-subject").value.trim();
  const passes = ({ event }) => (choice.value === "" || event.type === choice.value) && event.subject.includes(subject);
  const shown = all.filter(passes).slice(0, SHOWN);
  const text = JSON.stringify([selectedEvent, shown]);
  if (text === shownEvents) return;
  shownEvents = text;
  byId("event-rows").replaceChildren(...shown.map(eventRow));
  byId("no-events").textContent = all.length === 0 ? "No event yet." : "No event is like this.";
  byId("no-events").hidden = shown.length > 0;
}

async function pollEvent() {
  const asked = selectedEvent;
  if (asked === null) return;
  const answer = await fetch(`/_local/events/${asked}`);
  const record = answer.ok ? await answer.json() : null;
  const text = JSON.stringify([asked, record]);
  if (asked !== selectedEvent || text === shownEvent) return;
  shownEvent = text;
  byId("send-again").hidden = record === null || record.deliveries.length === 0;
  if (record === null) {
    byId("event-title").textContent = "This event is no longer remembered.";
    byId("event-about").textContent = "";
    byId("event-parts").replaceChildren();
    return;
  }
  const { event, deliveries, at } = record;
  byId("event-title").textContent = event.type;
  byId("event-about").textContent = `${event.id} · ${dateAndTime(at)}`;
  const told = deliveries.map(({ at, rule, url, answer }) => [dateAndTime(at), answer, rule, url]);
  byId("event-parts").replaceChildren(
    tablePart("Told", ["Time", "Answer", "Rule", "URL"], told, "No rule sends it anywhere."),
    element("section", {}, element("h3", {}, "Event"), element("pre", {}, JSON.stringify(event, null, 2))),
  );
}

async function sendAgain() {
  if (selectedEvent === null) return;
  await fetch(`/_local/events/${selectedEvent}/send`, { method: "POST" });
  await pollEvent();
}

// Mail

/** Mails by their number, as far as the page has been told of them. */
const mails = new Map();
/** How many mails there have been. */
let mailsSeen = 0;
/** The number of the mail that is shown, and what is on the page of the list. */
let selectedMail = null;
let shownMails = "";
let shownMail = "";

async function pollMails() {
  for (const mail of await ask(`mails?after=${mailsSeen}`)) {
    mails.set(mail.number, mail);
    mailsSeen = mail.number + 1;
  }
  for (const number of mails.keys()) if (number < mailsSeen - REMEMBERED) mails.delete(number);
  showMails();
}

function mailRow({ number, at, to, subject }) {
  const link = element("a", { href: `#mails/${number}`, title: subject }, subject);
  if (number === selectedMail) link.setAttribute("aria-current", "true");
  return element("tr", {}, element("td", {}, clock(at)), element("td", { title: to }, to), element("td", { class: "path" }, link));
}

function showMails() {
  const shown = [...mails.values()].reverse().slice(0, SHOWN);
  const text = JSON.stringify([selectedMail, shown.map(({ number }) => number)]);
  if (text !== shownMails) {
    shownMails = text;
    byId("mail-rows").replaceChildren(...shown.map(mailRow));
    byId("no-mails").hidden = shown.length > 0;
  }
  showMail();
}

function showMail() {
  const mail = mails.get(selectedMail) ?? null;
  const text = JSON.stringify([selectedMail, mail]);
  if (text === shownMail) return;
  shownMail = text;
  byId("mail-title").textContent = mail?.subject ?? "This mail is not remembered.";
  byId("mail-about").textContent = mail === null ? "" : `${mail.to} · ${dateAndTime(mail.at)}`;
  byId("mail-text").textContent = mail?.text ?? "";
  const links = (mail?.text ?? "").match(/https?:\/\/\S+/g) ?? [];
  byId("mail-links").replaceChildren(...links.map((url) => element("a", { href: url }, url)));
  byId("mail-html").src = mail === null ? "about:blank" : `/_local/mails/${mail.number}/html`;
}

/** What links in mails lead to here: what the page of a shop would ask, and send to the API. */
const TOKENS = {
  verification: { title: "Verify an e-mail address", about: "PUT /auth/verification" },
  recovery: { title: "Set another password", about: "PUT /auth/recovery" },
};
/** The purpose and the token that the page was opened with. */
let mailed = null;

function showToken() {
  const [, purpose, token] = location.hash.match(/^#(verification|recovery)=(.+)$/) ?? [];
  mailed = purpose === undefined ? null : { purpose, token };
  if (mailed === null) return;
  byId("token-title").textContent = TOKENS[purpose].title;
  byId("token-about").textContent = TOKENS[purpose].about;
  byId("token-password").hidden = purpose !== "recovery";
  byId("token-answer").textContent = "";
}

async function redeem(submitted) {
  submitted.preventDefault();
  if (mailed === null) return;
  const { purpose, token } = mailed;
  const body = purpose === "recovery" ? { token, new_password: byId("new-password").value } : { token };
  const headers = { "content-type": "application/json" };
  const answer = await fetch(`/auth/${purpose}`, { method: "PUT", headers, body: JSON.stringify(body) });
  const problem = answer.ok ? null : await answer.json();
  byId("token-answer").textContent = answer.ok ? "Done." : `${answer.status}: ${problem.detail}`;
}

// Items

/** The entities of which each has a page, and how that is made of what the server tells. */
const PAGES = { Products: productPage, Orders: orderPage };
/** What a row of a list shows of money, which is stored in minor units. */
const MONEY = ["price", "total"];

const money = (minor) => (minor / 100).toFixed(2);

function linkTo(entity, id, text) {
  return element("a", { href: `#items/${encodeURIComponent(entity)}/${encodeURIComponent(id)}` }, text);
}

function cell(name, value) {
  if (value === undefined) return element("td", {});
  if (typeof value === "number" && MONEY.includes(name)) {
    return element("td", { class: "number", title: String(value) }, money(value));
  }
  if (typeof value === "number" && name.endsWith("_at")) {
    // Whatever DynamoDB expires by is in seconds.
    const millis = name === "expires_at" ? value * 1000 : value;
    return element("td", { title: String(value) }, dateAndTime(millis));
  }
  if (typeof value === "number") return element("td", { class: "number" }, String(value));
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return element("td", { title: text }, text);
}

/** Keys first; times and the keys of indexes last. */
function columns(items) {
  const rank = (name) => (name === "pk" ? 0 : name === "sk" ? 1 : name.startsWith("gsi") ? 4 : name.endsWith("_at") ? 3 : 2);
  const names = [...new Set(items.flatMap(Object.keys))];
  return names.sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
}

function itemRow(item, names, leads) {
  const link = () => element("td", { title: item.pk }, linkTo(leads.to, item.pk.slice(leads.behind.length), item.pk));
  return element("tr", {}, ...names.map((name) => (name === "pk" && leads !== null ? link() : cell(name, item[name]))));
}

function showItems() {
  const [, wanted, id] = place();
  const known = entities.filter((entity) => entity.count > 0 || entity.name !== "Others");
  const entity = known.find((entity) => entity.name === wanted) ?? known[0];
  if (entity === undefined) return;
  const links = known.map(({ name, count }) => {
    const link = element("a", { href: `#items/${encodeURIComponent(name)}` }, name, " ", element("span", { class: "count" }, String(count)));
    if (name === entity.name) link.setAttribute("aria-current", "true");
    return element("li", {}, link);
  });
  byId("entities").replaceChildren(...links);
  if (id && Object.hasOwn(PAGES, entity.name)) readPage(entity.name, id);
  else showList(entity);
}

function showList(entity) {
  const some = entity.items.length < entity.count;
  const about = entity.count === 0 ? "There are none." : some ? `The first ${entity.items.length} of ${entity.count}` : "";
  showTitle(entity.name, about);
  const names = columns(entity.items);
  const number = (name) => !name.endsWith("_at") && entity.items.every((item) => ["number", "undefined"].includes(typeof item[name]));
  const heads = names.map((name) => element("th", { scope: "col", class: number(name) ? "number" : "" }, name));
  byId("item-names").replaceChildren(...(names.length === 0 ? [] : [element("tr", {}, ...heads)]));
  byId("item-rows").replaceChildren(...entity.items.map((item) => itemRow(item, names, entity.leads)));
}

/** Shows of which things the rest tells: of a list, or of parts of a page if there are any. */
function showTitle(title, about, parts = null) {
  byId("entity-title").textContent = title;
  byId("entity-about").textContent = about;
  byId("item-list").hidden = parts !== null;
  byId("item-page").hidden = parts === null;
  byId("item-page").replaceChildren(...(parts ?? []));
}

/** Reads one product or order and shows its page, with a way back to the list. */
async function readPage(entity, id) {
  const asked = location.hash;
  const back = element("p", {}, element("a", { href: `#items/${entity}` }, `All ${entity.toLowerCase()}`));
  let title = id;
  let about = "";
  let parts = [];
  try {
    const told = await ask(`items/${entity.toLowerCase()}/${encodeURIComponent(id)}`);
    ({ title, about, parts } = PAGES[entity](told, id));
  } catch (error) {
    about = error.message;
  }
  // Whoever looks may have gone on meanwhile.
  if (location.hash === asked) showTitle(title, about, [back, ...parts]);
}

/**
 * A table below a heading that names it, or what is said if it has no rows. Names that begin with `#` are of columns of numbers;
 * the first cell of each row names the row.
 */
function tablePart(title, names, rows, none) {
  const id = `part-${title.toLowerCase()}`;
  const heading = element("h3", { id }, title);
  if (rows.length === 0) return element("section", {}, heading, element("p", {}, none));
  const kind = names.map((name) => (name.startsWith("#") ? "number" : ""));
  const heads = names.map((name, at) => element("th", { scope: "col", class: kind[at] }, name.replace(/^#/, "")));
  const cells = (row) =>
    row.map((value, at) => element(at === 0 ? "th" : "td", { class: kind[at], ...(at === 0 && { scope: "row" }) }, value ?? ""));
  const head = element("thead", {}, element("tr", {}, ...heads));
  const body = element("tbody", {}, ...rows.map((row) => element("tr", {}, ...cells(row))));
  return element("section", {}, heading, element("table", { "aria-labelledby": id }, head, body));
}

function productPage({ product, stock, movements }, id) {
  const kinds = ["received", "quantity", "reserved", "shipped"];
  const shards = stock.map((shard) => [Number(shard.shard), ...kinds.map((kind) => shard[kind])]);
  if (shards.length > 0) shards.push(["Total", ...kinds.map((kind) => stock.reduce((sum, shard) => sum + shard[kind], 0))]);
  const moved = movements.map(({ created_at, kind, amount, reason, by }) => [
    dateAndTime(created_at), kind, amount > 0 ? `+${amount}` : amount, reason, by,
  ]);
  const parts = [
    tablePart("Books", ["Shard", "#Received", "#Quantity", "#Reserved", "#Shipped"], shards, "It has no stock."),
    tablePart("Movements", ["Time", "Kind", "#Amount", "Reason", "By"], moved, "There are none."),
  ];
  if (product === null) return { title: id, about: "It is no longer in the shop.", parts };
  const facts = fields([["SKU", product.sku ?? "none"], ["Price", money(product.price)]]);
  return { title: product.name, about: id, parts: [facts, ...parts] };
}

function orderPage({ order, names }, id) {
  const product = (id) => linkTo("Products", id, names[id] ?? id);
  // Ids begin with their time, and versions count up.
  const lines = Object.entries(order.lines ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
  const history = Object.entries(order.history ?? {}).sort(([a], [b]) => a - b);
  const listed = lines.map(([, { product_id, quantity, price, shard }]) => [
    product(product_id), quantity, money(price), money(quantity * price), shard,
  ]);
  const lost = (products) => element("ul", {}, ...products.map((id) => element("li", {}, product(id))));
  const timeline = ["Time", "Status", "By", "Reason", "Effect on stock", "Not restocked"];
  const changes = history.map(([, { at, from, to, by, reason, stock, not_restocked }]) => [
    dateAndTime(at), `${from} → ${to}`, by ?? "the shop", reason, stock, not_restocked && lost(not_restocked),
  ]);
  const facts = [
    ["Status", order.status],
    ["Customer", order.customer_id],
    ["Total", money(order.total)],
    ["Created", dateAndTime(order.created_at)],
    ["Updated", dateAndTime(order.updated_at)],
  ];
  const metadata = Object.entries(order.metadata ?? {});
  return {
    title: `Order ${id}`,
    about: "",
    parts: [
      fields(facts),
      ...(metadata.length === 0 ? [] : [element("section", {}, element("h3", {}, "Metadata"), fields(metadata))]),
      tablePart("Lines", ["Product", "#Quantity", "#Price", "#Line total", "#Shard"], listed, "It has none."),
      tablePart("Timeline", timeline, changes, "Its status has not changed."),
    ],
  };
}

async function readItems() {
  try {
    ({ entities } = await ask("items"));
    showItems();
  } catch (error) {
    byId("entity-title").textContent = "The items cannot be read";
    byId("entity-about").textContent = error.message;
  }
}

// The page

/** `#items/Orders/7` as `["items", "Orders", "7"]`; what is not there is `null`. */
function place() {
  const [view, what = null, id = null] = location.hash.slice(1).split("/").map(decodeURIComponent);
  if (mailed !== null) return ["token", null, null];
  return [["items", "events", "mails"].includes(view) ? view : "requests", what, id];
}

function show() {
  showToken();
  const [view, what] = place();
  const changed = byId(view).hidden;
  for (const name of ["requests", "events", "mails", "items", "token"]) {
    byId(name).hidden = name !== view;
    if (name === "token") continue;
    if (name === view) byId(`to-${name}`).setAttribute("aria-current", "page");
    else byId(`to-${name}`).removeAttribute("aria-current");
  }
  selected = view === "requests" ? what : null;
  byId("request").hidden = selected === null;
  markSelected();
  selectedEvent = view === "events" && what !== null && what !== "" ? Number(what) : null;
  byId("event").hidden = selectedEvent === null;
  showEvents();
  selectedMail = view === "mails" && what !== null && what !== "" ? Number(what) : null;
  byId("mail").hidden = selectedMail === null;
  showMails();
  byId("entity").scrollTop = 0;
  if (view === "items" && changed) readItems();
  else if (view === "items") showItems();
  pollLines().catch(() => {});
  pollEvent().catch(() => {});
}

async function poll() {
  const state = byId("state");
  const say = (text) => {
    // Said again, it would be read out again.
    if (state.textContent !== text) state.textContent = text;
    state.className = text === "Live" ? "live" : "away";
  };
  try {
    await pollRequests();
    await pollLines();
    await pollEvents();
    await pollEvent();
    await pollMails();
    say("Live");
  } catch {
    seen = 0;
    say("The shop does not answer");
  }
  setTimeout(poll, EVERY);
}

addEventListener("hashchange", show);
byId("reload").addEventListener("click", readItems);
byId("event-filter").addEventListener("input", showEvents);
byId("event-filter").addEventListener("submit", (submitted) => submitted.preventDefault());
byId("token-form").addEventListener("submit", (submitted) => redeem(submitted).catch(() => {}));
byId("send-again").addEventListener("click", () => sendAgain().catch(() => {}));
show();
poll();
