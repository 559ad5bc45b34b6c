"""What a table of text is, told by looking at it: encoding, separator, and what the texts of a column stand for."""
