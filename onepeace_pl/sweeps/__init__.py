"""Many runs from one file: what to run, each run in a process of its own, one table at the end."""
