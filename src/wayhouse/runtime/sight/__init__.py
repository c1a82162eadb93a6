"""Looking into running processes from outside: their tree, and where each of them is."""
