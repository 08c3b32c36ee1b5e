"""A definition compiled for execution. Made once per definition and cached by the host; never changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from workflow.core.compiling import Compiler
from workflow.core.formulas import Reads, bare, duration_of, transform
from workflow.core.nodes import Kind, ListSpec, Node, Then
from workflow.core.schemas import Schema
from workflow.core.specs import kind_of, spec_of, word_of
from workflow.core.values import Json
from workflow.document.catalog import FunctionCatalog
from workflow.document.definition import Definition

_READERS_OF_INPUT = frozenset({Kind.FORK, Kind.TRY, Kind.WAIT})
"""Kinds that need their transformed input while they are under way."""

_DIRECTIVES = {"continue": Then.CONTINUE, "exit": Then.EXIT, "end": Then.END}


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    document: Mapping[str, Json]
    nodes: tuple[Node, ...]
    root: Node
    reads_workflow: bool
    """Whether some expression reads `$workflow`, so that the workflow's raw input must be kept."""
    listens: bool = False
    """Whether events may be kept for its executions."""
    secrets: tuple[str, ...] = ()
    """Names of the secrets that it may read."""


def compile_plan(document: Definition | Mapping[str, Json], functions: FunctionCatalog) -> Plan:
    """Compile a definition that was accepted at registration.

    What cannot be compiled raises ExpressionSyntaxError, InvalidDuration, KeyError or ValueError: registration refuses such
    definitions. A function that is gone from the catalog since then faults the task that calls it, and nothing else.
    """
    content = document.content() if isinstance(document, Definition) else document
    return _Planner(content, functions).plan()


class _Planner(Compiler):
    """Walks the document, giving every task its node."""

    def __init__(self, document: Mapping[str, Json], functions: FunctionCatalog) -> None:
        super().__init__(document.get("use") or {}, functions)
        self._document = document
        self._nodes: list[Node] = []
        self._functions: dict[str, Node] = {}
        self._reads = Reads()

    def plan(self) -> Plan:
        document = self._document
        root = Node(0, "", document["document"]["name"], Kind.WORKFLOW, ListSpec(()))
        self._nodes.append(root)
        later = Reads(self._reads)
        self._compile_data(root, document, self._reads, later)
        root.needs_raw = "task" in later.names
        root.needs_input = "input" in later.names
        root.spec = ListSpec(self.tasks(document["do"], "/do", "/do"))
        nodes = tuple(self._nodes)
        listens = any(node.kind is Kind.LISTEN for node in nodes)
        return Plan(
            document,
            nodes,
            root,
            "workflow" in self._reads.everything,
            listens,
            tuple(self.use.get("secrets") or ()),
        )

    def tasks(self, entries: list[Json], pointer: str, prefix: str) -> tuple[Node, ...]:
        """The nodes of a task list. `prefix` is where the list stands in the task that has it."""
        names = [next(iter(entry)) for entry in entries]
        nodes = []
        for position, (name, entry) in enumerate(zip(names, entries, strict=True)):
            segment = "/" + _escaped(name)
            node = self._node(entry[name], f"{pointer}/{position}{segment}", name, names)
            node.prefix = prefix
            node.position = position
            node.segment = segment
            node.tail = f"{prefix}/{position}{segment}"
            nodes.append(node)
        return tuple(nodes)

    def function(self, name: str) -> Node:
        """The node of a function in `use.functions`; the same for all its callers."""
        node = self._functions.get(name)
        if node is None:
            segment = "/" + _escaped(name)
            placeholder = Node(len(self._nodes), "", name, Kind.DO, ListSpec(()))
            self._nodes.append(placeholder)
            self._functions[name] = placeholder
            task = self.use["functions"][name]
            node = self._fill(placeholder, task, f"/use/functions{segment}", [])
            node.segment = node.tail = segment
        return node

    def directive(self, then: str | None, names: list[str]) -> int:
        if then is None:
            return Then.CONTINUE
        known = _DIRECTIVES.get(then)
        return names.index(then) if known is None else known

    def _node(self, task: Mapping[str, Json], pointer: str, name: str, names: list[str]) -> Node:
        node = Node(len(self._nodes), pointer, name, Kind.DO, ListSpec(()))
        self._nodes.append(node)
        return self._fill(node, task, pointer, names)

    def _fill(self, node: Node, task: Mapping[str, Json], pointer: str, names: list[str]) -> Node:
        node.pointer = pointer
        node.definition = task
        node.kind = kind_of(task, self.use)
        node.word = word_of(task)
        reads = Reads(self._reads)
        if (condition := task.get("if")) is not None:
            node.condition = bare(condition, reads)
        later = Reads(reads)
        self._compile_data(node, task, reads, later)
        node.then = self.directive(task.get("then"), names)
        node.spec = spec_of(self, task, pointer, names, reads=reads, later=later)
        node.needs_raw = "task" in later.names
        node.needs_input = "input" in later.names or node.kind in _READERS_OF_INPUT
        return node

    def _compile_data(
        self, node: Node, part: Mapping[str, Json], reads: Reads, later: Reads
    ) -> None:
        """Input, output, export and timeout of a task or of the workflow."""
        given, output, export = (part.get(name) or {} for name in ("input", "output", "export"))
        node.input_schema = _schema(given, "input")
        if "from" in given:
            node.input_from = transform(given["from"], reads)
        if (timeout := part.get("timeout")) is not None:
            policy = self.use["timeouts"][timeout] if isinstance(timeout, str) else timeout
            node.timeout = duration_of(policy["after"], reads)
        if "as" in output:
            node.output_as = transform(output["as"], later)
        node.output_schema = _schema(output, "output")
        if "as" in export:
            node.export_as = transform(export["as"], later)
            node.export_schema = _schema(export, "exported context")
        steps = (node.output_as, node.output_schema, node.export_as)
        node.plain_output = all(step is None for step in steps)


def _schema(part: Mapping[str, Json], subject: str) -> Schema | None:
    schema = part.get("schema")
    return None if schema is None else Schema(schema["document"], subject)


def _escaped(name: str) -> str:
    """A name as a reference token of a JSON pointer."""
    return name.replace("~", "~0").replace("/", "~1")
