"""The process that a scenario's code runs in. Few imports, none of the gateway's: starting fast is its point (decision 17)."""
