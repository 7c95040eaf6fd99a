"""How errors look in a GraphQL answer: every one has `extensions.code`, and nothing internal is in any of them."""

from collections.abc import Callable, Iterable
from dataclasses import fields
from typing import Any, Final

from graphql import FieldNode, GraphQLError
from strawberry.exceptions import StrawberryInputCoercionError
from strawberry.utils.str_converters import to_camel_case

from domain.errors import Refusal, Refusals
from domain.outages import outage_of

MASKED: Final = "Something went wrong in the service. Its operator finds the cause under this request's id."

Report = Callable[[BaseException], None]
"""Told of every fault once, to log it with its traceback."""


def coded(errors: Iterable[GraphQLError], code: str) -> list[GraphQLError]:
    """The errors, each with an `extensions.code`: its own, or else this one."""
    result = list(errors)
    for error in result:
        error.extensions = {"code": code, **(error.extensions or {})}
    return result


def refused(refusal: Refusal) -> GraphQLError:
    """A refusal as a top-level error: its code and its details, the names in the schema's spelling."""
    return GraphQLError(refusal.message, original_error=refusal, extensions=details_of(refusal))


def formatted(errors: Iterable[GraphQLError], report: Report, request_id: str | None) -> list[dict[str, Any]]:
    """Errors of an execution, ready for JSON. Faults are reported, each place once, and masked."""
    result: list[dict[str, Any]] = []
    reported: set[object] = set()
    for error in errors:
        cause = _cause(error)
        if isinstance(cause, Refusals):
            result.extend(_placed(error, one.message, details_of(one)) for one in cause.refusals)
        elif isinstance(cause, Refusal):
            result.append(_placed(error, cause.message, details_of(cause)))
        elif error.extensions and "code" in error.extensions:
            result.append(_placed(error, error.message, error.extensions))
        elif isinstance(cause, StrawberryInputCoercionError) or _is_about_an_argument(cause):
            result.append(_placed(error, error.message, {"code": "BAD_USER_INPUT"}))
        else:
            if (place := _place(cause)) not in reported:
                reported.add(place)
                report(cause)
            result.append(_placed(error, *_masked(cause, request_id)))
    return result


def fault_body(fault: BaseException, request_id: str | None) -> dict[str, Any]:
    """The body of an answer to a request that met a fault outside of any field."""
    message, extensions = _masked(fault, request_id)
    return {"errors": [{"message": message, "extensions": extensions}]}


def details_of(refusal: Refusal) -> dict[str, Any]:
    """The code and the details of a refusal, the names in the schema's spelling."""
    own = {field.name: getattr(refusal, field.name) for field in fields(refusal)}
    path = own.pop("path")
    del own["message"]
    details = {to_camel_case(name): value for name, value in own.items()}
    return {"code": refusal.code, **details, **({"inputPath": path} if path else {})}


def _masked(fault: BaseException, request_id: str | None) -> tuple[str, dict[str, Any]]:
    outage = outage_of(fault)
    told = {"code": "INTERNAL"} if outage is None else details_of(outage)
    return MASKED if outage is None else outage.message, {**told, "requestId": request_id}


def _placed(error: GraphQLError, message: str, extensions: dict[str, Any]) -> dict[str, Any]:
    body: dict[str, Any] = {"message": message}
    if error.locations:
        body["locations"] = [location.formatted for location in error.locations]
    if error.path is not None:
        body["path"] = error.path
    body["extensions"] = extensions
    return body


def _cause(error: GraphQLError) -> BaseException:
    cause: BaseException = error
    while isinstance(cause, GraphQLError) and cause.original_error is not None:
        cause = cause.original_error
    return cause


def _is_about_an_argument(cause: BaseException) -> bool:
    """graphql-core's own errors name the argument's node, or else the field's: those are about what we gave it."""
    return isinstance(cause, GraphQLError) and any(not isinstance(node, FieldNode) for node in cause.nodes or ())


def _place(cause: BaseException) -> object:
    """Where it was raised: a list of fifty that fail alike is one thing to report."""
    trace = cause.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return type(cause), trace and (trace.tb_frame.f_code, trace.tb_lineno)
