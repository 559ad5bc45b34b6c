"""What is odd in the values of a table: judged by some rows, and said with the setting that answers it."""
