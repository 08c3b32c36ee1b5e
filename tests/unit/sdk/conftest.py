"""A client and the scripted server that it talks to."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
