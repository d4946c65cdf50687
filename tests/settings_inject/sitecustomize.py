"""For a process that is started with this folder on its path: note each setting that it reads.

SMARTSIGHT_TEST_READ names the file that the names are written to, one a line.
"""

import os
from pathlib import Path

if target := os.environ.get("SMARTSIGHT_TEST_READ"):
    from tests.servers.reading import note_settings

    note_settings(Path(target))
