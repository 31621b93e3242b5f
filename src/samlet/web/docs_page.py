"""GET /docs: the API as one page, written by the server from its OpenAPI description. No scripts, nothing to fetch."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any

from fastapi import APIRouter, FastAPI
from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup, escape
from starlette.responses import HTMLResponse, Response

_OWN = "samlet"
_JSON = "application/json"


def docs_routes(app: FastAPI) -> APIRouter:
    """The page and its style."""
    router = APIRouter(include_in_schema=False)

    @router.get("/docs")
    async def docs() -> Response:
        return HTMLResponse(docs_page(app.openapi()))

    @router.get("/docs.css")
    async def style() -> Response:
        return Response(_file("docs.css"), media_type="text/css")

    return router


def docs_page(openapi: dict[str, Any]) -> str:
    """The page as HTML, of a description as FastAPI makes it."""
    described = list(_routes(openapi))
    tags = dict.fromkeys(route["tag"] for route in described)
    groups = [{"name": tag, "routes": [route for route in described if route["tag"] == tag]} for tag in tags]
    return _template().render(**openapi["info"], groups=groups)


def _routes(openapi: dict[str, Any]) -> Iterator[dict[str, Any]]:
    schemas = openapi.get("components", {}).get("schemas", {})
    for path, methods in openapi["paths"].items():
        for method, route in methods.items():
            text = route.get("description", route.get("summary", ""))
            first, _, rest = text.partition(". ")
            yield {
                "tag": (route.get("tags") or [_OWN])[0],
                "method": method.upper(),
                "path": path,
                "anchor": f"{method}-{path.strip('/').replace('/', '-')}",
                "summary": first.rstrip(".") + ".",
                "description": rest,
                "tables": list(_tables(route, schemas)),
                "example": _example(method.upper(), path, route, schemas),
            }


def _tables(route: dict[str, Any], schemas: dict[str, Any]) -> Iterator[dict[str, Any]]:
    body = route.get("requestBody")
    if body:
        schema = _resolved(body["content"].get(_JSON, {}).get("schema", {}), schemas)
        kinds = ", ".join(body["content"])
        if "description" in body:
            yield {"name": f"Request ({kinds})", "rows": [], "text": body["description"]}
        else:
            yield {"name": f"Request ({kinds})", "rows": list(_rows(schema, schemas)), "text": ""}
    answer = route["responses"].get("200", {})
    for kind, content in answer.get("content", {}).items():
        schema = _resolved(content.get("schema", {}), schemas)
        yield {"name": f"Answer ({kind})", "rows": list(_rows(schema, schemas)), "text": answer["description"]}


def _rows(schema: dict[str, Any], schemas: dict[str, Any]) -> Iterator[dict[str, Any]]:
    required = schema.get("required", ())
    for name, of_property in schema.get("properties", {}).items():
        meaning = of_property.get("description", "")
        default = of_property.get("default")
        if default not in (None, []):
            meaning = f"{meaning} Default: {json.dumps(default)}."
        kind = _kind(of_property, schemas)
        yield {"name": name, "type": kind, "meaning": meaning.strip(), "required": name in required}


def _kind(schema: dict[str, Any], schemas: dict[str, Any]) -> str:
    """A type in few words: "list of integer", "MaskAnswer", "number or null"."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        inner = ", ".join(schemas.get(name, {}).get("properties", {}))
        return f"{name} {{{inner}}}" if inner else name
    if "anyOf" in schema:
        return " or ".join(_kind(each, schemas) for each in schema["anyOf"])
    if "prefixItems" in schema:
        return f"[{', '.join(_kind(each, schemas) for each in schema['prefixItems'])}]"
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}), schemas)}"
    return str(schema.get("type", "anything"))


def _example(method: str, path: str, route: dict[str, Any], schemas: dict[str, Any]) -> str:
    command = f"curl http://localhost:8000{path}"
    content = route.get("requestBody", {}).get("content", {})
    if "image/*" in content:
        return f"{command} -H 'Content-Type: image/jpeg' --data-binary @photo.jpg"
    if _JSON not in content:
        return command if method == "GET" else f"{command} -X {method} -H 'X-Samlet: 1'"
    schema = _resolved(content[_JSON].get("schema", {}), schemas)
    sent = {name: value for name, value in _values(schema) if value is not None}
    verb = "" if method == "POST" else f" -X {method}"
    return f"{command}{verb} -H 'Content-Type: application/json' -d '{json.dumps(sent)}'"


def _values(schema: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """What an example sends: the examples of the schema, and something for what is required."""
    for name, of_property in schema.get("properties", {}).items():
        if "examples" in of_property:
            yield name, of_property["examples"][0]
        elif name in schema.get("required", ()):
            yield name, name.upper() if of_property.get("type") == "string" else []


def _resolved(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    name = schema.get("$ref", "").rpartition("/")[2]
    found: dict[str, Any] = schemas.get(name, schema)
    return found


@cache
def _template() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    environment.filters["with_code"] = _with_code
    return environment.from_string(_file("docs.html.jinja"))


def _with_code(text: str) -> Markup:
    """Text whose `words` are code."""
    return Markup(re.sub(r"`([^`]*)`", r"<code>\1</code>", str(escape(text))))


def _file(name: str) -> str:
    return (files("samlet.web") / name).read_text(encoding="utf-8")
