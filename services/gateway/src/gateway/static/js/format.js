/* Values as people read them. */

import { serverNow } from "./api.js";
import { h } from "./dom.js";

/** `3 ms`, `1.2 s`, `4 min 5 s`, `2 h 10 min`, `3 d 4 h` */
export function duration(ms) {
  if (ms === null || ms === undefined || Number.isNaN(ms)) return "";
  if (ms < 1000) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  const steps = [[86_400, "d", 3600, "h"], [3600, "h", 60, "min"], [60, "min", 1, "s"]];
  const [big, bigName, small, smallName] = steps.find(([size]) => seconds >= size);
  const rest = Math.floor((seconds % big) / small);
  return `${Math.floor(seconds / big)} ${bigName}${rest ? ` ${rest} ${smallName}` : ""}`;
}

export function count(number) {
  return number.toLocaleString("en");
}

export function bytes(size) {
  if (size < 1024) return `${size} bytes`;
  return size < 1024 * 1024 ? `${(size / 1024).toFixed(1)} KiB` : `${(size / 1024 / 1024).toFixed(1)} MiB`;
}

export function clock(instant, { fraction = false } = {}) {
  const date = new Date(instant);
  const time = date.toLocaleTimeString("en-GB", { hour12: false });
  return fraction ? `${time}.${String(date.getMilliseconds()).padStart(3, "0")}` : time;
}

/** A moment: the clock today, else the date too; the whole of it on hovering. */
export function moment(instant) {
  if (!instant) return h("span", { class: "quiet" }, "–");
  const date = new Date(instant);
  const today = date.toDateString() === new Date(serverNow()).toDateString();
  const day = date.toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric" });
  return h("time", { datetime: instant, title: date.toISOString() }, today ? clock(date) : `${day} ${clock(date)}`);
}

/** `12 s ago`, kept true by `refreshAgo`. */
export function ago(instant) {
  return h("time", { class: "ago", datetime: instant, title: new Date(instant).toISOString() }, agoText(instant));
}

export function refreshAgo(root) {
  for (const element of root.querySelectorAll("time.ago")) {
    const text = agoText(element.dateTime);
    if (element.textContent !== text) element.textContent = text;
  }
}

function agoText(instant) {
  const ms = serverNow() - Date.parse(instant);
  if (ms < 0) return `in ${duration(-ms)}`;
  return ms < 1500 ? "now" : `${duration(Math.max(1000, Math.floor(ms / 1000) * 1000)).replace(".0", "")} ago`;
}

export function badge(status) {
  return h("span", { class: `badge ${knownStatus(status)}` }, status);
}

const STATUSES = ["pending", "queued", "running", "waiting", "suspended", "cancelled", "faulted", "completed"];

/** A class name: a status that this page does not know yet must not become one. */
export function knownStatus(status) {
  return STATUSES.includes(status) ? status : "pending";
}

export function workflowName(workflow) {
  return `${workflow.namespace}/${workflow.name}`;
}

export function plural(number, one, many = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : many}`;
}
