-- A lane is what shares a quota: a provider, or one of its models with limits of its own (`provider/model`).
local lanes = {}
local START = 16  -- calls at once where no limit is known; three times as many a round trip later

local function new_lane(now)
  return {
    v = LAYOUT, d = {}, models = {}, frozen = 0, pushed = 0, line = 0,
    ease = 1, eased = now, knee = 1, hits = 0, hit_at = 0, hit_pushed = 0, cut = 0, room = START, slow = true, born = 0,
  }
end

-- Easing after a burst of 429s ends the faster, the farther from the knee, the speed at which the burst came: there the
-- limit is that nobody tells, or it was (the idea of CUBIC, RFC 9438). Beyond it more slowly: the provider's bucket hides for
-- a while that its limit is exceeded. Only while calls come and go.
local function recover(l, now)
  if l.ease < 1 and now >= l.frozen then
    local away = l.ease / l.knee - 1
    local pace = math.min(0.1, math.max(0.003, away > 0 and away * 0.3 or -away * 0.5))
    l.ease = math.min(1, l.ease * (1 + pace * math.min(1, now - l.eased)))
  end
  l.eased = now
end

-- Its dimension of this row.
local function dimension(l, row)
  local d = l.d[row[1]]
  if not d then
    d = new_dimension(row)
    l.d[row[1]] = d
  end
  return d
end

local function put_in_force(l, d, now)
  d.ease = d.h and l.ease or 1
  l.live[#l.live + 1] = d
  l.counted[d.counts] = true
  return set_limit(d, l.limits[d.name] or 0, math.max(now, l.frozen))
end

local function lane(name, era, request, now)
  local l = lanes[name]
  if l then return l end
  local alien
  l, alien = read_state('provider:' .. name)
  l = l or new_lane(now)
  local lost = alien and now or (l.born ~= era.born and era.lost > 0) and era.lost or nil
  l.name, l.live, l.counted, l.limits = name, {}, {}, {}
  l.p = provider(string.match(name, '^[^/]*'), now)
  l.intents = PREFIX .. 'intents:' .. name
  l.flying = redis.call('HLEN', l.intents)
  l.most = request.limits[name][1]
  recover(l, now)
  for i, row in ipairs(request.rows) do
    local told = request.limits[name][i + 1]
    l.limits[row[1]] = told
    if told > 0 or row[6] == 1 then dimension(l, row) end
  end
  for _, d in pairs(l.d) do
    put_in_force(l, d, now)
    -- State was lost: tickets that nobody remembers may still go for as long as they are booked ahead.
    if lost then d.tat = math.max(d.tat, lost + HORIZON + d.burst) end
  end
  if l.born ~= era.born then
    l.born = era.born
    enlist(l.p, name)
  end
  lanes[name] = l
  return l
end

local function save_lanes()
  for name, l in pairs(lanes) do
    l.name, l.live, l.counted, l.limits, l.p, l.intents, l.flying, l.most = nil, nil, nil, nil, nil, nil, nil, nil
    redis.call('SET', PREFIX .. 'provider:' .. name, pack(l), 'EX', 2 * DAY)
  end
end

-- Bookings ahead move behind a freeze, in their order and with their distances: clients hear of `pushed`.
local function freeze(l, duration, now)
  local from = math.max(now, l.frozen)
  local to = now + math.min(duration, DAY)
  if to <= from then return end
  for _, d in ipairs(l.live) do
    d.tat = math.max(d.tat, from) + to - from
  end
  l.frozen = to
  l.pushed = l.pushed + to - from
end

-- Calls that may be in flight at once: told, or learned where nobody tells a speed (AIMD, slow start).
local function adaptive(l)
  for _, d in ipairs(l.live) do
    if d.h and d.limit > 0 then return false end
  end
  return true
end

-- From here on it goes at another pace: 429s of what is booked already say nothing about that.
local function begin_anew(l, now)
  l.hits = 0
  l.cut = math.max(math.floor(now), l.d.requests.head) + 1
end

-- Nobody told the truth about the limit. It is taken to be the share that passed of what was sent since the first 429, and
-- everything goes a tenth slower than that. A few calls are no sample, unless all are refused.
local function slow_down(l, now, age)
  local sent = between(l.d.requests, l.hit_at, now)
  if age < 0.4 or sent < 5 and l.hits < sent then return end
  l.knee = math.max(0.05, l.ease * math.max(0.3, 1 - l.hits / math.max(sent, l.hits + 1)))
  l.ease = l.knee * 0.9
  begin_anew(l, now)
end

-- Too many at once.
local function make_room_smaller(l, now)
  l.room = math.max(1, math.floor(math.min(l.room, l.flying + 1) * 0.75))
  l.slow = false
  begin_anew(l, now)
end

-- A 429 of a call that was booked in second `slot`. Three are no accident, in ten seconds or ten calls; a freeze is no time.
local function throttled(l, slot, now)
  if slot < l.cut then return end
  local age = now - l.hit_at - (l.pushed - l.hit_pushed)
  if l.hits == 0 or age > 60 or age > 10 and between(l.d.requests, l.hit_at, now) > 10 then
    l.hits, l.hit_at, l.hit_pushed, age = 0, now, l.pushed, 0
  end
  l.hits = l.hits + 1
  if l.hits < 3 then return end
  if adaptive(l) then make_room_smaller(l, now) else slow_down(l, now, age) end
end

local function has_room(l)
  if l.most > 0 and l.flying >= l.most then return false end
  return not adaptive(l) or l.flying < l.room
end

local function grow(l)
  if not adaptive(l) or l.flying + 1 < l.room * 0.9 then return end
  l.room = math.min(4096, l.room + (l.slow and 2 or 1 / l.room))
end
