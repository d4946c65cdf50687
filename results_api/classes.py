"""Find classes of a model by name, id or number."""

import re
from collections.abc import Sequence

from shared.errors import Code, RequestError


def class_ids_of(text: str, labels: Sequence[Sequence[str]]) -> tuple[int, ...]:
    """Return the ids of the classes that match a WordNet id, a class number, or a word or phrase.

    A word is found anywhere in a class's name, whole and in any case: "pizza" finds "pizza, pizza pie".
    Raises ``RequestError(class_unknown)`` if there is none.
    """
    found = _finds(text, labels)
    if not found:
        raise RequestError(Code.CLASS_UNKNOWN, text)
    return found


def phrase_for(class_id: int, labels: Sequence[Sequence[str]]) -> str:
    """Return a search term for exactly this class: its name, or its number if the name is ambiguous."""
    name = labels[class_id][1]
    return name if _finds(name, labels) == (class_id,) else str(class_id)


def _finds(text: str, labels: Sequence[Sequence[str]]) -> tuple[int, ...]:
    return _by_id(text, labels) or _by_words(text, labels)


def _by_id(text: str, labels: Sequence[Sequence[str]]) -> tuple[int, ...]:
    ids = tuple(number for number, (wordnet_id, _) in enumerate(labels) if wordnet_id == text)
    is_number = text.isascii() and text.isdigit() and len(text) <= len(str(len(labels)))
    return ids or ((int(text),) if is_number and int(text) < len(labels) else ())


def _by_words(text: str, labels: Sequence[Sequence[str]]) -> tuple[int, ...]:
    words = r"\s+".join(map(re.escape, text.split()))
    if not words:
        return ()
    whole = re.compile(rf"(?<!\w){words}(?!\w)", re.IGNORECASE)
    return tuple(number for number, (_, name) in enumerate(labels) if whole.search(name))
