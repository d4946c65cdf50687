"""Entity tags: who has something already is told so, and not given it again."""

import hashlib


def entity_tag(content: bytes) -> str:
    """Return the tag of a content: another one as soon as anything is different."""
    digest = hashlib.blake2b(content, digest_size=12).hexdigest()
    return f'"{digest}"'


def matches(tag: str, if_none_match: str | None) -> bool:
    """Tell whether whoever asks has this already (RFC 9110, section 13.1.2)."""
    known = [word.strip().removeprefix("W/") for word in (if_none_match or "").split(",")]
    return tag in known or "*" in known
