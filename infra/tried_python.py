"""`python infra/tried_python.py`: whether this Python is one that FlowForge is tried with: 0 yes, 1 too old, 2 newer than those.

Old ones run this too, back to 2.7, so that they can say so: pip would tell of packages that conflict.
"""

import sys

OLDEST, NEWEST = (3, 11), (3, 13)


def _dotted(version):
    return ".".join(map(str, version))


given, wanted = sys.version_info[:2], "Python " + _dotted(OLDEST) + " to " + _dotted(NEWEST)
told = _dotted(sys.version_info[:3]) + " (" + str(sys.executable) + ")"
if given < OLDEST:
    sys.stderr.write("FlowForge needs " + wanted + ", and this is " + told + ".\n")
    sys.stderr.write(
        "Install one beside it and say the same again, or name one: make demo PYTHON=/path/to/python"
        + _dotted(NEWEST)
        + "\n"
    )
    sys.exit(1)
if given > NEWEST:
    sys.stderr.write("FlowForge is tried with " + wanted + ", and this is " + told + ".\n")
    sys.exit(2)
