// Events as they happen, and who was told of them.

import { ask, asked, cell, choice, clock, dateAndTime, detail, filters, html, json, latest, linked, mentions, nothing, place, repeat, searchField, tablePart, to } from "./page.js";

const SHOWN = 200;
/** How many of the latest are asked for again, because who was told of them may have answered since. */
const ASKED_AGAIN = 50;
/** How many the page keeps, to filter. */
const REMEMBERED = 2000;

/** By their number, as far as the page has been told of them. */
const events = new Map();
let seen = 0;
/** The event that is shown; `null` in it is one that is no longer remembered. */
let chosen = null;

export const title = "Events";

export function forget() {
  events.clear();
  seen = 0;
}

export async function poll() {
  for (const record of await ask(asked("events", { after: Math.max(0, seen - ASKED_AGAIN) }))) {
    events.set(record.number, record);
    seen = record.number + 1;
  }
  for (const number of events.keys()) if (number < seen - REMEMBERED) events.delete(number);
  const { what } = place();
  if (what === null) {
    chosen = null;
    return;
  }
  const answer = await fetch(`/_local/events/${encodeURIComponent(what)}`);
  chosen = { number: what, record: answer.ok ? await answer.json() : null };
}

const COLUMNS = [
  { label: "Time", width: "time" },
  { label: "Type", width: "function" },
  { label: "Subject" },
  { label: "Version", width: "number", number: true, hide: "phone" },
  { label: "Told", width: "function", hide: "phone" },
];

/** What the last attempt to tell of an event came to, for each rule. */
const toldOf = ({ deliveries }) => [...new Map(deliveries.map(({ rule, answer }) => [rule, answer])).values()].join(", ");
const failed = ({ deliveries }) => deliveries.length > 0 && !/^2\d\d$/.test(deliveries.at(-1).answer);

function row(record, current, parameters) {
  const { number, at, event } = record;
  const [time, type, subject, version, told] = COLUMNS;
  const link = html`<a href=${to("events", number, null, parameters)} title=${event.subject} aria-current=${current ? "true" : nothing}>${event.subject}</a>`;
  return html`<tr>
    ${cell(time, clock(at))}${cell(type, event.type)}${cell(subject, link, "path")}${cell(version, String(event.version))}
    ${cell(told, toldOf(record), failed(record) ? "failed" : "")}
  </tr>`;
}

export function view({ what, parameters }) {
  const { type = "", search } = parameters;
  const all = [...events.values()].reverse();
  const types = [...new Set(all.map(({ event }) => event.type))].sort();
  const passes = ({ event }) => (type === "" || event.type === type) && mentions(search, event.subject, event.type, event.id, JSON.stringify(event.data));
  const shown = all.filter(passes).slice(0, SHOWN);
  const none = all.length === 0 ? "No event yet." : "No event is like this.";
  return html`
    ${filters("Events", searchField(search, "subject, id, text"), choice("Type", "type", type, [["", "all"], ...types.map((type) => [type, type])]))}
    ${latest("Events", "event", COLUMNS, repeat(shown, ({ number }) => number, (record) => row(record, String(record.number) === what, parameters)), shown.length > 0 ? "" : none)}
    ${what === null ? nothing : one(what, to("events", null, null, parameters))}`;
}

function one(what, close) {
  const record = chosen?.number === what ? chosen.record : undefined;
  if (record === undefined) return detail("…", "", nothing, close, nothing);
  if (record === null) return detail("This event is no longer remembered.", "", nothing, close, nothing);
  const { event, deliveries, at } = record;
  const told = deliveries.map(({ at, rule, url, answer }) => [dateAndTime(at), answer, rule, url]);
  const columns = ["Time", "Answer", "Rule", "URL"].map((label) => ({ label }));
  const send = html`<button type="button" ?hidden=${deliveries.length === 0} @click=${() => sendAgain(what)}>Send again</button>`;
  return detail(event.type, html`${linked(event.subject)} · ${event.id} · ${dateAndTime(at)}`, send, close, html`<div class="lines">
    ${tablePart("Told", columns, told, "No rule sends it anywhere.")}
    <section><h3>Event</h3>${json(event)}</section>
  </div>`);
}

const sendAgain = (number) => fetch(`/_local/events/${number}/send`, { method: "POST" });
