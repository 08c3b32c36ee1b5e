/* The head of the page: what it is, where it stands, where it belongs. */

import { serverNow } from "../api.js";
import { h } from "../dom.js";
import { badge, count, duration, moment, plural, workflowName } from "../format.js";
import { addUsage } from "./log.js";
import { usageText } from "./detail.js";

export const RESTARTED_FROM = "restarted-from";

export function summary(execution, log, children) {
  const name = workflowName(execution.workflow);
  return h("div", { class: "panel summary" },
    h("dl", { class: "facts columns" },
      fact("Workflow", h("a", { href: `#/executions?workflow=${encodeURIComponent(name)}` }, name), ` ${execution.workflow.version}`),
      fact("Created", moment(execution.createdAt)),
      fact("Finished", moment(execution.finishedAt)),
      fact("Took", h("span", { class: "took" }, tookText(execution))),
      fact("Tasks", tasksText(log)),
      usageFact(log),
      execution.parentId ? fact("Started by", h("a", { href: `#/executions/${execution.parentId}` }, execution.parentId)) : null,
      labelsFact(execution.labels),
      reasonFact(execution, log),
    ),
    childrenList(children),
  );
}

function fact(name, ...values) {
  return h("div", { class: "fact" }, h("dt", {}, name), h("dd", {}, values));
}

export function tookText(execution) {
  const end = execution.finishedAt ? Date.parse(execution.finishedAt) : serverNow();
  return duration(end - Date.parse(execution.createdAt)) + (execution.finishedAt ? "" : " so far");
}

function tasksText(log) {
  const by = new Map();
  for (const task of log.tasks.values()) by.set(task.status, (by.get(task.status) ?? 0) + 1);
  const parts = ["faulted", "cancelled"].filter((status) => by.has(status)).map((status) => `${count(by.get(status))} ${status}`);
  const tries = [...log.tasks.values()].filter((task) => task.tries > 1).length;
  if (tries) parts.push(`${count(tries)} tried again`);
  return [plural(log.tasks.size, "task"), ...parts].join(" · ");
}

function usageFact(log) {
  let sum = null;
  for (const task of log.tasks.values()) sum = addUsage(sum, task.usage);
  return sum ? fact("Usage", usageText(sum)) : null;
}

function labelsFact(labels) {
  const entries = Object.entries(labels ?? {});
  if (entries.length === 0) return null;
  return fact("Labels", entries.map(([name, value]) => (name === RESTARTED_FROM ? origin(value) : labelChip(name, value))));
}

export function labelChip(name, value) {
  const label = `${name}:${value}`;
  return h("a", { class: "chip", href: `#/executions?label=${encodeURIComponent(label)}`, title: `Executions with ${label}` }, label);
}

function origin(id) {
  const known = /^[0-9a-f-]{36}$/.test(id);
  return known ? h("a", { class: "chip", href: `#/executions/${id}` }, `started again from ${id.slice(0, 13)}…`) : h("span", { class: "chip" }, id);
}

function reasonFact(execution, log) {
  const reason = log.latest(`workflow.${execution.status}`)?.reason;
  return reason ? fact("Reason", reason) : null;
}

function childrenList(children) {
  if (children.length === 0) return null;
  return h("div", { class: "children" },
    h("h3", {}, "Executions it started"),
    h("ul", {}, children.map((child) =>
      h("li", {}, badge(child.status), " ", h("a", { href: `#/executions/${child.id}` }, workflowName(child.workflow), " ", h("code", {}, child.id))))),
  );
}
