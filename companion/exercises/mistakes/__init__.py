"""Known mistakes, computed, so that a wrong answer can be told which mistake it is."""
