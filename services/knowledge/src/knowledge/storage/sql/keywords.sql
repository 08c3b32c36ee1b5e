-- The keyword leg: BM25 over packed posting lists.

-- name: frequencies
-- How many chunks have each of the terms, and how many there are. Counts chunks that are buried but not swept out
-- yet: a little off, and only until the next merge.
SELECT i.live_chunks, i.live_terms, found.terms, found.containing
FROM knowledge.index_versions i,
     LATERAL (
         SELECT coalesce(array_agg(term), '{}') AS terms, coalesce(array_agg(containing), '{}') AS containing
         FROM (
             SELECT p.term, sum(p.chunks) AS containing
             FROM knowledge.segments s
             JOIN knowledge.postings p ON p.segment_id = s.id
             WHERE s.index_version_id = i.id
               AND p.term = ANY ($2::text[])
             GROUP BY p.term
         ) AS by_term
     ) AS found
WHERE i.id = $1;

-- name: best
-- $2 terms, $3 their weights (rarity times occurrences in the question), $4 the average length, $5 k1, $6 b.
-- The condition narrows to chunks that a filter admits, and is empty without one.
WITH question AS (
    SELECT term, weight
    FROM unnest($2::text[], $3::float8[]) AS u (term, weight)
), scored AS (
    SELECT u.ordinal,
           sum(q.weight * u.frequency * ($5::float8 + 1)
               / (u.frequency + $5::float8 * (1 - $6::float8 + $6::float8 * u.length / $4::float8))) AS score
    FROM knowledge.segments s
    JOIN question q ON true
    JOIN knowledge.postings p ON p.segment_id = s.id AND p.term = q.term
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
