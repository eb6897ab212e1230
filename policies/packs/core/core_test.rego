package sallyport.packs.core_test

import data.sallyport.packs.core

_dial(address, class, ranges) := {
	"act": "dial",
	"run": {"allow_addresses": ranges},
	"destination": {"host": "a.test", "suffixes": ["a.test", "test"], "address": address, "address_class": class},
	"signals": {"host_mismatch": false},
}

_rules(entries) := {entry.rule | some entry in entries}

_cases := {
	"a public address": {"input": _dial("20.30.40.50", "public", []), "deny": set(), "allow": {"core.public_address"}},
	"a private address": {"input": _dial("10.0.0.1", "private", []), "deny": {"core.non_public_address"}, "allow": set()},
	"an unheard-of class": {"input": _dial("10.0.0.1", "new", []), "deny": {"core.non_public_address"}, "allow": set()},
	"a named range": {"input": _dial("10.0.0.1", "private", ["10.0.0.0/8"]), "deny": set(), "allow": {"core.named_range"}},
	"another range": {"input": _dial("10.0.0.1", "private", ["10.1.0.0/16"]), "deny": {"core.non_public_address"}, "allow": set()},
	"a metadata address": {"input": _dial("169.254.169.254", "metadata", []), "deny": {"core.metadata_address"}, "allow": set()},
	"a metadata address in a named range": {
		"input": _dial("169.254.169.254", "metadata", ["0.0.0.0/0"]),
		"deny": {"core.metadata_address"},
		"allow": {"core.named_range"},
	},
	"an own address": {"input": _dial("127.0.0.1", "self", []), "deny": {"core.self_address"}, "allow": set()},
	"no address": {"input": _dial(null, "public", []), "deny": {"core.address_unknown"}, "allow": {"core.public_address"}},
	"no class": {"input": _dial("20.30.40.50", null, []), "deny": {"core.address_unknown"}, "allow": set()},
}

test_dial[name] if {
	some name, case in _cases
	_rules(core.deny) == case.deny with input as case.input
	_rules(core.allow) == case.allow with input as case.input
}

_delegated(run) := {
	"act": "dial",
	"run": run,
	"destination": {"host": "a.test", "suffixes": ["a.test", "test"], "port": 80, "address": "a.test", "address_class": "delegated"},
	"signals": {"host_mismatch": false},
}

_entry(host, ports) := {"allow": [{"id": "a", "host": host, "ports": ports}], "allow_addresses": ["0.0.0.0/0"]}

_delegations := {
	"no rule": {"run": {"allow": [], "allow_addresses": []}, "hosts": {}, "deny": {"core.delegated_address"}, "allow": set()},
	"the run's exact entry": {"run": _entry("a.test", [80]), "hosts": {}, "deny": set(), "allow": {"core.delegated_host"}},
	"the run's suffix": {"run": _entry("*.test", [80]), "hosts": {}, "deny": {"core.delegated_address"}, "allow": set()},
	"the run's entry for another port": {"run": _entry("a.test", [22]), "hosts": {}, "deny": {"core.delegated_address"}, "allow": set()},
	"the data's exact entry": {"run": {}, "hosts": {"a.test": "read"}, "deny": set(), "allow": {"core.delegated_host"}},
	"the data's suffix": {"run": {}, "hosts": {"*.test": "read"}, "deny": {"core.delegated_address"}, "allow": set()},
	"the data's entry for other ports": {"run": {}, "hosts": {"a.test": "tls"}, "deny": {"core.delegated_address"}, "allow": set()},
}

test_delegated[name] if {
	some name, case in _delegations
	everyday := {"hosts": case.hosts, "profiles": {"read": {"ports": [80]}, "tls": {"ports": [443]}}}
	_rules(core.deny) == case.deny with input as _delegated(case.run) with data.packs.default as everyday
	_rules(core.allow) == case.allow with input as _delegated(case.run) with data.packs.default as everyday
}

test_a_range_of_the_everyday_data_is_named_for_its_host if {
	everyday := {"hosts": {"*.test": "internal"}, "profiles": {"internal": {"addresses": ["10.0.0.0/8"]}}}
	_rules(core.allow) == {"core.named_range"} with input as _dial("10.0.0.1", "private", [])
		with data.packs.default as everyday
	count(core.deny) == 0 with input as _dial("10.0.0.1", "private", [])
		with data.packs.default as everyday
}

test_a_host_mismatch_is_denied if {
	given := object.union(_dial("20.30.40.50", "public", []), {"signals": {"host_mismatch": true}})
	_rules(core.deny) == {"core.host_mismatch"} with input as given
}

test_an_unknown_class_is_no_fault_before_dialling if {
	given := object.union(_dial(null, null, []), {"act": "request"})
	count(core.deny) == 0 with input as given
	count(core.allow) == 0 with input as given
}
