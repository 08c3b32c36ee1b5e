"""Where the `kwe` command begins.

`kwe health` runs every few seconds in every container, so it is answered before anything is imported that is not
Python's own.
"""

import sys

_QUICK = (["health"], ["health", "--ready"])


def main() -> None:
    """Run the command in `sys.argv` and end the process with its exit code."""
    arguments = sys.argv[1:]
    if arguments in _QUICK:
        from kwe.cli.probe import probe

        sys.exit(probe(ready="--ready" in arguments))
    from kwe.cli.main import main as command_line

    command_line()
