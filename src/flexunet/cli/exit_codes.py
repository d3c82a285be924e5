"""What the command's exit code says."""

FINE, FINDINGS, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130
