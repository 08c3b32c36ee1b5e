/* One execution: what it got, what it gave, where it is, and every task as it happens. */

import { Problem, courtesyMs, get, serverNow } from "../api.js";
import { copyButton } from "../clipboard.js";
import { announce, fill, fillOnChange, h } from "../dom.js";
import { badge, workflowName } from "../format.js";
import { jsonBlock } from "../json.js";
import { problemBox } from "../problem.js";
import { replaceQuery } from "../router.js";
import { follow, sleep } from "../stream.js";
import { actionButtons, isFinal } from "../execution/actions.js";
import { answerIn, answerView } from "../execution/answer.js";
import { loadDefinition, snippetAt } from "../execution/definition.js";
import { failurePanel } from "../execution/failure.js";
import { EventLog } from "../execution/log.js";
import { RawHistory } from "../execution/raw.js";
import { Speech } from "../execution/speech.js";
import { summary, tookText } from "../execution/summary.js";
import { Timeline } from "../execution/timeline.js";
import { isTimeout, waitingPanel } from "../execution/waiting.js";

const HISTORY_PAGE = 2000;
const SETTLE_MS = 250;
const PAUSE_MS = 800;
const LOOK_MS = 10_000;
const TICK_MS = 500;

export async function executionView(root, route, signal) {
  const id = route.parts[1];
  document.title = "Execution";
  root.append(h("p", { class: "quiet" }, "Loading…"));
  try {
    const execution = await get(`/v1/executions/${encodeURIComponent(id)}`, {}, signal);
    root.replaceChildren();
    await new ExecutionPage(root, execution, signal).run(route.query.get("task"));
  } catch (error) {
    if (signal.aborted) return;
    fill(root, problemBox(error), h("p", {}, h("a", { href: "#/executions" }, "All executions")));
  }
}

class ExecutionPage {
  #log = new EventLog();
  #definition = null;
  #children = [];
  #waits = new Map();
  #awake = false;
  #wake = () => {};

