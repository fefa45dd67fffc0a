"""Speed and memory beside a plain implementation of the original's way, both in one process."""
