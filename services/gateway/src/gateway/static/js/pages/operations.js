/* What an operator looks at: executions without a reason to be open, and messages that were set aside. */

import { get, post } from "../api.js";
import { fill, h } from "../dom.js";
import { ago, bytes, count, moment, workflowName } from "../format.js";
import { problemBox } from "../problem.js";
import { sleep } from "../stream.js";

const REFRESH_MS = 15_000;

export async function operationsView(root, _route, signal) {
  document.title = "Operations";
  const invariants = h("section", { class: "panel" });
  const letters = h("section", { class: "panel" });
  root.append(h("div", { class: "title" }, h("h1", {}, "Operations")), invariants, letters);
  const view = new DeadLetters(letters, signal);
  while (!signal.aborted) {
    if (!document.hidden) await Promise.all([drawInvariants(invariants, signal), view.refresh()]);
    await sleep(REFRESH_MS, signal);
  }
}

async function drawInvariants(section, signal) {
  try {
    const state = await get("/v1/health/invariants", {}, signal);
    fill(section, h("h2", {}, "Unfinished executions"), verdict(state), orphans(state), waits(state));
  } catch (error) {
    if (!signal.aborted) fill(section, h("h2", {}, "Unfinished executions"), problemBox(error));
  }
}

function verdict(state) {
  if (state.ok) {
    return h("p", { class: "good" }, state.unfinished === 0 ? "✓ There are none." : `✓ Nothing is stuck: each of ${count(state.unfinished)} has a live reason to be open.`);
  }
  return h("p", { class: "bad", role: "alert" }, `${count(state.orphans)} of ${count(state.unfinished)} unfinished executions have no live reason. That is a fault of the engine: please report it with their histories.`);
}

function orphans(state) {
  if (state.examples.length === 0) return null;
  return h("ul", {}, state.examples.map((each) => h("li", {}, h("a", { href: `#/executions/${each.id}` }, h("code", {}, each.id)), ` ${workflowName(each.workflow)}, ${each.status}, last moved `, ago(each.updatedAt))));
}

function waits(state) {
  if (state.waits.length === 0) return h("p", { class: "quiet" }, "Nothing waits at the moment.");
  return h("table", {},
    h("thead", {}, h("tr", {}, ["Waiting for", "How many", "The oldest"].map((title) => h("th", { scope: "col" }, title)))),
    h("tbody", {}, state.waits.map((each) => h("tr", {}, h("td", {}, each.kind), h("td", { class: "number" }, count(each.waits)), h("td", {}, ago(each.oldest))))));
}

class DeadLetters {
  #pages = 1;

  constructor(section, signal) {
    this.section = section;
    this.signal = signal;
    this.problem = h("div", {});
  }

  async refresh() {
    try {
      const items = [];
      let cursor = null;
      for (let page = 0; page < this.#pages; page += 1) {
        const answer = await get("/v1/dead-letters", { limit: 50, cursor }, this.signal);
        items.push(...answer.items);
        cursor = answer.nextCursor;
        if (cursor === null) break;
      }
      this.#draw(items, cursor !== null);
    } catch (error) {
      if (!this.signal.aborted) fill(this.section, h("h2", {}, "Dead letters"), problemBox(error));
    }
  }

  #draw(items, more) {
    fill(this.section,
      h("h2", {}, "Dead letters"),
      h("p", { class: "quiet" }, "Messages that could not be processed three times. What they belonged to was faulted or suspended, so nothing waits for them."),
      this.problem,
      items.length === 0 ? h("p", { class: "good" }, "✓ There are none.") : this.#table(items),
      more ? h("button", { type: "button", on: { click: () => this.#older() } }, "Show older ones") : null);
  }

  #table(items) {
    return h("table", {},
      h("thead", {}, h("tr", {}, ["Set aside", "Reason", "Execution", "Stream", "Size", ""].map((title) => h("th", { scope: "col" }, title)))),
      h("tbody", {}, items.map((each) => h("tr", {},
        h("td", {}, moment(each.createdAt)),
        h("td", {}, h("strong", {}, each.reason), h("div", { class: "quiet" }, each.detail)),
        h("td", {}, each.executionId ? h("a", { href: `#/executions/${each.executionId}` }, h("code", {}, `${each.executionId.slice(0, 13)}…`)) : "–"),
        h("td", {}, h("code", {}, each.stream)),
        h("td", { class: "number" }, bytes(each.size)),
        h("td", {}, each.redrivenAt ? ["sent again ", ago(each.redrivenAt)] : h("button", { type: "button", class: "small", on: { click: (event) => this.#redrive(each, event.currentTarget) } }, "Send again"))))));
  }

  async #redrive(letter, button) {
    button.disabled = true;
    try {
      await post(`/v1/dead-letters/${letter.id}/redrive`);
      this.problem.replaceChildren();
    } catch (error) {
      this.problem.replaceChildren(problemBox(error));
    }
    await this.refresh();
  }

  #older() {
    this.#pages += 1;
    this.refresh();
  }
}
