// Access tokens as other services check them: with the public keys alone, and libraries that nobody here wrote.

import assert from "node:assert/strict";
import { createPublicKey } from "node:crypto";
import { test } from "node:test";
import { createRemoteJWKSet, jwtVerify } from "jose";
import jsonwebtoken from "jsonwebtoken";

const api = process.env.API_URL;
const keys = new URL("/.well-known/jwks.json", api);
const expected = { issuer: "stockroom", audience: "stockroom-api" };

async function login() {
  const body = JSON.stringify({ email: process.env.ADMIN_EMAIL, password: process.env.ADMIN_PASSWORD });
  const answer = await fetch(`${api}/auth/login`, { method: "POST", headers: { "content-type": "application/json" }, body });
  assert.equal(answer.status, 200);
  return answer.json();
}

/** The same token with another letter in its signature. */
function altered(token) {
  const at = token.length - 20;
  return token.slice(0, at) + (token[at] === "A" ? "B" : "A") + token.slice(at + 1);
}

test("jose takes an access token, and nothing else", async () => {
  const { access_token, refresh_token } = await login();
  const check = (token) => jwtVerify(token, createRemoteJWKSet(keys), { ...expected, algorithms: ["ES256"], typ: "at+jwt" });
  const { payload } = await check(access_token);
  assert.equal(payload.role, "admin");
  await assert.rejects(check(altered(access_token)), { code: "ERR_JWS_SIGNATURE_VERIFICATION_FAILED" });
  await assert.rejects(check(refresh_token), /typ/);
});

test("jsonwebtoken does, too", async () => {
  const { access_token } = await login();
  const { kid } = jsonwebtoken.decode(access_token, { complete: true }).header;
  const set = await (await fetch(keys)).json();
  const key = createPublicKey({ key: set.keys.find((jwk) => jwk.kid === kid), format: "jwk" });
  const check = (token) => jsonwebtoken.verify(token, key, { ...expected, algorithms: ["ES256"] });
  assert.equal(check(access_token).role, "admin");
  assert.throws(() => check(altered(access_token)), /invalid signature/);
});
