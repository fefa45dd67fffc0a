"""One file a verb: ``main(argv) -> exit code``; the first line of its docstring is its help."""
