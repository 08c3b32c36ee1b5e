"""The process that runs jq for others, made so that it can be killed and has nothing to steal.

Run as a script: `worker.py MEMORY_BYTES CPU_SECONDS RESULT_BYTES`. It imports nothing of ours, so
that it starts fast and stays small. Once jq is loaded it gives up its environment, the right to
open files, and all memory over the limit; it dies with its parent. libjq holds the interpreter
for a whole evaluation and cannot be interrupted, so time limits are the parent's to enforce (by
SIGKILL); the limit on processor time here is a second line, for when the parent is gone.

Protocol, over stdin and stdout, one question at a time:

    ready      → b"R", once
    question   ← two big-endian u32 lengths, then both texts:
                 {"source": …, "names": [variables]}, {"i": current data, "v": {variables}}
    answer     → one byte (b"V" value, b"E" error), a u32 length, then the JSON or the message
"""

import ctypes
import os
import re
import resource
import signal
import struct
import sys
import time
from collections import OrderedDict
from typing import Any, BinaryIO

import jq  # type: ignore[import-not-found]  # It ships no types.
import orjson

QUESTION = struct.Struct(">II")
ANSWER = struct.Struct(">cI")
READY, VALUE, ERROR = b"R", b"V", b"E"
_PROGRAMS_KEPT = 256
_PR_SET_PDEATHSIG = 1
_MESSAGE_CHARS_MAX = 500
_QUOTED_VALUE = re.compile(
    r"\b(null|boolean|number|string|array|object) \(.*?\)(?= and | cannot| is | has | not|,|$)"
)


class EvaluationError(Exception):
    """jq refused the program, raised an error, or gave more than one value."""


class Programs:
    """jq programs by source, compiled once each.

    Variables can be given to jq only when it compiles, so they travel in the input and the
    program takes them out: `.v as {$a, $b} | .i | (source)`.
    """

    def __init__(self) -> None:
        self._programs: OrderedDict[tuple[str, ...], Any] = OrderedDict()

    def evaluate(self, source: str, names: list[str], data: str, result_chars_max: int) -> str:
        """The JSON of the one value; `null` when there is none. Raises EvaluationError."""
        try:
            outputs = iter(self._program(source, names).input_text(data))
            text = next(outputs, "null")
            several = next(outputs, None) is not None
        except ValueError as error:
            raise EvaluationError(_without_values(str(error))) from None
        if several:
            raise EvaluationError(
                "the expression produced more than one value; collect them with [ ]"
            )
        if len(text) > result_chars_max:
            raise EvaluationError("the result is too large")
        return str(text)

    def _program(self, source: str, names: list[str]) -> Any:
        key = (source, *names)
        program = self._programs.get(key)
        if program is None:
            taken = ", ".join(f"${name}" for name in names)
            prefix = f".v as {{{taken}}} | " if names else ""
            # The line breaks end a comment; `tojson` keeps numbers as jq spells them.
            program = jq.compile(f"{prefix}.i | (\n{source}\n) | tojson")
            self._programs[key] = program
            if len(self._programs) > _PROGRAMS_KEPT:
                self._programs.popitem(last=False)
        else:
            self._programs.move_to_end(key)
        return program


def _without_values(message: str) -> str:
    """jq quotes data in its errors; messages are stored and shown, and data may be secret."""
    return _QUOTED_VALUE.sub(r"\1", message)[:_MESSAGE_CHARS_MAX]


def _main() -> None:
    memory_bytes, cpu_s, result_chars_max = (int(argument) for argument in sys.argv[1:4])
    questions, answers = sys.stdin.buffer, sys.stdout.buffer
    _confine(memory_bytes)
    answers.write(READY)
    answers.flush()
    programs = Programs()
    while header := questions.read(QUESTION.size):
        program, data = (questions.read(length) for length in QUESTION.unpack(header))
        _allow_processor_time(cpu_s)
        _answer(answers, *_outcome(programs, program, data, result_chars_max))


def _outcome(
    programs: Programs, program: bytes, data: bytes, result_chars_max: int
) -> tuple[bytes, bytes]:
    try:
        asked = orjson.loads(program)
        value = programs.evaluate(asked["source"], asked["names"], data.decode(), result_chars_max)
        return VALUE, value.encode()
    except EvaluationError as error:
        return ERROR, str(error).encode()
    except MemoryError:
        return ERROR, b"the evaluation needs too much memory"


def _answer(answers: BinaryIO, kind: bytes, body: bytes) -> None:
    answers.write(ANSWER.pack(kind, len(body)) + body)
    answers.flush()


def _confine(memory_bytes: int) -> None:
    """From here on: no environment, no files, no more memory than this, no life without parent."""
    parent = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    os.environ.clear()
    time.tzset()  # Loads the time zone now; UTC, as nothing names another.
    for limit, value in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, 0),
    ):
        _limit(limit, value)
    if os.getppid() != parent:
        raise SystemExit(1)


def _limit(limit: int, value: int) -> None:
    try:
        resource.setrlimit(limit, (value, value))
    except (ValueError, OSError):
        # macOS does not know all of them. The parent's time limit still holds there.
        if sys.platform == "linux":
            raise


def _allow_processor_time(cpu_s: int) -> None:
    """The limit counts from the start of the process, and is moved on before each question."""
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    soft = int(time.process_time()) + 1 + cpu_s
    if hard == resource.RLIM_INFINITY or soft < hard:
        resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))


if __name__ == "__main__":
    _main()
