"""`/docs`: Swagger UI over the OpenAPI document, from files of this machine alone."""

from importlib.resources import as_file, files
from typing import Final

from fastapi import APIRouter
from fastapi.responses import FileResponse, HTMLResponse, Response

ASSETS: Final = {"swagger-ui-bundle.js": "text/javascript", "swagger-ui.css": "text/css", "favicon.png": "image/png"}
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Swagger UI styles by attributes, and draws its icons from `data:`; it needs nothing else that is inline."""
HEADERS: Final = {"content-security-policy": POLICY, "cross-origin-opener-policy": "same-origin"}

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>rag_graph: the HTTP API</title>
<link rel="icon" href="docs/favicon.png">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
_START = """SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  presets: [SwaggerUIBundle.presets.apis],
});
"""

router = APIRouter(include_in_schema=False)


@router.get("/docs")
async def docs() -> Response:
    return HTMLResponse(_PAGE, headers=HEADERS)


# Before the route of names, which would take it for one of them.
@router.get("/docs/start.js")
async def start() -> Response:
    return Response(_START, media_type="text/javascript")


@router.get("/docs/{name}")
async def asset(name: str) -> Response:
    # Only what is listed, so that no name leads anywhere else in that folder.
    if name not in ASSETS:
        return Response(status_code=404)
    with as_file(files("fastapi_offline") / "static" / name) as path:
        return FileResponse(path, media_type=ASSETS[name], headers={"cache-control": "max-age=86400"})
