// Who is logged in on the page. The tokens are kept for this tab and as long as it is open, and nowhere else.

const KEY = "tokens";
/** A token is replaced when it has less than this left. */
const MARGIN_MS = 10_000;

/** The address that a path of the API has: the page lies beside all others. */
export const address = (path) => new URL(`.${path}`, new URL(".", location.href)).href;

const read = () => JSON.parse(sessionStorage.getItem(KEY));
const listeners = [];
/** Calls back when somebody comes or goes, with the account or null. */
export const onChange = (listener) => listeners.push(listener);
const tell = (account) => listeners.forEach((listener) => listener(account));

const send = (path, body, token) =>
  fetch(address(path), {
    method: body === undefined ? "GET" : "POST",
    headers: { ...(body && { "content-type": "application/json" }), ...(token && { authorization: `Bearer ${token}` }) },
    body: body && JSON.stringify(body),
    cache: "no-store",
  });

function forget() {
  sessionStorage.removeItem(KEY);
  tell(null);
}

function write({ access_token, refresh_token, expires_in }) {
  const expires_at = Date.now() + expires_in * 1000;
  sessionStorage.setItem(KEY, JSON.stringify({ access_token, refresh_token, expires_at }));
}

/** Keeps the tokens of an answer, and tells whose they are. */
export async function keep(tokens) {
  write(tokens);
  await check();
}

/** The access token as it is, for a command to copy. */
export const accessToken = () => read()?.access_token;

let refreshing = null;
async function refresh(refresh_token) {
  const answer = await send("/auth/refresh", { refresh_token });
  if (answer.ok) write(await answer.json());
  else forget();
}

/** An access token that is still good; undefined if nobody is logged in. */
export async function freshToken() {
  const tokens = read();
  if (tokens && tokens.expires_at < Date.now() + MARGIN_MS) {
    // A refresh token is good for one exchange.
    refreshing ??= refresh(tokens.refresh_token).finally(() => (refreshing = null));
    await refreshing;
  }
  return accessToken();
}

/** Looks whether the session is still there, and whose it is. */
export async function check() {
  const token = await freshToken();
  if (!token) return;
  const answer = await send("/auth/me", undefined, token);
  if (answer.ok) tell(await answer.json());
  else if (answer.status === 401 || answer.status === 403) forget();
}

/** Returns what was wrong, or nothing. */
export async function logIn(identifier, password) {
  const name = identifier.includes("@") ? "email" : "username";
  const answer = await send("/auth/login", { [name]: identifier, password });
  const body = await answer.json();
  if (!answer.ok) return body.detail ?? body.message;
  await keep(body);
}

export async function logOut() {
  await send("/auth/logout", {}, await freshToken());
  forget();
}

/** The accounts of a shop on this machine. Only that one is asked: a deployment has a name, and nothing there. */
export async function localAccounts() {
  if (!/^(localhost|[\d.]+|\[.*\])$/.test(location.hostname)) return [];
  const answer = await fetch(address("/_local/accounts"));
  return answer.ok ? answer.json() : [];
}
