"""Models as files that run without torch; every artifact carries the proof that it gives the same masks."""
