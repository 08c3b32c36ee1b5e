"""Every metric of the product. A name that is not here does not exist.

Labels take few values, all known in advance. Identifiers belong in logs and traces: one time series per execution
would bury Prometheus. The only label that users choose is `workflow_id`, and it is bounded: see `workflow_label`.
"""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram, Info

_LATENCY_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_WORKFLOW_LABELS_MAX: Final = 200
_OTHER_WORKFLOWS: Final = "other"

# --- workflows: the names that dashboards already use -------------------------------------------------------

WORKFLOW_EXECUTIONS = Counter(
    "workflow_executions_total",
    "Executions that entered a phase.",
    ["status", "workflow_id"],
)
WORKFLOW_DURATION = Histogram(
    "workflow_duration_seconds",
    "Duration of finished executions, from start to end.",
    ["status", "workflow_id"],
    buckets=(0.1, 0.5, 1, 2, 5, 10, 30, 60),
)

# --- orchestrator -------------------------------------------------------------------------------------------

BATCH_SIZE = Histogram(
    "kwe_batch_size",
    "Messages that one transaction advanced.",
    buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500),
)
BATCH_SECONDS = Histogram(
    "kwe_batch_seconds",
    "Time that a batch spent in a stage.",
    ["stage"],  # whole
    buckets=_LATENCY_BUCKETS,
)
BATCHES_BISECTED = Counter(
    "kwe_batches_bisected_total", "Batches split in search of the one message that fails."
)
TURN_SECONDS = Histogram(
    "kwe_turn_seconds", "Processor time of one turn of the core.", buckets=_LATENCY_BUCKETS
)
TRANSITIONS = Counter(
    "kwe_transitions_total", "Events appended to histories, by type.", ["event_type"]
)
COMPARE_AND_SET_LOST = Counter(
    "kwe_compare_and_set_lost_total", "Turns decided again because another replica was faster."
)
RESULTS_IGNORED = Counter(
    "kwe_results_ignored_total",
    "Results that changed nothing.",
    ["reason"],  # duplicate, stale, closed, unknown
)
PUBLICATIONS_OWED = Gauge(
    "kwe_publications_owed", "Committed batches whose publishing is not confirmed yet."
)
PUBLICATIONS_SWEPT = Counter(
    "kwe_publications_swept_total", "Batches published by the sweep after their publisher was gone."
)
ORPHANS = Gauge(
    "kwe_orphans", "Unfinished executions without a live reason. Anything but 0 is a bug."
)
WAITS = Gauge("kwe_waits", "Live reasons why executions wait.", ["kind"])
EXECUTIONS_UNFINISHED = Gauge("kwe_executions_unfinished", "Executions that have not finished.")
TIMER_LAG_SECONDS = Histogram(
    "kwe_timer_lag_seconds", "How late timers fired.", buckets=_LATENCY_BUCKETS
)
TASKS_READY = Gauge(
    "kwe_tasks_ready", "Tasks that wait in PostgreSQL for room in their queue.", ["queue"]
)
TASKS_PUBLISHED_AGAIN = Counter(
    "kwe_tasks_published_again_total",
    "Tasks published once more.",
    ["reason"],  # redis_lost, overdue
)
REDIS_LOST = Counter("kwe_redis_lost_total", "Times that streams were found to have lost entries.")
DEAD_LETTERS = Counter(
    "kwe_dead_letters_total", "Messages set aside after repeated failure.", ["stream"]
)
EXPRESSIONS = Counter(
    "kwe_expressions_total",
    "Expressions evaluated.",
    ["evaluator"],  # fast, worker
)

# --- streams ------------------------------------------------------------------------------------------------

