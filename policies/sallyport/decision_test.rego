package sallyport_test

import data.sallyport
import data.sallyport.packs.core
import data.sallyport.packs.run

_given(act) := {"act": act, "run": {"packs": [], "allow": []}, "grants": []}

_deny := {{"rule": "core.no", "message": "no"}}

_ask := {{"rule": "core.ask", "message": "ask", "scope": "host", "ttl_seconds": 60, "votes": 2}}

_allow := {{"rule": "run.yes", "message": "yes"}}

_effects := {
	"nothing": {"deny": set(), "ask": set(), "allow": set(), "effect": "deny", "default": true},
	"allow": {"deny": set(), "ask": set(), "allow": _allow, "effect": "allow", "default": false},
	"ask": {"deny": set(), "ask": _ask, "allow": set(), "effect": "require_approval", "default": false},
	"ask and allow": {"deny": set(), "ask": _ask, "allow": _allow, "effect": "require_approval", "default": false},
	"deny": {"deny": _deny, "ask": set(), "allow": set(), "effect": "deny", "default": false},
	"deny and allow": {"deny": _deny, "ask": set(), "allow": _allow, "effect": "deny", "default": false},
	"all three": {"deny": _deny, "ask": _ask, "allow": _allow, "effect": "deny", "default": false},
}

_asked(entries) := [{"pack": "core", "entry": entry} | some entry in entries]

test_the_strongest_effect_wins[name] if {
	some name, case in _effects
	decision := sallyport.decision with input as _given("request")
		with core.deny as case.deny
		with run.allow as case.allow
		with sallyport._asked as _asked(case.ask)
	decision.effect == case.effect
	decision.default == case.default
	count(decision.obligations) == 0
}

test_a_grant_answers_its_own_question if {
	granted := object.union(_given("request"), {"grants": [{"id": "g", "rule": "core.ask"}]})
	decision := sallyport.decision with input as granted with sallyport._asked as _asked(_ask)
	decision.effect == "allow"
	decision.reasons == [{"effect": "allow", "rule": "core.ask", "pack": "core", "message": "ask", "visible_to_agent": true}]
}

test_a_grant_answers_no_other_question if {
	granted := object.union(_given("request"), {"grants": [{"id": "g", "rule": "core.other"}]})
	decision := sallyport.decision with input as granted with sallyport._asked as _asked(_ask)
	decision.effect == "require_approval"
}

test_a_grant_lifts_no_denial if {
	granted := object.union(_given("request"), {"grants": [{"id": "g", "rule": "core.no"}]})
	decision := sallyport.decision with input as granted with core.deny as _deny with run.allow as _allow
	decision.effect == "deny"
}

test_several_questions_are_one_on_the_strictest_terms if {
	questions := _ask | {{"rule": "core.ask_more", "message": "more", "scope": "request", "ttl_seconds": 900, "max_uses": 5}}
	decision := sallyport.decision with input as _given("request") with sallyport._asked as _asked(questions)
	decision.approval == {"scope": "request", "ttl_seconds": 60, "max_uses": 1, "votes": 2}
}

test_terms_that_mean_nothing_leave_no_decision if {
	bad := {{"rule": "core.ask", "message": "ask", "scope": "galaxy"}}
	not sallyport.decision with input as _given("request") with sallyport._asked as _asked(bad) with run.allow as _allow
}

test_what_is_no_reason_still_denies if {
	decision := sallyport.decision with input as _given("request") with core.deny as {"just a text"} with run.allow as _allow
	decision.effect == "deny"
	decision.reasons[0].rule == ""
}

test_a_run_that_names_an_unknown_pack_is_denied if {
	given := {"act": "request", "run": {"packs": ["run", "gone"], "allow": []}, "grants": []}
	decision := sallyport.decision with input as given with run.allow as _allow
	decision.effect == "deny"
	some reason in decision.reasons
	reason.rule == "core.unknown_pack"
}

test_the_default_says_more_when_the_host_is_allowed if {
	given := {"act": "request", "run": {"packs": [], "allow": [{"id": "a"}]}, "grants": []}
	allowed := sallyport.decision with input as given with run.allow as set()
	unknown := sallyport.decision with input as _given("request") with run.allow as set()
	allowed.reasons[0].message != unknown.reasons[0].message
}

_limit := {"type": "limit", "rule": "run.other", "params": {"rate_per_minute": 1}}

_passthrough(rule) := {"type": "passthrough", "rule": rule, "params": {}}

_raw(rule) := {"type": "raw", "rule": rule, "params": {}}

_secret(rule, secret) := {"type": "inject_secret", "rule": rule, "params": {"secret": secret, "header": "authorization"}}

_types(decision) := {obligation.type | some obligation in decision.obligations}

_duties := {
	"what restricts is kept": {"act": "request", "duties": {_limit}, "types": {"limit"}},
	"what gives is kept from a rule that allowed": {"act": "request", "duties": {_secret("run.yes", "a")}, "types": {"inject_secret"}},
	"a path is rewritten for a rule that allowed": {
		"act": "request",
		"duties": {{"type": "rewrite_path", "rule": "run.yes", "params": {"path": "/x"}}},
		"types": {"rewrite_path"},
	},
	"what gives is dropped from another": {"act": "request", "duties": {_secret("run.other", "a")}, "types": set()},
	"a tunnel is looked into": {"act": "connect", "duties": set(), "types": {"intercept"}},
	"a tunnel passes": {"act": "connect", "duties": {_passthrough("run.yes")}, "types": {"passthrough"}},
	"a tunnel does not pass for a rule that did not allow": {
		"act": "connect",
		"duties": {_passthrough("run.other")},
		"types": {"intercept"},
	},
	"raw bytes pass where a tunnel does": {
		"act": "connect",
		"duties": {_passthrough("run.yes"), _raw("run.yes")},
		"types": {"passthrough", "raw"},
	},
	"raw bytes do not pass for a rule that did not allow": {
		"act": "connect",
		"duties": {_passthrough("run.yes"), _raw("run.other")},
		"types": {"passthrough"},
	},
	"raw bytes do not pass where no tunnel does": {
		"act": "connect",
		"duties": {_passthrough("run.other"), _raw("run.yes")},
		"types": {"intercept"},
	},
	"a demand to look inside wins over raw bytes": {
		"act": "connect",
		"duties": {_passthrough("run.yes"), _raw("run.yes"), {"type": "intercept", "rule": "run.other", "params": {}}},
		"types": {"intercept"},
	},
	"a demand to look inside wins": {
		"act": "connect",
		"duties": {_passthrough("run.yes"), {"type": "intercept", "rule": "run.other", "params": {}}},
		"types": {"intercept"},
	},
}

test_obligations[name] if {
	some name, case in _duties
	decision := sallyport.decision with input as _given(case.act)
		with run.allow as _allow
		with run.obligation as case.duties
	decision.effect == "allow"
	_types(decision) == case.types
	count(decision.obligations) == count(case.types)
}

test_two_secrets_for_one_header_are_denied if {
	decision := sallyport.decision with input as _given("request")
		with run.allow as _allow
		with run.obligation as {_secret("run.yes", "a"), _secret("run.yes", "b")}
	decision.effect == "deny"
	decision.reasons[0].rule == "core.obligation_conflict"
}
