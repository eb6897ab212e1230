# METADATA
# description: |
#   The one answer, from what all packs say (packs.rego, generated, collects it):
#   deny > require_approval > allow > default deny. Arrays, because the WASM hashes every element of a set at every step.
#   Every branch says the whole of its condition: one whose value is undefined (terms of an approval that are no numbers) must
#   leave the decision undefined, which the host refuses, and never fall through to a weaker branch.
package sallyport

# METADATA
# entrypoint: true
decision := {
	"v": 1,
	"effect": "deny",
	"default": false,
	"reasons": array.flatten([_denials, _questions, _permissions]),
	"approval": null,
	"obligations": [],
} if {
	count(_denials) > 0
} else := {
	"v": 1,
	"effect": "require_approval",
	"default": false,
	"reasons": array.concat(_questions, _permissions),
	"approval": _approval,
	"obligations": [],
} if {
	count(_denials) == 0
	count(_questions) > 0
} else := {
	"v": 1,
	"effect": "allow",
	"default": false,
	"reasons": _permissions,
	"approval": null,
	"obligations": _obligations,
} if {
	count(_denials) == 0
	count(_questions) == 0
	count(_permissions) > 0
} else := {
	"v": 1,
	"effect": "deny",
	"default": true,
	"reasons": [{
		"effect": "deny",
		"rule": "core.default_deny",
		"pack": "core",
		"message": _why_nothing_spoke,
		"visible_to_agent": true,
	}],
	"approval": null,
	"obligations": [],
} if {
	count(_denials) == 0
	count(_questions) == 0
	count(_permissions) == 0
}

_why_nothing_spoke := "this host is allowed, but not with this port, method and path" if {
	count(input.run.allow) > 0
} else := "nothing allows this"

# What is no reason object becomes one without a rule, which the host refuses: a denial must not vanish for its form.
_reason(effect, pack, entry) := {
	"effect": effect,
	"rule": object.get(entry, "rule", ""),
	"pack": pack,
	"message": object.get(entry, "message", ""),
	"visible_to_agent": object.get(entry, "visible_to_agent", true),
} if {
	is_object(entry)
} else := {"effect": effect, "rule": "", "pack": pack, "message": "", "visible_to_agent": true}

_denials := array.concat(_pack_denials, _conflicts)

# A grant answers the question that its rule asks, and nothing else: denials stay.
_permissions := _pack_permissions if {
	count(_asked) == 0
} else := array.concat(_pack_permissions, [_reason("allow", question.pack, question.entry) |
	some question in _asked
	_granted(question)
])

_questions := [_reason("require_approval", question.pack, question.entry) | some question in _open]

_open := [question |
	some question in _asked
	not _granted(question)
]

_granted(question) if {
	some grant in input.grants
	grant.rule == question.entry.rule
}

# Several questions are one approval on the strictest of their terms.
_approval := {
	"scope": _scopes[min([_rank(question) | some question in _open])],
	"ttl_seconds": min([object.get(question.entry, "ttl_seconds", 900) | some question in _open]),
	"max_uses": min([object.get(question.entry, "max_uses", 1) | some question in _open]),
	"votes": max([object.get(question.entry, "votes", 1) | some question in _open]),
}

_scopes := ["request", "host", "run", "session"]

_rank(question) := i if {
	some i, scope in _scopes
	scope == object.get(question.entry, "scope", "request")
}

# Obligations that restrict are always kept. Those that give something count only from a rule that allowed, and a pack that
# demands to look inside a tunnel wins over one that would let it pass unseen.
_obligations := [] if {
	count(_duties) == 0
	input.act != "connect"
} else := array.flatten([
	[duty | some duty in _duties; not _gives(duty)],
	[duty | some duty in _duties; _gives(duty); _stands(duty)],
	[{"type": "intercept", "rule": "core.look_inside", "params": {}} | input.act == "connect"; not _tunnel_is_settled],
])

_gives(duty) if duty.type == "passthrough"

_gives(duty) if duty.type == "raw"

_gives(duty) if duty.type == "inject_secret"

_gives(duty) if duty.type == "rewrite_path"

_stands(duty) if {
	some permission in _permissions
	permission.rule == duty.rule
	not _overruled(duty)
}

_overruled(duty) if {
	duty.type in {"passthrough", "raw"}
	_must_look_inside
}

# Bytes that are not TLS pass only where a tunnel may stay unseen at all.
_overruled(duty) if {
	duty.type == "raw"
	not _passes_unseen
}

_must_look_inside if {
	some duty in _duties
	duty.type == "intercept"
}

_tunnel_is_settled if _must_look_inside

_tunnel_is_settled if _passes_unseen

_passes_unseen if {
	not _must_look_inside
	some duty in _duties
	duty.type == "passthrough"
	some permission in _permissions
	permission.rule == duty.rule
}

# Two secrets for one header: which of them would be sent is not for chance to say.
_conflicts := [] if {
	count(_duties) < 2
} else := [_reason("deny", "core", {
	"rule": "core.obligation_conflict",
	"message": "two rules would put different secrets into the same header",
}) |
	_secrets_collide
]

_secrets_collide if {
	some i, one in _duties
	one.type == "inject_secret"
	some j, other in _duties
	j > i
	other.type == "inject_secret"
	object.get(one.params, "header", "") == object.get(other.params, "header", "")
}
