/* Why an execution is not moving, and until when. */

import { h } from "../dom.js";
import { ago, moment } from "../format.js";

const SHOWN_MAX = 12;

const WORDS = {
  task: (wait) => `with the executors of queue ${wait.queue ?? ""}`,
  timer: () => "waits for a timer",
  event: () => "listens for an event",
  child: () => "waits for another execution to end",
  admission: () => "The organisation's limit of running executions is reached. It starts when another one ends.",
  continue: () => "It goes on by itself in a moment: its last turn had reached its bound.",
  suspended: () => "It was suspended. Resume it to go on.",
};

export function waitingPanel(waits, onPlace) {
  if (waits.length === 0) return null;
  const rest = waits.length - SHOWN_MAX;
  return h("section", { class: "panel why", "aria-label": "Why it waits" },
    h("h2", {}, "Why it waits"),
    h("ul", { class: "waits" }, waits.slice(0, SHOWN_MAX).map((wait) => waitRow(wait, onPlace))),
    rest > 0 ? h("p", { class: "quiet" }, `and ${rest} more of them: the timeline below shows each.`) : null,
  );
}

function waitRow(wait, onPlace) {
  // A task that is not with the executors yet has a reason of its own; the server has words for it.
  const waitsForRoom = wait.kind === "task" && / waits for room /.test(wait.reason);
  const text = waitsForRoom ? "waits for room in its queue: earlier tasks go first" : (WORDS[wait.kind]?.(wait) ?? wait.reason);
  return h("li", { title: wait.reason },
    h("span", { class: `wait-kind ${wait.kind === "task" ? "busy" : ""}` }, wait.kind),
    wait.reference ? h("button", { type: "button", class: "link", on: { click: () => onPlace(wait.reference) } }, h("code", {}, wait.reference)) : null,
    h("span", {}, text),
    wait.childId ? h("a", { href: `#/executions/${wait.childId}` }, "Open it") : null,
    wait.executorsLost > 0 ? h("strong", { class: "bad" }, `${wait.executorsLost} executor(s) died with it`) : null,
    h("span", { class: "quiet" }, "since ", ago(wait.since), wait.until ? [wait.kind === "task" ? ", at most until " : ", until ", moment(wait.until), " (", ago(wait.until), ")"] : null),
  );
}
