-- The ledger: every change of a job's state, each one atomic.
--
-- Called as EVALSHA sha 0 NAME JSON-ARGUMENTS, answers JSON. Redis may run a script twice (redis-py retries a call
-- whose answer was lost), so every function here gives the same answer when it is repeated: by its nature, or because
-- the caller sent a `call` number under which the answer is kept for a while.
--
-- `MOVES`, the legal moves between states, is prepended by the caller (jobs.states has the only copy).
--
-- Keys, all under the prefix vq: (one Redis database, no Cluster: the keys are computed here)
--   job:ID              hash    the record; all values are strings, times are milliseconds of Redis' own clock
--   units:ID            hash    name -> JSON of a finished unit (a sentence, a chunk); survives attempts
--   waiting:QUEUE:STEP  zset    jobs with a delivery under way, by its sequence number (what the sweeper compares
--                               with the oldest message of the broker's list to find lost messages)
--   looks:QUEUE:STEP    zset    TIME:SEQUENCE of the oldest message in that list at the sweepers' last looks, by time
--   leases              zset    claimed jobs by the end of their lease
--   list:OWNER:KIND:STATUS zset jobs without a parent by creation number; each of the three may be *
--   children:ID:STATUS  zset    children of a parent by their index; * is all of them
--   queued              hash    how many jobs are queued, children included: OWNER -> count, * is all
--   characters, seconds hash    the same of what is to be spoken and heard by jobs that have not ended
--   webhooks            zset    ended jobs whose webhook is to be called, by when
--   calls:ID            list    JSON of the calls of a job's webhook that were made
--   expiry              zset    terminal jobs by the time when the record and its files go
--   orphaned            set     erased parents whose children are still to be erased
--   trash               set     IDs whose record is gone and whose files are still to be removed
--   idem:OWNER:KEY      hash    an idempotency key's job and fingerprint; goes with the record
--   held                set     queue:NAME, kind:NAME and owner:NAME that an operator holds
--   draining            set     what of `held` is taken from its workers, too
--   parked              set     what of `held` has jobs put aside
--   parked:WHAT         zset    jobs that were claimed while held and put aside, by the time of that
--   answer:CALL         string  the answer of a call that changed something, for its repetitions
--   swept, grace        string  when leases were last looked at; there while nobody is declared dead
--   figures:KIND        hash    what has happened, for good: NAME -> number (jobs/figures.py reads it)
--   sequence, created   counters
--
-- A delivery is one Celery message. Its sequence number is also its token: a claim needs the number of the newest
-- delivery, so late copies and redeliveries of older ones find nothing to do.

local P = 'vq:'
local TERMINAL = { succeeded = true, failed = true, canceled = true }
local DEATHS_BEFORE_ALONE = 2
-- Deaths alone that condemn: two in a row, with no other death in the queue between them (one may be chance, and in a
-- storm others die as well), or so many in all.
local MOST_DEATHS_ALONE = 6
local ANSWER_MS = 60000 -- longer than a client goes on repeating a call
local BROKEN_MS = 3600000 -- until a record that makes no sense is looked at again
local changed = false -- whether this call has changed something

local function now_ms()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

local function int(n) return string.format('%.0f', n) end
local function job_key(id) return P .. 'job:' .. id end
local function exists(id) return redis.call('EXISTS', job_key(id)) == 1 end
local function get(id, field) return redis.call('HGET', job_key(id), field) end

-- Redis itself would write a round number such as 100000000 as 1e+08.
local function set(id, ...)
  local pairs_ = { ... }
  for i, value in ipairs(pairs_) do
    if type(value) == 'number' then pairs_[i] = int(value) end
  end
  redis.call('HSET', job_key(id), unpack(pairs_))
  changed = true
end

local function fields(id, ...)
  return unpack(redis.call('HMGET', job_key(id), ...))
end

local function record(id)
  local flat = redis.call('HGETALL', job_key(id))
  local job = {}
  for i = 1, #flat, 2 do job[flat[i]] = flat[i + 1] end
  return job
end

-- Tell those who watch. The message names the job; they read the newest record themselves, so none is ever missed
-- by being too late, and a slow reader sees fewer of them.
local function announce(id)
  redis.call('HINCRBY', job_key(id), 'version', 1)
  redis.call('PUBLISH', P .. 'events', id)
end

local function list_keys(owner, kind, status)
  local keys = {}
  for _, o in ipairs({ owner, '*' }) do
    for _, k in ipairs({ kind, '*' }) do
      keys[#keys + 1] = P .. 'list:' .. o .. ':' .. k .. ':' .. status
    end
  end
  return keys
end

local function children_key(parent, status) return P .. 'children:' .. parent .. ':' .. status end
local function count_children(parent, status) return redis.call('ZCARD', children_key(parent, status)) end

-- What waits, as a whole and by owner, for the limits on it.
local function count(measure, owner, by)
  if by == 0 then return end
  for _, whose in ipairs({ owner, '*' }) do
    if redis.call('HINCRBY', P .. measure, whose, int(by)) <= 0 then redis.call('HDEL', P .. measure, whose) end
  end
end

local WEIGHTS = { 'characters', 'seconds' }

local function is_open(status) return status and not TERMINAL[status] or false end

-- A job weighs for as long as it has not ended. What it weighs is an estimate until a worker knows better.
local function weigh(id, measure, weight)
  local status, owner, known = fields(id, 'status', 'owner', measure)
  if is_open(status) then count(measure, owner, weight - tonumber(known)) end
  set(id, measure, weight)
end

-- Put the job under a status in the list it belongs to (its parent's, or the general ones), and out of the old one.
local function refile(id, old, new)
  local owner, kind, number, parent, index = fields(id, 'owner', 'kind', 'number', 'parent', 'index')
  if old == 'queued' then count('queued', owner, -1) end
  if new == 'queued' then count('queued', owner, 1) end
  if is_open(old) ~= is_open(new) then
    for _, measure in ipairs(WEIGHTS) do count(measure, owner, (is_open(new) and 1 or -1) * get(id, measure)) end
  end
  if parent ~= '' then
    if old then redis.call('ZREM', children_key(parent, old), id) end
    if new then redis.call('ZADD', children_key(parent, new), index, id) end
    return
  end
  if old then for _, key in ipairs(list_keys(owner, kind, old)) do redis.call('ZREM', key, id) end end
  if new then for _, key in ipairs(list_keys(owner, kind, new)) do redis.call('ZADD', key, number, id) end end
end

-- Change the status. `running_ms` adds up the time under `running`: of all attempts, and of a parent with its children.
local function move(id, status, now)
  local old, begun, running = fields(id, 'status', 'begun', 'running_ms')
  if old == status then return end
  if not MOVES[old][status] then error('job ' .. id .. ' cannot go from ' .. old .. ' to ' .. status) end
  refile(id, old, status)
  if old == 'running' then running = tonumber(running) + math.max(0, now - tonumber(begun)) end
  set(id, 'status', status, 'running_ms', running, 'begun', status == 'running' and now or '')
end

local function waiting_key(queue, step) return P .. 'waiting:' .. queue .. ':' .. step end

-- Make a delivery due. The caller sends the message that this describes; if it dies first, `lost` finds the job.
-- A job sent again to the front goes one priority step higher: the broker's lists know no other front.
local function enqueue(id, front)
  local queue, priority, kind, phase = fields(id, 'queue', 'priority', 'kind', 'phase')
  local step = tonumber(priority)
  if front and step > 0 then step = step - 1 end
  local sequence = redis.call('INCR', P .. 'sequence')
  set(id, 'token', sequence, 'step', step, 'claim', '', 'worker', '')
  redis.call('ZADD', waiting_key(queue, step), sequence, id)
  return { id = id, kind = kind, phase = phase, queue = queue, step = step, sequence = sequence }
end

-- A sign of life, or a new beginning: the deaths so far say nothing about the job any more.
local function forgive(id) set(id, 'deaths', '0', 'deaths_alone', '0', 'alone', '0') end

local function unqueue(id)
  local queue, step, token = fields(id, 'queue', 'step', 'token')
  if token and token ~= '' then redis.call('ZREM', waiting_key(queue, step), id) end
  set(id, 'token', '')
end

local function end_lease(id)
  redis.call('ZREM', P .. 'leases', id)
  set(id, 'lease', '', 'claim', '', 'alone_now', '0', 'awaiting', '0')
end

local function no_child_active(parent)
  return count_children(parent, 'queued') == 0 and count_children(parent, 'running') == 0
end

-- Put a job aside because of what is held, and the reverse.
local function park(id, what, now)
  unqueue(id)
  set(id, 'parked', what)
  redis.call('ZADD', P .. 'parked:' .. what, now, id)
  redis.call('SADD', P .. 'parked', what)
end

local function leave_parked(id)
  local what = get(id, 'parked')
  if what then
    redis.call('ZREM', P .. 'parked:' .. what, id)
    redis.call('HDEL', job_key(id), 'parked')
  end
end

local finish

-- A parent whose children have all ended goes to its last phase (answers the delivery to send) or, if it is to be
-- canceled, ends.
local function wake_parent(parent, now)
  local phase, status, cancel = fields(parent, 'phase', 'status', 'cancel')
  if phase ~= 'waiting' or status ~= 'running' or not no_child_active(parent) then return nil end
  if cancel == '1' then return finish(parent, 'canceled', now) end
  set(parent, 'phase', 'assembling')
  return enqueue(parent, true)
end

local function child_changed(id, now)
  local parent = get(id, 'parent')
  if parent == '' or not exists(parent) then return nil end
  announce(parent)
  return wake_parent(parent, now)
end

-- Have a webhook called at a time. Each call has a number of its own: what was sent or begun under an older one is over.
-- `call_number` only grows and says which call is meant; `calls` counts the tries since the job's last end.
local function next_call(id, at)
  redis.call('ZADD', P .. 'webhooks', int(at), id)
  changed = true
  return redis.call('HINCRBY', job_key(id), 'call_number', 1)
end

-- Count for good: a scrape of the metrics reads sums and scans nothing.
local SECONDS = { 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14400, 86400 }
local function figure(kind, name, by) redis.call('HINCRBYFLOAT', P .. 'figures:' .. kind, name, by) end

local function observe(kind, name, seconds)
  local bound = 'inf'
  for _, one in ipairs(SECONDS) do
    if seconds <= one then bound = one break end
  end
  figure(kind, name .. ':' .. bound, 1)
  figure(kind, name .. '_sum', seconds)
end

-- A job that is retried ends more than once: it has waited for its first start once, and each end adds what ran since
-- the one before (`counted_ms`).
local function count_end(id, status, now, output, error)
  local kind, asked, started, running, counted_ms, characters, seconds =
    fields(id, 'kind', 'created', 'started', 'running_ms', 'counted_ms', 'characters', 'seconds')
  figure(kind, 'ended:' .. status, 1)
  if status == 'failed' then figure(kind, 'error:' .. cjson.decode(error).type, 1) end
  if not counted_ms then observe(kind, 'wait', (tonumber(started ~= '' and started or now) - tonumber(asked)) / 1000) end
  local ran = tonumber(running) - tonumber(counted_ms or 0)
  if ran > 0 or (started ~= '' and not counted_ms) then observe(kind, 'run', ran / 1000) end
  set(id, 'counted_ms', running)
  if status ~= 'succeeded' then return end
  figure(kind, 'characters', tonumber(characters or 0))
  figure(kind, 'seconds', tonumber(seconds or 0))
  local made = cjson.decode(output).duration_seconds
  if made then figure(kind, 'audio', made) end
end

-- The end. Answers the parent's delivery if this was the last child.
function finish(id, status, now, output, error)
  unqueue(id)
  end_lease(id)
  leave_parked(id)
  move(id, status, now)
  set(id, 'finished', now, 'output', output or '', 'error', error or '')
  count_end(id, status, now, output, error)
  local ttl, parent = fields(id, 'ttl', 'parent')
  if parent == '' then -- a child goes with its parent
    set(id, 'expires', now + tonumber(ttl))
    redis.call('ZADD', P .. 'expiry', int(now + tonumber(ttl)), id)
  end
  if status == 'succeeded' then redis.call('DEL', P .. 'units:' .. id) end
  if get(id, 'webhook') ~= '' then next_call(id, now) end
  announce(id)
  return child_changed(id, now)
end

local function erase(id)
  local status, parent, owner, kind, idem = fields(id, 'status', 'parent', 'owner', 'kind', 'idem')
  if not status then return end
  changed = true
  unqueue(id)
  leave_parked(id)
  refile(id, status, nil)
  if parent == '' then
    for _, key in ipairs(list_keys(owner, kind, '*')) do redis.call('ZREM', key, id) end
  else
    redis.call('ZREM', children_key(parent, '*'), id)
  end
  redis.call('ZREM', P .. 'webhooks', id)
  redis.call('DEL', P .. 'calls:' .. id)
  redis.call('ZREM', P .. 'leases', id)
  redis.call('ZREM', P .. 'expiry', id)
  if idem and redis.call('HGET', idem, 'id') == id then redis.call('DEL', idem) end
  if count_children(id, '*') > 0 then redis.call('SADD', P .. 'orphaned', id) end
  redis.call('DEL', job_key(id), P .. 'units:' .. id)
  redis.call('SADD', P .. 'trash', id)
  redis.call('PUBLISH', P .. 'events', id)
end

-- The fence: only the claim that holds this attempt may write. The attempt alone would not do: a server that has lost
-- its last second in a crash gives out the same number once more, while its first holder still works.
local function holds(a)
  local status, attempt, claim, parent = fields(a.id, 'status', 'attempt', 'claim', 'parent')
  if not status or (parent ~= '' and not exists(parent)) then return false, 'gone' end
  if TERMINAL[status] then return false, status end
  if attempt ~= int(a.attempt) or claim == '' or claim ~= a.claim then return false, 'taken' end
  return true
end

local function add_progress(id, done, total)
  local old_done, old_total, parent = fields(id, 'done', 'total', 'parent')
  set(id, 'done', done, 'total', total)
  if parent ~= '' and get(parent, 'sums') == '1' then
    redis.call('HINCRBY', job_key(parent), 'done', int(done - tonumber(old_done)))
    redis.call('HINCRBY', job_key(parent), 'total', int(total - tonumber(old_total)))
    announce(parent)
  end
end

-- Whether a job is to be canceled, by itself or with its parent.
local function is_flagged(id)
  local cancel, parent = fields(id, 'cancel', 'parent')
  return cancel == '1' or (parent ~= '' and get(parent, 'cancel') == '1')
end

local function held_by(id, how)
  how = P .. (how or 'held')
  if redis.call('SCARD', how) == 0 then return nil end
  local queue, kind, owner = fields(id, 'queue', 'kind', 'owner')
  for _, what in ipairs({ 'queue:' .. queue, 'kind:' .. kind, 'owner:' .. owner }) do
    if redis.call('SISMEMBER', how, what) == 1 then return what end
  end
end

local ledger = {}

-- The answer to a submit. With `show`, the record and the number of deliveries before it come along: a front end that
-- takes hundreds of jobs a second is spared two more calls for each.
local function created(a, delivery)
  local answer = { outcome = 'created', id = a.id, delivery = delivery }
  if not a.show then return answer end
  answer.job = record(a.id)
  local rank = redis.call('ZRANK', waiting_key(delivery.queue, delivery.step), a.id)
  if rank then
    for step = 0, delivery.step - 1 do rank = rank + redis.call('ZCARD', waiting_key(delivery.queue, step)) end
    answer.before = rank
  end
  return answer
end

-- Which limit a new job would pass, if any. A job that is larger than a limit by itself comes in when nothing else of
-- its sort waits: it could never come in otherwise.
local function passed_limit(a)
  for _, whose in ipairs({ 'all', 'owner' }) do
    for _, measure in ipairs({ 'queued', 'characters', 'seconds' }) do
      local most, own = a.limits[whose][measure], measure == 'queued' and 1 or a[measure]
      local waits = tonumber(redis.call('HGET', P .. measure, whose == 'all' and '*' or a.owner) or '0')
      if most > 0 and own > 0 and waits > 0 and waits + own > most then
        return { outcome = 'full', whose = whose, measure = measure, most = most, waits = waits, own = own }
      end
    end
  end
end

-- New job. Refused with `full` over a limit, `conflict` if the idempotency key was used with another content.
function ledger.submit(a)
  if exists(a.id) then
    local phase, queue, step, token = fields(a.id, 'phase', 'queue', 'step', 'token')
    return created(a, { id = a.id, kind = a.kind, phase = phase, queue = queue,
      step = tonumber(step), sequence = tonumber(token) })
  end
  -- The length keeps apart what would read the same: owner a with key b:c, owner a:b with key c.
  local idem = a.idempotency_key ~= '' and (P .. 'idem:' .. #a.owner .. ':' .. a.owner .. ':' .. a.idempotency_key)
  if idem then
    local used = redis.call('HMGET', idem, 'id', 'fingerprint')
    if used[1] and exists(used[1]) then
      return { outcome = used[2] == a.fingerprint and 'exists' or 'conflict', id = used[1] }
    end
  end
  if a.parent == '' then
    local full = passed_limit(a)
    if full then return full end
  else
    local status = get(a.parent, 'status')
    if not status or TERMINAL[status] then return { outcome = 'gone' } end
  end
  local now = now_ms()
  set(a.id, 'id', a.id, 'kind', a.kind, 'queue', a.queue, 'priority', a.priority, 'owner', a.owner, 'status', 'queued',
    'created', now, 'started', '', 'finished', '', 'expires', '', 'begun', '', 'running_ms', '0', 'attempt', '0',
    'deaths', '0', 'deaths_alone', '0', 'alone', '0', 'alone_now', '0', 'awaiting', '0', 'token', '', 'step', a.priority,
    'lease', '', 'claim', '', 'worker', '',
    'spec', a.spec, 'inputs', a.inputs, 'metadata', a.metadata, 'webhook', a.webhook, 'output', '', 'error', '',
    'done', '0', 'total', '0', 'unit', a.unit, 'sums', a.sums, 'parent', a.parent, 'index', a.index,
    'phase', a.phase, 'characters', a.characters, 'seconds', a.seconds, 'cancel', '0', 'timeout_ms', a.timeout_ms,
    'ttl', a.ttl_ms, 'version', '0',
    'number', redis.call('INCR', P .. 'created'))
  refile(a.id, nil, 'queued')
  if a.parent == '' then
    for _, key in ipairs(list_keys(a.owner, a.kind, '*')) do redis.call('ZADD', key, get(a.id, 'number'), a.id) end
  else
    redis.call('ZADD', children_key(a.parent, '*'), a.index, a.id)
  end
  if a.total > 0 then add_progress(a.id, 0, a.total) end
  if idem then
    redis.call('HSET', idem, 'id', a.id, 'fingerprint', a.fingerprint)
    set(a.id, 'idem', idem)
  end
  local delivery = enqueue(a.id, false)
  announce(a.id)
  return created(a, delivery)
end

-- Take a delivered job. `nonce` makes a repeated call of the same claim answer the same.
function ledger.claim(a)
  local status, token, attempt, claim, parent, started =
    fields(a.id, 'status', 'token', 'attempt', 'claim', 'parent', 'started')
  if not status then return { outcome = 'gone' } end
  if claim == a.nonce then return { outcome = 'claimed', job = record(a.id) } end
  if TERMINAL[status] then return { outcome = status } end
  if token ~= int(a.sequence) then return { outcome = 'stale' } end
  if parent ~= '' and not exists(parent) then
    erase(a.id)
    return { outcome = 'gone' }
  end
  local now = now_ms()
  if is_flagged(a.id) then return { outcome = 'canceled', wake = finish(a.id, 'canceled', now) } end
  local what = held_by(a.id)
  if what then
    park(a.id, what, now)
    return { outcome = 'held' }
  end
  unqueue(a.id)
  move(a.id, 'running', now)
  local lease = now + a.lease_ms
  set(a.id, 'attempt', tonumber(attempt) + 1, 'claim', a.nonce, 'worker', a.worker, 'lease', lease)
  if started == '' then set(a.id, 'started', now) end
  redis.call('ZADD', P .. 'leases', int(lease), a.id)
  announce(a.id)
  if parent ~= '' then announce(parent) end
  return { outcome = 'claimed', job = record(a.id) }
end

-- Renew the leases of one process. Answers a signal for each: go, yield, cancel, lost; and whether more urgent work
-- waits.
function ledger.renew(a)
  local lease = int(now_ms() + a.lease_ms)
  local signals = {}
  for _, job in ipairs(a.jobs) do
    local ok = holds(job)
    if ok then
      set(job.id, 'lease', lease)
      redis.call('ZADD', P .. 'leases', lease, job.id)
      signals[job.id] = is_flagged(job.id) and 'cancel' or held_by(job.id, 'draining') and 'yield' or 'go'
    else
      signals[job.id] = 'lost'
    end
  end
  local urgent = {}
  for _, queue in ipairs(a.queues) do
    for step = 0, 9 do
      if redis.call('ZCARD', waiting_key(queue, step)) > 0 then urgent[queue] = step break end
    end
  end
  return { signals = signals, urgent = urgent }
end

-- From here on the job has its process to itself (asked for after two deaths): its death now counts against it.
function ledger.alone(a)
  if not holds(a) then return { ok = false } end
  set(a.id, 'alone_now', '1')
  return { ok = true }
end

-- It only waits for its turn, or no longer: who does nothing kills nobody, and a death meanwhile does not count.
function ledger.await_turn(a)
  if not holds(a) then return { ok = false } end
  set(a.id, 'awaiting', a.awaiting and '1' or '0')
  return { ok = true }
end

function ledger.progress(a)
  local ok, why = holds(a)
  if not ok then return { ok = false, why = why } end
  set(a.id, 'unit', a.unit)
  if a.unit == 'second' then weigh(a.id, 'seconds', a.total) end -- the length is known now
  add_progress(a.id, a.done, a.total)
  announce(a.id)
  return { ok = true }
end

-- A finished unit enters the journal; the first one to do so counts. It proves that the job does not kill its worker.
function ledger.register(a)
  local ok, why = holds(a)
  if not ok then return { ok = false, why = why } end
  if redis.call('HSETNX', P .. 'units:' .. a.id, a.index, a.unit) == 1 then
    forgive(a.id)
    set(a.id, 'alone_now', '0')
    add_progress(a.id, a.done, a.total)
    announce(a.id)
  end
  return { ok = true }
end

-- The result becomes visible. Nothing before this call can be seen by a client.
function ledger.commit(a)
  local status, committed, sums = fields(a.id, 'status', 'committed', 'sums')
  if status == a.status and committed == a.claim then return { ok = true } end
  local ok, why = holds(a)
  if not ok then return { ok = false, why = why } end
  if a.status == 'succeeded' and sums ~= '1' then
    local total = tonumber(get(a.id, 'total'))
    add_progress(a.id, total, total)
  end
  set(a.id, 'committed', a.claim)
  return { ok = true, wake = finish(a.id, a.status, now_ms(), a.output, a.error) }
end

-- The files of a result are gone from the store: the job has failed, as far as anybody can use it, and may be retried.
function ledger.lose_files(a)
  local status, version, error, parent = fields(a.id, 'status', 'version', 'error', 'parent')
  if status == 'failed' and error == a.error then return { ok = true } end
  if status ~= 'succeeded' or tonumber(version) ~= a.version then return { ok = false } end
  move(a.id, 'failed', now_ms())
  set(a.id, 'output', a.output, 'error', a.error)
  announce(a.id)
  if parent ~= '' and exists(parent) then announce(parent) end
  return { ok = true }
end

-- A job goes back to its line, or ends there if it is to be canceled. Answers the delivery to send.
local function give_back(id, front, now)
  if is_flagged(id) then return finish(id, 'canceled', now) end
  end_lease(id)
  local phase = get(id, 'phase')
  if phase == '' or phase == 'planning' then move(id, 'queued', now) end
  local delivery = enqueue(id, front)
  announce(id)
  return delivery
end

-- Give the job back unfinished (drain: to the front; end of a slice: to the back). Not a death.
function ledger.release(a)
  local ok, why = holds(a)
  if not ok then return { ok = false, why = why } end
  return { ok = true, delivery = give_back(a.id, a.front, now_ms()) }
end

-- A parent whose children are submitted puts itself aside; the last child wakes it. If it is planned again in the
-- course of a retry, its broken children are queued again first (`recover` does that).
function ledger.wait_for_children(a)
  local ok, why = holds(a)
  if not ok then return { ok = false, why = why } end
  local now = now_ms()
  end_lease(a.id)
  forgive(a.id)
  for _, measure in ipairs(WEIGHTS) do weigh(a.id, measure, 0) end -- its children weigh now
  announce(a.id)
  if get(a.id, 'retry_failed') then
    set(a.id, 'phase', 'retrying')
    redis.call('ZADD', P .. 'leases', int(now), a.id)
    return { ok = true }
  end
  set(a.id, 'phase', 'waiting')
  return { ok = true, wake = wake_parent(a.id, now) }
end

-- Nobody works on it: canceled at once. Running: flagged, its worker stops at the next unit. A parent with running
-- children: flagged; its queued children are canceled by the caller in portions (`cancel_children`), and the last
-- child to end ends it.
function ledger.cancel(a)
  local status, claim = fields(a.id, 'status', 'claim')
  if not status then return { outcome = 'gone' } end
  if TERMINAL[status] then return { outcome = 'refused', status = status } end
  set(a.id, 'cancel', '1')
  if status == 'queued' or (claim == '' and no_child_active(a.id)) then
    return { outcome = 'canceled', wake = finish(a.id, 'canceled', now_ms()) }
  end
  announce(a.id)
  return { outcome = 'canceling' }
end

function ledger.cancel_children(a)
  if get(a.id, 'cancel') ~= '1' then return { done = 0, wakes = {} } end
  local wakes = {}
  local queued = redis.call('ZRANGE', children_key(a.id, 'queued'), 0, a.limit - 1)
  for _, child in ipairs(queued) do
    wakes[#wakes + 1] = finish(child, 'canceled', now_ms())
  end
  return { done = #queued, wakes = wakes }
end

-- Ended: queued again with its finished units. Answers the delivery to send.
local function requeue_ended(id, now)
  redis.call('ZREM', P .. 'expiry', id)
  redis.call('ZREM', P .. 'webhooks', id)
  local idle, finished = fields(id, 'idle_ms', 'finished')
  move(id, 'queued', now)
  forgive(id)
  set(id, 'cancel', '0', 'output', '', 'error', '', 'finished', '', 'expires', '', 'calls', '0',
    'asked', now, 'idle_ms', tonumber(idle or 0) + math.max(0, now - tonumber(finished)))
  local delivery = enqueue(id, false)
  announce(id)
  return delivery
end

-- A parent that had ended runs again, for its broken children.
local function reopen(id, now)
  redis.call('ZREM', P .. 'expiry', id)
  redis.call('ZREM', P .. 'webhooks', id)
  local idle, finished = fields(id, 'idle_ms', 'finished')
  move(id, 'running', now)
  forgive(id)
  set(id, 'cancel', '0', 'error', '', 'finished', '', 'expires', '', 'calls', '0', 'phase', 'retrying',
    'asked', now, 'idle_ms', tonumber(idle or 0) + math.max(0, now - tonumber(finished)))
  announce(id)
end

-- Queue the next broken children of a parent again. How far it came is in the parent's record: each child has one turn
-- however fast it fails again, and if the caller dies `recover` goes on, for the parent has a lease meanwhile.
local function retry_portion(id, limit, now)
  local deliveries = {}
  for _, status in ipairs({ 'failed', 'canceled' }) do
    local after = get(id, 'retry_' .. status)
    if after and #deliveries < limit and get(id, 'cancel') ~= '1' then
      local broken = redis.call('ZRANGEBYSCORE', children_key(id, status), '(' .. after, '+inf',
        'LIMIT', 0, limit - #deliveries)
      for _, child in ipairs(broken) do
        deliveries[#deliveries + 1] = requeue_ended(child, now)
        set(id, 'retry_' .. status, get(child, 'index'))
      end
    end
  end
  if #deliveries >= limit then return deliveries, true end
  redis.call('HDEL', job_key(id), 'retry_failed', 'retry_canceled')
  if get(id, 'phase') == 'retrying' then
    redis.call('ZREM', P .. 'leases', id)
    set(id, 'phase', 'waiting')
    deliveries[#deliveries + 1] = wake_parent(id, now)
  end
  return deliveries, false
end

-- Answers `more` if there may be children to queue again (by `retry_children`).
function ledger.retry(a)
  local status, phase, parent = fields(a.id, 'status', 'phase', 'parent')
  if not status then return { outcome = 'gone' } end
  local broken = count_children(a.id, 'failed') + count_children(a.id, 'canceled')
  if not TERMINAL[status] or (status == 'succeeded' and (broken == 0 or phase == 'planning')) then
    return { outcome = 'refused', status = status }
  end
  local now = now_ms()
  if parent ~= '' then -- its parent waits for it
    local parents_status, parents_phase = fields(parent, 'status', 'phase')
    if not parents_status then return { outcome = 'gone' } end
    if TERMINAL[parents_status] then return { outcome = 'over' } end
    if parents_phase == 'assembling' then return { outcome = 'assembling' } end
    local delivery = requeue_ended(a.id, now)
    announce(parent)
    return { outcome = 'again', delivery = delivery }
  end
  local has_children = count_children(a.id, '*') > 0
  if has_children then set(a.id, 'retry_failed', '-1', 'retry_canceled', '-1') end
  if phase == '' or phase == 'planning' or not has_children then -- planning is repeatable: child IDs are derived
    if phase ~= '' then set(a.id, 'phase', 'planning') end
    return { outcome = 'again', delivery = requeue_ended(a.id, now) }
  end
  reopen(a.id, now)
  redis.call('ZADD', P .. 'leases', int(now + a.lease_ms), a.id)
  return { outcome = 'again', more = true }
end

function ledger.retry_children(a)
  local status, phase = fields(a.id, 'status', 'phase')
  if status ~= 'running' then return { deliveries = {} } end
  local now = now_ms()
  local deliveries, more = retry_portion(a.id, a.limit, now)
  if more and phase == 'retrying' then redis.call('ZADD', P .. 'leases', int(now + a.lease_ms), a.id) end
  return { deliveries = deliveries, more = more }
end

function ledger.delete(a)
  local status, parent = fields(a.id, 'status', 'parent')
  if not status then return { outcome = 'gone' } end
  if parent ~= '' and exists(parent) then return { outcome = 'child' } end
  erase(a.id)
  return { outcome = 'deleted' }
end

-- Records whose time is over, and children of erased parents. Their IDs stay in `trash` until their files are gone too.
function ledger.expire(a)
  local ids = redis.call('ZRANGEBYSCORE', P .. 'expiry', '-inf', now_ms(), 'LIMIT', 0, a.limit)
  for _, id in ipairs(ids) do
    redis.call('ZREM', P .. 'expiry', id) -- first: a record that cannot be erased must not be in the way for ever
    erase(id)
  end
  while #ids < a.limit do
    local parent = redis.call('SRANDMEMBER', P .. 'orphaned')
    if not parent then break end
    local children = redis.call('ZRANGE', children_key(parent, '*'), 0, a.limit - #ids - 1)
    for _, child in ipairs(children) do
      erase(child)
      ids[#ids + 1] = child
    end
    if count_children(parent, '*') == 0 then redis.call('SREM', P .. 'orphaned', parent) end
  end
  return { ids = ids }
end

-- Take claimed jobs from processes that have died. A job that was in hand at two deaths runs alone; if it dies alone, it
-- goes behind the others, and if it is the next to die as well, it is condemned: its neighbours lived. A record that
-- says what cannot be is told and put off: it must not keep the others waiting. Who only awaited its turn is no suspect.
local function take_back(ids, now, a)
  local deliveries, condemned, broken, deaths_in = {}, {}, {}, {}
  local function deaths_of(queue)
    deaths_in[queue] = deaths_in[queue] or redis.call('HINCRBY', P .. 'figures:' .. queue, 'deaths', 1)
    return deaths_in[queue]
  end
  local function died(id)
    local deaths, alone_now, deaths_alone, last, queue, awaiting =
      fields(id, 'deaths', 'alone_now', 'deaths_alone', 'last_alone', 'queue', 'awaiting')
    local number = deaths_of(queue)
    if awaiting == '1' then
      deliveries[#deliveries + 1] = give_back(id, true, now)
      return
    end
    if alone_now == '1' then
      deaths_alone = tonumber(deaths_alone) + 1
      local in_a_row = deaths_alone > 1 and tonumber(last) == number - 1
      if (in_a_row or deaths_alone >= MOST_DEATHS_ALONE) and not is_flagged(id) then
        deliveries[#deliveries + 1] = finish(id, 'failed', now, '', a.condemned_error)
        condemned[#condemned + 1] = id
        return
      end
      set(id, 'deaths_alone', deaths_alone, 'last_alone', number)
    end
    deaths = tonumber(deaths) + 1
    set(id, 'deaths', deaths, 'alone', deaths >= DEATHS_BEFORE_ALONE and '1' or '0')
    deliveries[#deliveries + 1] = give_back(id, alone_now ~= '1', now)
  end
  local function take(id)
    local phase = get(id, 'phase')
    if not phase then
      redis.call('ZREM', P .. 'leases', id)
    elseif phase == 'retrying' then
      local portion = retry_portion(id, math.max(1, a.limit - #deliveries), now)
      for _, delivery in ipairs(portion) do deliveries[#deliveries + 1] = delivery end
    else
      died(id)
    end
  end
  for _, id in ipairs(ids) do
    local ok, why = pcall(take, id)
    if not ok then
      broken[#broken + 1] = { id = id, why = type(why) == 'table' and why.err or tostring(why) }
      redis.call('ZADD', P .. 'leases', int(now + BROKEN_MS), id)
    end
  end
  return { deliveries = deliveries, condemned = condemned, broken = broken }
end

-- Leases that ran out. While Redis or all the sweepers were away nobody could renew: then everybody gets grace, until
-- one lease after the return.
function ledger.recover(a)
  local now = now_ms()
  local last = tonumber(redis.call('GET', P .. 'swept') or '0')
  redis.call('SET', P .. 'swept', now)
  local grace = a.grace_ms
  if last > 0 and now - last > a.lease_ms then grace = a.lease_ms end
  if grace > 0 then redis.call('SET', P .. 'grace', '1', 'PX', int(grace)) end
  if redis.call('EXISTS', P .. 'grace') == 1 then return { deliveries = {}, condemned = {}, broken = {}, grace = true } end
  return take_back(redis.call('ZRANGEBYSCORE', P .. 'leases', '-inf', now, 'LIMIT', 0, a.limit), now, a)
end

-- A process that is known to be dead: its leases need not run out first.
function ledger.bury(a)
  local its = {}
  for _, id in ipairs(redis.call('ZRANGE', P .. 'leases', 0, -1)) do
    if get(id, 'worker') == a.worker then its[#its + 1] = id end
  end
  return take_back(its, now_ms(), a)
end

-- Deliveries whose message is lost (or was never sent): older than the oldest message in the broker's list now and at a
-- look that is a grace ago. One look would also find those that have just been popped and are about to be claimed.
-- `oldest` 0 says that the list is empty.
function ledger.lost(a)
  local key, looks, now = waiting_key(a.queue, a.step), P .. 'looks:' .. a.queue .. ':' .. a.step, now_ms()
  local deliveries = {}
  if redis.call('ZCARD', key) == 0 then
    redis.call('DEL', looks)
    return { deliveries = deliveries }
  end
  local oldest = a.oldest > 0 and a.oldest or tonumber(redis.call('GET', P .. 'sequence')) + 1
  local before = redis.call('ZREVRANGEBYSCORE', looks, int(now - a.grace_ms), '-inf', 'WITHSCORES', 'LIMIT', 0, 1)
  redis.call('ZADD', looks, int(now), int(now) .. ':' .. int(oldest))
  redis.call('PEXPIRE', looks, int(10 * (a.grace_ms + 1000)))
  changed = true
  if not before[1] then return { deliveries = deliveries } end
  redis.call('ZREMRANGEBYSCORE', looks, '-inf', '(' .. before[2])
  oldest = math.min(oldest, tonumber(string.match(before[1], ':(%d+)$')))
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', key, '-inf', '(' .. int(oldest), 'LIMIT', 0, a.limit)) do
    redis.call('ZREM', key, id)
    if exists(id) then deliveries[#deliveries + 1] = enqueue(id, true) end
  end
  return { deliveries = deliveries }
end

-- Holds of the operators. What was put aside is sent again, by `unpark`, when it is held no more.
function ledger.hold(a)
  redis.call('SADD', P .. 'held', a.what)
  redis.call(a.drain and 'SADD' or 'SREM', P .. 'draining', a.what)
  return {}
end

function ledger.free(a)
  redis.call('SREM', P .. 'held', a.what)
  redis.call('SREM', P .. 'draining', a.what)
  return {}
end

function ledger.unpark(a)
  local deliveries, room, now = {}, a.limit, now_ms()
  for _, what in ipairs(redis.call('SMEMBERS', P .. 'parked')) do
    local key = P .. 'parked:' .. what
    if room > 0 and redis.call('SISMEMBER', P .. 'held', what) == 0 then
      for _, id in ipairs(redis.call('ZRANGE', key, 0, room - 1)) do
        room = room - 1
        leave_parked(id)
        local other = held_by(id)
        if other then
          park(id, other, now)
        else
          deliveries[#deliveries + 1] = enqueue(id, false)
        end
      end
    end
    if redis.call('ZCARD', key) == 0 then redis.call('SREM', P .. 'parked', what) end
  end
  return { deliveries = deliveries, more = room == 0 }
end

-- Ended jobs whose webhook is to be called, and the number of that call. Each is put off, so that a message that is lost
-- is sent again; if it only waits, both have the same number, and the first to come makes the call. `sequence` is newer
-- than any delivery so far: a message with it tells `lost` what has been before it in its list.
function ledger.webhooks_due(a)
  local now, calls = now_ms(), {}
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', P .. 'webhooks', '-inf', now, 'LIMIT', 0, a.limit)) do
    redis.call('ZADD', P .. 'webhooks', int(now + a.put_off_ms), id)
    calls[#calls + 1] = { id = id, number = tonumber(get(id, 'call_number') or 0) }
  end
  changed = #calls > 0
  return { calls = calls, sequence = tonumber(redis.call('GET', P .. 'sequence') or 0) + 1 }
end

local function awaits_call(id, number)
  return redis.call('ZSCORE', P .. 'webhooks', id) and tonumber(get(id, 'call_number') or 0) == number
end

-- Begin a call, if that number is still to be called: answers the call's own number, and which try since the job's end it
-- is. If its caller dies, another is due after `put_off_ms`.
function ledger.webhook_begin(a)
  if not awaits_call(a.id, a.number) then return { ok = false } end
  return { ok = true, number = next_call(a.id, now_ms() + a.put_off_ms), try = tonumber(get(a.id, 'calls') or 0) + 1 }
end

-- What came of a call; the next one is due in `again_ms`, or never (0). The calls are kept beside the record. If the job
-- was retried meanwhile, or a client wants another call, that is called in its turn whatever came of this one.
function ledger.webhook_called(a)
  if not exists(a.id) then return { ok = false } end
  changed = true
  redis.call('RPUSH', P .. 'calls:' .. a.id, a.call_facts)
  redis.call('LTRIM', P .. 'calls:' .. a.id, -a.keep, -1)
  if not awaits_call(a.id, a.number) then return { ok = true } end
  redis.call('HINCRBY', job_key(a.id), 'calls', 1)
  if a.again_ms > 0 then
    next_call(a.id, now_ms() + a.again_ms)
  else
    redis.call('ZREM', P .. 'webhooks', a.id)
  end
  return { ok = true }
end

function ledger.webhook_again(a)
  local status, webhook = fields(a.id, 'status', 'webhook')
  if not status then return { outcome = 'gone' } end
  if webhook == '' then return { outcome = 'none' } end
  if not TERMINAL[status] then return { outcome = status } end
  next_call(a.id, now_ms())
  return { outcome = 'due' }
end

local name, arguments = ARGV[1], cjson.decode(ARGV[2])
local kept = arguments.call and (P .. 'answer:' .. arguments.call)
local answer = kept and redis.call('GET', kept)
if not answer then
  answer = ledger[name](arguments)
  local repeatable = answer.job -- a claim, found again by its nonce; its record would be much to keep
  answer = cjson.encode(answer)
  if kept and changed and not repeatable then redis.call('SET', kept, answer, 'PX', ANSWER_MS) end
end
return answer
