"""Lambda. Source of what replaces: terraform-provider-aws `internal/service/lambda/`."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from providers.aws.kind import Kind, Op, Scope, Setting, Tagging
from providers.base.values import ARCHIVE, SIGNATURE

# A fixed time, so that the same files make the same archive.
_MOMENT = (1980, 1, 1, 0, 0, 0)


def zipped(code: Any) -> bytes:
    """An archive as the bytes of a zip file: a folder, a zip file, or named assets."""
    if isinstance(code, str):
        return Path(code).read_bytes()
    if code.get("path"):
        path = Path(code["path"])
        return (
            _zip({str(one.relative_to(path)): one.read_bytes() for one in _files(path)})
            if path.is_dir()
            else path.read_bytes()
        )
    return _zip({name: _bytes(one) for name, one in sorted((code.get("assets") or {}).items())})


def _files(folder: Path) -> list[Path]:
    return sorted(one for one in folder.rglob("*") if one.is_file() and "__pycache__" not in one.parts)


def _bytes(asset: dict[str, Any]) -> bytes:
    if asset.get(SIGNATURE) == ARCHIVE:
        return zipped(asset)
    text = asset.get("text")
    return text.encode() if text is not None else Path(asset["path"]).read_bytes()


def _zip(members: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name, _MOMENT), content)
    return made.getvalue()


def code(scope: Scope) -> dict[str, Any]:
    """Where a function's code is."""
    if scope.get("imageUri"):
        return {"ImageUri": scope["imageUri"]}
    if scope.get("s3Bucket"):
        return {"S3Bucket": scope["s3Bucket"], "S3Key": scope["s3Key"]}
    return {"ZipFile": zipped(scope["code"])}


def words(scope: dict[str, Any]) -> None:
    """Inputs in other words than Lambda's."""
    scope["logging"] = {
        {
            "logFormat": "LogFormat",
            "logGroup": "LogGroup",
            "applicationLogLevel": "ApplicationLogLevel",
            "systemLogLevel": "SystemLogLevel",
        }[key]: value
        for key, value in (scope.get("loggingConfig") or {}).items()
    }


def durability(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, ...]:
    """Whether a function is durable is settled with its making; how long it is, changes in place."""
    return ("durableConfig",) if bool(old.get("durableConfig")) != bool(new.get("durableConfig")) else ()


CONFIGURATION = (
    "description",
    "handler",
    "role",
    "runtime",
    "timeout",
    "memorySize",
    "environment",
    "vpcConfig",
    "kmsKeyArn",
    "deadLetterConfig",
    "tracingConfig",
    "layers",
    "ephemeralStorage",
)
ABOUT = {"FunctionName": "$name", "LoggingConfig": lambda scope: scope["logging"] or None}

FUNCTION = Kind(
    type="aws:lambda/function:Function",
    service="lambda",
    create=Op(
        "create_function",
        {**ABOUT, "Code": code, "Tags": lambda scope: scope["tagsAll"] or None},
        only=(*CONFIGURATION, "publish", "packageType", "architectures"),
    ),
    read=Op("get_function", {"FunctionName": "$id"}),
    at="Configuration",
    delete=Op("delete_function", {"FunctionName": "$id"}),
    id="FunctionName",
    prepare=words,
    answers={
        "name": "FunctionName",
        "kmsKeyArn": "KMSKeyArn",
        "vpcConfig": "VpcConfig",
        "environment": "Environment",
        "tracingConfig": "TracingConfig",
    },
    outputs={
        "arn": "FunctionArn",
        "invokeArn": "arn:aws:apigateway:$region:lambda:path/2015-03-31/functions/$arn/invocations",
        "qualifiedArn": "join(':', [FunctionArn, Version])",
        "version": "Version",
        "codeSha256": "CodeSha256",
        "lastModified": "LastModified",
    },
    defaults={"memorySize": 128, "timeout": 3, "packageType": "Zip", "publish": False, "skipDestroy": False},
    autoname="name",
    name_limit=64,
    settings=(
        Setting(
            (*CONFIGURATION, "loggingConfig"),
            Op(lambda scope: "update_function_configuration" if "was" in scope else "", ABOUT, only=CONFIGURATION),
        ),
        Setting(
            ("code", "s3Bucket", "s3Key", "imageUri", "sourceCodeHash"),
            Op(
                lambda scope: "update_function_code" if "was" in scope else "",
                {"FunctionName": "$name", "ZipFile": lambda scope: code(scope).get("ZipFile"), "ImageUri": "$imageUri"},
                only=(),
            ),
        ),
        Setting(
            ("reservedConcurrentExecutions",),
            Op("put_function_concurrency", {"FunctionName": "$name"}),
            off=Op("delete_function_concurrency", {"FunctionName": "$name"}),
        ),
    ),
    unread=("code", "sourceCodeHash", "publish", "skipDestroy", "s3Bucket", "s3Key", "imageUri"),
    recorded={
        "reservedConcurrentExecutions": "moto tells it by another operation",
        "loggingConfig": "moto tells none",
        "deadLetterConfig": "moto tells none",
        "ephemeralStorage": "moto tells another shape",
        "vpcConfig": "moto tells it with the VPC's own id",
    },
    replaces_on=("name", "packageType", "tenancyConfig"),
    replaces_when=durability,
    tagging=Tagging(
        add=Op("tag_resource", {"Resource": "$arn", "Tags": "$tags"}),
        remove=Op("untag_resource", {"Resource": "$arn", "TagKeys": "$keys"}),
        show=Op("list_tags", {"Resource": "$arn"}),
        style="map",
    ),
)


def statement(answer: Any, scope: Scope) -> Any:
    """Of the function's policy the statement that is this permission."""
    import json

    statements = json.loads(answer["Policy"]).get("Statement", [])
    return next((one for one in statements if one.get("Sid") == scope["statementId"]), None)


PERMISSION = Kind(
    type="aws:lambda/permission:Permission",
    service="lambda",
    create=Op("add_permission", {"FunctionName": "$function"}),
    read=Op("get_policy", {"FunctionName": "$function"}),
    at=statement,
    delete=Op("remove_permission", {"FunctionName": "$function", "StatementId": "$statementId"}),
    id="$statementId",
    autoname="statementId",
    name_limit=100,
    unread=("function", "action", "principal", "sourceArn", "sourceAccount", "statementId", "qualifier"),
    replaces_on=(
        "action",
        "eventSourceToken",
        "function",
        "functionUrlAuthType",
        "invokedViaFunctionUrl",
        "principal",
        "principalOrgId",
        "qualifier",
        "sourceAccount",
        "sourceArn",
        "statementId",
        "statementIdPrefix",
    ),
)

KINDS = [FUNCTION, PERMISSION]
