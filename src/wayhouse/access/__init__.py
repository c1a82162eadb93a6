"""Who may: users, passwords, tokens, rights, the log of who did what, and the host's SSH keys."""
