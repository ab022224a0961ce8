"""Where the project, its tests and the real data sets are."""

import os
from pathlib import Path

TESTS = Path(__file__).parent
ROOT = TESTS.parent
DATA = Path(os.environ.get("ALUM_DATA", ROOT.parent / "shared" / "data"))
