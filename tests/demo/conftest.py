"""The demo is run from the checkout and not installed, so its folder is named here."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2]))
