"""The error of everything that can be wrong with the content of a checkpoint."""


class CheckpointError(ValueError):
    """A checkpoint is damaged, unsafe to read, or of a model that is not built here; the message says what to do."""
