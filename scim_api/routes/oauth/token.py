"""/oauth/token and /oauth/revoke: what a client asks for without a person."""

from flask import Response

from scim_api.auth.oauth import clients
from scim_api.auth.oauth.client_authentication import presented
from scim_api.auth.oauth.token_endpoint import Request, TokenEndpoint
from scim_api.routes.oauth import parameters
from scim_api.routes.oauth.addresses import REVOKE, TOKEN
from scim_api.routes.oauth.answers import json_answer, query_of, read_form
from scim_api.web.context import current_exchange


def issue(endpoint: TokenEndpoint) -> Response:
    """POST for tokens (RFC 6749 §3.2)."""
    exchange = current_exchange()
    answer = endpoint.issue(_request(endpoint, "oauth.token", TOKEN))
    client = answer.client
    exchange.is_about(answer.tenant, answer.issued.credential)
    for id_, tenant in {answer.issued.credential: answer.tenant, client.id: client.tenant}.items():
        tenant.usage.note(id_, exchange.client, (), exchange.at, exchange.address)
    return json_answer(answer.issued.document())


def revoke(endpoint: TokenEndpoint) -> Response:
    """POST a token that is to be revoked (RFC 7009)."""
    endpoint.revoke(_request(endpoint, "oauth.revoke", REVOKE))
    return json_answer({})


def _request(endpoint: TokenEndpoint, via: str, address: str) -> Request:
    exchange = current_exchange()
    issuer, form = exchange.root_url, parameters.once(read_form(exchange))
    proof = presented(form, exchange.environ.get("HTTP_AUTHORIZATION"))
    exchange.is_about(endpoint.tenants.find_open(clients.home_of(proof.client_id or "")))
    return Request(
        form=form,
        proof=proof,
        address=exchange.address,
        endpoints=(issuer, issuer + TOKEN, issuer + address),
        metadata=exchange.metadata(via, actor=""),  # the client or grant, once that is known
        recognised=lambda client: exchange.is_about(client.tenant, client.id),
        admit=exchange.limits.count_request,
        scope=parameters.merged(query_of(exchange)).get("scope"),
    )
