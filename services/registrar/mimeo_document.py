"""The OpenAPI document around a model's input and output (pkg/schema/openapi_spec.go in replicate/cog at 6110c912)."""

from mimeo_types import title

PREDICT = {
    "path": "/predictions",
    "name": "Prediction",
    "verb": "Predict",
    "input": "Input",
    "output": "Output",
    "description": "Run a single prediction on the model",
}
TRAIN = {
    "path": "/trainings",
    "name": "Training",
    "verb": "Train",
    "input": "TrainingInput",
    "output": "TrainingOutput",
    "description": "Run a single training on the model",
}


def ref(name):
    return {"$ref": f"#/components/schemas/{name}"}


def reply(description, schema):
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def field(name, tpe="string", **more):
    return {"title": title(name), "type": tpe, **more}


def assemble(kind, cog_version, inputs, output, enums, streaming):
    ok, invalid = reply("Successful Response", {}), reply("Validation Error", ref("HTTPValidationError"))
    plural, singular = kind["path"][1:], kind["name"].lower()
    run = {
        "summary": kind["verb"],
        "description": kind["description"],
        "operationId": f"{kind['verb'].lower()}_{plural}_post",
        "requestBody": {"content": {"application/json": {"schema": ref(kind["name"] + "Request")}}},
        "responses": {"200": reply("Successful Response", ref(kind["name"] + "Response")), "422": invalid},
    }
    if streaming:
        run["x-cog-streaming"] = True
    parameter = {"required": True, "schema": field(f"{singular}_id"), "name": f"{singular}_id", "in": "path"}
    cancel = {
        "summary": "Cancel",
        "operationId": f"cancel_{plural}__{singular}_id__cancel_post",
        "parameters": [parameter],
        "responses": {"200": ok, "422": invalid},
    }
    paths = {
        "/": {"get": {"summary": "Root", "operationId": "root__get", "responses": {"200": ok}}},
        "/health-check": {
            "get": {
                "summary": "Healthcheck",
                "operationId": "healthcheck_health_check_get",
                "responses": {"200": ok},
            }
        },
        kind["path"]: {"post": run},
        f"{kind['path']}/{{{singular}_id}}/cancel": {"post": cancel},
    }
    return {
        "openapi": "3.0.2",
        "info": {"title": "Cog", "version": cog_version},
        "paths": paths,
        "components": {"schemas": schemas(kind, inputs, output, enums)},
    }


def schemas(kind, inputs, output, enums):
    times = {n: field(n, format="date-time") for n in ("created_at", "started_at", "completed_at")}
    request, response = kind["name"] + "Request", kind["name"] + "Response"
    texts = {n: field(n) for n in ("status", "error", "logs")}
    answer = {
        "input": ref(kind["input"]),
        "output": ref(kind["output"]),
        "id": field("id"),
        "version": field("version"),
        **times,
        **texts,
        "metrics": field("metrics", "object"),
    }
    statuses = ["starting", "processing", "succeeded", "canceled", "failed"]
    details = {"title": "Detail", "type": "array", "items": ref("ValidationError")}
    location = {"title": "Location", "type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "integer"}]}}
    return {
        kind["input"]: inputs,
        kind["output"]: output,
        **enums,
        request: {
            "title": request,
            "type": "object",
            "properties": {"id": field("id"), "input": ref(kind["input"])},
        },
        response: {"title": response, "type": "object", "properties": answer},
        "Status": {"title": "Status", "description": "An enumeration.", "enum": statuses, "type": "string"},
        "HTTPValidationError": {
            "title": "HTTPValidationError",
            "type": "object",
            "properties": {"detail": details},
        },
        "ValidationError": {
            "title": "ValidationError",
            "required": ["loc", "msg", "type"],
            "type": "object",
            "properties": {
                "loc": location,
                "msg": {"title": "Message", "type": "string"},
                "type": {"title": "Error Type", "type": "string"},
            },
        },
    }
