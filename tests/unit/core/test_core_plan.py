"""Plans: what a definition compiles to."""

import pytest

from workflow.core.nodes import Kind, Then
from workflow.core.plan import compile_plan
from workflow.document.catalog import Functions
from workflow.document.definition import Definition
from workflow.document.durations import InvalidDuration


def plan_of(document):
    return compile_plan(document, Functions())


def test_nodes_are_numbered_and_know_their_place(make_document):
    tasks = [{"a": {"do": [{"b/c": {"set": {}}}]}}, {"d": {"set": {}, "then": "a"}}]
    plan = plan_of(make_document(tasks))
    assert [node.index for node in plan.nodes] == [0, 1, 2, 3]
    assert [node.pointer for node in plan.nodes] == ["", "/do/0/a", "/do/0/a/do/0/b~1c", "/do/1/d"]
    assert [node.kind for node in plan.nodes] == [Kind.WORKFLOW, Kind.DO, Kind.SET, Kind.SET]
    assert [node.then for node in plan.nodes] == [Then.CONTINUE, Then.CONTINUE, Then.CONTINUE, 0]


def test_a_model_of_the_document_compiles_to_the_same(make_document):
    document = make_document([{"a": {"wait": "PT1S"}}])
    assert plan_of(Definition.model_validate(document)).document == document


def test_what_is_read_later_is_known_from_the_start(make_document):
    plan = plan_of(
        make_document(
            [
                {"a": {"set": {}, "output": {"as": "$input"}}},
                {"b": {"set": {"t": "${ $task.name }"}}},
                {"c": {"set": {}, "export": {"as": {"t": "${ $task.name }"}}}},
            ]
        )
    )
    assert [node.needs_input for node in plan.nodes[1:]] == [True, False, False]
    assert [node.needs_raw for node in plan.nodes[1:]] == [False, False, True]
    assert not plan.reads_workflow
    assert plan_of(make_document([{"a": {"set": "${ $workflow.id }"}}])).reads_workflow


def test_a_function_is_compiled_once_for_all_its_callers(make_document):
    use = {"functions": {"f": {"set": {}}}}
    plan = plan_of(make_document([{"a": {"call": "f"}}, {"b": {"call": "f"}}], use=use))
    assert plan.nodes[1].spec.target is plan.nodes[3].spec.target


def test_what_registration_should_have_refused_is_not_compiled(make_document):
    with pytest.raises(InvalidDuration):
        plan_of(make_document([{"a": {"wait": "soon"}}]))
    with pytest.raises(ValueError, match="nowhere"):
        plan_of(make_document([{"a": {"set": {}, "then": "nowhere"}}]))
