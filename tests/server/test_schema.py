"""Our own routes, asked at random within and beyond their OpenAPI document: they never break, and answer as it says."""

from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.servers import Serve

OURS = r"^/(query|runs|documents|health|conversations|shared)"
BOUNDED = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


def test_routes_answer_as_their_document_says(spawn: Serve) -> None:
    server = spawn()  # within this process its threads would use the `random` that hypothesis guards
    api = schemathesis.openapi.from_url(f"{server.url}/openapi.json").include(path_regex=OURS)
    operations = [found.ok() for found in api.get_all_operations() if isinstance(found, Ok)]
    assert "POST /query" in {operation.label for operation in operations}
    assert len(operations) >= 6
    for operation in operations:
        BOUNDED(given(operation.as_strategy())(holds))()


def holds(case: Case[Any]) -> None:
    case.call_and_validate(checks=CHECKS, timeout=120)
