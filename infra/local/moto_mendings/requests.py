"""What every call of the embedded AWS costs before and after its answer is made: a tenth of what a small one takes.

moto runs Flask for developers: for each request Flask makes a class that explains what is missing in forms. It looks for a form
in bodies of JSON and XML, puts a request's address together up to six times, and makes a register of all errors of the service
for each that it answers. Here requests are read without a developer's help, addresses are put together once, and registers kept.
"""

import functools
from typing import Any

from flask import Flask
from moto.core.errors import ErrorLookupFactory
from moto.core.request import Request
from moto.moto_server.werkzeug_app import BackendRequest, create_backend_app
from werkzeug.utils import cached_property

from infra.local.moto_mendings.edge import put_in_place

FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
MOST_REGISTERS = 64


def create_plain_app(service: Any) -> Flask:
    """Make moto's application of a service, which raises what goes wrong in it, as for developers, and helps no further."""
    app = create_backend_app(service)
    app.debug = False
    app.config["PROPAGATE_EXCEPTIONS"] = True
    return app


def is_form(request: Any) -> bool:
    """Whether a request's body is a form, as its header says."""
    return request.mimetype in FORMS


def read_requests_once() -> None:
    """Put the replacements of this module in place, in this process."""
    address: Any = Request.raw_url
    put_in_place(Request, raw_url=cached_property(address.fget, name="raw_url"))
    put_in_place(BackendRequest, want_form_data_parsed=property(is_form))
    register = functools.lru_cache(MOST_REGISTERS)(ErrorLookupFactory._create_error_lut)
    put_in_place(ErrorLookupFactory, _create_error_lut=staticmethod(register))
