"""From an accepted document to passages that search finds.

Theory of operation
-------------------
The row in `documents` is the truth. Accepting a document commits its text and the status `pending`; from then
on some worker brings it to `ready` or `failed`, whatever is killed in between:

    pending → parsing → chunking → embedding → indexing → ready
        any of them → failed, with the reason

A worker claims a batch of one collection for a while (`claim`, `claimed_until`), in one statement with SKIP
LOCKED. Every write it makes afterwards checks, under the row's lock, that the claim is still its own and the
version still the newest. So a worker that was paused too long, or whose document was replaced meanwhile,
changes nothing. A killed worker's claim runs out and the next worker goes on from what is committed: chunks are
not cut again, vectors that exist are not computed again.

Nothing of a revision is searchable before its last step, one transaction that makes its chunks live, adds their
posting lists, and removes the revision before. A search runs on one snapshot, so it sees the old document or the
new one, never both and never neither.

Messages and in-process nudges only say "look now"; a sweep looks anyway.
"""
