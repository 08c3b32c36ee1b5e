/* Server-sent events through fetch, because EventSource cannot send a credential. */

import { Problem, open } from "./api.js";

const SILENCE_MS = 45_000; // three heartbeats: the connection is dead, whatever TCP says
const PAUSE_MAX_MS = 30_000;
const HIDDEN_MS = 10_000;

/**
 * Follow the stream at `path` until it says 204, `signal` aborts or it is refused (then this raises `Problem`).
 * A lost connection resumes after the last id. Nobody reads a hidden page, and browsers allow only six connections to
 * one server: so a stream rests while the page is hidden.
 *
 * `onEvent({id, event, data})` gets each event; true from it means that nothing follows. `onState` gets `live`,
 * `resting` or `lost`.
 */
export async function follow(path, { lastId = "", signal, onEvent, onState = () => {} }) {
  const position = { lastId, retryMs: 2000, failures: 0 };
  while (!signal.aborted) {
    await visible(signal, onState);
    const connection = connectionUntil(signal);
    try {
      const ended = await readOnce(path, position, connection, onEvent, onState);
      if (ended || signal.aborted) return;
    } catch (error) {
      if (signal.aborted) return;
      if (isFinal(error)) throw error;
      position.failures += 1;
      if (error instanceof Problem && error.retryAfter) position.retryMs = error.retryAfter * 1000;
    } finally {
      connection.close();
    }
    if (document.hidden) continue;
    onState("lost");
    const pause = Math.min(PAUSE_MAX_MS, position.retryMs * 2 ** Math.max(0, position.failures - 1));
    await sleep(pause * (0.5 + Math.random() / 2), signal);
  }
}

async function readOnce(path, position, connection, onEvent, onState) {
  const headers = { Accept: "text/event-stream" };
  if (position.lastId !== "") headers["Last-Event-ID"] = position.lastId;
  const response = await open("GET", path, { headers, signal: connection.signal });
  if (response.status === 204) return true;
  onState("live");
  const parser = new EventParser();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return false;
    connection.heard();
    position.failures = 0;
    let finished = false;
    for (const event of parser.feed(value)) finished = onEvent(event) === true || finished;
    position.lastId = parser.lastId || position.lastId;
    position.retryMs = parser.retryMs ?? position.retryMs;
    if (finished) return true;
  }
}

/** Lines to events, as the HTML standard says. */
export class EventParser {
  lastId = "";
  retryMs = null;
  #rest = "";
  #event = "";
  #data = [];

  feed(text) {
    const events = [];
    const lines = (this.#rest + text).split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop();
    for (const line of lines) {
      if (line === "") this.#dispatch(events);
      else if (!line.startsWith(":")) this.#field(line);
    }
    return events;
  }

  #field(line) {
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "data") this.#data.push(value);
    else if (name === "event") this.#event = value;
    else if (name === "id") this.lastId = value;
    else if (name === "retry" && /^\d+$/.test(value)) this.retryMs = Number(value);
  }

  #dispatch(events) {
    if (this.#data.length > 0) {
      events.push({ id: this.lastId, event: this.#event || "message", data: this.#data.join("\n") });
    }
    this.#event = "";
    this.#data = [];
  }
}

/** One connection: closed with `signal`, when nothing is heard for long, and a while after the page is hidden. */
function connectionUntil(signal) {
  const controller = new AbortController();
  const abort = () => controller.abort();
  let silence = setTimeout(abort, SILENCE_MS);
  let hidden = null;
  const onVisibility = () => {
    clearTimeout(hidden);
    if (document.hidden) hidden = setTimeout(abort, HIDDEN_MS);
  };
  signal.addEventListener("abort", abort);
  document.addEventListener("visibilitychange", onVisibility);
  return {
    signal: controller.signal,
    heard() {
      clearTimeout(silence);
      silence = setTimeout(abort, SILENCE_MS);
    },
    close() {
      clearTimeout(silence);
      clearTimeout(hidden);
      signal.removeEventListener("abort", abort);
      document.removeEventListener("visibilitychange", onVisibility);
      abort();
    },
  };
}

function isFinal(error) {
  return error instanceof Problem && error.status >= 400 && error.status < 500 && error.status !== 429;
}

async function visible(signal, onState) {
  if (!document.hidden) return;
  onState("resting");
  await new Promise((resolve) => {
    const done = () => {
      if (document.hidden && !signal.aborted) return;
      document.removeEventListener("visibilitychange", done);
      resolve();
    };
    document.addEventListener("visibilitychange", done);
    signal.addEventListener("abort", done, { once: true });
  });
}

export function sleep(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    }, { once: true });
  });
}
