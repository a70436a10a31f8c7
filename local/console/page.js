// What all views are made of: the address, answers, formats, links and tables. What others wrote only ever becomes text, never markup.

import { html, nothing } from "./lit-html/lit-html.js";
import { repeat } from "./lit-html/directives/repeat.js";

export { html, nothing, repeat };

// Drawing

let drawPage = () => {};
let due = false;

/** Who draws the page when something has changed. */
export function drawWith(draw) {
  drawPage = draw;
}

/** Draws the page anew, once for all that changes until then. */
export function draw() {
  if (due) return;
  due = true;
  queueMicrotask(() => {
    due = false;
    drawPage();
  });
}

// Asking

export async function ask(path, options) {
  const answer = await fetch(`/_local/${path}`, options);
  if (!answer.ok) throw new Error((await answer.text()) || `${answer.status}`);
  const told = await answer.json();
  Object.assign(links, told.links);
  return told;
}

export const asked = (path, parameters) => `${path}?${new URLSearchParams(parameters)}`;

// The address

/** `#items/Orders/7?search=a` as view, what, id and parameters; what is not there is `null`. */
export function place() {
  const [path, query = ""] = location.hash.slice(1).split(/\?(.*)/s);
  const [view, what = null, id = null] = path.split("/").map(decoded);
  return { view, what: what || null, id: id || null, parameters: Object.fromEntries(new URLSearchParams(query)) };
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Where that is: parts that are `null` and parameters that are empty are left out. With the page's path, so that it is no link within it. */
export function to(view, what = null, id = null, parameters = {}) {
  const parts = [view, what, id].filter((part) => part !== null).map(encodeURIComponent);
  const query = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value !== "" && value !== false));
  return `${location.pathname}#${parts.join("/")}${query.size === 0 ? "" : `?${query}`}`;
}

/** Changes a parameter of the place, which is no other place to go back from. */
export function set(changes) {
  const { view, what, id, parameters } = place();
  history.replaceState(null, "", to(view || "requests", what, id, { ...parameters, ...changes }));
  dispatchEvent(new HashChangeEvent("hashchange"));
}

// Formats

const pad = (number, digits) => String(number).padStart(digits, "0");

export function clock(millis) {
  const time = new Date(millis);
  return [time.getHours(), time.getMinutes(), time.getSeconds()].map((part) => pad(part, 2)).join(":");
}

export function dateAndTime(millis) {
  const time = new Date(millis);
  return `${time.getFullYear()}-${pad(time.getMonth() + 1, 2)}-${pad(time.getDate(), 2)} ${clock(millis)}`;
}

export const money = (minor) => (minor / 100).toFixed(2);
/** A mean or a number of units, without digits that say nothing. */
export const short = (number) => String(Math.round(number * 100) / 100);
export const milliseconds = (number) => (number === null ? "" : number.toFixed(1));
export const statusKind = (status) => (status < 400 ? "fine" : status < 500 ? "refused" : "failed");

// Links

/** What is known of ids: their entities and names. */
export const links = {};

const ID = /([0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})/;

/** The name of what has this id, as a link to its page; the id itself if it has no name, and no link if it has no page. */
export function named(id, nobody = "") {
  if (id === null || id === undefined) return nobody;
  const link = links[id];
  return link === undefined ? id : html`<a href=${to("items", link.entity, id)} title=${id}>${link.name ?? id}</a>`;
}

/** A text in which every known id leads to its page. */
export function linked(text) {
  return text.split(ID).map((part, at) => {
    const link = at % 2 === 1 ? links[part] : undefined;
    return link === undefined ? part : html`<a href=${to("items", link.entity, part)} title=${link.name ?? nothing}>${part}</a>`;
  });
}

/** A value as JSON, with its ids as links. */
export const json = (value) => html`<pre>${linked(JSON.stringify(value, null, 2))}</pre>`;

// Parts

