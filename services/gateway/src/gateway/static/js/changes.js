/* Knowing when a list may have changed: from the organisation's feed, or by looking now and then. */

import { Problem, courtesyMs } from "./api.js";
import { follow, sleep } from "./stream.js";

const PAUSE_MS = 700;
const POLL_MS = 3000;
const POLL_WITH_FEED_MS = 30_000;
const FLOOD_PER_SECOND = 400;
const FLOOD_REST_MS = 60_000;

/**
 * Call `refresh` whenever something may have changed, until `signal` aborts. It is never called twice at once, and not
 * while the page is hidden. The feed only wakes: what is shown always comes from the list itself.
 */
export async function onChanges(refresh, signal) {
  const waker = new Waker();
  followFeed(waker, signal);
  document.addEventListener("visibilitychange", () => !document.hidden && waker.wake(), { signal });
  while (!signal.aborted) {
    await waker.woken(waker.hasFeed ? POLL_WITH_FEED_MS : POLL_MS, signal);
    if (signal.aborted) return;
    if (!document.hidden) await refresh();
    await sleep(PAUSE_MS + courtesyMs(), signal);
  }
}

async function followFeed(waker, signal) {
  while (!signal.aborted) {
    const flood = new AbortController();
    const meter = new Meter();
    try {
      await follow("/v1/events", {
        signal: AbortSignal.any([signal, flood.signal]),
        onState: (state) => (waker.hasFeed = state === "live"),
        onEvent: () => {
          waker.wake();
          if (meter.tooMany()) flood.abort();
        },
      });
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      return; // not allowed to read the feed: looking now and then does as well
    } finally {
      waker.hasFeed = false;
    }
    await sleep(FLOOD_REST_MS, signal);
  }
}

class Waker {
  hasFeed = false;
  #isWoken = false;
  #resolve = () => {};

  wake() {
    this.#isWoken = true;
    this.#resolve();
  }

  async woken(patienceMs, signal) {
    if (!this.#isWoken) {
      const timeout = new AbortController();
      await Promise.race([new Promise((resolve) => (this.#resolve = resolve)), sleep(patienceMs, AbortSignal.any([signal, timeout.signal]))]);
      timeout.abort();
    }
    this.#isWoken = false;
  }
}

/** A thousand executions a second need no telling one by one. */
class Meter {
  #second = 0;
  #events = 0;

  tooMany() {
    const second = Math.floor(performance.now() / 1000);
    if (second !== this.#second) [this.#second, this.#events] = [second, 0];
    this.#events += 1;
    return this.#events > FLOOD_PER_SECOND;
  }
}
