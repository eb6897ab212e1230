package sallyport.lib.destination_test

import data.sallyport.lib.destination

_data := {
	"hosts": {"api.example.test": "own", "*.example.test": "below", "*.test": "all"},
	"profiles": {"own": {"ports": [1]}, "below": {"ports": [2]}, "all": {"ports": [3]}},
}

_at(host, suffixes) := {"destination": {"host": host, "suffixes": suffixes}}

test_own_entry_comes_first if {
	destination.profile.ports == [1] with input as _at("api.example.test", ["api.example.test", "example.test", "test"])
		with data.packs.default as _data
}

test_longest_suffix_comes_next if {
	destination.profile.ports == [2] with input as _at("x.y.example.test", ["x.y.example.test", "y.example.test", "example.test", "test"])
		with data.packs.default as _data
}

test_a_suffix_is_not_its_own_name if {
	destination.profile.ports == [3] with input as _at("example.test", ["example.test", "test"])
		with data.packs.default as _data
}

test_unknown_host_has_none if {
	destination.profile == null with input as _at("example.org", ["example.org", "org"])
		with data.packs.default as _data
}

test_an_entry_naming_no_profile_gives_none if {
	not destination.profile.ports with input as _at("a.test", ["a.test", "test"])
		with data.packs.default as {"hosts": {"a.test": "gone"}, "profiles": {}}
}

test_only_its_own_entry_names_a_host_exactly if {
	destination.has_own_entry with input as _at("api.example.test", ["api.example.test", "example.test", "test"])
		with data.packs.default as _data
	not destination.has_own_entry with input as _at("x.example.test", ["x.example.test", "example.test", "test"])
		with data.packs.default as _data
}
