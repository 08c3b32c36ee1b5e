"""What each kind of task compiles to."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from workflow.core.compiling import Compiler, Task
from workflow.core.formulas import Reads, bare, duration_of, template
from workflow.core.http_arguments import http_arguments
from workflow.core.listen_spec import listen_spec
from workflow.core.nodes import (
    CallSpec,
    EmitSpec,
    ForkSpec,
    Formula,
    ForSpec,
    InlineSpec,
    Kind,
    ListSpec,
    RaiseSpec,
    RunSpec,
    SetSpec,
    Spec,
    SwitchSpec,
    TrySpec,
    UnknownFunction,
    WaitSpec,
)
from workflow.core.policies import error_formula, retry_of
from workflow.core.schemas import Schema
from workflow.core.values import Json
from workflow.document.catalog import HTTP_QUEUE, parse_reference


def kind_of(task: Task, use: Mapping[str, Json]) -> Kind:
    if "call" in task:
        return Kind.INLINE if task["call"] in (use.get("functions") or {}) else Kind.CALL
    return _KINDS[word_of(task)]


def word_of(task: Task) -> str:
    """The key that says what a task does."""
    if "call" in task:
        return "call"
    for word in _KINDS:
        if word in task:
            return word
    raise ValueError(f"no task of this engine has the properties {', '.join(task)}")


def spec_of(
    compiler: Compiler, task: Task, pointer: str, names: list[str], *, reads: Reads, later: Reads
) -> Spec:
    """What the task does. `later` collects what is read once the task is under way."""
    kind = kind_of(task, compiler.use)
    if kind is Kind.SWITCH:
        return _switch(compiler, task, names, reads)
    if kind is Kind.TRY:
        return _try(compiler, task, pointer, names, later)
    if kind is Kind.LISTEN:
        return listen_spec(compiler, task, pointer, later)
    if kind is Kind.FOR:
        return _for(compiler, task, pointer, reads, later)
    return _COMPILE[kind](compiler, task, pointer, reads)


# `for` comes before `do`, which is the body of a loop, too.
_KINDS = {
    "for": Kind.FOR,
    "do": Kind.DO,
    "emit": Kind.EMIT,
    "fork": Kind.FORK,
    "listen": Kind.LISTEN,
    "raise": Kind.RAISE,
    "run": Kind.RUN,
    "set": Kind.SET,
    "switch": Kind.SWITCH,
    "try": Kind.TRY,
    "wait": Kind.WAIT,
}


def _call(compiler: Compiler, task: Task, pointer: str, reads: Reads) -> Spec:
    del pointer
    called = task["call"]
    arguments = task.get("with") or {}
    if called == "http":
        formula = http_arguments(arguments, compiler.use, reads)
        return CallSpec(queue=HTTP_QUEUE, function="http", input=formula)
    reference = parse_reference(called)
    if reference is None:
        return UnknownFunction(f"there is no function {called!r} in `use.functions`")
    spec = compiler.catalog.find(reference.name, reference.version)
    if spec is None:
        return UnknownFunction(
            f"the catalog has no function {reference.name}:{reference.version} any more;"
            " start the workers that offer it, or call another version"
        )
    name = f"{spec.name}:{spec.version}"
    return CallSpec(
        queue=spec.queue,
        function=name,
        input=template(arguments, reads),
        input_schema=Schema(spec.input_schema, f"input of {name}") if spec.input_schema else None,
        output_schema=(
            Schema(spec.output_schema, f"output of {name}") if spec.output_schema else None
        ),
        at_most_once=spec.at_most_once,
    )


def _inline(compiler: Compiler, task: Task, pointer: str, reads: Reads) -> Spec:
    del pointer
    arguments = template(task.get("with") or {}, reads)
    return InlineSpec(input=arguments, target=compiler.function(task["call"]))


def _do(compiler: Compiler, task: Task, pointer: str, reads: Reads) -> Spec:
    del reads
    return ListSpec(compiler.tasks(task["do"], f"{pointer}/do", "/do"))


def _emit(compiler: Compiler, task: Task, pointer: str, reads: Reads) -> Spec:
    del compiler, pointer
    return EmitSpec(template(task["emit"]["event"]["with"], reads))


def _for(compiler: Compiler, task: Task, pointer: str, reads: Reads, later: Reads) -> Spec:
    loop = task["for"]
    condition = task.get("while")
    return ForSpec(
        each=loop.get("each") or "item",
        at=loop.get("at") or "index",
        items=bare(loop["in"], reads)
        if isinstance(loop["in"], str)
        else template(loop["in"], reads),
        condition=None if condition is None else bare(condition, later),
        tasks=compiler.tasks(task.get("do") or [], f"{pointer}/do", "/do"),
    )


def _fork(compiler: Compiler, task: Task, pointer: str, reads: Reads) -> Spec:
    del reads
    fork = task["fork"]
    place = "/fork/branches"
    branches = compiler.tasks(fork["branches"], pointer + place, place)
    return ForkSpec(branches, compete=bool(fork.get("compete")))


def _raise(compiler: Compiler, task: Task, pointer: str, reads: Reads) -> Spec:
    del pointer
    return RaiseSpec(error_formula(task["raise"]["error"], compiler.use, reads))


def _run(compiler: Compiler, task: Task, pointer: str, reads: Reads) -> Spec:
    del compiler, pointer
    run = task["run"]
    workflow = run["workflow"]
    return RunSpec(
        namespace=template(workflow["namespace"], reads),
        name=template(workflow["name"], reads),
        version=template(workflow["version"], reads),
        input=template(workflow.get("input") or {}, reads),
        awaited=run.get("await") is not False,
    )


def _set(compiler: Compiler, task: Task, pointer: str, reads: Reads) -> Spec:
    del compiler, pointer
    return SetSpec(template(task["set"], reads))


def _wait(compiler: Compiler, task: Task, pointer: str, reads: Reads) -> Spec:
    del compiler, pointer
    return WaitSpec(duration_of(task["wait"], reads))


def _switch(compiler: Compiler, task: Task, names: list[str], reads: Reads) -> Spec:
    cases: list[tuple[Formula | None, int]] = []
    for item in task["switch"]:
        case = next(iter(item.values()))
        when = case.get("when")
        condition = None if when is None else bare(when, reads)
        cases.append((condition, compiler.directive(case["then"], names)))
    # The default may stand anywhere, and matches when no other case does.
    cases.sort(key=lambda case: case[0] is None)
    return SwitchSpec(tuple(cases))


def _try(compiler: Compiler, task: Task, pointer: str, names: list[str], later: Reads) -> Spec:
    catch = task["catch"]
    when, unless = catch.get("when"), catch.get("exceptWhen")
    return TrySpec(
        tasks=compiler.tasks(task["try"], f"{pointer}/try", "/try"),
        error_name=catch.get("as") or "error",
        filter=(catch.get("errors") or {}).get("with") or {},
        condition=None if when is None else bare(when, later),
        exception=None if unless is None else bare(unless, later),
        retry=retry_of(catch.get("retry"), compiler.use, later),
        handler=compiler.tasks(catch.get("do") or [], f"{pointer}/catch/do", "/catch/do"),
        handler_then=compiler.directive(catch["then"], names) if "then" in catch else None,
    )


_COMPILE: dict[Kind, Callable[[Compiler, Task, str, Reads], Spec]] = {
    Kind.CALL: _call,
    Kind.INLINE: _inline,
    Kind.DO: _do,
    Kind.EMIT: _emit,
    Kind.FORK: _fork,
    Kind.RAISE: _raise,
    Kind.RUN: _run,
    Kind.SET: _set,
    Kind.WAIT: _wait,
}
