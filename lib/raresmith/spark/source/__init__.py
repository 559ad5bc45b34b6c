"""The raw table as people have it: how its files are written, and whether they are the same as before."""
