"""Apps: their bundles, specifications, engines, logs and life."""
