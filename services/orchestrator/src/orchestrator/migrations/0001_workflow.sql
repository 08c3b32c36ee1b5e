-- The schema `workflow`: what the orchestrator owns. PostgreSQL 15 to 18, no extension needed.
--
-- Hot tables (execution_state, waits, publications) hold only what is alive. Tables that grow with the past
-- (workflow_executions, history, payloads) are range-partitioned by the execution's UUIDv7, so that retention drops
-- whole partitions; that is why each of their keys contains the id.

CREATE SCHEMA IF NOT EXISTS workflow;

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'kwe_gateway') THEN
        CREATE ROLE kwe_gateway NOLOGIN;
    END IF;
    -- The gateway logs in with the installation's user and becomes this role, which row-level security binds.
    EXECUTE format('GRANT kwe_gateway TO %I', current_user);
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;   -- another database of the cluster made it just now
END
$$;

-- ---------------------------------------------------------------- installation

CREATE TABLE workflow.installation (
    only_row         boolean     PRIMARY KEY DEFAULT true CHECK (only_row),
    partitions       smallint    NOT NULL CHECK (partitions BETWEEN 1 AND 1024),
    redis_generation text        NOT NULL DEFAULT '',
    updated_at       timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN workflow.installation.partitions IS 'Fixed at install: it decides which stream speaks for an execution.';
COMMENT ON COLUMN workflow.installation.redis_generation IS 'The generation of Redis whose loss was last dealt with.';
INSERT INTO workflow.installation (partitions) VALUES (8);

CREATE TABLE workflow.organizations (
    id                        uuid        PRIMARY KEY,
    name                      text        NOT NULL UNIQUE,
    max_concurrent_executions integer     NOT NULL DEFAULT 0 CHECK (max_concurrent_executions >= 0),
    created_at                timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE workflow.api_keys (
    id              uuid        PRIMARY KEY,
    organization_id uuid        NOT NULL REFERENCES workflow.organizations (id) ON DELETE CASCADE,
    hash            bytea       NOT NULL UNIQUE,
    name            text        NOT NULL DEFAULT '',
    scopes          text[]      NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    expires_at      timestamptz,
    revoked_at      timestamptz
);
CREATE INDEX api_keys_organization ON workflow.api_keys (organization_id);

-- ---------------------------------------------------------------- definitions

CREATE TABLE workflow.workflows (
    organization_id uuid        NOT NULL REFERENCES workflow.organizations (id) ON DELETE CASCADE,
    id              text        NOT NULL,
    version         integer     NOT NULL CHECK (version >= 1),
    namespace       text        NOT NULL,
    name            text        NOT NULL,
    semver          text        NOT NULL,
    config          jsonb       NOT NULL,
    fingerprint     text        NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, id, version),
    UNIQUE (organization_id, id, semver),
    CHECK (id = namespace || '/' || name)
);
COMMENT ON COLUMN workflow.workflows.version IS 'Registration number within the workflow, from 1.';

CREATE TABLE workflow.functions (
    name          text        NOT NULL,
    version       text        NOT NULL,
    queue         text        NOT NULL,
    description   text        NOT NULL DEFAULT '',
    input_schema  jsonb,
    output_schema jsonb,
    at_most_once  boolean     NOT NULL DEFAULT false,
    updated_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (name, version)
);
COMMENT ON TABLE workflow.functions IS 'Own functions, as the executors that serve them declared them.';

-- ---------------------------------------------------------------- executions

CREATE TABLE workflow.workflow_executions (
    id               uuid        NOT NULL,
    organization_id  uuid        NOT NULL,
    workflow_id      text        NOT NULL,
    workflow_version integer     NOT NULL,
    semver           text        NOT NULL,
    status           text        NOT NULL
        CHECK (status IN ('pending', 'running', 'waiting', 'suspended', 'cancelled', 'faulted', 'completed')),
    input_payload    jsonb,
    output_payload   jsonb,
    error            jsonb,
    labels           jsonb       NOT NULL DEFAULT '{}',
    parent_id        uuid,
    parent_key       text,
    traceparent      text        NOT NULL DEFAULT '',
    created_at       timestamptz NOT NULL,
    updated_at       timestamptz NOT NULL,
    started_at       timestamptz,
    finished_at      timestamptz,
    PRIMARY KEY (id),
    CHECK ((finished_at IS NOT NULL) = (status IN ('cancelled', 'faulted', 'completed')))
) PARTITION BY RANGE (id);
-- Lists are read newest first within an organisation; ids are time-ordered, so one index serves order and cursor.
CREATE INDEX workflow_executions_organization ON workflow.workflow_executions (organization_id, id DESC);
CREATE INDEX workflow_executions_workflow ON workflow.workflow_executions (organization_id, workflow_id, id DESC);
CREATE INDEX workflow_executions_open ON workflow.workflow_executions (organization_id, status)
    WHERE finished_at IS NULL;
CREATE INDEX workflow_executions_children ON workflow.workflow_executions (parent_id)
    WHERE parent_id IS NOT NULL AND finished_at IS NULL;

CREATE TABLE workflow.history (
    execution_id    uuid        NOT NULL,
    seq_from        integer     NOT NULL CHECK (seq_from >= 1),
    seq_to          integer     NOT NULL,
    organization_id uuid        NOT NULL,
    at              timestamptz NOT NULL,
    events          bytea       NOT NULL,
    PRIMARY KEY (execution_id, seq_from),
    CHECK (seq_to >= seq_from)
) PARTITION BY RANGE (execution_id);
COMMENT ON TABLE workflow.history IS 'A row per turn; `events` is a JSON array: SELECT convert_from(events, ''UTF8'')::jsonb.';

CREATE TABLE workflow.payloads (
    owner_id        uuid        NOT NULL,
    id              uuid        NOT NULL,
    organization_id uuid        NOT NULL,
    sha256          bytea       NOT NULL,
    bytes           bytea       NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (owner_id, id)
) PARTITION BY RANGE (owner_id);
COMMENT ON TABLE workflow.payloads IS 'Values too large for snapshots and messages: written once, never changed.';
ALTER TABLE workflow.payloads ALTER COLUMN bytes SET STORAGE EXTERNAL;

-- ---------------------------------------------------------------- hot tables

CREATE TABLE workflow.execution_state (
    id              uuid    PRIMARY KEY,
    organization_id uuid    NOT NULL,
    version         integer NOT NULL,
    snapshot        bytea   NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);
COMMENT ON TABLE workflow.execution_state IS 'Control state of unfinished executions; `version` is the last history sequence.';

CREATE TABLE workflow.waits (
    execution_id    uuid        NOT NULL,
    key             text        NOT NULL,
    kind            text        NOT NULL
        CHECK (kind IN ('task', 'timer', 'event', 'child', 'admission', 'continue', 'suspended')),
    organization_id uuid        NOT NULL,
    partition       smallint    NOT NULL,
    reference       text        NOT NULL DEFAULT '',
    opened_at       timestamptz NOT NULL,
    due_at          timestamptz,
    queue           text,
    published       boolean,
    expected_by     timestamptz,
    lost            smallint    NOT NULL DEFAULT 0,
    started_by      text,
    child_id        uuid,
    body            bytea,
    PRIMARY KEY (execution_id, key),
    CHECK ((kind = 'task') = (queue IS NOT NULL AND published IS NOT NULL AND body IS NOT NULL)),
    CHECK ((kind = 'child') = (child_id IS NOT NULL)),
    CHECK (kind NOT IN ('timer', 'continue') OR due_at IS NOT NULL)
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);
COMMENT ON TABLE workflow.waits IS 'Every live reason why an unfinished execution is not moving, and nothing else.';
COMMENT ON COLUMN workflow.waits.published IS 'false: ready, waits for room in its queue''s window. true: in the stream, as far as we know.';
COMMENT ON COLUMN workflow.waits.expected_by IS 'Without a result or a heartbeat by then, the task is published again.';
COMMENT ON COLUMN workflow.waits.lost IS 'How many executors died with this try.';
COMMENT ON COLUMN workflow.waits.started_by IS 'Nonce of the one executor that may run this at-most-once task.';
COMMENT ON COLUMN workflow.waits.body IS 'The encoded task.requested message: publishing again needs nothing else.';
CREATE INDEX waits_due ON workflow.waits (partition, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX waits_ready ON workflow.waits (queue, organization_id, opened_at) WHERE published = false;
CREATE INDEX waits_child ON workflow.waits (child_id) WHERE child_id IS NOT NULL;

CREATE TABLE workflow.publications (
    id         uuid        PRIMARY KEY,
    created_at timestamptz NOT NULL DEFAULT now(),
    body       bytea       NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);
COMMENT ON TABLE workflow.publications IS 'What a committed batch owes the streams; swept when its author did not get to it.';

CREATE TABLE workflow.idempotency (
    organization_id uuid        NOT NULL,
    route           text        NOT NULL,
    key             text        NOT NULL,
    fingerprint     text        NOT NULL,
    execution_id    uuid        NOT NULL,
    expires_at      timestamptz NOT NULL,
    PRIMARY KEY (organization_id, route, key)
);

CREATE TABLE workflow.dead_letters (
    id              uuid        PRIMARY KEY,
    organization_id uuid,
    execution_id    uuid,
    stream          text        NOT NULL,
    reason          text        NOT NULL,
    detail          text        NOT NULL DEFAULT '',
    entry           bytea       NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    redriven_at     timestamptz
);
CREATE INDEX dead_letters_organization ON workflow.dead_letters (organization_id, id DESC);

-- ---------------------------------------------------------------- partitions by time

-- The lowest UUIDv7 of an instant: 48 bits of milliseconds, the version, zeros.
CREATE FUNCTION workflow.uuid7_floor(at timestamptz) RETURNS uuid
LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT (lpad(to_hex(floor(extract(epoch FROM at) * 1000)::bigint), 12, '0') || '70008000000000000000')::uuid
$$;

-- Partitions for this month and the next `ahead` ones. What falls outside goes to the default partition.
CREATE FUNCTION workflow.ensure_partitions(ahead integer DEFAULT 2) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    parent  text;
    lower   timestamptz;
    made    integer := 0;
    child   text;
BEGIN
    FOREACH parent IN ARRAY ARRAY['workflow_executions', 'history', 'payloads'] LOOP
        FOR step IN 0..ahead LOOP
            lower := date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' + make_interval(months => step);
            child := format('%s_%s', parent, to_char(lower AT TIME ZONE 'UTC', 'YYYYMM'));
            IF to_regclass('workflow.' || child) IS NULL THEN
                EXECUTE format(
                    'CREATE TABLE workflow.%I PARTITION OF workflow.%I FOR VALUES FROM (%L) TO (%L)',
                    child, parent, workflow.uuid7_floor(lower),
                    workflow.uuid7_floor(((lower AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC'));
                made := made + 1;
            END IF;
        END LOOP;
    END LOOP;
    RETURN made;
END
$$;

CREATE TABLE workflow.workflow_executions_default PARTITION OF workflow.workflow_executions DEFAULT;
CREATE TABLE workflow.history_default PARTITION OF workflow.history DEFAULT;
CREATE TABLE workflow.payloads_default PARTITION OF workflow.payloads DEFAULT;
SELECT workflow.ensure_partitions();

-- ---------------------------------------------------------------- row-level security

-- The gateway sees one organisation at a time. `app.org` reads '' once it has been set in a session.
CREATE FUNCTION workflow.current_organization() RETURNS uuid
LANGUAGE sql STABLE AS $$
    SELECT nullif(current_setting('app.org', true), '')::uuid
$$;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['api_keys', 'workflows', 'workflow_executions', 'history', 'payloads',
                                'execution_state', 'waits', 'idempotency', 'dead_letters'] LOOP
        EXECUTE format('ALTER TABLE workflow.%I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE workflow.%I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY gateway_reads_own ON workflow.%I FOR SELECT TO kwe_gateway
                        USING (organization_id = workflow.current_organization())', name);
        -- FORCE binds the owner too; it works for every organisation, under a policy of its own.
        EXECUTE format('CREATE POLICY owner_works_for_all ON workflow.%I TO %I USING (true) WITH CHECK (true)',
                       name, current_user);
        EXECUTE format('GRANT SELECT ON workflow.%I TO kwe_gateway', name);
    END LOOP;
END
$$;
CREATE POLICY gateway_stores_own ON workflow.payloads FOR INSERT TO kwe_gateway
    WITH CHECK (organization_id = workflow.current_organization());
GRANT INSERT ON workflow.payloads TO kwe_gateway;
GRANT SELECT ON workflow.functions, workflow.installation, workflow.organizations TO kwe_gateway;
GRANT USAGE ON SCHEMA workflow TO kwe_gateway;

-- A key is looked up before its organisation is known: by hash only, and only what authentication needs.
CREATE FUNCTION workflow.find_api_key(key_hash bytea)
RETURNS TABLE (id uuid, organization_id uuid, scopes text[])
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = workflow, pg_temp AS $$
    SELECT k.id, k.organization_id, k.scopes
    FROM workflow.api_keys AS k
    WHERE k.hash = key_hash AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())
$$;
REVOKE ALL ON FUNCTION workflow.find_api_key(bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION workflow.find_api_key(bytea) TO kwe_gateway;
