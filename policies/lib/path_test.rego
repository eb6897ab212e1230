package sallyport.lib.path_test

import data.sallyport.lib.path

_cases := [
	{"prefix": null, "path": "/anything", "covers": true},
	{"prefix": "/", "path": "/", "covers": true},
	{"prefix": "/", "path": "/x", "covers": true},
	{"prefix": "/api", "path": "/api", "covers": true},
	{"prefix": "/api", "path": "/api/", "covers": true},
	{"prefix": "/api", "path": "/api/x", "covers": true},
	{"prefix": "/api", "path": "/apix", "covers": false},
	{"prefix": "/api", "path": "/ap", "covers": false},
	{"prefix": "/api", "path": "/x/api", "covers": false},
	{"prefix": "/api", "path": "/API", "covers": false},
	{"prefix": "/api/", "path": "/api/", "covers": true},
	{"prefix": "/api/", "path": "/api/x", "covers": true},
	{"prefix": "/api/", "path": "/api", "covers": false},
	{"prefix": "/api/", "path": "/apix", "covers": false},
]

test_path_prefixes_end_on_segments if {
	every case in _cases {
		_agrees(case)
	}
}

_agrees(case) if {
	case.covers
	path.covers(case.prefix, case.path)
}

_agrees(case) if {
	not case.covers
	not path.covers(case.prefix, case.path)
}
