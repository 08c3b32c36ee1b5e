"""Every metric of the product. A name that is not here does not exist; `docs/metrics.md` explains them to operators.

Labels take few values, all known in advance. Identifiers belong in logs and traces: one time series per execution
would bury Prometheus. What users choose (workflows, models, queues, organisations) is bounded: see `bounded_labels`.

Gauges that read a shared store (PostgreSQL, Redis) say the same in every orchestrator: take their maximum, not their sum.
"""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram, Info

from common.bounded_labels import TopOrganizations

_LATENCY_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_PROVIDER_BUCKETS: Final = (0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 120)

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
    ["stage"],  # deciding, committing, publishing, whole
    buckets=_LATENCY_BUCKETS,
)
BATCHES_BISECTED = Counter(
    "kwe_batches_bisected_total", "Batches split in search of the one message that fails."
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
    ["reason"],  # closed
)
PUBLICATIONS_OWED = Gauge(
    "kwe_publications_owed", "Committed batches whose publishing is not confirmed yet."
)
PUBLICATIONS_SWEPT = Counter(
    "kwe_publications_swept_total", "Batches published by the sweep after their publisher was gone."
)
EVENTS_KEPT = Counter(
    "kwe_events_kept_total", "Events from outside that were stored, repeated ones not counted."
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
    "kwe_dead_letters_total",
    "Messages set aside for an operator.",
    ["reason"],  # unreadable, not_advanced
)
for _reason in ("unreadable", "not_advanced"):
    # There from the start: the step from nothing to 1 is no increase to Prometheus.
    DEAD_LETTERS.labels(_reason)
GUARDED_EVALUATIONS = Counter(
    "kwe_guarded_evaluations_total",
    "Expressions of unbounded cost, evaluated in processes that can be killed.",
    ["outcome"],  # completed, failed
)
PARTITIONS_READ = Gauge("kwe_partitions", "Partitions that this replica reads.")
UPKEEP_FAILURES = Counter(
    "kwe_upkeep_failures_total",
    "Rounds of periodic repair that failed, and are tried again at the next.",
    ["work"],
)
COUNTED = Gauge(
    "kwe_counted_timestamp_seconds",
    "When this replica last read its gauges from PostgreSQL; older ones say nothing.",
)

# --- stores, as the orchestrator sees them ------------------------------------------------------------------

DATABASE_BYTES = Gauge("kwe_database_bytes", "Size of the database on disk.")
DATABASE_CONNECTIONS = Gauge(
    "kwe_database_connections", "Connections that the PostgreSQL server has open."
)
DATABASE_CONNECTIONS_MAX = Gauge(
    "kwe_database_connections_max", "Connections that the PostgreSQL server allows."
)
BACKUP_AT = Gauge(
    "kwe_backup_timestamp_seconds", "When `kwe backup` last made a backup; 0 is never."
)
REDIS_MEMORY = Gauge("kwe_redis_memory_bytes", "Memory that Redis uses.")
REDIS_MEMORY_MAX = Gauge("kwe_redis_memory_max_bytes", "Memory that Redis may use; 0 is no limit.")

# --- streams ------------------------------------------------------------------------------------------------

STREAM_LAG = Gauge("kwe_stream_lag", "Entries of a stream that are not acknowledged.", ["stream"])
STREAM_WAITING_SECONDS = Gauge(
    "kwe_stream_waiting_seconds",
    "Age of the oldest entry of a stream that nobody has read yet.",
    ["stream"],
)
STREAM_ENTRIES = Counter(
    "kwe_stream_entries_total", "Entries that this process read from a stream.", ["stream"]
)
STREAM_ERRORS = Counter(
    "kwe_stream_errors_total",
    "Failed operations on Redis; each is tried again.",
    ["operation"],  # read, publish, claim, refresh, settle, drop, generation
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
    ["queue", "outcome"],  # completed, faulted, cancelled, duplicate, lost
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
    buckets=_PROVIDER_BUCKETS,
)
EMBEDDING_REQUESTS = Counter(
    "kwe_embedding_requests_total",
    "Calls of embedding providers.",
    ["provider", "outcome"],  # completed, overloaded, rejected
)
EMBEDDING_TOKENS = Counter(
    "kwe_embedding_tokens_total", "Tokens embedded by providers that count them.", ["provider"]
)
EMBEDDING_SECONDS = Histogram(
    "kwe_embedding_seconds",
    "Duration of calls of embedding providers.",
    ["provider"],
    buckets=_PROVIDER_BUCKETS,
)
DOCUMENTS = Counter(
    "kwe_documents_total",
    "Documents whose ingestion ended.",
    ["status"],  # ready, failed
)
DOCUMENTS_UNFINISHED = Gauge(
    "kwe_documents_unfinished", "Documents that are not searchable yet, and have not failed."
)
DOCUMENTS_WAITING_SECONDS = Gauge(
    "kwe_documents_waiting_seconds",
    "The longest time for which an unfinished document has not been worked on.",
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
CERTIFICATE_EXPIRY = Gauge(
    "kwe_certificate_expiry_timestamp_seconds",
    "When a certificate of WATCHED_CERTIFICATES expires.",
    ["address"],
)
CERTIFICATE_CHECKS_FAILED = Counter(
    "kwe_certificate_checks_failed_total",
    "Looks at a certificate of WATCHED_CERTIFICATES that showed none.",
    ["address"],
)

# --- who uses it: only with METRICS_ORGANIZATIONS ------------------------------------------------------------

ORGANIZATION_REQUESTS = TopOrganizations(
    "kwe_organization_requests_total", "Requests of the busiest organisations."
)
ORGANIZATION_EXECUTIONS = TopOrganizations(
    "kwe_organization_executions_total", "Executions begun by the busiest organisations."
)
ORGANIZATION_TOKENS = TopOrganizations(
    "kwe_organization_llm_tokens_total", "Tokens used by the busiest organisations."
)

# --- every process ------------------------------------------------------------------------------------------

BUILD = Info(
    "kwe_build",
    "What is running.",  # service, version, python
)
READY = Gauge(
    "kwe_ready",
    "Whether a dependency was usable when these metrics were read; 0 says that the process takes no traffic.",
    ["check"],
)
LOOP_LAG_SECONDS = Gauge(
    "kwe_loop_lag_seconds", "How late the event loop ran a timer, at its last measurement."
)
DATABASE_RETRIES = Counter(
    "kwe_database_retries_total", "Transactions repeated after a failure that may pass."
)
POOL_CONNECTIONS = Gauge(
    "kwe_database_pool_connections",
    "Connections of this process's pools.",
    ["pool", "state"],  # used, idle
)
POOL_CONNECTIONS_MAX = Gauge(
    "kwe_database_pool_connections_max", "Connections that a pool may open.", ["pool"]
)
LOGGED = Counter(
    "kwe_logged_total",
    "Lines logged at a level worth an operator's attention.",
    ["level"],  # warning, error, critical
)
