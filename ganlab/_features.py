"""Features of pictures, and the name of what made them."""

from ganlab.checks import InputError

__all__ = ["check_extractor"]


def check_extractor(extractor):
    """Return the name or hash of what made the features, or None if it was not said."""
    if not (extractor is None or isinstance(extractor, str)):
        raise InputError(f"extractor must be the name or hash of what made the features, a text, got {extractor!r}")
    return extractor
