/* Saying who one is. */

import { Problem } from "../api.js";
import { h } from "../dom.js";
import { problemBox } from "../problem.js";
import { signIn } from "../session.js";

export function signInView(root, reason) {
  const key = h("input", { id: "key", type: "password", required: true, autocomplete: "off", spellcheck: "false", placeholder: "kwe_…" });
  const problem = h("div", {});
  const button = h("button", { type: "submit", class: "primary" }, "Sign in");
  const submit = async (event) => {
    event.preventDefault();
    button.disabled = true;
    try {
      await probe(key.value.trim());
      signIn(key.value.trim());
    } catch (error) {
      problem.replaceChildren(problemBox(error));
      button.disabled = false;
      key.focus();
    }
  };
  root.append(
    h("div", { class: "sign-in panel" },
      h("h1", {}, "Sign in"),
      reason ? h("div", { class: "problem", role: "alert" }, reason) : null,
      h("form", { on: { submit } }, h("label", { for: "key" }, "API key or token"), key, problem, button),
      h("h2", {}, "Where is my key?"),
      h("p", {}, "Started with ", h("code", {}, "make run"), " or ", h("code", {}, "kwe up"), ": it is in the file ", h("code", {}, ".kwe/credentials"), " of the folder where that was started. This prints it:"),
      h("pre", {}, "grep KWE_API_KEY .kwe/credentials | cut -d= -f2"),
      h("p", {}, "Elsewhere an operator makes one:"),
      h("pre", {}, "kwe admin create-key --organization NAME --scopes executions:read,executions:write,workflows:read,events:read"),
      h("p", { class: "quiet" }, "It is kept in this tab until you close it, and sent to this server only."),
    ));
  key.focus();
}

/** Not through `api.js`: a refused key must not end a session that has not begun. */
async function probe(key) {
  if (!/^[\x21-\x7e]+$/.test(key)) throw new Problem(400, { title: "No key", detail: "A key or token has only letters, digits and signs, without spaces." });
  let response;
  try {
    response = await fetch("/v1/executions?limit=1", { headers: { Authorization: `Bearer ${key}` }, cache: "no-store" });
  } catch {
    throw new Problem(0, { title: "No answer", detail: "The server cannot be reached." });
  }
  if (!response.ok) throw new Problem(response.status, await response.json().catch(() => ({})));
}
