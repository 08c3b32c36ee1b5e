/*
 * One row per task, and a bar for each of its tries: waiting shaded, working solid.
 *
 * Bars know their times in milliseconds since the start; how wide that is follows from two CSS variables of the
 * whole. So as time goes on, two variables change and nothing else, however many tasks there are.
 */

import { fill, h, reconcile } from "../dom.js";
import { badge, count, duration } from "../format.js";
import { spent } from "./log.js";
import { taskDetail } from "./detail.js";
import { SHOWN_MORE, TaskTree } from "./tree.js";

const SPAN_WORDS = { wait: "waited", handed: "handed out", work: "worked", delay: "pause before the next try", scope: "open" };

export class Timeline {
  #context;
  #tree = new TaskTree();
  #rows = new Map();
  #dirty = new Set();
  #drawn = false;
  #selected = null;
  #focused = null;
  #scale = { start: 0, now: 0, total: 1 };

  /** `context` gives what a task's detail needs: `waitOf`, `snippetAt`, `loadOutput`, `onSelect`, `spoken`. */
  constructor(context) {
    this.#context = context;
    this.body = h("div", { role: "rowgroup", class: "rows", on: { keydown: (event) => this.#onKey(event) } });
    this.axis = h("div", { class: "axis", "aria-hidden": "true" });
    this.element = h("div", { class: "timeline", role: "treegrid", "aria-label": "Tasks" },
      h("div", { role: "row", class: "row head" },
        ["Task", "Status", "Tries", "Waited", "Worked", "Tokens"].map((title) => h("span", { role: "columnheader" }, title)),
        h("span", { role: "columnheader", class: "axis-cell" }, this.axis, h("span", { class: "unseen" }, "When")),
      ),
      this.body,
    );
  }

  /** Tasks that are new or have changed. */
  change(tasks) {
    for (const task of [...tasks].sort((one, other) => one.first - other.first)) {
      this.#tree.add(task);
      this.#dirty.add(task.reference);
    }
    this.#draw();
  }

  /** Everything starts at `start`; open bars reach to `now`. */
  setTime(start, now, isOpen) {
    this.#scale = { start, now: now - start, total: Math.max(1, now - start) };
    this.element.style.setProperty("--total", this.#scale.total);
    this.element.style.setProperty("--now", this.#scale.now);
    this.element.classList.toggle("is-open", isOpen);
    drawAxis(this.axis, this.#scale.total);
  }

  /** Waits may have changed without an event. */
  refresh(references) {
    for (const reference of references) this.#dirty.add(reference);
    this.#draw();
  }

  select(reference, { focus = true } = {}) {
    const node = this.#tree.reveal(nearest(this.#tree, reference));
    if (!node) return;
    this.#setSelected(node.task.reference);
    this.#drawNow();
    const row = this.#rows.get(node.task.reference);
    row?.scrollIntoView({ block: "nearest", behavior: "smooth" });
    if (focus) this.#focus(node.task.reference);
  }

  #setSelected(reference) {
    const before = this.#selected;
    this.#selected = before === reference ? before : reference;
    for (const each of [before, reference]) if (each) this.#dirty.add(each);
    this.#context.onSelect(this.#selected);
  }

  #toggleDetail(reference) {
    if (this.#selected === reference) {
      this.#selected = null;
      this.#dirty.add(reference);
      this.#context.onSelect(null);
    } else {
      this.#setSelected(reference);
    }
    this.#focused = reference;
    this.#drawNow();
  }

  // --- drawing ----------------------------------------------------------------------------------------------

  #draw() {
    if (this.#drawn) return;
    this.#drawn = true;
    setTimeout(() => this.#drawNow(), 50); // not an animation frame: hidden pages have none, and must not pile up work
  }

  #drawNow() {
    this.#drawn = false;
    const entries = this.#tree.visible((task) => task.status === "faulted");
    const keys = [];
    const byKey = new Map();
    const put = (key, entry) => {
      keys.push(key);
      byKey.set(key, entry);
    };
    for (const entry of entries) {
      if (entry.more) {
        put(`${entry.node.task.reference}#more`, entry);
        this.#dirty.add(`${entry.node.task.reference}#more`);
      } else {
        put(entry.node.task.reference, entry);
        if (entry.node.task.reference === this.#selected) put(`${this.#selected}#detail`, entry);
      }
    }
    if (this.#selected && this.#dirty.has(this.#selected)) this.#dirty.add(`${this.#selected}#detail`);
    reconcile(this.body, this.#rows, keys, (key) => {
      this.#dirty.add(key);
      return h("div", { role: "row" });
    });
    for (const key of this.#dirty) {
      if (byKey.has(key)) this.#fillRow(key, byKey.get(key));
    }
    this.#dirty.clear();
    this.#rove(keys);
  }

  #fillRow(key, entry) {
    const row = this.#rows.get(key);
    if (entry.more) this.#fillMore(row, entry);
    else if (key.endsWith("#detail")) this.#fillDetail(row, entry.node);
    else this.#fillTask(row, entry.node);
  }

  #fillTask(row, node) {
    const { task } = node;
    const status = this.#statusOf(task);
    row.className = `row task is-${status}${task.reference === this.#selected ? " selected" : ""}`;
    row.dataset.reference = task.reference;
    row.tabIndex = -1;
    row.setAttribute("aria-level", node.depth + 1);
    row.setAttribute("aria-selected", String(task.reference === this.#selected));
    if (node.children.length > 0) row.setAttribute("aria-expanded", String(node.open));
    row.onclick = (event) => {
      if (!event.target.closest("button")) this.#toggleDetail(task.reference);
    };
    row.style.setProperty("--depth", node.depth);
    fill(row, this.#cells(node, status));
  }

  #cells(node, status) {
    const { task } = node;
    const open = task.finishedAt === null;
    const now = this.#scale.start + this.#scale.now;
    const scope = task.spans.some((span) => span.kind === "scope");
    const waited = spent(task, ["wait", "delay"], now);
    const worked = spent(task, scope ? ["scope"] : ["work"], now);
    const cell = (text, name = "") => h("span", { role: "gridcell", class: name }, text);
    return [
      h("span", { role: "gridcell", class: "name" },
        this.#toggle(node), h("strong", {}, task.name), h("span", { class: "quiet" }, [kindText(task), node.place].filter(Boolean).join(" · "))),
      h("span", { role: "gridcell" }, badge(status)),
      cell(task.tries > 1 ? `${task.tries}` : task.tries === 1 ? "1" : "", task.tries > 1 ? "number many" : "number"),
      cell(waited > 0 && !open ? duration(waited) : "", "number"),
      cell(!open && task.spans.length > 0 && (worked > 0 || waited === 0) ? duration(worked) : "", `number${scope ? " quiet" : ""}`),
      cell(tokens(task.usage), "number"),
      h("span", { role: "gridcell", class: "bars" }, task.spans.map((span) => this.#bar(task, span, status))),
    ];
  }

  #toggle(node) {
    if (node.children.length === 0) return h("span", { class: "toggle" });
    return h("button", {
      type: "button", class: "toggle", tabindex: "-1",
      "aria-label": node.open ? `Hide what ${node.task.name} contains` : `Show what ${node.task.name} contains`,
      on: { click: () => this.#open(node, !node.open) },
    }, node.open ? "▾" : "▸");
  }

  #bar(task, span, status) {
    const from = span.from - this.#scale.start;
    const open = span.to === null;
    const kind = open && span.kind === "handed" && status === "waiting" ? "wait" : span.kind;
    const length = open ? null : span.to - span.from;
    const words = `${SPAN_WORDS[kind]}${length === null ? "" : ` ${duration(length)}`}${task.tries > 1 && span.attempt ? ` · try ${span.attempt}` : ""}`;
    return h("span", {
      class: `span ${kind} ${span.outcome} ${open ? "open" : ""}`,
      title: words,
      vars: open ? { "--from": from } : { "--from": from, "--length": length },
    });
  }

  #fillMore(row, { more, node }) {
    row.className = "row more";
    row.style.setProperty("--depth", node.depth + 1);
    const show = () => {
      node.shown += SHOWN_MORE;
      this.#drawNow();
    };
    fill(row, h("span", { role: "gridcell", class: "name" },
      h("button", { type: "button", class: "link", on: { click: show } }, `Show ${count(Math.min(more, SHOWN_MORE))} more`),
      h("span", { class: "quiet" }, `${count(more)} of ${count(node.children.length)} in ${node.task.name} are not shown`)));
  }

  #fillDetail(row, node) {
    row.className = "row detail";
    fill(row, h("div", { role: "gridcell" }, taskDetail(node.task, this.#context)));
  }

  #statusOf(task) {
    if (task.finishedAt !== null) return task.status;
    const wait = this.#context.waitOf(task.reference);
    if (!wait) return task.status;
    return wait.kind === "task" ? "queued" : "waiting";
  }

  // --- keyboard ---------------------------------------------------------------------------------------------

  #rove(keys) {
    const first = this.#rows.has(this.#focused) ? this.#focused : keys[0];
    const row = this.#rows.get(first);
    if (row) row.tabIndex = 0;
    this.#focused = first ?? null;
  }

  #focus(reference) {
    const before = this.#rows.get(this.#focused);
    if (before) before.tabIndex = -1;
    this.#focused = reference;
    const row = this.#rows.get(reference);
    row.tabIndex = 0;
    row.focus({ preventScroll: false });
  }

  #open(node, open) {
    node.open = open;
    this.#dirty.add(node.task.reference);
    this.#drawNow();
  }

  #onKey(event) {
    const row = event.target.closest(".row.task");
    if (!row || event.target !== row) return;
    const node = this.#tree.nodes.get(row.dataset.reference);
    const act = {
      ArrowDown: () => this.#step(row, "nextElementSibling"),
      ArrowUp: () => this.#step(row, "previousElementSibling"),
      ArrowRight: () => (node.children.length > 0 && !node.open ? this.#open(node, true) : this.#step(row, "nextElementSibling")),
      ArrowLeft: () => (node.children.length > 0 && node.open ? this.#open(node, false) : node.parent && this.#focus(node.parent.task.reference)),
      Enter: () => this.#toggleDetail(node.task.reference),
      " ": () => this.#toggleDetail(node.task.reference),
    }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }

  #step(row, direction) {
    let next = row[direction];
    while (next && !next.classList.contains("task")) next = next[direction];
    if (next) this.#focus(next.dataset.reference);
  }
}

/** Errors name a place inside a task sometimes: then the task around it. */
function nearest(tree, reference) {
  let each = reference;
  while (each && !tree.nodes.has(each)) each = each.slice(0, each.lastIndexOf("/"));
  return each;
}

function kindText(task) {
  return task.function ? task.function.replace(/@.*$/, "") : task.kind;
}

function tokens(usage) {
  if (!usage || usage.inputTokens + usage.outputTokens === 0) return "";
  return count(usage.inputTokens + usage.outputTokens);
}

function drawAxis(axis, total) {
  const marks = [0, 0.25, 0.5, 0.75, 1].map((part) => duration(total * part));
  const text = marks.join("|");
  if (axis.dataset.marks === text) return;
  axis.dataset.marks = text;
  fill(axis, marks.map((mark) => h("span", {}, mark)));
}
