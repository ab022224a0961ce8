"""``python -m alum`` is ``alum``."""

import sys

from alum.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
