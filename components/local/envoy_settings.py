"""Envoy's settings as pure functions of ports and paths: bootstrap, clusters, routes, weights.

Who owns which file (nobody writes another's):
- `bootstrap.json`, `clusters.json`, `routes.json`: `pulumi up`;
- `weights/weights.json`: whoever moves traffic between the slots; `pulumi up` writes it once and never again;
- `rollback/fraction.json`, `rollback/endpoints.json`: the rollback stack. At 100 its route takes all traffic before the
  weights are looked at.
Envoy watches the files and takes a new one in when it is moved into place.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SLOTS = ("blue", "green")
WEIGHT_PREFIX = "railyard.weights"
ROLLBACK_FRACTION = "railyard.rollback.percent"
# The service answers /settle within 25 s; anything longer is lost anyway.
ROUTE_TIMEOUT = "60s"
# A request, whole. The service takes no larger body, and gets each in one piece: who sends slowly holds a connection
# to the router and none to the service, of which there are about a thousand for everybody.
MAXIMUM_BODY_BYTES = 16 * 1024
REQUEST_TIMEOUT = "15s"
# Of an export, which is written for as long as its client reads: without a byte.
EXPORT_IDLE_TIMEOUT = "60s"
# The service keeps an idle connection for longer: it never closes one that a request is being sent into.
UPSTREAM_IDLE_SECONDS = 20
# hyper, which the service's server is made of, takes 100; the router adds some.
MAXIMUM_HEADERS = 80
_TYPE = "type.googleapis.com/"
_FILTERS = _TYPE + "envoy.extensions.filters.http."
_LISTENER_FILTER = _TYPE + "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
Json = dict[str, Any]


def _text(value: Json) -> str:
    return json.dumps(value, indent=2, sort_keys=True) + "\n"


def _socket_address(address: str) -> Json:
    host, port = address.rsplit(":", 1)
    return {"socket_address": {"address": host, "port_value": int(port)}}


def _file_source(path: Path) -> Json:
    return {"resource_api_version": "V3", "path_config_source": {"path": str(path)}}


def _endpoints(name: str, addresses: list[str]) -> Json:
    listed = [{"endpoint": {"address": _socket_address(address)}} for address in addresses]
    return {"cluster_name": name, "endpoints": [{"lb_endpoints": listed}] if listed else []}


def _cluster(name: str) -> Json:
    """What all slots share: an endpoint is used once `/ready` says 200, and no other is, however few there are."""
    return {
        "@type": _TYPE + "envoy.config.cluster.v3.Cluster",
        "name": name,
        "connect_timeout": "1s",
        "lb_policy": "LEAST_REQUEST",
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": _TYPE + "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "common_http_protocol_options": {"idle_timeout": f"{UPSTREAM_IDLE_SECONDS}s"},
                "explicit_http_config": {"http_protocol_options": {}},
            }
        },
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
        "health_checks": [
            {
                "timeout": "2s",
                "interval": "1s",
                "no_traffic_interval": "1s",
                "unhealthy_interval": "0.25s",
                "unhealthy_threshold": 2,
                "healthy_threshold": 1,
                "http_health_check": {"path": "/ready"},
            }
        ],
    }


def clusters(slots: dict[str, list[str]], folder: Path) -> str:
    """clusters.json: a cluster a slot with its addresses (none where nothing was released to), and the standby's."""
    resources = [
        {**_cluster(f"web-{slot}"), "type": "STATIC", "load_assignment": _endpoints(f"web-{slot}", slots.get(slot, []))}
        for slot in SLOTS
    ]
    standby = {
        **_cluster("rollback"),
        "type": "EDS",
        "eds_cluster_config": {"eds_config": _file_source(folder / "rollback" / "endpoints.json")},
    }
    return _text({"resources": [*resources, standby]})


def _refused(name: str, match: Json, status: int) -> Json:
    """A route that answers at once, whatever is still to come of the request."""
    unbuffered = {"@type": _FILTERS + "buffer.v3.BufferPerRoute", "disabled": True}
    return {
        "name": name,
        "match": match,
        "direct_response": {"status": status},
        "typed_per_filter_config": {"envoy.filters.http.buffer": unbuffered},
    }


