"""The fuzz targets are modules of their own; their tests import them as they are, and the small station of the unit tests."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "unit")]
