"""The face detector: where its file comes from, how it is prepared, how it is run."""

import os

# From 1.29 on ONNX Runtime tells its makers what it runs, by default, and leaves an identifier of the computer in the cache. It reads
# this when it is loaded (docs/decisions/0096-nothing-leaves-the-robot-unasked.md).
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