def routes() -> str:
    """routes.json: the rollback stack's route by its fraction, then the slots by their weights. Before both, a body
    that is announced as too large is refused at once, without waiting for it."""
    # Only what no slot has seen a byte of is sent again.
    again = {"retry_on": "connect-failure,refused-stream,reset-before-request", "num_retries": 2}
    kinds: tuple[tuple[str, str, Json], ...] = (
        ("-exports", "/v1/exports/", {"timeout": "0s", "idle_timeout": EXPORT_IDLE_TIMEOUT, "retry_policy": again}),
        ("", "/", {"timeout": ROUTE_TIMEOUT, "retry_policy": again}),
    )
    weighted = {
        "clusters": [{"name": f"web-{slot}", "weight": weight} for slot, weight in zip(SLOTS, (100, 0), strict=True)],
        "runtime_key_prefix": WEIGHT_PREFIX,
    }
    announced = {"name": "content-length", "range_match": {"start": MAXIMUM_BODY_BYTES + 1, "end": 2**63 - 1}}
    fraction = {"default_value": {"numerator": 0, "denominator": "HUNDRED"}, "runtime_key": ROLLBACK_FRACTION}
    standby = [
        {
            "name": f"rollback{suffix}",
            "match": {"prefix": prefix, "runtime_fraction": fraction},
            "route": {**route, "cluster": "rollback"},
        }
        for suffix, prefix, route in kinds
    ]
    slots = [
        {"name": f"slots{suffix}", "match": {"prefix": prefix}, "route": {**route, "weighted_clusters": weighted}}
        for suffix, prefix, route in kinds
    ]
    return _text(
        {
            "resources": [
                {
                    "@type": _TYPE + "envoy.config.route.v3.RouteConfiguration",
                    "name": "service",
                    "virtual_hosts": [
                        {
                            "name": "service",
                            "domains": ["*"],
                            "routes": [
                                _refused("tunnel", {"connect_matcher": {}}, 405),
                                _refused("too-large", {"prefix": "/", "headers": [announced]}, 413),
                                *standby,
                                *slots,
                            ],
                        }
                    ],
                }
            ]
        }
    )


def _runtime(name: str, layer: Json) -> str:
    return _text({"resources": [{"@type": _TYPE + "envoy.service.runtime.v3.Runtime", "name": name, "layer": layer}]})


def weights(blue: int, green: int) -> str:
    """weights.json: per cent of the traffic a slot gets.

    Raises:
        ValueError: they do not add up to 100.
    """
    if blue + green != 100 or min(blue, green) < 0:
        raise ValueError(f"The weights of blue and green are {blue} and {green}: they must add up to 100.")
    return _runtime("weights", {f"{WEIGHT_PREFIX}.web-blue": blue, f"{WEIGHT_PREFIX}.web-green": green})


def rollback_fraction(percent: int) -> str:
    """rollback/fraction.json: per cent of the traffic that goes to the standby, 0 or 100."""
    return _runtime("rollback", {ROLLBACK_FRACTION: percent})


def rollback_endpoints(addresses: list[str]) -> str:
    """rollback/endpoints.json: where the standby listens; none while it is not warm."""
    assignment = {
        "@type": _TYPE + "envoy.config.endpoint.v3.ClusterLoadAssignment",
        **_endpoints("rollback", addresses),
    }
    return _text({"resources": [assignment]})


def _access_log() -> Json:
    """One JSON object a request on stdout. Neither headers nor query, which may hold keys."""
    fields = {
        "time": "%START_TIME%",
        "client": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
        "method": "%REQ(:METHOD)%",
        "path": "%PATH(NQ:ORIG_OR_PATH)%",
        "status": "%RESPONSE_CODE%",
        "flags": "%RESPONSE_FLAGS%",
        "bytes": "%BYTES_SENT%",
        "duration_ms": "%DURATION%",
        "upstream": "%UPSTREAM_CLUSTER%",
        "request_id": "%REQ(X-REQUEST-ID)%",
    }
    return {
        "name": "envoy.access_loggers.stdout",
        "typed_config": {
            "@type": _TYPE + "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
            "log_format": {"json_format": fields},
        },
    }


def _reply(compare: str, status: int, code: str, sentence: str, **more: Any) -> Json:
    """Envoy's own answer of a status (`compare` EQ) or from a status up (GE), in the service's error format."""
    compared = {"default_value": status, "runtime_key": f"railyard.replies.{compare.lower()}_{status}"}
    return {
        "filter": {"status_code_filter": {"comparison": {"op": compare, "value": compared}}},
        "body_format_override": {"json_format": {"error": sentence, "code": code, "requestId": "%REQ(X-REQUEST-ID)%"}},
        **more,
    }


