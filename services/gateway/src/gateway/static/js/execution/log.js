/*
 * What is known of one execution's events, and the tasks that follow from them.
 *
 * Events come from two sides: the stream tells of each one at once, in short; the history has everything, a little
 * later. Both are kept by sequence, the full one wins, and a task is always computed from all its events in order. So
 * it does not matter which comes first, or twice.
 */

const PREFIX = "io.serverlessworkflow.";

/** Kinds whose time is spent waiting for something outside: a clock, an event, another execution. */
const WAITERS = new Set(["wait", "listen", "run"]);
/** Kinds that only contain others. */
const SCOPES = new Set(["do", "for", "fork", "try"]);

export class EventLog {
  events = new Map();
  tasks = new Map();
  /** Up to here the history itself has been read. */
  readTo = 0;
  lastSequence = 0;
  lastAt = 0;
  #bySequence = new Map();

  /** Events as the history has them. Returns the references of the tasks that changed. */
  addHistory(items) {
    const changed = new Set();
    for (const event of items) {
      this.#add({ ...event, at: Date.parse(event.at), full: true }, changed);
      this.readTo = Math.max(this.readTo, event.sequence);
    }
    return this.#recompute(changed);
  }

  /** One CloudEvent of the stream. */
  addPublic(event) {
    if (this.events.has(event.sequence)) return new Set();
    const changed = new Set();
    this.#add(fromPublic(event), changed);
    return this.#recompute(changed);
  }

  inOrder() {
    return [...this.events.values()].sort((one, other) => one.sequence - other.sequence);
  }

  /** The latest event of this type, such as `workflow.cancelled`. */
  latest(type) {
    return this.inOrder().findLast((event) => event.type === type);
  }

  #add(event, changed) {
    this.events.set(event.sequence, event);
    this.lastSequence = Math.max(this.lastSequence, event.sequence);
    this.lastAt = Math.max(this.lastAt, event.at);
    if (!event.task) return;
    changed.add(event.task);
    if (!this.#bySequence.has(event.task)) this.#bySequence.set(event.task, new Map());
    this.#bySequence.get(event.task).set(event.sequence, event);
  }

  #recompute(changed) {
    for (const reference of changed) {
      const events = [...this.#bySequence.get(reference).values()];
      events.sort((one, other) => one.sequence - other.sequence);
      const task = this.tasks.get(reference) ?? { reference };
      this.tasks.set(reference, Object.assign(task, taskFrom(events)));
    }
    return changed;
  }
}

function fromPublic(event) {
  const type = event.type.slice(PREFIX.length).replace(/\.v\d+$/, "");
  const { task, taskId, attempt, error, delayMs, reason } = event.data ?? {};
  const name = task?.slice(task.lastIndexOf("/") + 1);
  return { sequence: event.sequence, type, at: Date.parse(event.time), task, name, taskId, attempt, error, delayMs, reason };
}

function taskFrom(events) {
  const task = {
    name: "", taskId: "", kind: "", function: null, status: "pending", tries: 0, spans: [],
    first: events[0].sequence, createdAt: events[0].at, finishedAt: null,
    output: undefined, outputRef: null, outputSize: null, error: null, caught: null, worker: null, usage: null,
  };
  for (const event of events) apply(task, event);
  return task;
}

function apply(task, event) {
  task.name = event.name ?? task.name;
  task.taskId = event.taskId ?? task.taskId;
  switch (event.type) {
    case "task.created":
      task.kind = event.kind ?? task.kind;
      task.function = event.function ?? task.function;
      break;
    case "task.started":
      task.status = "running";
      task.tries = Math.max(task.tries, event.attempt ?? 1);
      task.finishedAt = task.error = null;
      task.spans.push({ kind: openKind(task), from: event.at, to: null, attempt: event.attempt ?? 1, outcome: "" });
      break;
    case "task.retried":
      task.tries = Math.max(task.tries, event.attempt ?? 1);
      task.caught = event.error ?? task.caught;
      task.spans.push({ kind: "delay", from: event.at, to: event.at + (event.delayMs ?? 0), attempt: event.attempt, outcome: "retried" });
      break;
    case "task.completed":
    case "task.faulted":
    case "task.cancelled":
      finish(task, event, event.type.slice("task.".length));
  }
}

function finish(task, event, outcome) {
  task.status = outcome;
  task.finishedAt = event.at;
  task.error = event.error ?? null;
  task.output = event.output;
  task.outputRef = event.outputRef ?? null;
  task.outputSize = event.outputSize ?? null;
  task.worker = event.worker ?? null;
  task.usage = addUsage(task.usage, event.usage);
  const span = task.spans.findLast((each) => each.to === null);
  if (span) close(task, span, event, outcome);
}

/** An executor says when it began, by its own clock; between being handed out and that, the task only waited. */
function close(task, span, event, outcome) {
  span.to = event.at;
  span.outcome = outcome;
  if (span.kind !== "handed") return;
  const began = Math.min(Math.max(event.startedAt ?? span.from, span.from), event.at);
  span.kind = "work";
  if (began === span.from) return;
  task.spans.splice(task.spans.indexOf(span), 0, { ...span, kind: "wait", to: began, outcome: "" });
  span.from = began;
}

/** `handed`: with an executor or before it; which of both is known only afterwards. */
function openKind(task) {
  if (WAITERS.has(task.kind)) return "wait";
  if (SCOPES.has(task.kind)) return "scope";
  return task.kind === "call" || task.kind === "" ? "handed" : "work";
}

/** Of several tries, or tasks. Whoever ran them reports tokens, and a cost where it knows one. */
export function addUsage(sum, usage) {
  if (!usage || typeof usage !== "object") return sum;
  const added = sum ?? { inputTokens: 0, outputTokens: 0, cost: null, models: [] };
  const costs = [added.cost, usage.cost].filter((cost) => typeof cost === "number");
  const models = [...added.models, ...(usage.models ?? (usage.model ? [usage.model] : []))];
  return {
    inputTokens: added.inputTokens + number(usage.inputTokens),
    outputTokens: added.outputTokens + number(usage.outputTokens),
    cost: costs.length > 0 ? costs.reduce((one, other) => one + other) : null,
    currency: usage.currency ?? added.currency,
    models: [...new Set(models)],
  };
}

function number(value) {
  return typeof value === "number" ? value : 0;
}

/** Milliseconds that a task spent in spans of these kinds; open ones count until `now`. */
export function spent(task, kinds, now) {
  let sum = 0;
  for (const span of task.spans) {
    if (kinds.includes(span.kind)) sum += Math.max(0, (span.to ?? now) - span.from);
  }
  return sum;
}
