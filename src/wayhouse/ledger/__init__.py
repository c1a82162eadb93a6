"""Work with undo: changes, their tasks, their streams, and what a crash leaves behind."""