def _local_replies() -> Json:
    """The first that fits is taken. What Envoy answers with 501 or 403 (an unknown transfer coding, an upgrade, a
    scheme that is not the listener's) is a request that is not taken here: nothing that trying again would mend."""
    down = "The service does not answer at the moment: try again shortly."
    malformed = "This is not HTTP as it is accepted here: look at the method, the path and the headers' names and size."
    soon = [{"header": {"key": "retry-after", "value": "1"}}]
    return {
        "mappers": [
            _reply("EQ", 501, "INVALID_INPUT", malformed, status_code=400),
            _reply("GE", 500, "SERVICE_UNAVAILABLE", down, status_code=503, headers_to_add=soon),
            _reply("EQ", 413, "INVALID_INPUT", f"The body is larger than {MAXIMUM_BODY_BYTES} bytes."),
            _reply("EQ", 408, "INVALID_INPUT", f"The request was not there whole after {REQUEST_TIMEOUT}."),
            _reply("EQ", 404, "NOT_FOUND", "There is no such route."),
            _reply("EQ", 403, "INVALID_INPUT", malformed, status_code=400),
            _reply("GE", 400, "INVALID_INPUT", malformed),
        ]
    }


def _filters() -> list[Json]:
    return [
        {
            "name": "envoy.filters.http.buffer",
            "typed_config": {"@type": _FILTERS + "buffer.v3.Buffer", "max_request_bytes": MAXIMUM_BODY_BYTES},
        },
        {
            "name": "envoy.filters.http.router",
            "typed_config": {"@type": _FILTERS + "router.v3.Router", "suppress_envoy_headers": True},
        },
    ]


def _connection_manager(folder: Path) -> Json:
    return {
        "@type": _LISTENER_FILTER,
        "stat_prefix": "router",
        "access_log": [_access_log()],
        "local_reply_config": _local_replies(),
        # The address of the peer is appended to X-Forwarded-For: the service trusts exactly that one hop.
        "use_remote_address": True,
        "xff_num_trusted_hops": 0,
        "skip_xff_append": False,
        "preserve_external_request_id": True,
        "always_set_request_id_in_response": True,
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "server_header_transformation": "PASS_THROUGH",
        "common_http_protocol_options": {
            "idle_timeout": "300s",
            "headers_with_underscores_action": "REJECT_REQUEST",
            "max_headers_count": MAXIMUM_HEADERS,
        },
        # A method that nobody knows is the service's to refuse, with 405 and the methods of the route. (QUERY without a
        # Content-Type is refused by Envoy itself, as RFC 10008 wants it.)
        "http_protocol_options": {
            "allow_custom_methods": True,
            "accept_http_10": True,
            "default_host_for_http_10": "railyard",
        },
        "http2_protocol_options": {"max_concurrent_streams": 100},
        "request_headers_timeout": "10s",
        "request_timeout": REQUEST_TIMEOUT,
        "rds": {"route_config_name": "service", "config_source": _file_source(folder / "routes.json")},
        "http_filters": _filters(),
    }


def bootstrap(listen: str, admin: str, folder: Path) -> str:
    """bootstrap.json: the listener, the administration interface, and where the other files are.

    Args:
        listen: "127.0.0.1:<port>" of the router.
        admin: "127.0.0.1:<port>" of Envoy's administration interface.
        folder: where the files are.
    """
    listener = {
        "name": "router",
        "address": _socket_address(listen),
        "per_connection_buffer_limit_bytes": 1048576,
        "filter_chains": [
            {
                "filters": [
                    {
                        "name": "envoy.filters.network.http_connection_manager",
                        "typed_config": _connection_manager(folder),
                    }
                ]
            }
        ],
    }
    layers = [
        {"name": name, "rtds_layer": {"name": name, "rtds_config": _file_source(folder / path)}}
        for name, path in (("weights", Path("weights/weights.json")), ("rollback", Path("rollback/fraction.json")))
    ]
    return _text(
        {
            "node": {"id": "router", "cluster": "railyard"},
            "admin": {"address": _socket_address(admin)},
            "layered_runtime": {"layers": layers},
            "dynamic_resources": {"cds_config": _file_source(folder / "clusters.json")},
            "static_resources": {"listeners": [listener]},
        }
    )
