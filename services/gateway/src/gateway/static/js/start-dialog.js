/* Starting an execution, from nothing or from an earlier one. */

import { get, parse, post } from "./api.js";
import { copyButton, curl } from "./clipboard.js";
import { h } from "./dom.js";
import { workflowName } from "./format.js";
import { problemBox } from "./problem.js";

/** `workflow` {namespace, name, version}, `input` and `labels` fill the form; they may be missing. */
export function openStartDialog({ title, workflow = null, input = {}, labels = {} }) {
  const form = new StartForm(title, workflow, input, labels);
  document.body.append(form.dialog);
  form.dialog.showModal();
  form.input.focus();
}

class StartForm {
  #key = { body: "", text: "" };

  constructor(title, workflow, input, labels) {
    this.workflow = h("input", { id: "start-workflow", required: true, placeholder: "namespace/name", list: "start-workflows", autocomplete: "off" });
    this.workflow.value = workflow ? workflowName(workflow) : "";
    this.version = h("input", { id: "start-version", placeholder: "the highest", autocomplete: "off" });
    this.version.value = workflow?.version ?? "";
    this.input = h("textarea", { id: "start-input", rows: "12", spellcheck: "false", on: { input: () => this.#check() } });
    this.input.value = JSON.stringify(input, null, 2);
    this.labels = h("textarea", { id: "start-labels", rows: "2", placeholder: "name:value", spellcheck: "false" });
    this.labels.value = Object.entries(labels).map(([name, value]) => `${name}:${value}`).join("\n");
    this.known = h("datalist", { id: "start-workflows" });
    this.fault = h("p", { class: "bad", role: "status" });
    this.problem = h("div", {});
    this.submit = h("button", { type: "submit", class: "primary" }, "Start");
    this.dialog = this.#layout(title);
    this.dialog.addEventListener("close", () => this.dialog.remove());
    this.#check();
    this.#offerWorkflows();
  }

  #layout(title) {
    const field = (label, element) => h("div", { class: "field" }, h("label", { for: element.id }, label), element);
    return h("dialog", { class: "wide", "aria-labelledby": "start-title" },
      h("form", { on: { submit: (event) => this.#start(event) } },
        h("h2", { id: "start-title" }, title),
        h("div", { class: "two" }, field("Workflow", this.workflow), field("Version", this.version)), this.known,
        field("Input, JSON", this.input), this.fault,
        field("Labels, one per line", this.labels),
        this.problem,
        h("div", { class: "actions end" },
          copyButton("Copy as curl", () => curl("POST", this.#path(), this.#body() ?? {}), { class: "" }),
          h("button", { type: "button", on: { click: () => this.dialog.close() } }, "Leave it"),
          this.submit,
        ),
      ));
  }

  /** Says while typing whether it is JSON. */
  #check() {
    let fault = "";
    try {
      parse(this.input.value);
    } catch (error) {
      fault = `Not JSON yet: ${error.message}`;
    }
    this.fault.textContent = fault;
    this.submit.disabled = fault !== "";
    this.input.setAttribute("aria-invalid", String(fault !== ""));
  }

  #path() {
    const [namespace = "", name = ""] = this.workflow.value.trim().split("/");
    return `/v1/workflows/${encodeURIComponent(namespace)}/${encodeURIComponent(name)}/executions`;
  }

  #body() {
    const body = {};
    try {
      body.input = parse(this.input.value) ?? {};
    } catch {
      return null;
    }
    if (this.version.value.trim()) body.version = this.version.value.trim();
    const pairs = this.labels.value.split("\n").map((text) => text.trim()).filter(Boolean);
    if (pairs.length > 0) body.labels = Object.fromEntries(pairs.map(labelOf));
    return body;
  }

  async #start(event) {
    event.preventDefault();
    const body = this.#body();
    if (body === null) return;
    this.submit.disabled = true;
    try {
      const accepted = await post(this.#path(), body, { "Idempotency-Key": this.#keyFor(body) });
      this.dialog.close();
      location.hash = `#/executions/${accepted.id}`;
    } catch (error) {
      this.problem.replaceChildren(problemBox(error));
      this.submit.disabled = false;
    }
  }

  /** The same for the same request: pressing again after a failure starts nothing twice. */
  #keyFor(body) {
    const text = this.#path() + JSON.stringify(body);
    if (this.#key.body !== text) {
      const random = crypto.getRandomValues(new Uint8Array(16));
      this.#key = { body: text, text: `page-${[...random].map((byte) => byte.toString(16).padStart(2, "0")).join("")}` };
    }
    return this.#key.text;
  }

  async #offerWorkflows() {
    try {
      const page = await get("/v1/workflows", { limit: 200 });
      this.known.replaceChildren(...page.items.map((each) => h("option", { value: each.id })));
      if (!this.workflow.value && page.items.length > 0) this.workflow.value = page.items[0].id;
    } catch {
      // Names can be typed as well; starting says what is wrong.
    }
  }
}

function labelOf(text) {
  const colon = text.indexOf(":");
  return colon < 0 ? [text, ""] : [text.slice(0, colon), text.slice(colon + 1)];
}