STREAM_LAG = Gauge("kwe_stream_lag", "Entries of a stream that are not acknowledged.", ["stream"])
STREAM_ENTRIES = Counter(
    "kwe_stream_entries_total",
    "Stream entries handled.",
    ["stream", "outcome"],  # acknowledged, retried, set_aside
)
STREAM_ERRORS = Counter(
    "kwe_stream_errors_total", "Failures of reading or writing streams.", ["operation"]
)
STREAM_CLAIMED = Counter(
    "kwe_stream_claimed_total", "Entries taken over from consumers that are gone.", ["stream"]
)
STREAM_ACKS_MISSED = Counter(
    "kwe_stream_acks_missed_total",
    "Acknowledgements of entries that were not there any more.",
    ["stream"],
)

# --- executor and knowledge ---------------------------------------------------------------------------------

TASKS = Counter(
    "kwe_tasks_total",
    "Task tries run, by how they ended.",
    ["queue", "outcome"],  # completed, faulted, cancelled, duplicate, expired, lost
)
TASK_SECONDS = Histogram(
    "kwe_task_seconds",
    "Duration of task tries.",
    ["queue"],
    buckets=(0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300),
)
TASK_QUEUE_SECONDS = Histogram(
    "kwe_task_queue_seconds",
    "Time between publishing a task and starting it.",
    ["queue"],
    buckets=_LATENCY_BUCKETS,
)
SLOTS_BUSY = Gauge("kwe_slots_busy", "Tasks running now.", ["queue"])
SLOTS = Gauge("kwe_slots", "Tasks that may run at a time.", ["queue"])
LLM_TOKENS = Counter(
    "kwe_llm_tokens_total",
    "Tokens used.",
    ["provider", "model", "direction"],  # input, output
)
LLM_REQUESTS = Counter(
    "kwe_llm_requests_total",
    "Calls of language models.",
    ["provider", "model", "outcome"],  # completed, overloaded, rejected, failed
)
LLM_SECONDS = Histogram(
    "kwe_llm_seconds",
    "Duration of calls of language models.",
    ["provider", "model"],
    buckets=(0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 120),
)
DOCUMENTS = Counter(
    "kwe_documents_total",
    "Documents that entered a status of the ingestion pipeline.",
    ["status"],
)
CHUNKS_EMBEDDED = Counter("kwe_chunks_embedded_total", "Chunks embedded.", ["provider"])
SEARCH_SECONDS = Histogram(
    "kwe_search_seconds",
    "Duration of searches.",
    ["mode"],  # hybrid, vector, keyword
    buckets=_LATENCY_BUCKETS,
)

# --- gateway ------------------------------------------------------------------------------------------------

HTTP_REQUESTS = Counter(
    "kwe_http_requests_total",
    "Requests answered. `route` is the pattern, never the path.",
    ["method", "route", "status"],
)
HTTP_SECONDS = Histogram(
    "kwe_http_seconds", "Time to the answer.", ["method", "route"], buckets=_LATENCY_BUCKETS
)
RATE_LIMITED = Counter(
    "kwe_rate_limited_total",
    "Requests refused for their rate.",
    ["limiter"],  # redis, local
)
SSE_CONNECTIONS = Gauge("kwe_sse_connections", "Open event streams.")

# --- every process ------------------------------------------------------------------------------------------

BUILD = Info("kwe_build", "What is running.")
LOOP_LAG_SECONDS = Gauge(
    "kwe_loop_lag_seconds", "How late the event loop ran a timer, at its last measurement."
)
DATABASE_RETRIES = Counter(
    "kwe_database_retries_total", "Transactions repeated after a failure that may pass."
)

# --- bounded labels -----------------------------------------------------------------------------------------

_seen_workflows: set[str] = set()


def workflow_label(workflow_id: str) -> str:
    """The workflow's own label for the first ones that a process meets, `other` for all further ones."""
    if workflow_id in _seen_workflows:
        return workflow_id
    if len(_seen_workflows) >= _WORKFLOW_LABELS_MAX:
        return _OTHER_WORKFLOWS
    _seen_workflows.add(workflow_id)
    return workflow_id
