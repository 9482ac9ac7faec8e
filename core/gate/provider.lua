-- One provider's state: a single packed value, read and written once a script.
local PREFIX = 'llmsweep:gate:'
local DAY = 86400
local pack = cmsgpack and cmsgpack.pack or cjson.encode  -- fakeredis has no cmsgpack
local unpack_state = cmsgpack and cmsgpack.unpack or cjson.decode

local touched = {}

local function new_provider(now)
  return {
    d = { new_dimension(), new_dimension() }, b = new_breaker(now), models = {}, frozen = 0, pushed = 0, line = 0,
    ease = 1, eased = now, knee = 1, hits = 0, hit_at = 0, passed = 0, cool = 0, room = 8, slow = true, born = 0,
  }
end

-- Easing after a burst of 429s ends the faster, the farther from the knee, the speed at which the burst came: there the
-- limit is that nobody tells, or it was (the idea of CUBIC, RFC 9438). Only while calls come.
local function recover(p, now)
  if p.ease < 1 then
    local pace = math.min(0.1, math.max(0.003, math.abs(p.ease / p.knee - 1) / 2))
    p.ease = math.min(1, p.ease * (1 + pace * math.min(1, now - p.eased)))
  end
  p.eased = now
end

local function provider(name, era, limits, now)
  local p = touched[name]
  if p then return p end
  local raw = redis.call('GET', PREFIX .. 'provider:' .. name)
  p = raw and unpack_state(raw) or new_provider(now)
  p.name = name
  p.knee, p.passed, p.models = p.knee or 1, p.passed or 0, p.models or {}  -- an older version's workers may have written the state
  p.intents = PREFIX .. 'intents:' .. name
  p.flying = redis.call('HLEN', p.intents)
  p.told = limits[name] or { 0, 0, 0 }
  recover(p, now)
  for i, d in ipairs(p.d) do
    d.burst, d.full = BURST[i], FULL[i]
    d.ease = p.ease
    set_limit(d, p.told[i], now)
    -- State was lost: tickets that nobody remembers may still go for as long as they are booked ahead.
    if p.born ~= era.born and era.lost > 0 then d.tat = math.max(d.tat, era.lost + HORIZON + d.burst) end
  end
  p.born = era.born
  touched[name] = p
  return p
end

local function save_providers()
  for name, p in pairs(touched) do
    p.name, p.intents, p.flying, p.told = nil, nil, nil, nil
    redis.call('SET', PREFIX .. 'provider:' .. name, pack(p), 'EX', DAY)
  end
end

-- Bookings ahead move behind a freeze, in their order and with their distances: clients hear of `pushed`.
local function freeze(p, duration, now)
  local from = math.max(now, p.frozen)
  local to = now + math.min(duration, DAY)
  if to <= from then return end
  for _, d in ipairs(p.d) do
    d.tat = math.max(d.tat, from) + to - from
  end
  p.frozen = to
  p.pushed = p.pushed + to - from
end

-- Nobody told the truth about the limit. After three 429s in ten seconds it is taken to be the share that passed of what
-- was sent since the last such burst, and everything goes a tenth slower than that. Once a cooldown, in which what was
-- booked ahead goes.
local function throttled(p, now)
  if now - p.hit_at > 10 then p.hits, p.hit_at = 0, now end
  p.hits = p.hits + 1
  if p.hits < 3 or now < p.cool then return end
  p.knee = math.max(0.05, p.ease * math.max(0.5, p.passed / (p.passed + p.hits)))
  p.ease = p.knee * 0.9
  p.hits, p.passed, p.cool = 0, 0, now + 1.5
  p.room = math.max(1, math.floor(math.min(p.room, p.flying + 1) * 0.75))
  p.slow = false
end

-- Calls that may be in flight at once: told, or learned where no limit is known at all (AIMD, slow start).
local function adaptive(p)
  return p.d[1].limit == 0 and p.d[2].limit == 0
end

local function has_room(p)
  if p.told[3] > 0 and p.flying >= p.told[3] then return false end
  return not adaptive(p) or p.flying < p.room
end

local function grow(p)
  if not adaptive(p) or p.flying + 1 < p.room * 0.9 then return end
  p.room = math.min(4096, p.room + (p.slow and 1 or 1 / p.room))
end
