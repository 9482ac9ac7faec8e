-- ARGV[1]: {"seq": what this client has seen, "rows": dimensions (window.lua), "limits": {lane: [in flight, a limit a row]},
-- "ops": [...]}
-- An era ends when state was lost: a client has seen a later sequence number than the server knows. That covers a flush,
-- a restart without persistence, and one whose log lacks the last second. Money waits in the first era as well: who
-- finds an empty server cannot tell a new one from one that has been flushed.
local GRACE_S = 1.5  -- in which living clients bring back the intents that were lost; they beat every 0.5 s

local function read_era(seen, now)
  local raw = redis.call('GET', PREFIX .. 'era')
  local era = { born = math.floor(now), seq = 0, lost = 0, settled = now + GRACE_S }
  if raw then
    local born, seq, lost, settled = string.match(raw, '^(%S+) (%S+) (%S+) (%S+)$')
    era.born, era.seq, era.lost, era.settled = tonumber(born), tonumber(seq), tonumber(lost), tonumber(settled)
  end
  if seen > era.seq then
    era.born = math.max(era.born + 1, math.floor(now))
    era.seq, era.lost, era.settled = seen, now, now + GRACE_S
  end
  era.seq = era.seq + 1
  return era
end

local function restore(op, era, request, now)
  local l = lane(op[2], era, request, now)
  if redis.call('HSETNX', l.intents, op[3], string.format('%.6f ', now) .. op[6]) == 1 then
    l.flying = l.flying + 1
    if op[5] >= 0 then reserve(op[4], op[5]) end
  end
  return 1
end

-- {'forget', lane, call_id, sweep}
local function forget(op, era, request, now)
  local l = lane(op[2], era, request, now)
  local intent = take_intent(l, op[3])
  if intent and intent.worst >= 0 then spend(op[4], intent.worst, intent.worst, era) end
  if l.p.b.probe == op[3] then l.p.b.probe = 0 end
  return 1
end

-- {'status', provider}: of all its lanes, with the limits that headers have told: {lane, row, limit}. Who looks need not know
-- the limits, and changes nothing of the provider's.
local function status(op, era, request, now)
  local p = providers[op[2]] or read_state('breaker:' .. op[2]) or { b = new_breaker(now), lanes = { op[2] } }
  local state = p.b.state
  if state == 'open' and now >= p.b.till then state = 'half_open' end
  local requests, tokens, flying, frozen, hints = 0, 0, 0, 0, {}
  for _, name in ipairs(p.lanes) do
    local l = lanes[name] or read_state('provider:' .. name)
    if l then
      requests = requests + (l.d.requests and used(l.d.requests, now, 0) or 0)
      tokens = tokens + (l.d.tokens and used(l.d.tokens, now, 0) or 0)
      frozen = math.max(frozen, l.frozen - now)
      for row, d in pairs(l.d) do
        if d.hint > 0 then hints[#hints + 1] = { name, row, d.hint } end
      end
    end
    flying = flying + redis.call('HLEN', PREFIX .. 'intents:' .. name)
  end
  table.sort(hints, function(a, b) return a[1] < b[1] or a[1] == b[1] and a[2] < b[2] end)
  return { state, requests, tokens, flying, frozen, hints }
end

local OPS = {
  admit = admit, settle = settle, restore = restore, forget = forget, status = status,
  set_spent = function(op, era) set_spent(op[2], op[3], era) return 1 end,
  ping = function() return 1 end,
  lanes = function(op, era, request, now) return { now, provider(op[2], now).lanes } end,
}

local now = server_time()
local request = cjson.decode(ARGV[1])
local era = read_era(request.seq, now)
local out = {}
for i, op in ipairs(request.ops) do
  out[i] = OPS[op[1]](op, era, request, now)
end
local pushed = {}
for name, l in pairs(lanes) do
  pushed[#pushed + 1] = { name, l.pushed }
end
save_lanes()
save_providers()
save_budgets()
redis.call('SET', PREFIX .. 'era', string.format('%.0f %.0f %.6f %.6f', era.born, era.seq, era.lost, era.settled), 'EX', DAY)
return cjson.encode({ era.born, era.seq, pushed, out })
