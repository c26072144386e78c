"""The console: the pages that a browser gets, who may use them, and the loopback server that `flowforge console` runs.

The local stack serves the same pages by the same rules (`infra/local/console.py`). A page holds nothing secret and is given to
any program of this machine; what it asks is answered only with the token of a session, begun by a link of one use (`sessions`).
"""
