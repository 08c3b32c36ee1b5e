/* What to do about an error of a workflow, by its type and status. */

const BY_TYPE = {
  configuration: ["The definition, or the engine's settings, cannot work as they are. Correct the definition, register it as a new version, and start again."],
  validation: ["A value does not fit its schema: the detail names the place in the value. Change the input and start again, or correct the schema in a new version."],
  expression: ["An expression could not be computed from the data it got. Compare the expression below with the task's input; `?` and `//` in it allow for missing fields."],
  authentication: ["The other side did not accept the credential. Check the authentication of this task and the secret it uses, then start again."],
  authorization: ["The call was not allowed, by the other side or by the engine's own rules for outbound requests. The detail says which; then start again."],
  timeout: ["It took longer than the timeout allows. If the work needs that time, raise `timeout.after`; if the other side is slow now and then, wrap the task in `try` with a retry."],
  communication: ["The other side could not be reached, or answered with an error. If it passes by itself, wrap the task in `try` with `catch.retry`, so that the next execution survives it."],
  runtime: ["The function itself failed. The detail is what it said; the log of the executor has the whole of it under the task id."],
};

const BY_STATUS = {
  404: "What was asked for is not there: check the address or the name in the definition.",
  408: "Start again if it was a passing slowness.",
  429: "The other side asks for fewer requests. A retry with exponential backoff waits for it.",
  500: "The other side failed. Start again later, or add a retry.",
  502: "The other side is away for the moment. Start again later, or add a retry.",
  503: "The other side is away for the moment. Start again later, or add a retry.",
  529: "The provider is overloaded. Start again later, add a retry, or name a fallback model.",
};

export function adviceFor(error) {
  const kind = kindOf(error);
  const advice = [...(BY_TYPE[kind] ?? ["The definition raises this error itself: look at the task below, and at the data that led there."])];
  const byStatus = BY_STATUS[error.status];
  if (byStatus && !["timeout", "validation"].includes(kind)) advice.push(byStatus);
  return advice;
}

/** The last word of the type, such as `communication`; empty for types that a definition has made up. */
export function kindOf(error) {
  const word = String(error.type ?? "").split("/").pop();
  const standard = /(open-workflow-specification\.org|serverlessworkflow\.io)\//.test(error.type ?? "");
  return standard && Object.hasOwn(BY_TYPE, word) ? word : "";
}
