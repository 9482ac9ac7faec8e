-- Three consecutive failures open it for a minute; then one leased probe decides. Every change begins a new epoch, and
-- an outcome counts only in the epoch that its call started in (M. Nygard, Release It!, 2007; the epoch is ours).
local FAILURES = 3
local OPEN_S = 60
local PROBE_LEASE_S = 80  -- longer than the longest call

local function new_breaker(now)
  -- The first epoch is the time: epochs of a state that was lost are never met again.
  return { state = 'closed', fails = 0, epoch = math.floor(now), till = 0, probe = 0 }
end

local function turn(b, state, till)
  b.state, b.till, b.fails, b.probe = state, till, 0, 0
  b.epoch = b.epoch + 1
end

-- Seconds until it may be asked again, 0: go; and whether the call would be the probe.
local function ask_breaker(b, now)
  if b.state == 'closed' then return 0, false end
  if b.state == 'open' then
    if now < b.till then return b.till - now, false end
    turn(b, 'half_open', 0)
  end
  if b.probe ~= 0 and now < b.till then return math.min(b.till - now, 5), false end
  return 0, true
end

local function lease_probe(b, call_id, now)
  b.probe = call_id
  b.till = now + PROBE_LEASE_S
end

local function tell_breaker(b, call_id, epoch, health, now)
  if epoch ~= b.epoch then return end
  if b.state == 'half_open' then
    if b.probe ~= call_id then return end
    if health == 'good' then turn(b, 'closed', 0)
    elseif health == 'bad' then turn(b, 'open', now + OPEN_S)
    else b.probe = 0 end
  elseif health == 'good' then
    b.fails = 0
  elseif health == 'bad' then
    b.fails = b.fails + 1
    if b.fails >= FAILURES then turn(b, 'open', now + OPEN_S) end
  end
end
