-- ARGV[1]: {"seq": what this client has seen, "limits": {provider: [rpm, tpm, in flight]}, "ops": [...]}
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

local function restore(op, era, limits, now)
  local p = provider(op[2], era, limits, now)
  if redis.call('HSETNX', p.intents, op[3], string.format('%.6f ', now) .. op[6]) == 1 then
    p.flying = p.flying + 1
    if op[5] >= 0 then reserve(op[4], op[5]) end
  end
  return 1
end

local function forget(op, era, limits, now)
  local p = provider(op[2], era, limits, now)
  local intent = take_intent(p, op[3])
  if intent and intent.worst >= 0 then spend(op[4], intent.worst, intent.worst, era) end
  if p.b.probe == op[3] then p.b.probe = 0 end
  return 1
end

local function status(op, era, limits, now)
  local p = provider(op[2], era, limits, now)
  local state = p.b.state
  if state == 'open' and now >= p.b.till then state = 'half_open' end
  return { state, used(p.d[1], now, 0), used(p.d[2], now, 0), p.flying, math.max(0, p.frozen - now) }
end

local OPS = {
  admit = admit, settle = settle, restore = restore, forget = forget, status = status,
  set_spent = function(op, era) set_spent(op[2], op[3], era) return 1 end,
  ping = function() return 1 end,
  now = function(op, era, limits, now) return now end,
}

local now = server_time()
local request = cjson.decode(ARGV[1])
local era = read_era(request.seq, now)
local out = {}
for i, op in ipairs(request.ops) do
  out[i] = OPS[op[1]](op, era, request.limits, now)
end
local pushed = {}
for name, p in pairs(touched) do
  pushed[#pushed + 1] = { name, p.pushed }
end
save_providers()
save_budgets()
redis.call('SET', PREFIX .. 'era', string.format('%.0f %.0f %.6f %.6f', era.born, era.seq, era.lost, era.settled), 'EX', DAY)
return cjson.encode({ era.born, era.seq, pushed, out })
