-- The keyword leg: BM25 over packed posting lists.

-- name: frequencies
-- How many chunks have each of the terms, and how many there are. Counts chunks that are buried but not swept out
-- yet: a little off, and only until the next merge.
--
-- OFFSET 0 keeps the lookup inside its segment. Pulled out, the planner looks for the term in the segments of every
-- tenant.
SELECT i.live_chunks, i.live_terms, found.terms, found.containing
FROM knowledge.index_versions i,
     LATERAL (
         SELECT coalesce(array_agg(term), '{}') AS terms, coalesce(array_agg(containing), '{}') AS containing
         FROM (
             SELECT p.term, sum(p.chunks) AS containing
             FROM knowledge.segments s
             CROSS JOIN LATERAL (
                 SELECT term, chunks
                 FROM knowledge.postings
                 WHERE segment_id = s.id
                   AND term = ANY ($2::text[])
                 OFFSET 0
             ) AS p
             WHERE s.index_version_id = i.id
             GROUP BY p.term
         ) AS by_term
     ) AS found
WHERE i.id = $1;

-- name: best
-- $2 terms, $3 their weights (rarity times occurrences in the question), $4 the average length, $5 k1, $6 b.
-- The condition narrows to chunks that a filter admits, and is empty without one. OFFSET 0 as above.
WITH question AS (
    SELECT term, weight
    FROM unnest($2::text[], $3::float8[]) AS u (term, weight)
), scored AS (
    SELECT u.ordinal,
           sum(q.weight * u.frequency * ($5::float8 + 1)
               / (u.frequency + $5::float8 * (1 - $6::float8 + $6::float8 * u.length / $4::float8))) AS score
    FROM knowledge.segments s
    CROSS JOIN LATERAL (
        SELECT term, ordinals, frequencies, lengths
        FROM knowledge.postings
        WHERE segment_id = s.id
          AND term = ANY ($2::text[])
        OFFSET 0
    ) AS p
    JOIN question q ON q.term = p.term
    CROSS JOIN LATERAL unnest(p.ordinals, p.frequencies, p.lengths) AS u (ordinal, frequency, length)
    WHERE s.index_version_id = $1
    GROUP BY u.ordinal
)
SELECT ordinal, score
FROM scored
WHERE ordinal NOT IN (SELECT t.ordinal FROM knowledge.tombstones t WHERE t.index_version_id = $1)
  {condition}
ORDER BY score DESC, ordinal
LIMIT $7;
