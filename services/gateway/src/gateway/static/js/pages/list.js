/* All executions, newest first, as they come and go. */

import { get } from "../api.js";
import { onChanges } from "../changes.js";
import { fill, h, reconcile } from "../dom.js";
import { ago, badge, duration, workflowName } from "../format.js";
import { problemBox } from "../problem.js";
import { replaceQuery } from "../router.js";
import { openStartDialog } from "../start-dialog.js";
import { labelChip } from "../execution/summary.js";

const PAGE = 50;
const STATUSES = ["pending", "running", "waiting", "suspended", "faulted", "cancelled", "completed"];

export function listView(root, route, signal) {
  document.title = "Executions";
  new List(root, route.query, signal);
}

class List {
  #items = new Map();
  #rows = new Map();
  #cursor = null;

  constructor(root, query, signal) {
    this.signal = signal;
    this.filter = { status: (query.get("status") ?? "").split(",").filter(Boolean), workflow: query.get("workflow") ?? "", label: query.getAll("label") };
    this.body = h("tbody", {});
    this.problem = h("div", {});
    this.empty = h("div", {});
    this.older = h("button", { type: "button", hidden: true, on: { click: () => this.#loadOlder() } }, "Show older ones");
    this.table = h("table", { class: "executions" },
      h("thead", {}, h("tr", {}, ["Status", "Workflow", "Id", "Labels", "Created", "Took"].map((title) => h("th", { scope: "col" }, title)))),
      this.body);
    root.append(
      h("div", { class: "title" }, h("h1", {}, "Executions"), h("span", { class: "space" }),
        h("button", { type: "button", class: "primary", on: { click: () => openStartDialog({ title: "Start an execution" }) } }, "Start…")),
      this.#filters(), this.problem, this.table, this.empty, this.older);
    this.#begin();
  }

  async #begin() {
    await this.#refresh();
    await onChanges(() => this.#refresh(), this.signal);
  }

  // --- filters ----------------------------------------------------------------------------------------------

  #filters() {
    const names = h("datalist", { id: "workflows" });
    this.workflow = h("input", { id: "filter-workflow", list: "workflows", placeholder: "namespace/name", autocomplete: "off", on: { change: () => this.#filterChanged() } });
    this.workflow.value = this.filter.workflow;
    this.label = h("input", { id: "filter-label", placeholder: "name:value", autocomplete: "off", on: { change: () => this.#filterChanged() } });
    this.label.value = this.filter.label.join(" ");
    const chip = (status) => h("button", { type: "button", class: `toggle-chip ${status}`, "aria-pressed": String(this.filter.status.includes(status)), on: { click: (event) => this.#toggle(status, event.currentTarget) } }, status);
    get("/v1/workflows", { limit: 200 }, this.signal).then((page) => fill(names, page.items.map((each) => h("option", { value: each.id }))), () => {});
    return h("form", { class: "filters", role: "search", "aria-label": "Filter", on: { submit: (event) => event.preventDefault() } },
      h("div", { class: "chips", role: "group", "aria-label": "Status" }, STATUSES.map(chip)),
      h("div", { class: "field" }, h("label", { for: "filter-workflow" }, "Workflow"), this.workflow, names),
      h("div", { class: "field" }, h("label", { for: "filter-label" }, "Label"), this.label),
      h("a", { class: "clear", href: "#/executions" }, "Clear"));
  }

  #toggle(status, button) {
    const chosen = new Set(this.filter.status);
    if (!chosen.delete(status)) chosen.add(status);
    this.filter.status = STATUSES.filter((each) => chosen.has(each));
    button.setAttribute("aria-pressed", String(chosen.has(status)));
    this.#filterChanged();
  }

  #filterChanged() {
    this.filter.workflow = this.workflow.value.trim();
    this.filter.label = this.label.value.split(/\s+/).filter(Boolean);
    const query = new URLSearchParams();
    if (this.filter.status.length > 0) query.set("status", this.filter.status.join(","));
    if (this.filter.workflow) query.set("workflow", this.filter.workflow);
    for (const label of this.filter.label) query.append("label", label);
    replaceQuery(query);
    this.#items.clear();
    this.#cursor = null;
    this.#refresh();
  }

  get #isFiltered() {
    return this.filter.status.length > 0 || this.filter.workflow !== "" || this.filter.label.length > 0;
  }

  #query(cursor = null) {
    const { status, workflow, label } = this.filter;
    return { limit: PAGE, status: status.join(","), workflow, label, cursor };
  }

  // --- data -------------------------------------------------------------------------------------------------

  /** The first page again. What it covers is replaced by it; older items that were loaded stay. */
  async #refresh() {
    const asked = JSON.stringify(this.filter);
    const page = await this.#load(this.#query());
    if (page === null || asked !== JSON.stringify(this.filter)) return;
    const oldest = page.nextCursor === null ? "" : page.items.at(-1).id;
    for (const id of this.#items.keys()) if (id >= oldest) this.#items.delete(id);
    if (this.#items.size === 0) this.#cursor = page.nextCursor;
    this.#add(page.items);
  }

  async #loadOlder() {
    this.older.disabled = true;
    const page = await this.#load(this.#query(this.#cursor));
    this.older.disabled = false;
    if (page === null) return;
    this.#cursor = page.nextCursor;
    this.#add(page.items);
  }

  async #load(query) {
    try {
      const page = await get("/v1/executions", query, this.signal);
      this.problem.replaceChildren();
      return page;
    } catch (error) {
      if (!this.signal.aborted) this.problem.replaceChildren(problemBox(error));
      return null;
    }
  }

  #add(items) {
    for (const item of items) this.#items.set(item.id, item);
    this.#draw();
  }

  // --- drawing ----------------------------------------------------------------------------------------------

  #draw() {
    const ids = [...this.#items.keys()].sort().reverse(); // ids are ordered by time
    reconcile(this.body, this.#rows, ids, () => h("tr", {}));
    for (const id of ids) drawRow(this.#rows.get(id), this.#items.get(id));
    this.table.hidden = ids.length === 0;
    fill(this.empty, ids.length === 0 ? this.#nothing() : null);
    this.older.hidden = this.#cursor === null;
  }

  #nothing() {
    if (this.#isFiltered) {
      return h("div", { class: "nothing" }, h("h2", {}, "Nothing matches this filter"),
        h("p", {}, "Executions that start to match appear here by themselves. ", h("a", { href: "#/executions" }, "Show all of them")));
    }
    return h("div", { class: "nothing" }, h("h2", {}, "No executions yet"),
      h("p", {}, "Register a workflow and start it; it appears here at once:"),
      h("pre", {}, "kwe workflows apply workflow.yaml\nkwe run NAMESPACE/NAME --input '{\"question\": \"…\"}'"),
      h("p", {}, "Without a workflow of your own: ", h("code", {}, "kwe up --example"), " loads one, and ", h("code", {}, "kwe init DIR"), " writes one to begin with."));
  }
}

function drawRow(row, item) {
  const signature = `${item.status} ${item.updatedAt}`;
  if (row.dataset.signature !== signature) {
    row.dataset.signature = signature;
    fill(row,
      h("td", {}, badge(item.status)),
      h("td", {}, h("a", { class: "whole-row", href: `#/executions/${item.id}` }, workflowName(item.workflow)), " ", h("span", { class: "quiet" }, item.workflow.version), errorLine(item.error)),
      h("td", {}, h("code", { class: "id", title: item.id }, `${item.id.slice(0, 13)}…${item.id.slice(-4)}`)),
      h("td", { class: "labels" }, item.parentId ? h("a", { class: "chip", href: `#/executions/${item.parentId}` }, "child") : null, Object.entries(item.labels).map(([name, value]) => labelChip(name, value))),
      h("td", {}, ago(item.createdAt)),
      h("td", { class: "number" }, took(item)));
  }
}

function errorLine(error) {
  if (!error) return null;
  return h("div", { class: "error-line" }, [error.title, error.detail].filter(Boolean).join(": "));
}

function took(item) {
  return item.finishedAt ? duration(Date.parse(item.finishedAt) - Date.parse(item.createdAt)) : "";
}
