-- Retention counts from the end of an execution, not from its beginning; one table is dropped at a time, and gives way.
--
-- A month is dropped when everything in it ended more than the wanted days ago. Looking that up reads the whole month,
-- so it is done once, when the month has become old and nothing unfinished is left in it, and noted here.

CREATE TABLE workflow.settled_months (
    month         text        PRIMARY KEY,
    last_ended_at timestamptz NOT NULL
);
COMMENT ON TABLE workflow.settled_months IS 'Past months in which everything has ended, and when the last of it did.';

-- The months that have partitions, oldest first, and the default partition, which takes what belongs to no month.
-- `executions` is the planner's estimate: counting would read everything.
CREATE FUNCTION workflow.months()
RETURNS TABLE (month text, lower timestamptz, upper timestamptz, tables text[], executions bigint, bytes bigint)
LANGUAGE sql STABLE AS $$
    SELECT part.month,
           to_timestamp(nullif(part.month, 'default'), 'YYYYMM')::timestamp AT TIME ZONE 'UTC',
           (to_timestamp(nullif(part.month, 'default'), 'YYYYMM')::timestamp + interval '1 month') AT TIME ZONE 'UTC',
           -- History and payloads first: an execution never outlives the row that names it.
           array_agg(part.name ORDER BY part.whole = 'workflow_executions', part.name),
           greatest(sum(part.rows) FILTER (WHERE part.whole = 'workflow_executions'), 0)::bigint,
           sum(pg_total_relation_size(part.oid))::bigint
    FROM (
        SELECT child.oid, child.relname::text AS name, child.reltuples AS rows, whole.relname::text AS whole,
               substring(child.relname FROM '_([0-9]{6}|default)$') AS month
        FROM pg_inherits
        JOIN pg_class AS child ON child.oid = pg_inherits.inhrelid
        JOIN pg_class AS whole ON whole.oid = pg_inherits.inhparent
        JOIN pg_namespace AS schema ON schema.oid = whole.relnamespace
        WHERE schema.nspname = 'workflow' AND whole.relkind = 'p'
    ) AS part
    WHERE part.month IS NOT NULL
    GROUP BY part.month
    ORDER BY part.month
$$;

-- How many executions of a month have not ended.
CREATE FUNCTION workflow.unfinished_between(lower timestamptz, upper timestamptz) RETURNS bigint
LANGUAGE sql STABLE AS $$
    SELECT count(*) FROM workflow.execution_state
    WHERE id >= workflow.uuid7_floor(lower) AND id < workflow.uuid7_floor(upper)
$$;

-- Note when the last execution of each old month ended. Returns the months that became known.
CREATE FUNCTION workflow.settle_months(days integer) RETURNS SETOF text
LANGUAGE plpgsql AS $$
DECLARE
    old   record;
    ended timestamptz;
    open  bigint;
BEGIN
    FOR old IN
        SELECT m.month, m.lower, m.upper FROM workflow.months() AS m
        WHERE m.upper <= now() - make_interval(days => days)
          AND NOT EXISTS (SELECT FROM workflow.settled_months AS s WHERE s.month = m.month)
    LOOP
        CONTINUE WHEN workflow.unfinished_between(old.lower, old.upper) > 0;
        SELECT max(e.finished_at), count(*) FILTER (WHERE e.finished_at IS NULL) INTO ended, open
        FROM workflow.workflow_executions AS e
        WHERE e.id >= workflow.uuid7_floor(old.lower) AND e.id < workflow.uuid7_floor(old.upper);
        -- Unfinished without a state: a bug, whose traces are kept.
        CONTINUE WHEN open > 0;
        INSERT INTO workflow.settled_months (month, last_ended_at) VALUES (old.month, coalesce(ended, old.upper))
        ON CONFLICT DO NOTHING;
        RETURN NEXT old.month;
    END LOOP;
END
$$;

