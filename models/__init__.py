"""The face detector: where its file comes from, how it is prepared, how it is run."""
