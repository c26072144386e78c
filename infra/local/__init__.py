"""The local stack: the functions of template.yaml on this machine, with embedded AWS and no containers."""
