/* A request that failed, in words. */

import { Problem } from "./api.js";
import { h } from "./dom.js";

export function problemBox(error) {
  if (!(error instanceof Problem)) return h("div", { class: "problem", role: "alert" }, h("strong", {}, "This page has a fault"), h("p", {}, String(error)));
  return h("div", { class: "problem", role: "alert" },
    h("strong", {}, error.title || "It did not work"),
    h("p", {}, error.message),
    error.errors.length > 0
      ? h("ul", {}, error.errors.map((each) => h("li", {}, h("code", {}, each.pointer), " ", each.detail)))
      : null,
    error.advice ? h("p", { class: "quiet" }, error.advice) : null,
    error.requestId ? h("p", { class: "quiet" }, "Request ", h("code", {}, error.requestId)) : null,
  );
}
