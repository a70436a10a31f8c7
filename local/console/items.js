// What is in the table, as people know it: lists of each entity, and pages about a product, an order and a user.

import { ask, asked, check, dateAndTime, draw, fields, filters, head, html, linked, links, money, named, nothing, place, repeat, searchField, set, tablePart, to } from "./page.js";
import { requestsPart } from "./requests.js";

export const title = "Items";

/** What a person sees first of each, and under which name; all else follows by its own name. */
const KNOWN = {
  Products: { name: "Name", sku: "SKU", price: "Price", quantity: "On the shelf", reserved: "Reserved", shipped: "Sold", updated_at: "Updated", id: "Id" },
  Orders: { id: "Order", status: "Status", customer_id: "Customer", item_count: "Items", total: "Total", created_at: "Created", updated_at: "Updated" },
  Users: { username: "Username", email: "E-mail address", role: "Role", is_active: "Active", email_verified: "Verified", created_at: "Created", id: "Id" },
  Movements: { created_at: "Time", id: "Product", kind: "Kind", amount: "Amount", reason: "Reason", by: "By" },
  Stock: { id: "Product", part: "Shard", quantity: "On the shelf", reserved: "Reserved", shipped: "Sold", received: "Received", updated_at: "Updated" },
};
/** What these lists leave out: it is on the page of each, or below *As stored*. */
const COMPLETE = Object.keys(KNOWN);
/** What is stored in minor units. */
const MONEY = ["price", "total"];

/** What was read last, and for which place; or why it could not be. */
let told = null;
let reading = "";
let timer;

/** Reads what the place asks for, unless that is what was read last; typing waits for its end. */
export async function poll() {
  const { what, id, parameters } = place();
  const asks = JSON.stringify([what, id, parameters]);
  if (asks === reading) return;
  reading = asks;
  clearTimeout(timer);
  const wait = told !== null && id === null && told.id === null && told.what === what ? 150 : 0;
  timer = setTimeout(() => read(asks, what, id, parameters), wait);
}

async function read(asks, what, id, parameters) {
  let answer = null;
  let wrong = null;
  const entity = what ?? "Products";
  try {
    const { search = "", sort = "", descending = "false", stored = "false" } = parameters;
    const list = await ask(asked("items", id === null ? { entity, search, sort, descending, stored } : {}));
    answer = id === null ? list : { ...list, page: await ask(`items/${encodeURIComponent(entity.toLowerCase())}/${encodeURIComponent(id)}`) };
  } catch (error) {
    wrong = error.message || "There is none.";
  }
  // Whoever looks may have gone on meanwhile.
  if (asks !== reading) return;
  told = { ...(answer ?? { entities: told?.entities }), entity, what, id, parameters, wrong };
  draw();
}

export function forget() {
  reading = "";
}

function readAgain() {
  reading = "";
  poll();
}

export function view({ what, id, parameters }) {
  const entity = what ?? "Products";
  const entities = (told?.entities ?? []).filter(({ name, count }) => count > 0 || name !== "Others");
  const link = ({ name, count }) => html`<li><a href=${to("items", name)} aria-current=${name === entity ? "true" : nothing}>
    <span>${name}</span> <span class="count">${count}</span></a></li>`;
  return html`<nav aria-label="Entities"><ul id="entities">${entities.map(link)}</ul></nav>
    <div class="items">${told === null ? nothing : id === null ? list(entity, parameters) : page(entity, id)}</div>`;
}

const again = html`<button type="button" @click=${readAgain}>Read again</button>`;

function list(entity, { search, stored }) {
  const bar = filters("Items", searchField(search, "id, name, text"), check("As stored", "stored", stored), html`<span class="buttons">${again}</span>`);
  // Until it is read, there is nothing to say of it.
  const { rows = [], found = 0, wrong } = told.entity === entity && told.id === null ? told : { wrong: "" };
  const counted = found === 0 ? "There are none." : rows.length < found ? `The first ${rows.length} of ${found}` : String(found);
  const about = wrong === null ? counted : wrong === "" ? "" : `It cannot be read: ${wrong}`;
  const columns = columnsOf(stored === "true" ? null : entity, rows);
  // As it was when the rows were read.
  const { sort = "", descending } = told.parameters;
  const sorted = { by: sort, descending: descending === "true", change: (sort, descending) => set({ sort, descending }) };
  const key = (row) => `${row.id ?? row.pk} ${row.part ?? row.sk ?? ""}`;
  const one = (row) => html`<tr>${columns.map((column) => valueCell(entity, column, row))}</tr>`;
  return html`${bar}
    <section class="scroll" tabindex="0" aria-labelledby="entity-title">
      <h2 id="entity-title">${entity}</h2>
      <p class="about">${about}</p>
      <table class="rows" aria-labelledby="entity-title" ?hidden=${rows.length === 0}>
        ${head(columns, sorted)}
        <tbody>${repeat(rows, key, one)}</tbody>
      </table>
    </section>`;
}

