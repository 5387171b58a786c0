"""What the W&B writer raises.

Exception
└── WandbWriterError         also an OSError: the daemon keeps the summaries, and tries again for ever
    ├── NotOpenedError       wandb.init failed: no network, no key, no quota
    ├── UnconfirmedError     a row was handed over, and does not stand in the run's file
    └── NotUploadedError     what an earlier process left on disk could not be uploaded
"""

from __future__ import annotations


class WandbWriterError(OSError):
    """The root of what the W&B writer raises on its own account."""


class NotOpenedError(WandbWriterError):
    """Raised when the W&B run could not be begun or resumed."""


class UnconfirmedError(WandbWriterError):
    """Raised when a row did not reach the run's file in time, so that it may be lost."""


class NotUploadedError(WandbWriterError):
    """Raised when `wandb sync` could not upload the files that an earlier process left."""
