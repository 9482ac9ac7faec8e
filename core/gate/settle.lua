-- {'settle', provider, call_id, model, sweep, epoch, born, health, sent, tokens or -1, cost or -1, worst or -1,
--  freeze or -1, hints}. The second time it changes nothing.
local function take_intent(p, call_id)
  local raw = redis.call('HGET', p.intents, call_id)
  if not raw then return nil end
  redis.call('HDEL', p.intents, call_id)
  p.flying = p.flying - 1
  local _, slot, tokens, worst, est = string.match(raw, '^(%S+) (%S+) (%S+) (%S+) (%S+) ')
  return { slot = tonumber(slot), tokens = tonumber(tokens), worst = tonumber(worst), est = tonumber(est) }
end

local function settle_tokens(p, op, intent)
  local sent, real = op[9], op[10]
  if not sent then
    correct(p.d[1], intent.slot, -1)
    correct(p.d[2], intent.slot, -intent.tokens)
  elseif real >= 0 then
    correct(p.d[2], intent.slot, real - intent.tokens)
    if real > 0 then learn(p.models, op[4], intent.est, real) end
  end
end

local function settle_money(op, worst, reserved, era)
  if worst < 0 then return end
  local cost = op[9] and (op[11] >= 0 and op[11] or worst) or 0
  spend(op[5], cost, reserved, era)
end

local function take_hints(p, hints, slot, now)
  local dropped = false
  for _, h in ipairs(hints) do
    local d = p.d[h[1]]
    hint(d, h[2], h[3], h[4], slot, now)
    dropped = set_limit(d, p.told[h[1]], now) or dropped
  end
  if dropped then p.hits, p.cool = 0, now + 5 end  -- the 429s that follow are explained
end

local function settle(op, era, limits, now)
  local p = provider(op[2], era, limits, now)
  local intent = take_intent(p, op[3])
  if intent then
    settle_tokens(p, op, intent)
    settle_money(op, intent.worst, intent.worst, era)
  elseif op[7] ~= era.born then
    settle_money(op, op[12], 0, era)  -- its intent was lost with the state
  else
    return 0
  end
  tell_breaker(p.b, op[3], op[6], op[8], now)
  if intent then take_hints(p, op[14], intent.slot, now) end
  if op[13] >= 0 then
    throttled(p, now)
    freeze(p, op[13], now)
  elseif op[8] == 'good' then
    p.passed = p.passed + 1
    grow(p)
  end
  return 1
end
