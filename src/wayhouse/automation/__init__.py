"""Automation: jobs at times of the clock and the sun, triggers on values, scenarios that people write and share."""
