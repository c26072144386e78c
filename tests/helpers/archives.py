"""Archives that tests make."""

import io
import zipfile


def zipped(**members: bytes) -> bytes:
    """A zip with these members."""
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return body.getvalue()
