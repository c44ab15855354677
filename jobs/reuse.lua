-- Results that are kept to answer identical work: every change atomic, under a bound on their bytes.
--
-- Called as EVALSHA sha 0 NAME JSON-ARGUMENTS, answers JSON; a repeated call changes nothing more.
--
-- Keys
--   vq:reuse            hash    key of the work -> HOME, the ID under which its files lie in the store
--   vq:kept:HOME        hash    key, origin (the job that did the work), bytes, output (JSON)
--   vq:reuse:used       zset    keys by when they were last wanted, in milliseconds
--   vq:reuse:bytes      string  bytes of all
--   vq:reuse:of:JOB     set     keys whose origin is this job or a child of it
--   vq:trash            set     as in the ledger: what lies in the store under these IDs is to be removed

local P = 'vq:'

local function now_ms()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

local function touch(key) redis.call('ZADD', P .. 'reuse:used', string.format('%.0f', now_ms()), key) end

-- A child goes with its parent.
local function root_of(job) return string.match(job, '^[^.]+') end

local function drop(key)
  local home = redis.call('HGET', P .. 'reuse', key)
  if not home then return end
  local origin, bytes = unpack(redis.call('HMGET', P .. 'kept:' .. home, 'origin', 'bytes'))
  redis.call('DECRBY', P .. 'reuse:bytes', bytes)
  redis.call('SREM', P .. 'reuse:of:' .. root_of(origin), key)
  redis.call('HDEL', P .. 'reuse', key)
  redis.call('ZREM', P .. 'reuse:used', key)
  redis.call('DEL', P .. 'kept:' .. home)
  redis.call('SADD', P .. 'trash', home)
end

local reuse = {}

function reuse.find(a)
  local home = redis.call('HGET', P .. 'reuse', a.key)
  if not home then return {} end
  touch(a.key)
  local origin, output = unpack(redis.call('HMGET', P .. 'kept:' .. home, 'origin', 'output'))
  return { home = home, origin = origin, output = output }
end

-- Refused if the job was deleted meanwhile: who deletes a job wants its result gone.
function reuse.keep(a)
  local home = redis.call('HGET', P .. 'reuse', a.key)
  if home then return { kept = home == a.home } end
  if redis.call('EXISTS', P .. 'job:' .. a.origin, P .. 'job:' .. root_of(a.origin)) < 2 then return { kept = false } end
  redis.call('HSET', P .. 'reuse', a.key, a.home)
  redis.call('HSET', P .. 'kept:' .. a.home, 'key', a.key, 'origin', a.origin, 'bytes', a.bytes, 'output', a.output)
  redis.call('SADD', P .. 'reuse:of:' .. root_of(a.origin), a.key)
  redis.call('INCRBY', P .. 'reuse:bytes', a.bytes)
  touch(a.key)
  return { kept = true }
end

-- What was used least recently leaves until the rest fits. Answers `more` if there is more to do.
function reuse.trim(a)
  for _ = 1, a.portion do
    if tonumber(redis.call('GET', P .. 'reuse:bytes') or '0') <= a.max_bytes then return { more = false } end
    local key = redis.call('ZRANGE', P .. 'reuse:used', 0, 0)[1]
    if not key then return { more = false } end
    drop(key)
  end
  return { more = true }
end

-- One whose files are gone; unless it has been kept anew meanwhile.
function reuse.drop(a)
  if redis.call('HGET', P .. 'reuse', a.key) == a.home then drop(a.key) end
  return {}
end

-- All that a job, or its children, has left.
function reuse.forget(a)
  local keys = redis.call('SRANDMEMBER', P .. 'reuse:of:' .. a.job, a.portion)
  for _, key in ipairs(keys) do drop(key) end
  return { more = #keys == a.portion }
end

return cjson.encode(reuse[ARGV[1]](cjson.decode(ARGV[2])))
