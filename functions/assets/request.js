// An operation as a form: what is filled in, the same as a command, and what it was answered.

import { element, listing, phrase } from "./elements.js";
import { examples, kind, resolve } from "./schema.js";
import { accessToken, address, check, freshToken, keep } from "./session.js";

/** Every form of the page that has been opened. */
const forms = [];

/** The ids that answers had last, by the names of their fields: most requests are about what one has just seen. */
const seen = new Map();
const seenAs = (name) => seen.get(name) ?? [...seen].find(([field]) => field.endsWith(`_${name}`))?.[1];

function remember(value) {
  // From the end, so that the first entry of a list is what stays.
  for (const [name, inner] of Object.entries(value ?? {}).reverse()) {
    if (inner !== null && typeof inner === "object") remember(inner);
    else if (typeof inner === "string" && /_id$/.test(name) && name !== "request_id") seen.set(name, inner);
  }
}

/** An example with ids that there are in place of its own. */
function withSeen(value) {
  if (Array.isArray(value)) return value.map(withSeen);
  if (value === null || typeof value !== "object") return value;
  const known = ([name, inner]) => [name, typeof inner === "string" && seen.has(name) ? seen.get(name) : withSeen(inner)];
  return Object.fromEntries(Object.entries(value).map(known));
}

const pretty = (value) => JSON.stringify(value, null, 2);

/** A field for a parameter. Its value is what was chosen or typed. */
function parameterField(parameter, prefix) {
  const { name, required, description } = parameter;
  const schema = resolve(parameter.schema);
  const id = `${prefix}.${name}`;
  const common = { id, name, required: Boolean(required), "aria-describedby": `${id}.about` };
  const [shown] = examples(parameter);
  const input = schema.enum
    ? element("select", common, element("option", { value: "" }, "any"), ...schema.enum.map((value) => element("option", {}, value)))
    : element("input", { ...common, placeholder: shown === undefined ? "" : `${shown}`, autocomplete: "off", spellcheck: false });
  const label = element("label", { for: id }, element("code", {}, name), required ? element("strong", {}, " required") : null);
  const where = schema.enum ? parameter.in : `${parameter.in}, ${kind(schema)}`;
  const about = element("p", { id: `${id}.about`, className: "quiet" }, ...phrase(`${description} (${where})`));
  const suggest = () => {
    const known = parameter.in === "path" ? seenAs(name) : undefined;
    if (known && (input.value === "" || input.value === input.dataset.suggested)) {
      input.value = known;
      input.dataset.suggested = known;
    }
  };
  return { parameter, input, suggest, field: element("div", { className: "field" }, label, input, about) };
}

/** A field for a body, with the example to begin with. */
function bodyField(body, prefix) {
  const [[type, media]] = Object.entries(body.content);
  const id = `${prefix}.body`;
  const [given] = examples(media);
  const input = element("textarea", { id, name: "body", spellcheck: false, required: Boolean(body.required), value: given ? pretty(given) : "" });
  let suggested = input.value;
  const suggest = () => {
    if (!given || input.value !== suggested) return;
    input.value = suggested = pretty(withSeen(given));
  };
  const label = element("label", { for: id }, "Body ", element("span", { className: "quiet" }, type));
  return { type, input, suggest, field: element("div", { className: "field" }, label, input) };
}

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/** The request as a command for a shell. */
function command({ method, url, headers, body }) {
  const parts = [`curl -X ${quoted(method)} ${quoted(url)}`];
  for (const [name, value] of Object.entries(headers)) parts.push(`-H ${quoted(`${name}: ${value}`)}`);
  if (body) parts.push(`-d ${quoted(body)}`);
  return parts.join(" \\\n  ");
}

/** The form of an operation. */
export function requestForm({ id, method, path, operation }) {
  const parameters = (operation.parameters ?? []).map((parameter) => parameterField(resolve(parameter), id));
  const body = operation.requestBody && bodyField(resolve(operation.requestBody), id);
  const closed = (operation.security ?? []).length > 0;
  const name = `${method} ${path}`;

  /** What would be sent with this token. */
  const request = (token) => {
    const values = parameters.filter(({ input }) => input.value !== "");
    const at = (place) => values.filter(({ parameter }) => parameter.in === place).map(({ parameter, input }) => [parameter.name, input.value]);
    const filled = at("path").reduce((path, [name, value]) => path.replace(`{${name}}`, encodeURIComponent(value)), path);
    const query = new URLSearchParams(at("query")).toString();
    const sent = body?.input.value;
    const headers = {
      ...(closed && token && { Authorization: `Bearer ${token}` }),
      ...(sent && { "Content-Type": body.type }),
      ...Object.fromEntries(at("header")),
    };
    return { method, url: address(filled) + (query && `?${query}`), headers, body: sent || undefined };
  };

  const curl = listing(`command for ${name}`);
  const show = () => curl.write(command(request(accessToken())));
  const answer = element("div", { className: "answer" });
  const status = element("p", { role: "status" });
  const button = element("button", {}, "Send");
  const form = element(
    "form",
    { className: "request", ariaLabel: `Request ${name}` },
    ...parameters.map(({ field }) => field),
    body?.field,
    element("p", { className: "buttons" }, button, closed ? element("a", { href: "#account", className: "log-in" }, "Log in first") : null),
    status,
    answer,
    element("details", {}, element("summary", {}, "As a command"), curl.figure),
  );

  const suggest = () => {
    for (const field of [...parameters, body]) field?.suggest();
    show();
  };
  form.addEventListener("input", show);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    status.textContent = "Sent …";
    answer.replaceChildren();
    try {
      const { url, ...options } = request(closed ? await freshToken() : undefined);
      const begun = performance.now();
      const answered = await fetch(url, { ...options, cache: "no-store" });
      const text = await answered.text();
      const duration = performance.now() - begun;
      const json = parsed(text);
      status.replaceChildren(element("strong", {}, `${answered.status} ${answered.statusText}`.trim()), ` in ${duration.toFixed(0)} ms`);
      if (text) answer.append(listing("body of the answer", json === undefined ? text : pretty(json)).figure);
      const headers = [...answered.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
      answer.append(element("details", {}, element("summary", {}, "Headers"), listing("headers of the answer", headers).figure));
      remember(json);
      await follow(json, closed && method !== "GET" && path.startsWith("/auth/"));
      refreshForms();
    } catch (error) {
      status.textContent = `Not sent or not answered: ${error.message}`;
    } finally {
      button.disabled = false;
    }
  });
  forms.push(suggest);
  suggest();
  return form;
}

/** Undefined if it is no JSON. */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Whoever has logged in by a form is logged in on the page, and whoever has ended a session is not. */
async function follow(json, mayHaveEnded) {
  if (json?.access_token) await keep(json);
  else if (mayHaveEnded || json?.code === "token-revoked") await check();
}

/** Fills in again what is suggested, and shows the commands as they are by now. */
export const refreshForms = () => forms.forEach((suggest) => suggest());
