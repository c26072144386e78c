"""Lists of networks and host names, as a setting has them."""

import ipaddress

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def networks(text: str) -> tuple[list[Network], list[str]]:
    """The networks and the names in a list with commas: a name stands for itself, `*.name` for all below it.

    Raises ValueError for what is neither.
    """
    found: list[Network] = []
    names: list[str] = []
    for word in (part.strip().lower() for part in text.split(",")):
        if word and not any(sign in word for sign in ":/") and not word.replace(".", "").isdigit():
            names.append(word.rstrip("."))
        elif word:
            found.append(ipaddress.ip_network(word))
    return found, names
