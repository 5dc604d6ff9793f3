-- Sends the bodies of a file, one a line, in turn, and says as JSON how it went.
--
--   wrk -t1 -c16 -d2s -s wrk.lua http://127.0.0.1:8080/v1/check -- bodies.jsonl
--
-- The API key comes from CLEARWAY_API_KEY, so that no list of processes shows it.

local made, at = {}, 0

function init(args)
  local headers = { ["Host"] = wrk.headers["Host"], ["Content-Type"] = "application/json" }
  local key = os.getenv("CLEARWAY_API_KEY")
  if key then
    headers["Authorization"] = "Bearer " .. key
  end
  for line in io.lines(args[1]) do
    made[#made + 1] = wrk.format("POST", nil, headers, line)
  end
end

function request()
  at = at % #made + 1
  return made[at]
end

function done(summary, latency, _)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format(
    '\n{"requests": %d, "seconds": %.6f, "p50_ms": %.3f, "p99_ms": %.3f, "failed": %d}\n',
    summary.requests, summary.duration / 1e6,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, failed))
end
