"""Lets the tests of this folder share `known_metrics`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
