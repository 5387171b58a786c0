"""What the standard writers raise.

Exception
└── WriterError
    ├── OptionError          also a ValueError: the plugin's table in the configuration is wrong
    └── ForeignFileError     also an OSError: a results file was written by somebody else
"""

from __future__ import annotations


class WriterError(Exception):
    """The root of what the standard writers raise on their own account."""


class OptionError(WriterError, ValueError):
    """Raised when an option of a plugin's table is unknown or has a value it cannot have."""


class ForeignFileError(WriterError, OSError):
    """Raised when a file that is to be appended to has other columns.

    An OSError, since a person can mend it while the daemon waits: nothing is set aside meanwhile.
    """
