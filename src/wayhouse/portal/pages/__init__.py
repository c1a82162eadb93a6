"""The pages, one file for each area; each declares its rows and holds their handlers."""
