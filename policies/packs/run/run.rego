# METADATA
# description: What the run itself was given (--allow). The host has kept only the entries for this destination. Always on.
package sallyport.packs.run

import data.sallyport.lib.path

allow contains {
	"rule": "run.allow",
	"message": concat("", ["allowed by the run's own entry ", entry.id]),
} if {
	input.act == "request"

	# A method may be called TUNNEL; the word in an entry is not that method.
	input.request.method != "TUNNEL"
	some entry in input.run.allow
	input.destination.port in entry.ports
	_method_is_given(entry.methods)
	path.covers(entry.path_prefix, input.request.path)
}

# What goes through a CONNECT is judged again, request by request, unless it is let through unseen.
allow contains {
	"rule": "run.allow",
	"message": concat("", ["allowed by the run's own entry ", entry.id]),
} if {
	input.act == "connect"
	some entry in input.run.allow
	input.destination.port in entry.ports
}

# The operator said so: bytes unseen, TLS or not.
obligation contains {"type": type, "rule": "run.allow", "params": {}} if {
	some type in ["passthrough", "raw"]
	input.act == "connect"
	some entry in input.run.allow
	"TUNNEL" in entry.methods
	input.destination.port in entry.ports
}

_method_is_given(methods) if input.request.method in methods

_method_is_given(methods) if "*" in methods
