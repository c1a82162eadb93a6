"""The daemon put together: knows every concrete class, nobody knows it."""
