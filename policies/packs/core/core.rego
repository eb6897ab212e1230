# METADATA
# description: What no run, grant or pack can lift, and the addresses that may be dialled. Always on.
package sallyport.packs.core

import data.sallyport.lib.destination

# The names of what is not public are the host's (address classes); whatever class is added later is not public until it says so.

deny contains {
	"rule": "core.metadata_address",
	"message": "this address serves cloud credentials; it is never reachable from a run",
} if {
	input.destination.address_class == "metadata"
}

deny contains {
	"rule": "core.self_address",
	"message": "this address belongs to the proxy or its control plane; a run may not reach them",
} if {
	input.destination.address_class == "self"
}

deny contains {
	"rule": "core.host_mismatch",
	"message": "the host was given differently in different places of the request (CONNECT, SNI, Host); name one host everywhere",
} if {
	input.signals.host_mismatch
}

deny contains {
	"rule": "core.non_public_address",
	"message": concat("", [
		"the destination's address is not public (", input.destination.address_class,
		"); an operator can allow its range for a run with --allow-address",
	]),
} if {
	_non_public
	not _always_refused
	not _delegated
	not _range_is_named
}

deny contains {
	"rule": "core.delegated_address",
	"message": concat("", [
		"an upstream proxy resolves this name by itself, so where it leads is not known here; ",
		"an operator can allow it by naming this exact host",
	]),
} if {
	_delegated
	not _host_is_named
}

deny contains {
	"rule": "core.address_unknown",
	"message": "the address to dial could not be classified, so it is refused",
} if {
	input.act == "dial"
	not _classified
}

allow contains {
	"rule": "core.public_address",
	"message": "the address is public",
} if {
	input.act == "dial"
	input.destination.address_class == "public"
}

allow contains {
	"rule": "core.named_range",
	"message": "the address is in a range that was allowed by name",
} if {
	input.act == "dial"
	_non_public
	_range_is_named
}

allow contains {
	"rule": "core.delegated_host",
	"message": "an upstream proxy resolves this host, and a rule names it exactly",
} if {
	input.act == "dial"
	_delegated
	_host_is_named
}

_classified if {
	is_string(input.destination.address)
	is_string(input.destination.address_class)
}

_non_public if {
	is_string(input.destination.address_class)
	input.destination.address_class != "public"
}

# The address is the name itself: no range can hold it.
_delegated if input.destination.address_class == "delegated"

_host_is_named if {
	some entry in input.run.allow
	entry.host == input.destination.host
	input.destination.port in entry.ports
}

_host_is_named if {
	destination.has_own_entry
	input.destination.port in destination.profile.ports
}

_always_refused if input.destination.address_class in {"metadata", "self"}

_range_is_named if {
	not _delegated
	some range in input.run.allow_addresses
	_holds(range)
}

_range_is_named if {
	not _delegated
	some range in destination.profile.addresses
	_holds(range)
}

# An IPv4 range holds no IPv6 spelling of its addresses (some evaluators of Rego would say otherwise).
_holds(range) if {
	contains(range, ":") == contains(input.destination.address, ":")
	net.cidr_contains(range, input.destination.address)
}
