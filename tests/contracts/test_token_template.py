"""The template whose API takes tokens: every route asks for one, and nothing else differs."""

import pytest

from infra.aws.token_template import TEMPLATE, with_tokens
from infra.local.template import TemplateError, expand

GIVEN = {"ApiTokenIssuer": "https://login.example.com/tenant", "ApiTokenAudiences": "flowforge,console"}


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("token") / "template.yaml"
    path.write_text(with_tokens(TEMPLATE.read_text()))
    return path


def test_should_let_no_route_be_called_without_a_token_of_the_issuer(file):
    api = expand(file, GIVEN).resources["ServerlessHttpApi"]["Properties"]["Body"]
    routes = [route for methods in api["paths"].values() for route in methods.values()]
    assert len(routes) > 40
    assert [route for route in routes if route["security"] != [{"Token": []}]] == []
    (scheme,) = api["components"]["securitySchemes"].values()
    assert scheme["x-amazon-apigateway-authorizer"] == {
        "type": "jwt",
        "identitySource": "$request.header.Authorization",
        "jwtConfiguration": {"issuer": {"Ref": "ApiTokenIssuer"}, "audience": {"Ref": "ApiTokenAudiences"}},
    }


def test_should_differ_from_the_template_in_its_api_only(file):
    ours, theirs = expand(TEMPLATE, {}).resources, expand(file, GIVEN).resources
    differing = {name for name in ours | theirs if ours.get(name) != theirs.get(name)}
    assert differing == {"ServerlessHttpApi", "ServerlessHttpApiApiGatewayDefaultStage"}


def test_should_ask_for_an_issuer_and_for_a_template_that_it_knows(file):
    with pytest.raises(TemplateError, match="ApiTokenIssuer has no default"):
        expand(file, {})
    with pytest.raises(ValueError, match="not exactly once: 'EnableIamAuthorizer"):
        with_tokens(file.read_text())
