"""How delta-rs reaches S3.

Delta's commits are conditional writes (If-None-Match), which is delta-rs' way on S3 when nothing else is asked for: no lock
table.
"""

import os

from flowforge.aws.store_access import store_access

BUNDLE = "SSL_CERT_FILE"  # the only way to tell delta-rs whose signature to trust: it has no option for that
RETRY_TIMEOUT = "30s"  # delta-rs' own is three minutes, longer than a function may have left


def storage_options() -> dict[str, str]:
    """deltalake's options for S3, with the access of this process."""
    access = store_access()
    options = {"AWS_ACCESS_KEY_ID": access.key, "AWS_SECRET_ACCESS_KEY": access.secret, "AWS_REGION": access.region}
    options["retry_timeout"] = RETRY_TIMEOUT
    if access.authorities and not os.environ.get(BUNDLE):
        os.environ[BUNDLE] = access.authorities
    if access.application:
        options["user_agent"] = f"delta-rs app/{access.application}"
    if access.token:
        options["AWS_SESSION_TOKEN"] = access.token
    if access.endpoint:
        options["AWS_ENDPOINT_URL"] = access.endpoint
        options["AWS_VIRTUAL_HOSTED_STYLE_REQUEST"] = "false"
        options["AWS_ALLOW_HTTP"] = str(access.endpoint.startswith("http://")).lower()
    return options
