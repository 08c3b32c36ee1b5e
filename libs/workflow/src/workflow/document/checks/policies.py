"""Retries, jitter and process options that contradict themselves."""

from workflow.document.checks.examined import Examined
from workflow.document.diagnostics import Code
from workflow.document.policies import AttemptLimit, Jitter
from workflow.document.processes import Process
from workflow.document.report import Report
from workflow.document.source import join
from workflow.document.tasks import SwitchTask


def check(document: Examined, report: Report) -> None:
    for pointer, limit in document.each(AttemptLimit):
        if limit.count is not None and limit.count < 0:
            report.error(
                Code.STRUCTURE,
                join(pointer, "count"),
                "the number of retries must not be negative",
            )
    for pointer, jitter in document.each(Jitter):
        low, high = jitter.from_.milliseconds, jitter.to.milliseconds
        if low is not None and high is not None and low > high:
            report.error(
                Code.DURATION, pointer, "the jitter begins after it ends", "Swap `from` and `to`."
            )
    for pointer, process in document.each(Process):
        if process.workflow is not None and process.return_ is not None:
            report.error(
                Code.UNSUPPORTED,
                join(pointer, "return"),
                "`return` chooses among the results of a process; a workflow has its output only",
                "Remove it; use `output.as` to choose from the output.",
                of_key=True,
            )
    for pointer, task in document.each(SwitchTask):
        _check_defaults(task, join(pointer, "switch"), report)


def _check_defaults(task: SwitchTask, pointer: str, report: Report) -> None:
    """The case without `when` is for what no other case matches, wherever it stands."""
    defaults = [position for position, item in enumerate(task.switch) if item.case.when is None]
    for position in defaults[1:]:
        report.error(
            Code.STRUCTURE,
            join(pointer, position),
            f"a second case has no `when`: `{task.switch[defaults[0]].name}` has none either",
            "Give it a condition; one case at most may be the default.",
        )
