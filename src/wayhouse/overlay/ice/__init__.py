"""Interactive Connectivity Establishment (RFC 8445) as machines: messages, checks, mapped addresses and relays, without sockets or a clock."""
