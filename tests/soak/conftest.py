"""The soak is a program of its own; its tests import it as it is."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
