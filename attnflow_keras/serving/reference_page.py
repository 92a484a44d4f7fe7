"""The reference of the server as one page of HTML, which loads nothing from elsewhere."""

import html
import json
from typing import Any

_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 50rem; margin: 2rem auto; padding: 0 1rem; }
h2 { margin-top: 2.5rem; }
h2, pre, code { font-family: ui-monospace, monospace; }
pre { overflow-x: auto; padding: 0.75rem; border: 1px solid; border-radius: 0.4rem; }
table { border-collapse: collapse; }
td { padding: 0.15rem 1rem 0.15rem 0; vertical-align: top; }
"""


def page(content: dict[str, Any]) -> str:
    """A page that shows paths, options, bodies and answers.

    >>> info = {"title": "tiny", "description": "A flow.", "version": "1"}
    >>> "<title>tiny</title>" in page({"info": info, "paths": {}})
    True

    Args:
        content: the description of the server by the OpenAPI standard.
    """
    info = content["info"]
    parts = [
        _tag("h1", info["title"]),
        _tag("p", f"{info['description']} Version {info['version']}."),
        '<p>The same for programs: <a href="openapi.json">openapi.json</a></p>',
    ]
    for path, methods in content["paths"].items():
        for method, given in methods.items():
            parts += _operation(path, method, given)
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    head += f"{_tag('title', info['title'])}<style>{_STYLE}</style>"
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(parts)}</body></html>'


def _operation(path: str, method: str, given: dict[str, Any]) -> list[str]:
    parts = [_tag("h2", f"{method.upper()} {path}"), _tag("p", given.get("description", ""))]
    query = {each["name"]: each["schema"] for each in given.get("parameters", ())}
    if query:
        parts += [_tag("h3", "Query"), _table(query)]
    bodies = given.get("requestBody", {}).get("content", {})
    for kind, body in bodies.items():
        parts += [_tag("h3", f"Body: {kind}"), _table(body["schema"]["properties"])]
        if "example" in body:
            parts.append(_example(body["example"]))
    parts.append(_tag("h3", "Answers"))
    # What stands for several statuses is shown once.
    shown: dict[str, list[str]] = {}
    for status, answer in given["responses"].items():
        text = _tag("p", answer["description"])
        for kind, body in answer.get("content", {}).items():
            text += _tag("p", kind) + (_example(body["example"]) if "example" in body else "")
        shown.setdefault(text, []).append(status)
    for text, statuses in shown.items():
        parts += [_tag("h4", ", ".join(statuses)), text]
    return parts


def _table(fields: dict[str, Any]) -> str:
    rows = (
        f"<tr><td><code>{html.escape(name)}</code></td><td>{html.escape(_words(schema))}</td></tr>"
        for name, schema in fields.items()
    )
    return f"<table>{''.join(rows)}</table>"


def _words(schema: dict[str, Any]) -> str:
    """What a field may be: type, choices, bounds, default."""
    kinds = [each for each in schema.get("anyOf", [schema]) if each.get("type") != "null"]
    found = {**kinds[0], **schema}
    choices = found.get("enum")
    files = found.get("items", {}).get("format") == "binary"
    told = [" or ".join(choices) if choices else "files" if files else found.get("type", "any")]
    told += [f"at least {found['minimum']}"] if "minimum" in found else []
    told += [f"at most {found['maximum']}"] if "maximum" in found else []
    told += [f"{found['default']} if not given"] if found.get("default") is not None else []
    described = found.get("description")
    return f"{', '.join(told)}{f'. {described}' if described else ''}"


def _example(content: Any) -> str:
    return _tag("pre", json.dumps(content, indent=2))


def _tag(name: str, text: str) -> str:
    return f"<{name}>{html.escape(text)}</{name}>"
