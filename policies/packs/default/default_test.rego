package sallyport.packs.default_test

import data.sallyport.packs["default"] as everyday

_data := {
	"hosts": {"a.test": "read", "*.b.test": "api", "pinned.test": "tunnel", "bytes.test": "bytes"},
	"profiles": {
		"read": {"ports": [80], "methods": ["GET"], "path_prefixes": ["/"], "passthrough": false},
		"api": {"ports": [443], "methods": ["*"], "path_prefixes": ["/api"], "passthrough": false},
		"tunnel": {"ports": [443], "methods": [], "path_prefixes": [], "passthrough": true},
		"bytes": {"ports": [443], "methods": [], "path_prefixes": [], "passthrough": true, "raw": true},
	},
}

_suffixes := {
	"a.test": ["a.test", "test"], "x.b.test": ["x.b.test", "b.test", "test"],
	"b.test": ["b.test", "test"], "pinned.test": ["pinned.test", "test"], "bytes.test": ["bytes.test", "test"],
}

_act(act, host, port, method, path) := {
	"act": act,
	"destination": {"host": host, "suffixes": _suffixes[host], "port": port},
	"request": {"method": method, "path": path},
}

_allowed := {
	"a listed host": _act("request", "a.test", 80, "GET", "/x"),
	"below a suffix": _act("request", "x.b.test", 443, "DELETE", "/api/x"),
	"a connect": _act("connect", "a.test", 80, null, null),
	"a connect to be let through": _act("connect", "pinned.test", 443, null, null),
}

_refused := {
	"another method": _act("request", "a.test", 80, "POST", "/x"),
	"another port": _act("request", "a.test", 443, "GET", "/x"),
	"the suffix itself": _act("request", "b.test", 443, "GET", "/api"),
	"beside the prefix": _act("request", "x.b.test", 443, "GET", "/apix"),
	"a request where only tunnels are": _act("request", "pinned.test", 443, "GET", "/"),
	"a connect to another port": _act("connect", "a.test", 22, null, null),
	"a dial": _act("dial", "a.test", 80, null, null),
}

test_allowed[name] if {
	some name, given in _allowed
	count(everyday.allow) > 0 with input as given with data.packs.default as _data
}

test_refused[name] if {
	some name, given in _refused
	count(everyday.allow) == 0 with input as given with data.packs.default as _data
}

test_only_a_passthrough_profile_lets_bytes_pass_unseen if {
	count(everyday.obligation) == 0 with input as _allowed["a connect"] with data.packs.default as _data
	count(everyday.obligation) == 0 with input as _act("connect", "pinned.test", 80, null, null)
		with data.packs.default as _data
	count(everyday.obligation) == 1 with input as _allowed["a connect to be let through"] with data.packs.default as _data
	some obligation in everyday.obligation with input as _allowed["a connect to be let through"]
		with data.packs.default as _data
	obligation.type == "passthrough"
}

test_only_a_raw_profile_lets_bytes_pass_that_are_not_tls if {
	types := {obligation.type | some obligation in everyday.obligation} with data.packs.default as _data
		with input as _act("connect", "bytes.test", 443, null, null)
	types == {"passthrough", "raw"}
}