  constructor(root, execution, signal) {
    this.execution = execution;
    this.signal = signal;
    this.path = `/v1/executions/${execution.id}`;
    this.speech = new Speech();
    this.timeline = new Timeline({
      waitOf: (reference) => this.#waits.get(reference),
      snippetAt: (reference) => (this.#definition ? snippetAt(this.#definition, reference) : undefined),
      loadOutput: () => this.#loadOutputs(),
      onSelect: (reference) => replaceQuery(new URLSearchParams(reference ? { task: reference } : {})),
      spoken: (reference) => this.speech.of(reference),
    });
    this.raw = new RawHistory(this.#log, execution.id);
    this.live = h("span", { class: "live", hidden: true });
    this.parts = Object.fromEntries(["head", "summary", "failure", "waiting", "output", "input"].map((name) => [name, h("div", {})]));
    this.problem = h("div", {});
    root.append(this.parts.head, this.problem, this.parts.summary, this.parts.failure, this.parts.waiting, this.speech.element, this.parts.output,
      h("section", { class: "panel", "aria-label": "Timeline" },
        h("div", { class: "title" }, h("h2", {}, "Timeline"), this.live, h("span", { class: "space" }), legend()), this.timeline.element),
      this.parts.input, this.raw.element);
  }

  async run(selected) {
    this.#draw();
    loadDefinition(this.execution.workflow).then((definition) => {
      this.#definition = definition;
      this.#draw();
    });
    await this.#readHistory();
    await this.#readChildren();
    this.#draw();
    if (selected) this.timeline.select(selected, { focus: false });
    if (isFinal(this.execution.status)) return;
    const ticking = setInterval(() => document.hidden || this.#tick(), TICK_MS);
    this.signal.addEventListener("abort", () => clearInterval(ticking));
    await Promise.all([this.#follow(), this.#keepLooking()]);
    clearInterval(ticking);
    this.#tick();
  }

  // --- what happens -----------------------------------------------------------------------------------------

  async #follow() {
    await follow(`${this.path}/events`, {
      lastId: String(this.#log.lastSequence),
      signal: this.signal,
      onState: (state) => this.#showLive(state),
      onEvent: (event) => this.#onEvent(event),
    });
    this.live.hidden = true;
    this.#wakeUp();
  }

  #onEvent({ event, data }) {
    const body = JSON.parse(data);
    if (event === "task.delta") {
      const ended = this.#log.tasks.get(body.reference)?.finishedAt ?? null; // what came late is in the output
      if (ended === null) this.speech.add(body);
      return false;
    }
    if (event === "error") throw new Problem(body.status ?? 500, body);
    const changed = this.#log.addPublic(body);
    this.#changed(changed);
    this.#wakeUp();
    return /\.workflow\.(completed|faulted|cancelled)\.v1$/.test(event);
  }

  /** The stream tells that something happened, and the API what. Not more often than it can be read. */
  async #keepLooking() {
    while (!this.signal.aborted) {
      await this.#woken();
      await sleep(SETTLE_MS, this.signal);
      if (this.signal.aborted) return;
      if (!document.hidden) await this.#look();
      if (isFinal(this.execution.status) && this.#log.readTo >= this.#log.lastSequence) return;
      await sleep(PAUSE_MS + courtesyMs(), this.signal);
    }
  }

  async #woken() {
    const timer = new AbortController();
    if (!this.#awake) await Promise.race([new Promise((resolve) => (this.#wake = resolve)), sleep(LOOK_MS, AbortSignal.any([this.signal, timer.signal]))]);
    timer.abort();
    this.#awake = false;
  }

  #wakeUp() {
    this.#awake = true;
    this.#wake();
  }

  // --- reading ----------------------------------------------------------------------------------------------

  async #look() {
    try {
      const before = this.execution.status;
      this.execution = await get(this.path, {}, this.signal);
      await this.#readHistory();
      await this.#readChildren();
      this.problem.replaceChildren();
      if (before !== this.execution.status) announce(`Execution ${this.execution.status}`);
    } catch (error) {
      if (this.signal.aborted) return;
      this.problem.replaceChildren(problemBox(error));
    }
    this.#draw();
  }

  async #readHistory() {
    for (let more = true; more && !this.signal.aborted; ) {
      const page = await get(`${this.path}/history`, { after: this.#log.readTo, limit: HISTORY_PAGE }, this.signal);
      this.#changed(this.#log.addHistory(page.items));
      more = page.nextAfter !== null;
      if (more) this.#tick();
    }
  }

  async #readChildren() {
    if (![...this.#log.tasks.values()].some((task) => task.kind === "run")) return;
    this.#children = (await get("/v1/executions", { parent: this.execution.id, limit: 20 }, this.signal)).items;
  }

  /** Large outputs are not in the history; the list of tasks has those that fit. */
  async #loadOutputs() {
    try {
      const { items } = await get(`${this.path}/tasks`, {}, this.signal);
      for (const item of items) {
        const task = this.#log.tasks.get(item.reference);
        if (task && task.output === undefined && !item.outputRef) task.output = item.output;
      }
      this.timeline.refresh(items.map((item) => item.reference));
    } catch (error) {
      this.problem.replaceChildren(problemBox(error));
    }
  }

  // --- drawing ----------------------------------------------------------------------------------------------

  #changed(references) {
    if (references.size === 0) return;
    const tasks = [...references].map((reference) => this.#log.tasks.get(reference));
    for (const task of tasks) if (task.finishedAt !== null) this.speech.end(task.reference);
    this.timeline.change(tasks);
    this.#tick();
    this.raw.draw();
  }

  #draw() {
    const { execution, parts } = this;
    document.title = `${execution.status} · ${workflowName(execution.workflow)}`;
    this.#noteWaits();
    fillOnChange(parts.head, execution.status, () => this.#head());
    fillOnChange(parts.summary, [execution, this.#log.lastSequence, this.#log.readTo, this.#children], () => summary(execution, this.#log, this.#children));
    fillOnChange(parts.failure, [execution.error, this.#definition !== null], () => this.#failure());
    fillOnChange(parts.waiting, [execution.waitingFor, this.#log.readTo], () => this.#waiting());
    fillOnChange(parts.output, [execution.status, execution.output], () => outputPanel(execution));
    fillOnChange(parts.input, execution.input, () => panel("Input", jsonBlock(execution.input, "Input")));
    this.raw.draw();
    this.#tick();
  }

  #head() {
    const { execution } = this;
    return [
      h("p", { class: "crumbs" }, h("a", { href: "#/executions" }, "Executions"), " / ", h("code", {}, execution.id), copyButton("Copy", () => execution.id)),
      h("div", { class: "title" }, h("h1", {}, workflowName(execution.workflow)), badge(execution.status), h("span", { class: "space" }),
        actionButtons(execution, () => this.#look())),
    ];
  }

  #failure() {
    const { error } = this.execution;
    if (!error) return null;
    const snippet = this.#definition && error.instance ? snippetAt(this.#definition, error.instance) : undefined;
    return failurePanel(error, { heading: "Why it failed", snippet, onPlace: (reference) => this.timeline.select(reference) });
  }

  #waiting() {
    return waitingPanel(this.execution.waitingFor, (reference) => this.#log.tasks.get(reference), (reference) => this.timeline.select(reference));
  }

  /** Which tasks wait, and for what: their rows say so. */
  #noteWaits() {
    const before = this.#waits;
    this.#waits = new Map();
    for (const wait of this.execution.waitingFor) {
      if (!isTimeout(wait)) this.#waits.set(wait.reference, wait);
    }
    const either = new Set([...before.keys(), ...this.#waits.keys()]);
    const changed = [...either].filter((reference) => before.get(reference)?.reason !== this.#waits.get(reference)?.reason);
    this.timeline.refresh(changed.filter((reference) => this.#log.tasks.has(reference)));
  }

  #tick() {
    const { execution } = this;
    const open = !isFinal(execution.status);
    // The events have a clock of their own: mixing it with that of the execution's row would show gaps that were not.
    const start = this.#log.events.get(1)?.at ?? Date.parse(execution.startedAt ?? execution.createdAt);
    const end = open ? Math.max(serverNow(), this.#log.lastAt) : this.#log.lastAt;
    this.timeline.setTime(start, end, open);
    const took = this.parts.summary.querySelector(".took");
    if (took && open) took.textContent = tookText(execution);
  }

  #showLive(state) {
    this.live.hidden = false;
    this.live.className = `live ${state}`;
    this.live.textContent = { live: "live", lost: "connecting again…", resting: "paused while hidden" }[state];
  }
}

function panel(heading, ...content) {
  return h("section", { class: "panel", "aria-label": heading }, h("h2", {}, heading), content);
}

function outputPanel({ status, output }) {
  if (status !== "completed") return null;
  const answer = answerIn(output);
  if (!answer) return panel("Output", jsonBlock(output, "Output"));
  return panel("Answer", answerView(answer), h("details", {}, h("summary", {}, "The output as JSON"), jsonBlock(output, "Output")));
}

function legend() {
  const entry = (kind, text) => h("span", {}, h("i", { class: `span ${kind}` }), text);
  return h("span", { class: "legend", "aria-hidden": "true" }, entry("wait", "waiting"), entry("handed", "handed out"), entry("work", "working"), entry("scope", "contains others"));
}