/** The columns that people know first; keys first and times last among the others. */
function columnsOf(entity, rows) {
  const known = KNOWN[entity] ?? { id: "Of" };
  const rank = (name) => (/^(id|pk)$/.test(name) ? 0 : /^(part|sk)$/.test(name) ? 1 : name.startsWith("gsi") ? 4 : name.endsWith("_at") ? 3 : 2);
  const others = [...new Set(rows.flatMap(Object.keys))].filter((name) => !Object.hasOwn(known, name));
  others.sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
  const names = [...Object.keys(known).filter((name) => rows.some((row) => name in row)), ...(COMPLETE.includes(entity) ? [] : others)];
  const number = (name) => !name.endsWith("_at") && rows.every((row) => ["number", "undefined"].includes(typeof row[name]));
  return names.map((name) => ({ name, label: known[name] ?? name, sort: name, number: number(name) }));
}

function valueCell(entity, { name, number }, row) {
  const value = row[name];
  const kind = number ? "number" : "";
  if (value === undefined || value === null) return html`<td class=${kind}></td>`;
  if (MONEY.includes(name) && typeof value === "number") return html`<td class=${kind} title=${value}>${money(value)}</td>`;
  // Whatever DynamoDB expires by is in seconds.
  if (name.endsWith("_at") && typeof value === "number") return html`<td title=${value}>${dateAndTime(name === "expires_at" ? value * 1000 : value)}</td>`;
  if (typeof value === "number") return html`<td class=${kind}>${value}</td>`;
  if (typeof value === "boolean") return html`<td>${value ? "yes" : "no"}</td>`;
  if (typeof value !== "string") return html`<td title=${JSON.stringify(value)}>${linked(JSON.stringify(value))}</td>`;
  // The name of something leads to it as its id does.
  const its = ["name", "username"].includes(name) && links[row.id]?.entity === entity;
  if (its) return html`<td title=${value}><a href=${to("items", entity, row.id)}>${value}</a></td>`;
  if (name === "id" && links[value]?.entity === entity) return html`<td title=${value}>${linked(value)}</td>`;
  return html`<td title=${value}>${links[value] === undefined ? linked(value) : named(value)}</td>`;
}

// Pages

const PAGES = { Products: productPage, Orders: orderPage, Users: userPage };

function page(entity, id) {
  const back = html`<p class="way"><a id="close" href=${to("items", entity)}>All ${entity.toLowerCase()}</a>${again}</p>`;
  const { page: its, wrong } = told.id === id ? told : {};
  const { title, about, parts } = its === undefined || wrong !== null ? { title: id, about: wrong ?? "", parts: nothing } : PAGES[entity](its, id);
  return html`<section class="scroll" id="item-page" tabindex="0" aria-labelledby="entity-title">
    ${back}<h2 id="entity-title">${title}</h2><p class="about">${about}</p>${parts}
  </section>`;
}

const column = (label) => (label.startsWith("#") ? { label: label.slice(1), number: true } : { label });
const columns = (...labels) => labels.map(column);
const tile = (name, count, about) => html`<div class="tile"><dt>${name}</dt><dd>${count}</dd><dd class="quiet">${about}</dd></div>`;

