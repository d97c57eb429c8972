"""The OpenAPI document, made of the very types that requests are read with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from serving.payload import Payload
from tidegate import __version__

PROBLEM = {
    "type": "object",
    "required": ["error_code", "message"],
    "properties": {"error_code": {"type": "string"}, "message": {"type": "string"}},
}
JSON = "application/json"


def document(payloads: Mapping[str, Payload], labels: type, max_rows: int) -> dict[str, Any]:
    """The document of a gateway that serves these models.

    Parameters
    ----------
    payloads : mapping of str to Payload
        By model.
    labels : type
        The struct that the body of `POST /labels` is read as.
    """
    schemas: dict[str, Any] = {"Problem": PROBLEM, "Answer": _answer(), "Model": {"type": "object"}}
    paths: dict[str, Any] = {}
    (given,), parts = msgspec.json.schema_components([labels], ref_template="#/components/schemas/{name}")
    schemas |= parts
    for name, payload in payloads.items():
        row = _row(payload)
        schemas[f"Row_{name}"] = row
        ref = {"$ref": f"#/components/schemas/Row_{name}"}
        predict = _predict(name, ref, max_rows)
        take = _labels(name, given)
        paths[f"/models/{name}/invocations"] = {"post": predict | {"operationId": f"predict_{name}"}}
        paths[f"/models/{name}/labels"] = {"post": take | {"operationId": f"labels_{name}"}}
        paths[f"/models/{name}"] = {"get": _get(f"What is served of {name}.", "Model", f"model_{name}")}
        paths[f"/models/{name}/ping"] = {"get": _health(f"{name} has a version that answers.", f"ready_{name}")}
        if len(payloads) == 1:
            paths["/invocations"] = {"post": predict | {"operationId": "predict"}}
            paths["/labels"] = {"post": take | {"operationId": "labels"}}
    for path, words in (("/ping", "Every model has a version that answers."), ("/health", "As /ping."),
                        ("/readyz", "As /ping."), ("/livez", "The process answers.")):  # fmt: skip
        paths[path] = {"get": _health(words, path.strip("/"))}
    paths["/models"] = {"get": _get("What is served.", "Model", "models")}
    paths["/version"] = {"get": _text("MLflow's version, whose protocol this is.", "version")}
    paths["/metrics"] = {"get": _text("Prometheus's text.", "metrics")}
    paths["/openapi.json"] = {"get": _get("This document.", "Model", "openapi")}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Tidegate gateway", "version": __version__,
                 "description": "MLflow's scoring protocol; rows are checked against the data contract."},
        "security": [{}, {"bearer": []}],
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}}},
    }  # fmt: skip


def _row(payload: Payload) -> dict[str, Any]:
    """A row as JSON: the properties with the contract's bounds."""
    (_,), parts = msgspec.json.schema_components([payload.row], ref_template="#/components/schemas/{name}")
    row: dict[str, Any] = parts["Row"]
    row["title"] = "Row"
    for name, found in row["properties"].items():
        column = payload.dataset.columns[name]
        words = [f"{column.type}" + (f", {column.unit}" if column.unit else "")]
        found["description"] = ", ".join(words)
        for part in (found, *found.get("anyOf", ())):
            if "pattern" in part:  # Python's anchors; JSON Schema's are these
                part["pattern"] = part["pattern"].replace(r"\A", "^").replace(r"\Z", "$")
    return row


def _predict(name: str, row: dict[str, str], max_rows: int) -> dict[str, Any]:
    rows = {"type": "array", "items": row, "maxItems": max_rows}
    own = {"anyOf": [{"type": "string", "maxLength": 200}, {"type": "null"}]}
    more = {
        "params": {"anyOf": [{"type": "object"}, {"type": "null"}], "description": "Not used by these models."},
        "ids": {"anyOf": [{"type": "array", "items": own}, {"type": "null"}], "description": "Your own ids."},
    }  # fmt: skip
    split = {
        "type": "object", "required": ["columns", "data"], "additionalProperties": False,
        "properties": {"columns": {"type": "array", "items": {"type": "string"}},
                       "data": {"type": "array", "items": {"type": "array"}}, "index": {}},
    }  # fmt: skip
    columnar = {"type": "object", "additionalProperties": {"type": "array"}}
    forms = {"dataframe_records": rows, "dataframe_split": split, "instances": rows,
             "inputs": {"anyOf": [columnar, rows]}}  # fmt: skip
    body = {
        "anyOf": [
            {"type": "object", "required": [form], "properties": {form: schema, **more}, "additionalProperties": False}
            for form, schema in forms.items()
        ]
    }
    csv = {"schema": {"type": "string"}}
    return {
        "summary": f"Predictions of {name}.",
        "requestBody": {"required": True, "content": {JSON: {"schema": body}, "text/csv": csv}},
        "responses": {
            "200": _content("Predictions, scores and the ids under which they are logged.", "Answer"),
            **{str(s): _content(words, "Problem") for s, words in _REFUSALS.items()},
        },
    }


def _labels(name: str, given: dict[str, Any]) -> dict[str, Any]:
    return {
        "summary": f"What came true of inferences or rows of {name}. Sent twice it counts once.",
        "requestBody": {"required": True, "content": {JSON: {"schema": given}}},
        "responses": {
            "200": _content("How many were taken.", "Model"),
            **{str(s): _content(words, "Problem") for s, words in _REFUSALS.items() if s not in (415, 429)},
        },
    }


_REFUSALS = {
    400: "The body or a row is not as the contract asks; the message says where.",
    401: "No valid API key.",
    403: "The key's role does not go so far.",
    408: "The body did not arrive in time.",
    413: "Too many bytes or rows.",
    415: "Another type of content.",
    429: "Too many requests at once; try again after the time in Retry-After.",
    503: "No version can answer now; the message says why.",
}


def _answer() -> dict[str, Any]:
    values = {"type": "array"}
    names = {"predictions": values, "scores": values, "inference_ids": {"type": "array", "items": {"type": "string"}},
             "model": {"type": "string"}, "version": {"type": "integer"}, "logged": {"type": "boolean"}}  # fmt: skip
    return {"type": "object", "required": list(names), "properties": names}


def _content(words: str, schema: str) -> dict[str, Any]:
    return {"description": words, "content": {JSON: {"schema": {"$ref": f"#/components/schemas/{schema}"}}}}


def _get(words: str, schema: str, name: str) -> dict[str, Any]:
    answers = {"200": _content(words, schema)} | {str(s): _content(_REFUSALS[s], "Problem") for s in (401, 403)}
    return {"summary": words, "operationId": name, "responses": answers}


def _health(words: str, name: str) -> dict[str, Any]:
    answers = {"200": {"description": "Yes.", "content": {JSON: {}}}, "503": _content("Not yet.", "Problem")}
    return {"summary": words, "operationId": name, "responses": answers, "security": [{}]}


def _text(words: str, name: str) -> dict[str, Any]:
    answers: dict[str, Any] = {"200": {"description": words, "content": {"text/plain": {"schema": {"type": "string"}}}}}
    answers |= {str(s): _content(_REFUSALS[s], "Problem") for s in (401, 403)}
    return {"summary": words, "operationId": name, "responses": answers}


__all__ = ["document"]
