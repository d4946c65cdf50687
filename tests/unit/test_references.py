import os
from pathlib import Path

import pytest

from producer.references import MalformedEntry, Reference
from producer.sources import InputSources, read_folder, read_sources


def _touch(*paths: str) -> None:
    for path in paths:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).touch()


def test_a_folder_gives_its_images_in_a_fixed_order() -> None:
    _touch("p/b.jpg", "p/a.PNG", "p/sub/c.webp", "p/a/z.avif", "p/notes.txt", "p/.hidden.jpg", "p/.git/d.jpg")
    entries = [entry.ref for entry in read_folder("p") if isinstance(entry, Reference)]
    assert entries == ["p/a.PNG", "p/b.jpg", "p/a/z.avif", "p/sub/c.webp"]


def test_links_to_folders_are_not_followed() -> None:
    _touch("p/a.jpg")
    Path("p/loop").symlink_to(".", target_is_directory=True)
    assert len(list(read_folder("p"))) == 1


def test_a_file_name_that_could_hurt_a_terminal_is_malformed() -> None:
    _touch("p/\x1b[31mred.jpg")
    os.close(os.open(b"p/caf\xe9.jpg", os.O_CREAT))
    entries = list(read_folder("p"))
    assert len(entries) == 2
    for entry in entries:
        assert isinstance(entry, MalformedEntry)
        assert str(entry).isprintable()


def test_sources_follow_one_another() -> None:
    _touch("p/a.jpg")
    Path("l.txt").write_text("b.jpg\n")
    entries = list(read_sources(InputSources(["c.jpg", "p", "l.txt", "http://host/list.csv", "missing"])))
    expected = ["c.jpg", "p/a.jpg", "b.jpg", "http://host/list.csv", "missing"]
    assert [entry.ref for entry in entries if isinstance(entry, Reference)] == expected


@pytest.mark.parametrize(("line", "text"), [(3, "l.txt, line 3: why"), (None, "l.txt: why")])
def test_a_malformed_place_says_where_it_is(line: int | None, text: str) -> None:
    assert str(MalformedEntry("l.txt", line, "why")) == text
