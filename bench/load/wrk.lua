-- GETs for `wrk -t 1 -s`, every answer checked. BENCH_WRK, one a line: target as it stands on the wire, authority, number of paths below
-- it (1: itself), bytes of an answer, "keep" or "close", and credentials where there are any.
local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

local requests, turn = {}, 0

function init()
  local fields = {}
  for line in os.getenv("BENCH_WRK"):gmatch("[^\n]+") do table.insert(fields, line) end
  local url, authority, paths, keep = fields[1], fields[2], tonumber(fields[3]), fields[5]
  bytes, count, wrong, first = tonumber(fields[4]), 0, 0, ""
  for index = 1, paths do
    local headers = { Host = authority, ["User-Agent"] = "bench", Accept = "*/*", ["Proxy-Authorization"] = fields[6] }
    if keep == "close" then headers["Connection"] = "close" end
    requests[index] = wrk.format("GET", paths == 1 and url or url .. "/" .. index, headers)
  end
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end

function response(status, _, body)
  count = count + 1
  if status ~= 200 or #body ~= bytes then
    wrong = wrong + 1
    if first == "" then first = "status " .. status .. " with " .. #body .. " bytes" end
  end
end

function done(summary, latency)
  local thread, errors = threads[1], summary.errors
  print(string.format('{"count":%d,"seconds":%f,"wrong":%d,"first":"%s","connect":%d,"read":%d,"write":%d,"timeout":%d,"mean_ms":%f,"p50":%f,"p99":%f}',
    summary.requests, summary.duration / 1e6, thread:get("wrong"), thread:get("first"), errors.connect, errors.read, errors.write, errors.timeout,
    latency.mean / 1e3, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
