"""How nodes of 2013 to 2016 (tincan) exchange packets: Ethernet frames over DTLS. Only for a node that was switched to it."""
