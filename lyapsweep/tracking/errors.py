"""The error of everything that needs an MLflow store."""

from lyapsweep.redaction import redact


class TrackingError(RuntimeError):
    """The MLflow store cannot be used; the message names the store, without its password, and the remedy."""

    def __init__(self, message: str):
        super().__init__(redact(message))
