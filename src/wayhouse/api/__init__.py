"""One table of endpoints, and what is made from it: routes, OpenAPI, the typed client."""
