// Mails as they are sent, and what the links in them lead to.

import { ask, asked, cell, clock, dateAndTime, detail, filters, html, latest, mentions, nothing, place, repeat, searchField, to } from "./page.js";

const SHOWN = 200;

/** By their number. */
const mails = new Map();
let seen = 0;

export const title = "Mail";

export function forget() {
  mails.clear();
  seen = 0;
}

export async function poll() {
  for (const mail of await ask(asked("mails", { after: seen }))) {
    mails.set(mail.number, mail);
    seen = mail.number + 1;
  }
}

const COLUMNS = [{ label: "Time", width: "time" }, { label: "To", width: "address" }, { label: "Subject" }];

function row({ number, at, to: address, subject }, current, parameters) {
  const [time, whom, about] = COLUMNS;
  const link = html`<a href=${to("mails", number, null, parameters)} title=${subject} aria-current=${current ? "true" : nothing}>${subject}</a>`;
  return html`<tr>${cell(time, clock(at))}${cell(whom, address, "", address)}${cell(about, link, "path")}</tr>`;
}

export function view({ what, parameters }) {
  const all = [...mails.values()].reverse();
  const shown = all.filter(({ to, subject, text }) => mentions(parameters.search, to, subject, text)).slice(0, SHOWN);
  const none = all.length === 0 ? "No mail yet." : "No mail is like this.";
  return html`
    ${filters("Mail", searchField(parameters.search, "address, subject, text"))}
    ${latest("Mail", "mail", COLUMNS, repeat(shown, ({ number }) => number, (mail) => row(mail, String(mail.number) === what, parameters)), shown.length > 0 ? "" : none)}
    ${what === null ? nothing : one(mails.get(Number(what)), to("mails", null, null, parameters))}`;
}

function one(mail, close) {
  if (mail === undefined) return detail("This mail is not remembered.", "", nothing, close, nothing);
  const links = mail.text.match(/https?:\/\/\S+/g) ?? [];
  return detail(mail.subject, html`${mail.to} · ${dateAndTime(mail.at)}`, nothing, close, html`
    <p class="mail-links">${links.map((url) => html`<a href=${url}>${url}</a>`)}</p>
    <div class="lines">
      <section aria-labelledby="mail-html-title"><h3 id="mail-html-title">In a browser</h3>
        <iframe id="mail-html" title="The mail" sandbox src="/_local/mails/${mail.number}/html"></iframe></section>
      <section aria-labelledby="mail-text-title"><h3 id="mail-text-title">In a terminal</h3><pre>${mail.text}</pre></section>
    </div>`);
}

// What links in mails lead to here: what the page of a shop would ask, and send to the API.

const PURPOSES = { verification: "Verify an e-mail address", recovery: "Set another password" };
let outcome = "";

/** The purpose and the token that the page was opened with. */
export function mailed() {
  const [, purpose, token] = location.hash.match(/^#(verification|recovery)=(.+)$/) ?? [];
  return purpose === undefined ? null : { purpose, token };
}

export function redemption({ purpose, token }, redraw) {
  const send = async (event) => {
    event.preventDefault();
    const password = new FormData(event.target).get("password");
    const body = JSON.stringify(purpose === "recovery" ? { token, new_password: password } : { token });
    const answer = await fetch(`/auth/${purpose}`, { method: "PUT", headers: { "content-type": "application/json" }, body });
    outcome = answer.ok ? "Done." : `${answer.status}: ${(await answer.json()).detail}`;
    redraw();
  };
  return html`<form class="token" @submit=${send}>
    <h2>${PURPOSES[purpose]}</h2>
    <p>PUT /auth/${purpose}</p>
    ${purpose === "recovery" ? html`<label>New password <input name="password" type="password" autocomplete="new-password"></label>` : nothing}
    <button type="submit">Send it</button>
    <p role="status">${outcome}</p>
  </form>`;
}

/** Another token has another outcome. */
export function forgetOutcome() {
  outcome = "";
}
