"""What moto gets wrong or lacks, mended in the process of the embedded AWS, one module a kind. `mending` puts all of it in place.

Each module names what moto does without it; the `stock` tests of tests/local_stack show that it still does. When one of them
fails, that mending is no longer needed. They are for one version of moto, and no other is taken.
"""
