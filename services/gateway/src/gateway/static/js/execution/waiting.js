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

/** A time that nobody waits for, only that it would end the task if it came. */
export function isTimeout(wait) {
  return wait.kind === "deadline";
}

/** Real reasons first. `taskOf` finds a task by its reference. */
export function waitingPanel(all, taskOf, onPlace) {
  const timeouts = all.filter((wait) => isTimeout(wait));
  const waits = [...all.filter((wait) => !timeouts.includes(wait)), ...timeouts];
  if (waits.length === 0) return null;
  const rest = waits.length - SHOWN_MAX;
  return h("section", { class: "panel why", "aria-label": "Why it waits" },
    h("h2", {}, "Why it waits"),
    h("ul", { class: "waits" }, waits.slice(0, SHOWN_MAX).map((wait) => waitRow(wait, taskOf(wait.reference), onPlace))),
    rest > 0 ? h("p", { class: "quiet" }, `and ${rest} more of them: the timeline below shows each.`) : null,
  );
}

function words(wait, task) {
  // A task that is not with the executors yet has a reason of its own; the server has words for it.
  if (wait.kind === "task" && / waits for room /.test(wait.reason)) return "waits for room in its queue: earlier tasks go first";
  if (isTimeout(wait)) return wait.reference ? "fails if it is not done by then" : "the execution fails if it is not done by then";
  if (wait.kind === "timer" && task?.kind === "try") return `pauses before try ${task.tries}`;
  return WORDS[wait.kind]?.(wait) ?? wait.reason;
}

function waitRow(wait, task, onPlace) {
  return h("li", { title: wait.reason },
    h("span", { class: `wait-kind ${wait.kind === "task" ? "busy" : ""}` }, isTimeout(wait) ? "timeout" : wait.kind),
    wait.reference ? h("button", { type: "button", class: "link", on: { click: () => onPlace(wait.reference) } }, h("code", {}, wait.reference)) : null,
    h("span", {}, words(wait, task)),
    wait.childId ? h("a", { href: `#/executions/${wait.childId}` }, "Open it") : null,
    wait.executorsLost > 0 ? h("strong", { class: "bad" }, `${wait.executorsLost} executor(s) died with it`) : null,
    h("span", { class: "quiet" }, "since ", moment(wait.since), wait.until ? [wait.kind === "task" ? ", at most until " : ", until ", moment(wait.until), " (", ago(wait.until), ")"] : null),
  );
}
