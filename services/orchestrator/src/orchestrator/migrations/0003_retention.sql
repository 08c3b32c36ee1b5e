-- Retention by dropping whole months: no DELETE that bloats tables and scans indexes.

-- Drop the months that ended more than `days` days ago, unless something unfinished belongs to them. Returns what was
-- dropped. Dropping takes an exclusive lock; `lock_timeout` makes it give way to traffic, and the next round tries again.
CREATE FUNCTION workflow.drop_expired_partitions(days integer) RETURNS SETOF text
LANGUAGE plpgsql AS $$
DECLARE
    child   record;
    lower   timestamptz;
    upper   timestamptz;
BEGIN
    SET LOCAL lock_timeout = '2s';
    FOR child IN
        SELECT part.relname AS name, right(part.relname, 6) AS month
        FROM pg_inherits
        JOIN pg_class AS part ON part.oid = pg_inherits.inhrelid
        JOIN pg_class AS whole ON whole.oid = pg_inherits.inhparent
        JOIN pg_namespace AS schema ON schema.oid = whole.relnamespace
        WHERE schema.nspname = 'workflow' AND part.relname ~ '_[0-9]{6}$'
        -- History and payloads first: an execution never outlives the row that names it.
        ORDER BY whole.relname = 'workflow_executions', part.relname
    LOOP
        lower := to_timestamp(child.month, 'YYYYMM')::timestamp AT TIME ZONE 'UTC';
        upper := ((lower AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC';
        CONTINUE WHEN upper > now() - make_interval(days => days);
        CONTINUE WHEN EXISTS (
            SELECT FROM workflow.execution_state AS state
            WHERE state.id >= workflow.uuid7_floor(lower) AND state.id < workflow.uuid7_floor(upper)
        );
        EXECUTE format('DROP TABLE workflow.%I', child.name);
        RETURN NEXT child.name;
    END LOOP;
END
$$;
