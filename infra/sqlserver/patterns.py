"""LIKE patterns as regular expressions."""


def like_expression(pattern: str, escape: str = "") -> str:
    """A LIKE pattern as a regular expression: %, _, [set], [^set]."""
    out, at = "", 0
    while at < len(pattern):
        char = pattern[at]
        if escape and char == escape and at + 1 < len(pattern):
            at += 1
            out += _escaped(pattern[at])
        elif char == "%":
            out += ".*"
        elif char == "_":
            out += "."
        elif char == "[" and "]" in pattern[at + 1 :]:
            end = pattern.index("]", at + 1)
            body = pattern[at + 1 : end]
            negated = body.startswith("^")
            body = "".join(item if item == "-" else _escaped(item) for item in body.removeprefix("^"))
            out += f"[{'^' if negated else ''}{body}]"
            at = end
        else:
            out += _escaped(char)
        at += 1
    return out


def _escaped(char: str) -> str:
    return char if char.isalnum() or ord(char) > 127 else ("\\" + char)
