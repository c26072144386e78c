"""An hour of many tables and files, compressed, under kills and lost replies; and what follows from it for many more."""
