// The console: asks once a second what is new, and draws the view that the address names.

import { render } from "./lit-html/lit-html.js";
import * as events from "./events.js";
import * as items from "./items.js";
import * as mails from "./mails.js";
import { draw, drawWith, html, nothing, place, to } from "./page.js";
import * as requests from "./requests.js";
import * as routes from "./routes.js";

const EVERY = 1000;
const VIEWS = { requests, routes, events, mails, items };

let state = "Connecting";

function current() {
  const here = place();
  const name = Object.hasOwn(VIEWS, here.view) ? here.view : "requests";
  return { ...here, name, view: VIEWS[name] };
}

function page() {
  const { name, view, ...where } = current();
  const mailed = mails.mailed();
  const link = ([its, { title }]) => html`<a href=${to(its)} id="to-${its}" aria-current=${mailed === null && its === name ? "page" : nothing}>${title}</a>`;
  const look = { Live: "live", Connecting: "" }[state] ?? "away";
  return html`<header>
      <h1>Stockroom <small>local</small></h1>
      <nav aria-label="Views">${Object.entries(VIEWS).map(link)}</nav>
      <p id="state" role="status" class=${look}>${state}</p>
    </header>
    <main id=${mailed === null ? name : "token"}>${mailed === null ? view.view(where) : mails.redemption(mailed, draw)}</main>`;
}

function forget() {
  for (const { forget } of Object.values(VIEWS)) forget?.();
}

async function look() {
  try {
    // It is another shop at the same address: all that was told is of the one before.
    if (await requests.pollAlways()) {
      forget();
      await requests.pollAlways();
    }
    await current().view.poll();
    state = "Live";
  } catch {
    forget();
    state = "The shop does not answer";
  }
  draw();
}

async function pollFromNowOn() {
  await look();
  setTimeout(pollFromNowOn, EVERY);
}

// Keys: `/` searches, arrows go from row to row, Esc closes what is open.

const isTyping = (element) => element.matches("input:not([type=checkbox]), textarea, select");

function step(by) {
  const rows = [...document.querySelectorAll(".rows tbody tr")].map((row) => row.querySelector("a")).filter((link) => link !== null);
  const here = rows.findIndex((link) => link === document.activeElement);
  const at = here !== -1 ? here : rows.findIndex((link) => link.hasAttribute("aria-current"));
  const next = rows[at === -1 ? 0 : Math.max(0, Math.min(rows.length - 1, at + by))];
  next?.focus();
  next?.scrollIntoView({ block: "nearest" });
  // What is open follows.
  if (document.querySelector("#close") !== null) next?.click();
}

function close() {
  const link = document.querySelector("#close");
  const row = document.querySelector(".rows a[aria-current]");
  link?.click();
  row?.focus();
}

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const { target } = event;
  const inDetail = target.closest?.(".detail") !== null;
  if (event.key === "Escape") {
    if (isTyping(target) && target.id === "search" && target.value !== "") return;
    if (isTyping(target)) target.blur();
    close();
  } else if (event.key === "/" && !isTyping(target)) {
    event.preventDefault();
    document.querySelector("#search")?.focus();
  } else if (["ArrowDown", "ArrowUp"].includes(event.key) && !inDetail && (!isTyping(target) || target.id === "search")) {
    event.preventDefault();
    step(event.key === "ArrowDown" ? 1 : -1);
  }
});

addEventListener("hashchange", () => {
  mails.forgetOutcome();
  draw();
  // Whatever goes wrong is told within a second.
  current().view.poll().then(draw, () => {});
});

drawWith(() => render(page(), document.body));
draw();
pollFromNowOn();
