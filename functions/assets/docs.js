// The page about the API: every operation of openapi.json, to read, to find and to try.

import { element, listing, phrase, prose } from "./elements.js";
import { refreshForms, requestForm } from "./request.js";
import { examples, kind, outline, resolve, use } from "./schema.js";
import { check, localAccounts, logIn, logOut, onChange } from "./session.js";

const METHODS = ["get", "post", "put", "patch", "delete"];

const byId = (id) => document.getElementById(id);

/** All operations of the document, in its order. */
function operationsOf({ paths }) {
  return Object.entries(paths).flatMap(([path, item]) =>
    METHODS.filter((method) => item[method]).map((method) => {
      const operation = { ...item[method], parameters: [...(item.parameters ?? []), ...(item[method].parameters ?? [])] };
      return { id: operation.operationId, method: method.toUpperCase(), path, operation };
    }),
  );
}

/** What a request or an answer has in its body. */
function bodyOutline(media) {
  const inside = outline(media.schema);
  return inside ? [inside] : [element("p", {}, ...phrase(kind(media.schema)))];
}

function headerLine([name, header]) {
  return element("li", {}, element("code", {}, name), ...prose(resolve(header).description));
}

/** One of the answers of an operation, by its status. */
function answer([status, given], { id, operation }) {
  const { description, headers = {}, content = {} } = resolve(given);
  // Operations share answers, and each has only some of their problems.
  const codes = operation["x-problem-codes"];
  const applies = (code) => code === undefined || codes === undefined || codes.includes(code);
  const [first, ...more] = description.split(/\n\n+/).filter((paragraph) => applies(paragraph.match(/^`([^`]+)`:/)?.[1]));
  const bodies = Object.entries(content).flatMap(([type, media]) => {
    const all = examples(media).filter((example) => applies(example?.code));
    const label = (example) => `example of ${id} ${status} ${example?.code ?? type}`;
    const listings = all.map((example) => listing(label(example), JSON.stringify(example, null, 2)).figure);
    return [element("h5", {}, type), ...listings, ...bodyOutline(media)];
  });
  const names = Object.entries(headers);
  const listed = names.length > 0 ? [element("h5", {}, "Headers"), element("ul", { className: "schema" }, ...names.map(headerLine))] : [];
  return element(
    "details",
    { className: "answers" },
    element("summary", {}, element("strong", {}, status), " ", ...phrase(first ?? "")),
    ...prose(more.join("\n\n")),
    ...bodies,
    ...listed,
  );
}

/** What is inside of an operation, made when it is opened for the first time. */
function inside(operation) {
  const { description, requestBody, responses } = operation.operation;
  const media = requestBody && Object.values(resolve(requestBody).content)[0];
  const about = element(
    "div",
    {},
    ...(media ? [element("h4", {}, "Body"), ...bodyOutline(media)] : []),
    element("h4", {}, "Answers"),
    ...Object.entries(responses).map((response) => answer(response, operation)),
  );
  // The answers have its problems, each with what it means.
  const own = (description ?? "").replace(/\n\nProblems: .*$/, "");
  const text = element("div", { className: "description" }, ...prose(own));
  return element("div", { className: "inside" }, text, requestForm(operation), about);
}

/** An operation as a line that opens. */
function line(shown) {
  const { id, method, path, operation } = shown;
  const details = element(
    "details",
    { className: "operation", id },
    element(
      "summary",
      {},
      element("h3", {}, element("span", { className: `method ${method}` }, method), " ", element("code", {}, path)),
      " ",
      element("span", {}, operation.summary),
      operation.security?.length > 0 ? element("span", { className: "quiet" }, "needs a token") : null,
    ),
  );
  details.addEventListener("toggle", () => {
    if (details.open && details.children.length === 1) details.append(inside(shown));
    if (details.open) history.replaceState(null, "", `#${id}`);
  });
  const { summary, description, tags, "x-problem-codes": codes } = operation;
  const words = [method, path, id, summary, description, tags, codes].join(" ").toLowerCase();
  return { details, words };
}

/** Shows what has all words of the filter. */
function find(groups, total) {
  const words = byId("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  let found = 0;
  for (const { section, lines } of groups) {
    for (const line of lines) {
      line.details.hidden = !words.every((word) => line.words.includes(word));
      found += line.details.hidden ? 0 : 1;
    }
    section.hidden = lines.every(({ details }) => details.hidden);
  }
  byId("found").textContent = words.length === 0 ? "" : `${found} of ${total}`;
}

/** Opens the operation that the address names. */
function openNamed() {
  const details = byId(decodeURIComponent(location.hash.slice(1)));
  if (!details?.matches("details.operation")) return;
  details.open = true;
  details.scrollIntoView();
}

function show(openapi) {
  use(openapi);
  byId("version").textContent = openapi.info.version;
  byId("about").append(...prose(openapi.info.description));
  const operations = operationsOf(openapi);
  const groups = openapi.tags.map(({ name, description }) => {
    const lines = operations.filter(({ operation }) => operation.tags?.[0] === name).map(line);
    const title = element("h2", { id: `tag-${name}` }, name, " ", element("small", {}, description));
    return { lines, section: element("section", { "aria-labelledby": `tag-${name}` }, title, ...lines.map(({ details }) => details)) };
  });
  byId("operations").append(...groups.map(({ section }) => section));
  byId("content").hidden = false;

  byId("filter").addEventListener("input", () => find(groups, operations.length));
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.target.matches("input, textarea, select")) return;
    event.preventDefault();
    byId("filter").focus();
  });
  addEventListener("hashchange", openNamed);
  openNamed();
}

function account() {
  onChange((account) => {
    document.body.classList.toggle("known", account !== null);
    byId("account-title").textContent = account ? "Logged in" : "Log in";
    byId("login").hidden = account !== null;
    byId("known").hidden = account === null;
    byId("who").textContent = account ? `${account.email}, ${account.role}.` : "";
    byId("login-failed").textContent = "";
    refreshForms();
  });
  byId("login").addEventListener("submit", async (event) => {
    event.preventDefault();
    const fault = await logIn(byId("identifier").value, byId("password").value).catch(({ message }) => message);
    byId("login-failed").textContent = fault ?? "";
    // The button that had the focus is gone.
    if (!fault) byId("logout").focus();
  });
  byId("logout").addEventListener("click", async () => {
    await logOut().catch(({ message }) => (byId("login-failed").textContent = message));
    byId("identifier").focus();
  });
}

/** Fills in an account that this machine's shop has. */
async function offerLocal() {
  const accounts = await localAccounts();
  const fill = ({ email, password }) => {
    byId("identifier").value = email;
    byId("password").value = password;
  };
  for (const account of accounts) {
    const button = element("button", { type: "button" }, account.email);
    button.addEventListener("click", () => fill(account));
    byId("local").append(" ", button);
  }
  if (accounts.length > 0) fill(accounts[0]);
  byId("local").hidden = accounts.length === 0;
}

try {
  const answer = await fetch("openapi.json");
  if (!answer.ok) throw new Error(`${answer.status}`);
  show(await answer.json());
  account();
  await Promise.all([check(), offerLocal()]);
} catch (error) {
  byId("failed").textContent = `openapi.json cannot be shown: ${error.message}`;
}
