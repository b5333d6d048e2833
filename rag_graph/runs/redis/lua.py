"""What Redis does atomically for the runs. Every script may be sent twice: a reply can be lost on its way.

`run` is a hash that describes a run, `log` its stream, where entry n has the id `0-n`, `key` the run that an
idempotency key has started, `chat` the newest run of a chat, `live` a sorted set of the runs that go on, by the
end of their leases. All times are of Redis' own clock, in milliseconds.
"""

_NOW = """
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
"""

# A key counts only while the hash of its run is there; else it starts a new one. That hash is looked up under a name
# that the script makes itself, here as in RENEW and CLAIM, which Redis Cluster does not allow.
CREATE = f"""
-- KEYS run live key chat
-- ARGV run_prefix run_id caller query created_at key lease_ms keep_ms has_chat asked follows unattended
{_NOW}
if ARGV[6] ~= '' then
  local earlier = redis.call('GET', KEYS[3])
  if earlier and earlier ~= ARGV[2] then
    local kept = redis.call('HMGET', ARGV[1] .. earlier, 'query', 'asked')
    if kept[1] then return {{earlier, kept[1], kept[2] or ''}} end
  end
end
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('HSET', KEYS[1], 'caller', ARGV[3], 'query', ARGV[4], 'created_at', ARGV[5], 'key', ARGV[6],
    'asked', ARGV[10], 'follows', ARGV[11], 'unattended', ARGV[12],
    'status', 'running', 'attempt', 1, 'last', 0, 'size', 0, 'seen', now)
  redis.call('PEXPIRE', KEYS[1], ARGV[8])
  redis.call('ZADD', KEYS[2], now + ARGV[7], ARGV[2])
  if ARGV[6] ~= '' then redis.call('SET', KEYS[3], ARGV[2], 'PX', ARGV[8]) end
  if ARGV[9] ~= '' then redis.call('SET', KEYS[4], ARGV[2], 'PX', ARGV[8]) end
end
return {{ARGV[2]}}
"""

# What was taken already is "ok" before anything else is looked at: a batch whose reply was lost comes again, and the
# terminal event in it has ended the run meanwhile. Trimming drops an eighth at once, so that it costs little per entry.
APPEND = """
-- KEYS run log live key? | ARGV run_id attempt status ended_at max_entries max_bytes keep_ms first outline (at data)...
local run = redis.call('HMGET', KEYS[1], 'attempt', 'last', 'status', 'size')
if not run[1] then return 'unknown' end
if run[1] ~= ARGV[2] then return 'superseded' end
local last, size, first = tonumber(run[2]), tonumber(run[4]), tonumber(ARGV[8])
local newest = first + (#ARGV - 9) / 2 - 1
if newest <= last then return 'ok' end
if run[3] ~= 'running' then return 'ended' end
if first > last + 1 then return 'hole' end
for seq = last + 1, newest do
  local at = 10 + (seq - first) * 2
  redis.call('XADD', KEYS[2], '0-' .. seq, 'a', ARGV[at], 'd', ARGV[at + 1])
  size = size + #ARGV[at + 1]
end
local count, max_entries, max_bytes = redis.call('XLEN', KEYS[2]), tonumber(ARGV[5]), tonumber(ARGV[6])
if count > max_entries or size > max_bytes then
  local kept_entries, kept_bytes = math.ceil(max_entries * 7 / 8), max_bytes * 7 / 8
  while count > 1 and (count > kept_entries or size > kept_bytes) do
    local oldest = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)[1]
    redis.call('XDEL', KEYS[2], oldest[1])
    size, count = size - #oldest[2][4], count - 1
  end
end
redis.call('HSET', KEYS[1], 'last', newest, 'size', size, 'status', ARGV[3])
if ARGV[3] ~= 'running' then
  redis.call('HSET', KEYS[1], 'ended_at', ARGV[4], 'query', ARGV[9])
  redis.call('ZREM', KEYS[3], ARGV[1])
end
redis.call('PEXPIRE', KEYS[1], ARGV[7])
redis.call('PEXPIRE', KEYS[2], ARGV[7])
if KEYS[4] then redis.call('PEXPIRE', KEYS[4], ARGV[7]) end
return 'ok'
"""

# Readers come first, so that a process which executes what another reads hears of it in the same beat. Only of a run
# that is there may anything be set: HSET would bring a forgotten one back as a hash without a caller or a query.
RENEW = f"""
-- KEYS live | ARGV run_prefix log_prefix key_prefix lease_ms keep_ms executed_count (run_id attempt)... (run_id)...
{_NOW}
local pulses, count = {{}}, tonumber(ARGV[6])
for i = 7 + 2 * count, #ARGV do
  if redis.call('HGET', ARGV[1] .. ARGV[i], 'status') == 'running' then
    redis.call('HSET', ARGV[1] .. ARGV[i], 'seen', now)
  end
end
for i = 7, 5 + 2 * count, 2 do
  local run_id = ARGV[i]
  local run = redis.call('HMGET', ARGV[1] .. run_id, 'attempt', 'status', 'cancel', 'seen', 'key')
  if run[1] ~= ARGV[i + 1] then
    table.insert(pulses, {{'lost', '', '0'}})
  else
    if run[2] == 'running' then
      redis.call('ZADD', KEYS[1], now + ARGV[4], run_id)
      redis.call('PEXPIRE', ARGV[1] .. run_id, ARGV[5])
      redis.call('PEXPIRE', ARGV[2] .. run_id, ARGV[5])
      if run[5] ~= '' then redis.call('PEXPIRE', ARGV[3] .. run[5], ARGV[5]) end
    end
    table.insert(pulses, {{'held', run[3] or '', tostring(now - run[4])}})
  end
end
return pulses
"""

# The new attempt and its lease are one step: of two processes that sweep at once, only one finds the lease over.
CLAIM = f"""
-- KEYS live | ARGV run_prefix limit lease_ms
{_NOW}
local claims = {{}}
for _, run_id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[2])) do
  local key = ARGV[1] .. run_id
  if redis.call('HGET', key, 'status') ~= 'running' then
    redis.call('ZREM', KEYS[1], run_id)
  else
    redis.call('HINCRBY', key, 'attempt', 1)
    redis.call('HSET', key, 'seen', now)
    redis.call('ZADD', KEYS[1], now + ARGV[3], run_id)
    table.insert(claims, run_id)
  end
end
return claims
"""

# By its attempt, since a release may come late, when the run belongs to a successor. A lease that ends at 0 is over.
RELEASE = """
-- KEYS run live | ARGV run_id attempt
local run = redis.call('HMGET', KEYS[1], 'attempt', 'status')
if run[1] == ARGV[2] and run[2] == 'running' then redis.call('ZADD', KEYS[2], 0, ARGV[1]) end
return 'ok'
"""

FORGET = """
-- KEYS run log | ARGV key_prefix
local run = redis.call('HMGET', KEYS[1], 'status', 'key')
if not run[1] or run[1] == 'running' then return 'kept' end
redis.call('DEL', KEYS[1], KEYS[2])
if run[2] and run[2] ~= '' then redis.call('DEL', ARGV[1] .. run[2]) end
return 'ok'
"""

# HSETNX: of several who cancel, the first is told as the one who did, as in `Attempt.stop`.
CANCEL = """
-- KEYS run | ARGV by
if redis.call('HGET', KEYS[1], 'status') == 'running' then redis.call('HSETNX', KEYS[1], 'cancel', ARGV[1]) end
return 'ok'
"""