function productPage({ product, pieces, stock, orders, movements }, id) {
  const { quantity, reserved, shipped, received } = pieces;
  const tiles = html`<dl class="tiles" aria-label="Where its pieces are">
    ${tile("On the shelf", quantity, "can be sold")}${tile("Reserved", reserved, "orders wait for them")}
    ${tile("Sold", shipped, "have left")}${tile("Received", received, "in all")}</dl>`;
  const kinds = ["received", "quantity", "reserved", "shipped"];
  const shards = stock.map((shard) => [String(Number(shard.shard)), ...kinds.map((kind) => String(shard[kind]))]);
  const held = orders.map(({ order_id, status, customer_id, updated_at, quantity, pieces }) => [
    `${quantity} ${pieces}`, named(customer_id), status, dateAndTime(updated_at), named(order_id),
  ]);
  const moved = movements.map(({ created_at, kind, amount, reason, by }) => [
    dateAndTime(created_at), kind, amount > 0 ? `+${amount}` : String(amount), reason, named(by),
  ]);
  const parts = html`${tiles}
    ${tablePart("Orders that have some", columns("Pieces", "Customer", "Status", "Since", "Order"), held, "No order has any.")}
    ${tablePart("Movements", columns("Time", "Kind", "#Amount", "Reason", "By"), moved, "There are none.")}
    ${tablePart("Shards", columns("Shard", "#Received", "#On the shelf", "#Reserved", "#Sold"), shards, "It has no stock.")}
    <p class="way"><a href=${to("events", null, null, { search: id })}>Events about it</a></p>`;
  if (product === null) return { title: id, about: "It is no longer in the shop.", parts };
  const low = product.low_stock_at === undefined ? [] : [["Low at", String(product.low_stock_at)]];
  const facts = fields([["Price", money(product.price)], ["SKU", product.sku ?? "none"], ["Id", id], ...low, ["Description", product.description]]);
  return { title: product.name, about: "", parts: html`${facts}${parts}` };
}

function orderPage({ order, requests }, id) {
  // Ids begin with their time, and versions count up.
  const lines = Object.entries(order.lines ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
  const history = Object.entries(order.history ?? {}).sort(([a], [b]) => a - b);
  const listed = lines.map(([, { product_id, quantity, price, shard }]) => [
    named(product_id), String(quantity), money(price), money(quantity * price), shard === undefined ? "" : String(shard),
  ]);
  const lost = (products) => html`<ul>${products.map((id) => html`<li>${named(id)}</li>`)}</ul>`;
  const placed = [dateAndTime(order.created_at), "placed", named(order.customer_id), "", "", ""];
  const changes = history.map(([, { at, from, to, by, reason, stock, not_restocked }]) => [
    dateAndTime(at), `${from} → ${to}`, named(by, "the shop"), reason, stock, not_restocked && lost(not_restocked),
  ]);
  const facts = [
    ["Status", order.status], ["Customer", named(order.customer_id)], ["Total", money(order.total)],
    ["Created", dateAndTime(order.created_at)], ["Updated", dateAndTime(order.updated_at)],
  ];
  const metadata = Object.entries(order.metadata ?? {});
  return { title: `Order ${id}`, about: "", parts: html`
    ${fields(facts)}
    ${metadata.length === 0 ? nothing : html`<section><h3>Metadata</h3>${fields(metadata)}</section>`}
    ${tablePart("Lines", columns("Product", "#Quantity", "#Price", "#Line total", "#Shard"), listed, "It has none.")}
    ${tablePart("Timeline", columns("Time", "Status", "By", "Reason", "Effect on stock", "Not restocked"), [placed, ...changes], "")}
    ${requestsPart("What it cost", requests)}
    <p class="way"><a href=${to("events", null, null, { search: id })}>Events about it</a></p>` };
}

function userPage({ user, orders }, id) {
  const yes = (is) => (is ? "yes" : "no");
  const facts = [
    ["E-mail address", user.email], ["Verified", yes(user.email_verified)], ["Role", user.role], ["Active", yes(user.is_active)],
    ["Created", dateAndTime(user.created_at)], ["Id", id],
  ];
  const listed = orders.map((order) => [named(order.id), order.status, String(order.item_count), money(order.total), dateAndTime(order.updated_at)]);
  return { title: user.username ?? id, about: "", parts: html`
    ${fields(facts)}
    <p class="way"><a href=${to("requests", null, null, { who: id })}>Requests of theirs</a>
      <a href=${to("mails", null, null, { search: user.email })}>Mails to them</a>
      <a href=${to("events", null, null, { search: id })}>Events about them</a></p>
    ${tablePart("Orders", columns("Order", "Status", "#Items", "#Total", "Updated"), listed, "There are none.")}` };
}
