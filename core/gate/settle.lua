-- {'settle', lane, call_id, model, sweep, epoch, born, health, sent, tokens or -1, cost or -1, worst or -1,
--  freeze or -1, hints, input tokens or -1, output tokens or -1}. The second time it changes nothing.
local function take_intent(l, call_id)
  local raw = redis.call('HGET', l.intents, call_id)
  if not raw then return nil end
  redis.call('HDEL', l.intents, call_id)
  l.flying = l.flying - 1
  local _, slot, tokens, worst, est = string.match(raw, '^(%S+) (%S+) (%S+) (%S+) (%S+) ')
  local intent = { slot = tonumber(slot), tokens = tonumber(tokens), input = 0, output = 0, worst = tonumber(worst), est = tonumber(est), out = 0 }
  if not intent.tokens then  -- input and output were booked apart
    local all, input, output = string.match(tokens, '(%d+)/(%d+)/(%d+)')
    intent.tokens, intent.input, intent.output = tonumber(all), tonumber(input), tonumber(output)
    local guess, out = string.match(est, '(%d+)/(%d+)')
    intent.est, intent.out, intent.apart = tonumber(guess), tonumber(out), true
  end
  return intent
end

local function teach(l, model, intent, tokens, input, output)
  learn(l.models, model, intent.est, tokens)
  if not intent.apart then return end  -- nobody knows how its estimate was made up
  if l.counted.input and input >= 0 then learn(l.models, model .. ' input', intent.est - intent.out, input) end
  if l.counted.output and output >= 0 then learn(l.models, model .. ' output', intent.out, output) end
end

local function settle_tokens(l, op, intent)
  local sent, tokens, input, output = op[9], op[10], op[15], op[16]
  for _, d in ipairs(l.live) do
    local booked = amount(d, intent.tokens, intent.output, intent.input)
    if not sent then correct(d, intent.slot, -booked)
    else
      local taken = amount(d, tokens, output, input)
      if taken >= 0 and booked > 0 then correct(d, intent.slot, taken - booked) end
    end
  end
  if sent and tokens > 0 then teach(l, op[4], intent, tokens, input, output) end
end

local function settle_money(op, worst, reserved, era)
  if worst < 0 then return end
  local cost = op[9] and (op[11] >= 0 and op[11] or worst) or 0
  spend(op[5], cost, reserved, era)
end

-- Each: {row, limit, remaining or -1, reset in s}.
local function take_hints(l, hints, slot, now)
  local dropped, free = false, adaptive(l)
  for _, h in ipairs(hints) do
    if not l.d[h[1][1]] then put_in_force(l, dimension(l, h[1]), now) end
    local d = l.d[h[1][1]]
    hint(d, h[2], h[3], h[4], slot, now)
    dropped = set_limit(d, l.limits[d.name] or 0, math.max(now, l.frozen)) or dropped
  end
  -- The 429s that follow are explained.
  if dropped or free and not adaptive(l) then l.hits, l.cut = 0, math.floor(now) + 5 end
end

-- Good answers to calls of a minute later tell no limit any more: there is another server behind the name.
local function forget_hints(l, slot, now)
  for _, d in pairs(l.d) do
    if d.hint > 0 and slot > d.hint_at + 60 then
      d.hint = 0
      set_limit(d, l.limits[d.name] or 0, math.max(now, l.frozen))
    end
  end
end

local function settle(op, era, request, now)
  local l = lane(op[2], era, request, now)
  local intent = take_intent(l, op[3])
  if intent then
    settle_tokens(l, op, intent)
    settle_money(op, intent.worst, intent.worst, era)
  elseif op[7] ~= era.born then
    settle_money(op, op[12], 0, era)  -- its intent was lost with the state
  else
    return 0
  end
  tell_breaker(l.p.b, op[3], op[6], op[8], now)
  if intent then take_hints(l, op[14], intent.slot, now) end
  if op[13] >= 0 then
    throttled(l, intent and intent.slot or now, now)
    freeze(l, op[13], now)
  elseif op[8] == 'good' then
    if intent then forget_hints(l, intent.slot, now) end
    grow(l)
  end
  return 1
end
