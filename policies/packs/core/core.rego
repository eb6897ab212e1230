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
	not _range_is_named
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

_classified if {
	is_string(input.destination.address)
	is_string(input.destination.address_class)
}

_non_public if {
	is_string(input.destination.address_class)
	input.destination.address_class != "public"
}

_always_refused if input.destination.address_class in {"metadata", "self"}

_range_is_named if {
	some range in input.run.allow_addresses
	net.cidr_contains(range, input.destination.address)
}

_range_is_named if {
	some range in destination.profile.addresses
	net.cidr_contains(range, input.destination.address)
}
