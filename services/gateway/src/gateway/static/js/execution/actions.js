/* What can be done to an execution from here. */

import { post } from "../api.js";
import { copyButton, curl } from "../clipboard.js";
import { h } from "../dom.js";
import { problemBox } from "../problem.js";
import { openStartDialog } from "../start-dialog.js";
import { RESTARTED_FROM } from "./summary.js";

const FINAL = new Set(["completed", "faulted", "cancelled"]);

export function isFinal(status) {
  return FINAL.has(status);
}

/** Buttons for its present state. `onDone` is called after a command was committed, or refused as out of date. */
export function actionButtons(execution, onDone) {
  const open = !isFinal(execution.status);
  const suspended = execution.status === "suspended";
  const button = (label, listener, name = "") => h("button", { type: "button", class: name, on: { click: listener } }, label);
  return h("div", { class: "actions" },
    open && !suspended ? button("Suspend…", () => confirmAction(execution, SUSPEND, onDone)) : null,
    open && suspended ? button("Resume", () => confirmAction(execution, RESUME, onDone), "primary") : null,
    open ? button("Cancel…", () => confirmAction(execution, CANCEL, onDone), "danger") : null,
    button("Start again…", () => startAgain(execution), open ? "" : "primary"),
    copyButton("Copy as curl", () => curl("GET", `/v1/executions/${execution.id}`), { class: "", title: "The request that reads this execution. Your key is not in it." }),
  );
}

const SUSPEND = { path: "suspend", title: "Suspend this execution", button: "Suspend", text: "What runs now is finished and recorded; nothing new opens until it is resumed." };
const RESUME = { path: "resume", title: "Resume this execution", button: "Resume", text: "It goes on where it stopped." };
const CANCEL = { path: "cancel", title: "Cancel this execution", button: "Cancel it", text: "Its open tasks and the executions it waits for are cancelled too. This cannot be undone." };

function confirmAction(execution, action, onDone) {
  const reason = h("input", { id: "reason", maxlength: "1024", placeholder: "Recorded in the history" });
  const problem = h("div", {});
  const confirm = h("button", { type: "submit", class: action === CANCEL ? "danger" : "primary" }, action.button);
  const dialog = h("dialog", { "aria-labelledby": "confirm-title" },
    h("form", { on: { submit } },
      h("h2", { id: "confirm-title" }, action.title),
      h("p", {}, action.text),
      h("label", { for: "reason" }, "Reason"), reason,
      problem,
      h("div", { class: "actions end" }, h("button", { type: "button", on: { click: () => dialog.close() } }, "Leave it"), confirm),
    ));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();

  async function submit(event) {
    event.preventDefault();
    confirm.disabled = true;
    try {
      await post(`/v1/executions/${execution.id}/${action.path}`, { reason: reason.value });
      dialog.close();
    } catch (error) {
      problem.replaceChildren(problemBox(error));
      confirm.disabled = false;
    }
    onDone();
  }
}

function startAgain(execution) {
  openStartDialog({
    title: "Start again with this input",
    workflow: execution.workflow,
    input: execution.input,
    labels: { ...execution.labels, [RESTARTED_FROM]: execution.id },
  });
}
