/* Requests to the API of this server, and its answers. */

import { credential, signOut } from "./session.js";

/** An answer that is an error (RFC 9457), or no answer at all. */
export class Problem extends Error {
  constructor(status, body) {
    super(body.detail || body.title || `The server answered ${status}.`);
    this.status = status;
    this.code = body.code ?? "";
    this.title = body.title ?? "";
    this.errors = body.errors ?? [];
    this.retryAfter = body.retryAfter ?? null;
    this.requestId = body.requestId ?? "";
  }

  /** What the reader can do about it. */
  get advice() {
    return ADVICE[this.code] ?? ADVICE[this.status] ?? "";
  }
}

const ADVICE = {
  0: "Is the gateway running? The page tries again by itself.",
  403: "Sign in with a key that has this scope: kwe admin create-key --organization NAME --scopes …",
  404: "Check the id. Objects of other organisations cannot be seen from here.",
  409: "It has changed meanwhile: the page shows its present state.",
  429: "The organisation's rate limit is reached; the page goes on by itself when there is room.",
  503: "Nothing is lost. The page tries again by itself.",
  outcome_unknown: "It may have been accepted. Sending it again from here is safe: it carries the same key.",
};

export function get(path, query = {}, signal = undefined) {
  return request("GET", path + queryString(query), { signal });
}

export function post(path, body = undefined, headers = {}) {
  return request("POST", path, { body, headers });
}

export function queryString(query) {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const each of Array.isArray(value) ? value : [value]) {
      if (each !== null && each !== undefined && each !== "") parameters.append(name, each);
    }
  }
  const text = parameters.toString();
  return text ? `?${text}` : "";
}

/** Raises `Problem`; a refused credential also ends the session. */
export async function open(method, path, { body, headers = {}, signal } = {}) {
  const sent = { Accept: "application/json", Authorization: `Bearer ${credential()}`, ...headers };
  if (body !== undefined) sent["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(path, { method, headers: sent, body, signal, cache: "no-store" });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Problem(0, { code: "unreachable", title: "No answer", detail: "The server cannot be reached." });
  }
  noteLimits(response.headers);
  noteClock(response.headers);
  if (response.ok) return response;
  const problem = new Problem(response.status, await problemOf(response));
  if (problem.status === 401) signOut(problem.message);
  throw problem;
}

async function request(method, path, options) {
  const response = await open(method, path, {
    ...options,
    body: options.body === undefined ? undefined : JSON.stringify(options.body),
  });
  return parse(await response.text());
}

async function problemOf(response) {
  try {
    return await response.json();
  } catch {
    return { title: response.statusText };
  }
}

/** Numbers that JavaScript would round stay as they were written, where the browser can keep them. */
export function parse(text) {
  if (!text) return null;
  if (!/\d{16}/.test(text) || !JSON.rawJSON) return JSON.parse(text);
  return JSON.parse(text, (_key, value, context) =>
    typeof value === "number" && String(value) !== context.source ? JSON.rawJSON(context.source) : value,
  );
}

// --- what every answer tells besides -----------------------------------------------------------------------

const SCARCE = 40;
let pauseMs = 0;
let clockAheadMs = 0;

/** Milliseconds to leave between requests nobody asked for, so that the rate limit is left to people. */
export function courtesyMs() {
  return pauseMs;
}

/** The server's time, as far as it is known. */
export function serverNow() {
  return Date.now() + clockAheadMs;
}

function noteLimits(headers) {
  const found = /r=(\d+);t=(\d+)/.exec(headers.get("RateLimit") ?? "");
  if (!found) return;
  const [left, seconds] = [Number(found[1]), Number(found[2])];
  pauseMs = left > SCARCE ? 0 : Math.min(60_000, (seconds * 1000) / (left + 1));
}

function noteClock(headers) {
  const date = Date.parse(headers.get("Date") ?? "");
  if (Number.isNaN(date)) return;
  const ahead = date + 500 - Date.now(); // the header has whole seconds
  clockAheadMs = Math.abs(ahead) > 2000 ? ahead : 0;
}
