# METADATA
# description: What data says about the destination. Lists are looked up by key, never iterated, so 100,000 hosts cost as much as ten.
package sallyport.lib.destination

import data.packs.default as everyday

# METADATA
# description: |
#   The profile of packs/default/data.json for this host: its own entry, otherwise that of the longest `*.suffix` above it.
#   Null when there is none.
profile := everyday.profiles[_names[0]] if count(_names) > 0

else := null

# METADATA
# description: Whether packs/default/data.json names this very host, not only a suffix above it.
has_own_entry if is_string(everyday.hosts[input.destination.host])

_names := [name] if {
	name := everyday.hosts[input.destination.host]
} else := [name |
	some i, suffix in input.destination.suffixes
	i > 0
	name := everyday.hosts[concat("", ["*.", suffix])]
]
