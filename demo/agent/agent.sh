#!/bin/sh
# The demo's agent: a job with three clients, then every way out that it can think of. Says a line for each step:
# its name, a tab, what the client saw.
say() { printf '%s\t%s\n' "$1" "$2"; }

# NAME METHOD URL
curl_or_node() {
  if command -v curl > /dev/null; then
    say "$1" "$(curl -sS -m 15 -o /tmp/answer -w '%{http_code}' -X "$2" "$3" 2>&1)"
  else
    say "$1" "$(node request.mjs "$2" "$3" 2>&1)"
  fi
}

# The job.
curl_or_node catalogue GET http://site.example/catalogue
if command -v python3 > /dev/null; then say item "$(python3 item.py 2>&1)"; else curl_or_node item GET https://site.example/item/7; fi
say order "$(node order.mjs 2>&1)"

# And then it has been talked into something.
curl_or_node 'another host' GET http://other.example/upload
curl_or_node 'another port' GET http://site.example:8080/
curl_or_node 'another method' DELETE http://site.example/item/7
curl_or_node 'another method, in TLS' DELETE https://site.example/item/7
say 'another host behind the first' "$(curl -sS -m 15 -o /tmp/answer -w '%{http_code}' -H 'Host: other.example' https://site.example/upload 2>&1)"
curl_or_node 'a name that leads inside' GET http://intranet.example/wiki
curl_or_node 'the metadata address' GET http://169.254.169.254/latest/meta-data/
curl_or_node 'a tunnel to another host' GET https://other.example/
node direct.mjs
for number in 1 2 3 4 5; do
  curl_or_node "one more ($number)" GET "http://site.example/page/$number"
done
