/* An error: what it is, where it happened, what to do. */

import { h } from "../dom.js";
import { jsonBlock } from "../json.js";
import { adviceFor } from "./advice.js";

const KNOWN = new Set(["type", "title", "detail", "status", "instance"]);

/** `onPlace` shows a task; `snippet` is what the definition says at the place, if it is known. */
export function failurePanel(error, { heading, onPlace = null, snippet = undefined }) {
  const more = Object.fromEntries(Object.entries(error).filter(([name]) => !KNOWN.has(name)));
  return h("section", { class: "panel failure", "aria-label": heading },
    h("h2", {}, heading),
    h("p", { class: "failure-what" },
      h("strong", {}, error.title || "Error"),
      error.status ? h("span", { class: "chip" }, String(error.status)) : null,
    ),
    error.detail ? h("p", { class: "failure-detail" }, error.detail) : null,
    h("dl", { class: "facts" },
      h("dt", {}, "Type"), h("dd", {}, h("code", {}, error.type ?? "unknown")),
      error.instance ? [h("dt", {}, "Where"), h("dd", {}, place(error.instance, onPlace))] : null,
    ),
    snippet === undefined ? null : h("details", {}, h("summary", {}, "The definition of this task"), jsonBlock(snippet, "Definition of the task")),
    Object.keys(more).length > 0 ? jsonBlock(more, "More about the error") : null,
    h("h3", {}, "What to do"),
    h("ul", { class: "advice" }, adviceFor(error).map((text) => h("li", {}, withCode(text)))),
  );
}

function place(instance, onPlace) {
  if (!onPlace) return h("code", {}, instance);
  return h("button", { type: "button", class: "link", title: "Show this task in the timeline", on: { click: () => onPlace(instance) } },
    h("code", {}, instance));
}

/** Backticks become code. */
function withCode(text) {
  return text.split("`").map((part, index) => (index % 2 ? h("code", {}, part) : part));
}
