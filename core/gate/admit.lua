-- {'admit', lane, call_id, model, tokens, sweep, worst or -1, cap or -1, pos, ask as JSON, output tokens}
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
local function queue(l, call_id, t, pos, step, horizon, now)
  local ahead = t - now
  if ahead <= horizon then
    if ahead <= horizon / 4 or l.line <= now + horizon then return nil end
    if pos > 0 and pos <= now + horizon then return nil end
  end
  if pos > 0 then
    pos = math.max(pos, t)  -- whoever was overtaken by a freeze or by real figures stays before those who come now
  else
    pos = math.max(l.line, t)
    l.line = pos + step
  end
  return { 'wait', math.min(MAX_WAIT * (0.5 + call_id % 97 / 194), math.max(0.02, pos - now - horizon / 2)), 'quota', pos }
end

local LABELS = { tokens = 'tokens', input = 'input tokens' }

-- A call's amount of what a dimension counts.
local function amount(d, tokens, output, input)
  local counts = d.counts
  if counts == 'tokens' then return tokens end
  if counts == 'requests' then return 1 end
  return counts == 'output' and output or input
end

-- What the call will take, by what dimensions count; or why it never fits into one. How much it will answer is a guess,
-- which is no reason to refuse it.
local function foresee(l, model, est, out)
  local costs = { requests = 1, tokens = expected(l.models, model, est), input = 0, output = 0 }
  if l.counted.input then costs.input = expected(l.models, model .. ' input', est - out) end
  if l.counted.output then costs.output = expected(l.models, model .. ' output', out) end
  for _, d in ipairs(l.live) do
    if d.limit > 0 then
      local counts, guess = d.counts, amount(d, est, 0, est - out)
      if guess > d.limit then
        local period = d.window > MINUTE and 'day' or 'minute'
        return nil, string.format('%d %s, but %s allows %d a %s', guess, LABELS[counts], l.name, d.limit, period)
      end
      if costs[counts] > d.limit then costs[counts] = d.limit end
    end
  end
  return costs
end

local function admit(op, era, request, now)
  local l = lane(op[2], era, request, now)
  local call_id, model, est, sweep, worst, cap, out = op[3], op[4], op[5], op[6], op[7], op[8], op[11]
  local retry, probe = ask_breaker(l.p.b, now)
  if retry > 0 then return { 'refused', 'breaker_open', 'provider ' .. string.match(l.name, '^[^/]*') .. ' keeps failing', retry } end
  local costs, never = foresee(l, model, est, out)
  if never then return { 'refused', 'too_large', never, -1 } end
  if not has_room(l) then return { 'wait', 0.05 + call_id % 97 / 500, 'calls in flight', 0 } end
  local counts = worst >= 0 and cap >= 0
  if counts then
    local answer = check_budget(sweep, worst, cap, era, now)
    if answer then return answer end
  end
  local t, step, horizon = math.max(now, l.frozen), 0, HORIZON
  for _, d in ipairs(l.live) do
    local from = earliest(d, costs[d.counts], now)
    if not d.h and from > now + HORIZON then return { 'wait', MAX_WAIT * (0.5 + call_id % 97 / 194), 'quota of the day', 0 } end
    t = math.max(t, from)
    if d.h and d.limit > 0 then
      local takes = seconds(d, costs[d.counts])
      step = math.max(step, takes)
      if takes > LARGE[1] and takes < LARGE[2] and d.counts ~= 'requests' then horizon = NEAR end
    end
  end
  local answer = queue(l, call_id, t, op[9], step, horizon, now)
  if answer then return answer end

  for _, d in ipairs(l.live) do
    book(d, costs[d.counts], t)
  end
  if probe then lease_probe(l.p.b, call_id, now) end
  local slot = math.floor(t)
  local booked, guessed = costs.tokens, est
  if l.counted.input or l.counted.output then
    booked, guessed = string.format('%d/%d/%d', booked, costs.input, costs.output), string.format('%d/%d', est, out)
  end
  local intent = string.format('%.6f %d %s %.0f %s ', now, slot, booked, counts and worst or -1, guessed) .. op[10]
  if redis.call('HSETNX', l.intents, call_id, intent) == 1 then
    l.flying = l.flying + 1
    if counts then reserve(sweep, worst) end
  else
    -- The same call again: its first ticket never reached anybody. Its money is reserved already.
    redis.call('HSET', l.intents, call_id, intent)
  end
  return { 'ticket', t - now, slot, costs.tokens, l.p.b.epoch, probe, l.pushed }
end
