/* Everything about one task, below its row. */

import { h } from "../dom.js";
import { clock, count, duration } from "../format.js";
import { copyButton } from "../clipboard.js";
import { jsonBlock } from "../json.js";
import { answerIn, answerView } from "./answer.js";
import { failurePanel } from "./failure.js";

export function taskDetail(task, context) {
  const error = task.error ?? null;
  const caught = !error && task.caught;
  return h("div", { class: "task-detail" },
    h("dl", { class: "facts" },
      fact("Reference", h("code", {}, task.reference), copyButton("Copy", () => task.reference)),
      fact("Task id", h("code", {}, task.taskId), " ", h("span", { class: "quiet" }, "also the idempotency key of its side effects")),
      task.function ? fact("Function", h("code", {}, task.function)) : null,
      task.worker ? fact("Executor", h("code", {}, task.worker)) : null,
      task.usage ? fact("Usage", usageText(task.usage)) : null,
    ),
    waitText(context.waitOf(task.reference), task),
    tries(task),
    context.spoken(task.reference),
    error ? failurePanel(error, { heading: "Error of this task", snippet: context.snippetAt(task.reference) }) : null,
    caught ? failurePanel(caught, { heading: "Error that was caught" }) : null,
    error ? null : definition(context.snippetAt(task.reference)),
    output(task, context),
  );
}

function fact(name, ...values) {
  return [h("dt", {}, name), h("dd", {}, values)];
}

function waitText(wait, task) {
  if (!wait || task.finishedAt !== null) return null;
  return h("p", { class: "hint" }, wait.reason);
}

function tries(task) {
  const spans = task.spans.filter((span) => span.kind !== "scope");
  if (spans.length === 0 || (task.tries <= 1 && spans.length < 2)) return null;
  const cells = (span) => [
    String(span.attempt ?? ""), { wait: "waited", handed: "handed out", work: "worked", delay: "paused" }[span.kind],
    clock(span.from, { fraction: true }), span.to === null ? "" : duration(span.to - span.from), span.outcome,
  ];
  return h("table", { class: "tries" },
    h("thead", {}, h("tr", {}, ["Try", "", "From", "For", "Outcome"].map((title) => h("th", { scope: "col" }, title)))),
    h("tbody", {}, spans.map((span) => h("tr", {}, cells(span).map((text) => h("td", {}, text))))),
  );
}

function definition(snippet) {
  if (snippet === undefined) return null;
  return h("details", {}, h("summary", {}, "Definition"), jsonBlock(snippet, "Definition of the task"));
}

function output(task, context) {
  if (task.output === undefined && task.outputRef !== null) {
    const load = h("button", { type: "button", on: { click: () => context.loadOutput(task) } }, `Load the output (${count(task.outputSize ?? 0)} bytes)`);
    return h("div", {}, load);
  }
  if (task.output === undefined) {
    return task.outputSize ? h("p", { class: "quiet" }, `The output had ${count(task.outputSize)} bytes and is not kept, because nothing needed it.`) : null;
  }
  const answer = answerIn(task.output);
  return h("div", {}, h("h3", {}, "Output"), answer ? answerView(answer) : null, jsonBlock(task.output, "Output of the task"));
}

export function usageText(usage) {
  const parts = [`${count(usage.inputTokens)} tokens in`, `${count(usage.outputTokens)} out`];
  if (usage.cost !== null) parts.push(costText(usage));
  if (usage.models.length > 0) parts.push(usage.models.join(", "));
  return parts.join(" · ");
}

function costText(usage) {
  return `cost ${usage.cost.toLocaleString("en", { maximumFractionDigits: 6 })}${usage.currency ? ` ${usage.currency}` : ""}`;
}
