"""The order and completeness of events, from their sequence numbers alone."""

from kwe.client.models import Event
from kwe.events import Sequencer
from kwe.events.sequencer import Verdict


def event(execution: str, sequence: int, kind: str = "task.created") -> Event:
    return Event(
        id=f"{execution}/{sequence}",
        type=f"io.serverlessworkflow.{kind}.v1",
        subject=execution,
        sequence=sequence,
    )


def test_each_execution_counts_for_itself() -> None:
    sequencer = Sequencer()
    for one in (event("a", 1), event("b", 1), event("a", 2)):
        assert sequencer.judge(one) is Verdict.NEXT
        sequencer.handed_on(one)
    assert sequencer.sequences == {"a": 2, "b": 1}


def test_what_was_handed_on_is_known() -> None:
    sequencer = Sequencer({"a": 2})
    assert sequencer.judge(event("a", 2)) is Verdict.KNOWN
    assert sequencer.judge(event("a", 1)) is Verdict.KNOWN


def test_what_leaves_a_gap_is_early() -> None:
    assert Sequencer({"a": 2}).judge(event("a", 4)) is Verdict.EARLY
    assert Sequencer().judge(event("unseen", 3)) is Verdict.EARLY


def test_an_event_that_was_only_judged_is_still_next() -> None:
    sequencer = Sequencer()
    assert sequencer.judge(event("a", 1)) is Verdict.NEXT
    assert sequencer.judge(event("a", 1)) is Verdict.NEXT


def test_finished_executions_are_forgotten_oldest_first() -> None:
    sequencer = Sequencer(finished_max=2)
    for name in ("a", "b", "c"):
        sequencer.handed_on(event(name, 1, "workflow.completed"))
    sequencer.handed_on(event("open", 1))
    assert sequencer.sequences == {"b": 1, "c": 1, "open": 1}
