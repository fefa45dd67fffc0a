"""Other projects' libraries, each behind a lazy import; nothing else of the package imports them."""
