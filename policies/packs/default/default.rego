# METADATA
# description: What every run may reach, by data alone (data.json beside this file). Always on.
package sallyport.packs.default

import data.sallyport.lib.destination
import data.sallyport.lib.path

allow contains {
	"rule": "default.host",
	"message": "this host is in the list that all runs may use",
} if {
	input.act == "request"
	profile := destination.profile
	input.destination.port in profile.ports
	_method_is_given(profile.methods)
	some prefix in profile.path_prefixes
	path.covers(prefix, input.request.path)
}

# What goes through a CONNECT is judged again, request by request, unless it is let through unseen.
allow contains {
	"rule": "default.host",
	"message": "this host is in the list that all runs may use",
} if {
	input.act == "connect"
	input.destination.port in destination.profile.ports
}

obligation contains {"type": "passthrough", "rule": "default.host", "params": {}} if {
	input.act == "connect"
	profile := destination.profile
	profile.passthrough
	input.destination.port in profile.ports
}

obligation contains {"type": "raw", "rule": "default.host", "params": {}} if {
	input.act == "connect"
	profile := destination.profile
	profile.passthrough
	profile.raw
	input.destination.port in profile.ports
}

_method_is_given(methods) if input.request.method in methods

_method_is_given(methods) if "*" in methods