/** Names, each with its value. */
export const fields = (pairs) => html`<dl>${pairs.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value ?? ""}</dd></div>`)}</dl>`;

/**
 * The head of a table. A column is `{ name, label, number, hide, sort }`: `hide` is the width below which it has no room, `sort` what
 * it is sorted by, if `sorted` says how that is done: `{ by, descending, change }`.
 */
export function head(columns, sorted = null) {
  const cell = ({ label, number, hide, width, sort }) => {
    const kind = [number && "number", hide && `hide-${hide}`, width && `w-${width}`].filter(Boolean).join(" ");
    if (sorted === null || sort === undefined) return html`<th scope="col" class=${kind}>${label}</th>`;
    const is = sorted.by === sort;
    const order = is ? (sorted.descending ? "descending" : "ascending") : nothing;
    // Numbers and times begin with the largest.
    const change = () => sorted.change(sort, is ? !sorted.descending : number === true);
    const mark = is ? (sorted.descending ? "▼" : "▲") : "";
    return html`<th scope="col" class=${kind} aria-sort=${order}>
      <button type="button" class="sort" @click=${change}>${label}<span aria-hidden="true"> ${mark}</span></button>
    </th>`;
  };
  return html`<thead><tr>${columns.map(cell)}</tr></thead>`;
}

/** A cell below such a head. */
export const cell = ({ number, hide }, value, kind = "", title = nothing) =>
  html`<td class=${[number && "number", hide && `hide-${hide}`, kind].filter(Boolean).join(" ")} title=${title}>${value}</td>`;

/** More characters than this have more than one line. */
const LONG = 40;

/** A section with a heading and a table, or what is said if it has no rows. The first cell of each row names the row. */
export function tablePart(title, columns, rows, none, last = null) {
  const id = `part-${title.toLowerCase().replaceAll(" ", "-")}`;
  const heading = html`<h3 id=${id}>${title}</h3>`;
  if (rows.length === 0) return html`<section>${heading}<p>${none}</p></section>`;
  // What somebody wrote may be as long as they liked, and is read here.
  const kind = (value) => (typeof value === "string" && value.length > LONG ? "long" : "");
  const one = (row) =>
    html`<tr>${row.map((value, at) => (at === 0 ? html`<th scope="row">${value}</th>` : cell(columns[at], value ?? "", kind(value))))}</tr>`;
  const foot = last === null ? nothing : html`<tfoot>${one(last)}</tfoot>`;
  return html`<section>${heading}<div class="across" tabindex="0" role="group" aria-labelledby=${id}>
    <table aria-labelledby=${id}>${head(columns)}<tbody>${rows.map(one)}</tbody>${foot}</table>
  </div></section>`;
}

/** The list of what happened last, in rows that `repeat` has made, and what is said below them, if there is something to say. */
export const latest = (label, thing, columns, rows, note) => html`<section class="scroll" tabindex="0" aria-label=${label}>
  <table class="fixed rows">
    <caption>The latest ${thing}s, newest first</caption>
    ${head(columns)}
    <tbody id="${thing}-rows">${rows}</tbody>
  </table>
  <p class="empty" ?hidden=${note === ""}>${note}</p>
</section>`;

/** What is chosen from a list, below it or, where there is no room, over it. */
export function detail(title, about, buttons, close, parts) {
  return html`<section class="detail" tabindex="0" aria-labelledby="detail-title">
    <header>
      <h2 id="detail-title">${title}</h2>
      <p>${about}</p>
      <div class="buttons">${buttons}<a class="button" id="close" href=${close}>Close</a></div>
    </header>
    ${parts}
  </section>`;
}

/** The field that `/` leads to. */
export const searchField = (value, hint) => html`<label class="search">Search
  <input id="search" type="search" autocomplete="off" spellcheck="false" placeholder=${hint} .value=${value ?? ""}
    @input=${(event) => set({ search: event.target.value })}></label>`;

/** A choice of one parameter: `[value, text]` each. */
export const choice = (label, name, value, options) => html`<label>${label}
  <select @change=${(event) => set({ [name]: event.target.value })}>
    ${options.map(([its, text]) => html`<option value=${its} .selected=${its === (value ?? "")}>${text}</option>`)}
  </select></label>`;

export const check = (label, name, value) => html`<label class="check">
  <input type="checkbox" .checked=${value === "true"} @change=${(event) => set({ [name]: event.target.checked })}>${label}</label>`;

/** Whether a search is found in any of these texts. */
export function mentions(search, ...texts) {
  const wanted = (search ?? "").trim().toLowerCase();
  return wanted === "" || texts.some((text) => (text ?? "").toLowerCase().includes(wanted));
}

export const filters = (label, ...parts) =>
  html`<form class="filters" role="search" aria-label=${label} @submit=${(event) => event.preventDefault()}>${parts}</form>`;
