/* What to do about an error of a workflow, by its type and status. */

const BY_TYPE = {
  configuration: ["The definition, or the engine's settings, cannot work as they are. Correct the definition, register it as a new version, and start again."],
  validation: ["A value does not fit its schema: the detail names the place in the value. Change the input and start again, or correct the schema in a new version."],
  expression: ["An expression could not be computed from the data it got. Compare the expression in its definition with the task's input; `?` and `//` in it allow for missing fields."],
  authentication: ["The other side did not accept the credential. Check the authentication of this task and the secret it uses, then start again."],
  authorization: ["The call was not allowed, by the other side or by the engine's own rules for outbound requests. The detail says which; then start again."],
  timeout: ["It took longer than the timeout allows. If the work needs that time, raise `timeout.after`; if the other side is slow now and then, wrap the task in `try` with a retry."],
  communication: ["The other side could not be reached, or answered with an error. If it passes by itself, wrap the task in `try` with `catch.retry`, so that the next execution survives it."],
  runtime: ["What ran here failed by itself. The detail is what it said; the services' logs have the whole of it under the ids of this execution and task."],
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

const REFUSED = "The other side answered, and refused the request: repeating it as it is will not help. Compare the request in its definition with what the other side expects.";

export function adviceFor(error) {
  const kind = kindOf(error);
  const advice = [...(BY_TYPE[kind] ?? ["The definition raises this error itself: look at the task, and at the data that led there."])];
  if (kind !== "" && kind !== "communication") return advice;
  if (kind !== "" && isRefusal(error.status)) advice[0] = REFUSED;
  if (BY_STATUS[error.status]) advice.push(BY_STATUS[error.status]);
  return advice;
}

/** The same request would be refused again. */
function isRefusal(status) {
  return status >= 400 && status < 500 && status !== 408 && status !== 429;
}

/** The last word of the type, such as `communication`; empty for types that a definition has made up. */
export function kindOf(error) {
  const word = String(error.type ?? "").split("/").pop();
  const standard = /(open-workflow-specification\.org|serverlessworkflow\.io)\//.test(error.type ?? "");
  return standard && Object.hasOwn(BY_TYPE, word) ? word : "";
}
