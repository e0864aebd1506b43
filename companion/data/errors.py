"""The error of everything that can go wrong between a package index and a file in the cache."""


class DataError(RuntimeError):
    """Data could not be fetched or is not what was pinned; the message says what to do."""
