# METADATA
# description: Paths are compared as they are sent; the host has refused every path that is not canonical.
package sallyport.lib.path

# METADATA
# description: |
#   Whether a path is the prefix or below it, on a segment boundary: `/api` covers `/api` and `/api/x`, not `/apix`;
#   `/api/` covers only what is below it; null covers every path.
covers(prefix, _) if prefix == null

covers(prefix, path) if path == prefix

covers(prefix, path) if {
	endswith(prefix, "/")
	startswith(path, prefix)
}

covers(prefix, path) if startswith(path, concat("", [prefix, "/"]))
