"""Who may do what: users, passwords, tokens, roles and the log of their use."""
