"""`python -m infra.aws.token_template [FILE]`: writes template.yaml once more, its API authorised by tokens (JWT), not by IAM.

One template cannot hold both: SAM takes no condition in an API's authorisation, and API Gateway asks the issuer for its keys when
an authorizer is made, also of one that no route has. The file is written beside template.yaml, whose folders it names.
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "template.yaml"
FILE = ROOT / "template.token.yaml"
# What is replaced: it stands once in template.yaml, or nothing is written.
CHANGES = (
    (
        "      EnableIamAuthorizer: true\n      DefaultAuthorizer: AWS_IAM\n",
        "      Authorizers:\n"
        "        Token:\n"
        "          IdentitySource: $request.header.Authorization\n"
        "          JwtConfiguration: {issuer: !Ref ApiTokenIssuer, audience: !Ref ApiTokenAudiences}\n"
        "      DefaultAuthorizer: Token\n",
    ),
    (
        "Parameters:\n",
        "Parameters:\n"
        "  ApiTokenIssuer:\n"
        "    Type: String\n"
        "    AllowedPattern: ^https://[^\\s?#]+$\n"
        "    Description: >-\n"
        "      Issuer of the tokens, as their iss says it; /.well-known/openid-configuration below it leads to its keys.\n"
        "  ApiTokenAudiences:\n"
        "    Type: CommaDelimitedList\n"
        "    AllowedPattern: .+\n"
        "    Description: A token's aud (or client_id) must be one of these.\n",
    ),
    ("$context.identity.userArn", "$context.authorizer.claims.sub"),
    ("requests are signed (IAM).", "requests carry a token (JWT)."),
)


def with_tokens(text: str) -> str:
    """The template's text with an authorizer of tokens; ValueError where it is not as this module knows it."""
    for before, after in CHANGES:
        if text.count(before) != 1:
            raise ValueError(f"template.yaml has not exactly once: {before.strip()!r}")
        text = text.replace(before, after)
    return text


def main() -> int:
    """Writes the file and names it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("file", type=Path, nargs="?", default=FILE)
    file = parser.parse_args().file
    file.write_text(with_tokens(TEMPLATE.read_text(encoding="utf-8")), encoding="utf-8")
    sys.stdout.write(f"{file}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
