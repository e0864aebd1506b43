"""Where a chapter's code is, if its package has another name: one package serves all chapters of a part."""

_PACKAGES = {"classification": "applications"}


def package_of(slug: str) -> str:
    """Return the name of the package that a chapter is about."""
    return _PACKAGES.get(slug, slug)
