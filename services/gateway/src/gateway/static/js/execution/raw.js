/* The history as it is: every event, and all of them as a file. */

import { h, fill } from "../dom.js";
import { copyButton } from "../clipboard.js";
import { clock, plural } from "../format.js";
import { jsonBlock } from "../json.js";

const PAGE = 200;

/** Drawn only while it is open. */
export class RawHistory {
  #log;
  #name;
  #shown = PAGE;

  constructor(log, executionId) {
    this.#log = log;
    this.#name = `${executionId}.json`;
    this.content = h("div", { class: "history" });
    this.title = h("span", {}, "History");
    this.element = h("details", { class: "panel", on: { toggle: () => this.draw() } }, h("summary", {}, this.title), this.content);
  }

  draw() {
    this.title.textContent = `History: ${plural(this.#log.events.size, "event")}`;
    if (!this.element.open) return;
    const events = this.#log.inOrder();
    const text = () => JSON.stringify(events.map(asRead), null, 2);
    fill(this.content,
      h("div", { class: "actions" }, copyButton("Copy as JSON", text), h("button", { type: "button", class: "small", on: { click: () => this.#save(text()) } }, "Save as a file")),
      h("ol", { class: "events" }, events.slice(0, this.#shown).map(eventRow)),
      events.length > this.#shown ? h("button", { type: "button", on: { click: () => this.#more() } }, `Show ${Math.min(1000, events.length - this.#shown)} more`) : null,
    );
  }

  #more() {
    this.#shown += 1000;
    this.draw();
  }

  #save(text) {
    const url = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    const link = h("a", { download: this.#name });
    link.href = url; // made here, not from data
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  }
}

function eventRow(event) {
  const { sequence, type, task } = event;
  const raw = h("details", { on: { toggle: () => raw.childElementCount === 1 && raw.append(jsonBlock(asRead(event), `Event ${sequence}`)) } },
    h("summary", {}, h("span", { class: "number" }, String(sequence)), h("span", {}, clock(event.at, { fraction: true })), h("strong", {}, type), h("code", {}, task ?? "")));
  return h("li", {}, raw);
}

/** Without what this page has added. */
function asRead({ full: _full, at, ...event }) {
  return { ...event, at: new Date(at).toISOString() };
}
