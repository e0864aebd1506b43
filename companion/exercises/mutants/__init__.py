"""Wrong answers, kept so that the checks themselves are tested."""
