"""A configuration to begin with: what the columns of a table are for, guessed and said, and the file that says it."""
