package sallyport.packs.run_test

import data.sallyport.packs.run

_request(method, path, port, entries) := {
	"act": "request",
	"run": {"allow": entries},
	"destination": {"port": port},
	"request": {"method": method, "path": path},
}

_connect(port, entries) := object.union(_request(null, null, port, entries), {"act": "connect"})

_entry(ports, methods, prefix) := {"id": "a", "ports": ports, "methods": methods, "path_prefix": prefix}

_allowed := {
	"port and method": _request("GET", "/", 80, [_entry([80, 443], ["GET"], null)]),
	"any method": _request("QUERY", "/", 80, [_entry([80], ["*"], null)]),
	"below the prefix": _request("GET", "/api/x", 80, [_entry([80], ["GET"], "/api")]),
	"the second entry": _request("GET", "/", 80, [_entry([443], ["GET"], null), _entry([80], ["GET"], null)]),
	"a connect to the port": _connect(443, [_entry([443], ["GET"], "/api")]),
}

_refused := {
	"no entry": _request("GET", "/", 80, []),
	"another port": _request("GET", "/", 8080, [_entry([80], ["GET"], null)]),
	"another method": _request("POST", "/", 80, [_entry([80], ["GET"], null)]),
	"beside the prefix": _request("GET", "/apix", 80, [_entry([80], ["GET"], "/api")]),
	"only a tunnel": _request("GET", "/", 80, [_entry([80], ["TUNNEL"], null)]),
	"a method named TUNNEL": _request("TUNNEL", "/", 80, [_entry([80], ["TUNNEL"], null)]),
	"a connect to another port": _connect(22, [_entry([443], ["*"], null)]),
	"another act": object.union(_request("GET", "/", 80, [_entry([80], ["*"], null)]), {"act": "response"}),
}

test_allowed[name] if {
	some name, given in _allowed
	count(run.allow) > 0 with input as given
}

test_refused[name] if {
	some name, given in _refused
	count(run.allow) == 0 with input as given
}

test_only_a_tunnel_entry_lets_bytes_pass_unseen if {
	count(run.obligation) == 0 with input as _connect(443, [_entry([443], ["*"], null)])
	count(run.obligation) == 0 with input as _connect(443, [_entry([8443], ["TUNNEL"], null)])
	types := {obligation.type | some obligation in run.obligation} with input as _connect(443, [_entry([443], ["TUNNEL"], null)])
	types == {"passthrough", "raw"}
}
