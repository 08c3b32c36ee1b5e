"""Tie a new process to the life of its parent, then become the program it was started for.

Run as a script, never imported by ours: `python -I -S launch.py PARENT SIGNAL UID PROGRAM ARGS…`.
A script of its own, because `preexec_fn` may deadlock in a parent that has threads. It imports
only what it needs: every process of ours passes through it.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def main(argv: list[str]) -> None:
    parent, signal_number, uid = (int(word) for word in argv[1:4])
    program = argv[4:]
    if uid:
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
    if sys.platform == "linux":
        # After the change of user, which would clear it.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal_number)
        if os.getppid() != parent:
            sys.exit("the process that started this one has died")
    os.execv(program[0], program)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main(sys.argv)
