"""Command-line verbs, one file each. ``main(argv)`` returns the exit code; the docstring's first line is its help."""
