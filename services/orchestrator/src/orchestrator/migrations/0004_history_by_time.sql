-- Filling a gap in the public events reads history by time. Turns are stored in about that order, so a few bytes per
-- range of pages find the right ones; an ordinary index would cost every turn an entry.
CREATE INDEX history_at ON workflow.history USING brin (at) WITH (pages_per_range = 32, autosummarize = on);
