-- {'admit', provider, call_id, model, tokens, sweep, worst or -1, cap or -1, pos, ask as JSON}
-- answers {'ticket', delay, slot, booked, epoch, probe, pushed}, {'wait', seconds, reason, pos} or
-- {'refused', reason, detail, retry_in or -1}.
local MAX_WAIT = 2  -- who waits longer asks in between: estimates that turn out too high make room

local function check_budget(sweep, worst, cap, era, now)
  local m = budget(sweep)
  if m.born ~= era.born then
    if now < era.settled then return { 'wait', era.settled - now, 'calls in flight report what they reserved', 0 } end
    return { 'wait', 1, 'budget unknown', 0 }
  end
  if m.spent + m.reserved + worst <= cap then return nil end
  if m.spent + worst <= cap then
    -- Others' reservations may shrink to what they really cost.
    return { 'wait', 0.5, 'budget reserved by calls in flight', 0 }
  end
  return { 'refused', 'budget', string.format('%.6f of %.6f USD spent, the next call may cost %.6f', m.spent / 1e9, cap / 1e9, worst / 1e9), -1 }
end

-- Who would wait longer than the horizon, takes a place in the line and comes back when its turn is near. The line books
-- nothing: whoever is there when the schedule runs dry may go, so places of the dead cost nothing.
local function queue(p, call_id, t, pos, step, now)
  local ahead = t - now
  if ahead <= HORIZON then
    if ahead <= HORIZON / 4 or p.line <= now + HORIZON then return nil end
    if pos > 0 and pos <= now + HORIZON then return nil end
  end
  if pos > 0 then
    pos = math.max(pos, t)  -- whoever was overtaken by a freeze or by real figures stays before those who come now
  else
    pos = math.max(p.line, t)
    p.line = pos + step
  end
  return { 'wait', math.min(MAX_WAIT * (0.5 + call_id % 97 / 194), math.max(0.02, pos - now - HORIZON / 2)), 'quota', pos }
end

local function admit(op, era, limits, now)
  local p = provider(op[2], era, limits, now)
  local call_id, model, est, sweep, worst, cap = op[3], op[4], op[5], op[6], op[7], op[8]
  local retry, probe = ask_breaker(p.b, now)
  if retry > 0 then return { 'refused', 'breaker_open', 'provider ' .. p.name .. ' keeps failing', retry } end
  local limit = p.d[2].limit
  if limit > 0 and est > limit then
    return { 'refused', 'too_large', string.format('%d tokens, but %s allows %d a minute', est, p.name, limit), -1 }
  end
  if not has_room(p) then return { 'wait', 0.05 + call_id % 97 / 500, 'calls in flight', 0 } end
  local counts = worst >= 0 and cap >= 0
  if counts then
    local answer = check_budget(sweep, worst, cap, era, now)
    if answer then return answer end
  end
  local tokens = expected(p.models, model, est)
  if limit > 0 then tokens = math.min(tokens, limit) end
  local costs = { 1, tokens }
  local t, step = math.max(now, p.frozen), 0
  for i, d in ipairs(p.d) do
    t = math.max(t, earliest(d, costs[i], now))
    if d.limit > 0 then step = math.max(step, seconds(d, costs[i])) end
  end
  local answer = queue(p, call_id, t, op[9], step, now)
  if answer then return answer end

  for i, d in ipairs(p.d) do
    book(d, costs[i], t)
  end
  if probe then lease_probe(p.b, call_id, now) end
  local slot = math.floor(t)
  local intent = string.format('%.6f %d %d %.0f %d ', now, slot, tokens, counts and worst or -1, est) .. op[10]
  if redis.call('HSETNX', p.intents, call_id, intent) == 1 then
    p.flying = p.flying + 1
    if counts then reserve(sweep, worst) end
  else
    -- The same call again: its first ticket never reached anybody. Its money is reserved already.
    redis.call('HSET', p.intents, call_id, intent)
  end
  return { 'ticket', t - now, slot, tokens, p.b.epoch, probe, p.pushed }
end