-- Drop one table of a month that is old enough; its name, or null when there is none or somebody else is using it.
-- Dropping needs a moment alone. Whoever comes meanwhile queues behind that wish, so it is given up quickly, and one
-- replica at a time has it.
CREATE FUNCTION workflow.drop_expired_table(days integer) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    old record;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended('kwe.retention', 0)) THEN
        RETURN NULL;
    END IF;
    SELECT m.month, m.tables INTO old
    FROM workflow.months() AS m JOIN workflow.settled_months AS s USING (month)
    WHERE s.last_ended_at <= now() - make_interval(days => days)
      AND m.upper <= now() - make_interval(days => days)
      AND workflow.unfinished_between(m.lower, m.upper) = 0
    ORDER BY m.month
    LIMIT 1;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    SET LOCAL lock_timeout = '200ms';
    EXECUTE format('DROP TABLE workflow.%I', old.tables[1]);
    IF cardinality(old.tables) = 1 THEN
        DELETE FROM workflow.settled_months AS s WHERE s.month = old.month;
    END IF;
    RETURN old.tables[1];
EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
    RETURN NULL;
END
$$;

-- The default partition cannot be dropped: what is old in it goes row by row, at most `portion` executions at a time.
CREATE FUNCTION workflow.delete_expired_strays(days integer, portion integer) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    expired uuid[];
BEGIN
    expired := ARRAY(
        SELECT id FROM workflow.workflow_executions_default
        WHERE finished_at < now() - make_interval(days => days)
        ORDER BY id
        LIMIT portion
    );
    DELETE FROM workflow.history_default WHERE execution_id = ANY (expired);
    DELETE FROM workflow.payloads_default WHERE owner_id = ANY (expired);
    DELETE FROM workflow.workflow_executions_default WHERE id = ANY (expired);
    RETURN cardinality(expired);
END
$$;

-- Dead letters hold what messages said. Those of unfinished executions stay.
CREATE FUNCTION workflow.delete_expired_letters(days integer, portion integer) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    gone integer;
BEGIN
    DELETE FROM workflow.dead_letters WHERE id IN (
        SELECT letter.id FROM workflow.dead_letters AS letter
        WHERE letter.created_at < now() - make_interval(days => days)
          AND NOT EXISTS (SELECT FROM workflow.execution_state AS state WHERE state.id = letter.execution_id)
        ORDER BY letter.id
        LIMIT portion
    );
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN gone;
END
$$;

-- Orchestrators of the release before this one call it; they get the same rule, a table at a time.
CREATE OR REPLACE FUNCTION workflow.drop_expired_partitions(days integer) RETURNS SETOF text
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM workflow.settle_months(days);
    RETURN QUERY SELECT name FROM workflow.drop_expired_table(days) AS name WHERE name IS NOT NULL;
END
$$;

-- As before, but rows that the default partition took meanwhile (nothing made partitions for months) move to theirs;
-- PostgreSQL refuses the partition while they are there.
CREATE OR REPLACE FUNCTION workflow.ensure_partitions(ahead integer DEFAULT 2) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    parent  record;
    lower   timestamptz;
    low     uuid;
    high    uuid;
    child   text;
    made    integer := 0;
BEGIN
    FOR parent IN SELECT * FROM (VALUES
        ('workflow_executions', 'id'), ('history', 'execution_id'), ('payloads', 'owner_id')) AS p (name, key)
    LOOP
        FOR step IN 0..ahead LOOP
            lower := date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' + make_interval(months => step);
            child := format('%s_%s', parent.name, to_char(lower AT TIME ZONE 'UTC', 'YYYYMM'));
            CONTINUE WHEN to_regclass('workflow.' || child) IS NOT NULL;
            low := workflow.uuid7_floor(lower);
            high := workflow.uuid7_floor(((lower AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC');
            EXECUTE format('CREATE TABLE workflow.%I (LIKE workflow.%I INCLUDING ALL)', child, parent.name);
            EXECUTE format(
                'WITH moved AS (DELETE FROM workflow.%I WHERE %I >= %L AND %I < %L RETURNING *)
                 INSERT INTO workflow.%I SELECT * FROM moved',
                parent.name || '_default', parent.key, low, parent.key, high, child);
            EXECUTE format('ALTER TABLE workflow.%I ATTACH PARTITION workflow.%I FOR VALUES FROM (%L) TO (%L)',
                           parent.name, child, low, high);
            made := made + 1;
        END LOOP;
    END LOOP;
    RETURN made;
END
$$;
