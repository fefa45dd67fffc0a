"""``python -m onepeace_pl VERB ...``."""

import sys

from onepeace_pl.cli import main

sys.exit(main())
