/* Starting up: the bar at the top, and the view that the address names. */

import { h, fill } from "./dom.js";
import { refreshAgo } from "./format.js";
import { executionView } from "./pages/execution.js";
import { listView } from "./pages/list.js";
import { operationsView } from "./pages/operations.js";
import { signInView } from "./pages/signin.js";
import { currentRoute } from "./router.js";
import { credential, onSession, signOut } from "./session.js";

const ID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const main = document.getElementById("main");
const bar = document.getElementById("bar");
let leaving = new AbortController();

function show(reason = "") {
  leaving.abort();
  leaving = new AbortController();
  document.querySelectorAll("dialog").forEach((dialog) => dialog.remove());
  const route = currentRoute();
  drawBar(route);
  main.replaceChildren();
  if (!credential()) {
    document.title = "Sign in";
    signInView(main, reason);
    return;
  }
  viewOf(route)(main, route, leaving.signal);
}

function viewOf({ parts: [first, id] }) {
  if (first === "executions" && id) return executionView;
  if (first === "operations") return operationsView;
  return listView;
}

function drawBar(route) {
  const place = route.parts[0] ?? "executions";
  const link = (name, title) => h("a", { href: `#/${name}`, "aria-current": place === name ? "page" : null }, title);
  fill(bar,
    h("a", { class: "brand", href: "#/executions" }, h("span", { class: "logo", "aria-hidden": "true" }, h("i", {}), h("i", {}), h("i", {})), "kwe"),
    credential() ? h("nav", { "aria-label": "Pages" }, link("executions", "Executions"), link("operations", "Operations")) : null,
    h("span", { class: "space" }),
    credential() ? finder() : null,
    h("a", { href: "/docs" }, "API"),
    credential() ? h("button", { type: "button", class: "small", on: { click: () => signOut() } }, "Sign out") : null,
  );
}

function finder() {
  const input = h("input", { id: "find", type: "search", placeholder: "Execution id  /", "aria-label": "Go to an execution by its id", autocomplete: "off", spellcheck: "false" });
  const go = (event) => {
    event.preventDefault();
    const id = input.value.trim();
    const known = ID.test(id);
    input.setAttribute("aria-invalid", String(!known));
    input.setCustomValidity(known ? "" : "An id has 36 characters, such as 01a20529-47e3-7641-b6ae-d3c38ae38ec8.");
    input.reportValidity();
    if (known) location.hash = `#/executions/${id.toLowerCase()}`;
  };
  input.addEventListener("input", () => input.setCustomValidity(""));
  return h("form", { role: "search", on: { submit: go } }, input);
}

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest?.("input, textarea, select, dialog");
  const wanted = (event.key === "/" && !typing) || (event.key === "k" && (event.metaKey || event.ctrlKey));
  if (!wanted) return;
  event.preventDefault();
  document.getElementById("find")?.focus();
});
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address after the `#` is taken
  main.focus();
});
window.addEventListener("hashchange", () => show());
onSession((reason) => show(reason));
setInterval(() => document.hidden || refreshAgo(document), 1000);
show();
