-- {'settle', lane, call_id, model, sweep, epoch, born, health, sent, tokens or -1, cost or -1, worst or -1,
--  freeze or -1, hints, input tokens or -1, output tokens or -1}. The second time it changes nothing.
local function take_intent(l, call_id)
  local raw = redis.call('HGET', l.intents, call_id)
  if not raw then return nil end
  redis.call('HDEL', l.intents, call_id)
  l.flying = l.flying - 1
  local _, slot, tokens, input, output, worst, est, out = string.match(raw, '^(%S+) (%S+) (%d+)/?(%d*)/?(%d*) (%S+) (%d+)/?(%d*) ')
  local booked = { requests = 1, tokens = tonumber(tokens), input = tonumber(input) or 0, output = tonumber(output) or 0 }
  return { slot = tonumber(slot), booked = booked, worst = tonumber(worst), est = tonumber(est), out = tonumber(out) or 0 }
end

local function teach(l, model, intent, real)
  learn(l.models, model, intent.est, real.tokens)
  if l.counted.input and real.input >= 0 then learn(l.models, model .. ' input', intent.est - intent.out, real.input) end
  if l.counted.output and real.output >= 0 then learn(l.models, model .. ' output', intent.out, real.output) end
end

local function settle_tokens(l, op, intent)
  local real = { requests = 1, tokens = op[10], input = op[15], output = op[16] }
  if not op[9] then real = { requests = 0, tokens = 0, input = 0, output = 0 } end
  for _, d in ipairs(l.live) do
    local booked, taken = intent.booked[d.counts], real[d.counts]
    if taken >= 0 and booked > 0 then correct(d, intent.slot, taken - booked) end
  end
  if op[9] and real.tokens > 0 then teach(l, op[4], intent, real) end
end

local function settle_money(op, worst, reserved, era)
  if worst < 0 then return end
  local cost = op[9] and (op[11] >= 0 and op[11] or worst) or 0
  spend(op[5], cost, reserved, era)
end

-- Each: {row's number, limit, remaining or -1, reset in s}.
local function take_hints(l, hints, request, slot, now)
  local dropped = false
  for _, h in ipairs(hints) do
    local known = l.d[request.rows[h[1]][1]]
    local d = known or dimension(l, request.rows[h[1]], h[2])
    if not known then
      l.live[#l.live + 1] = d
      l.counted[d.counts] = true
    end
    hint(d, h[2], h[3], h[4], slot, now)
    dropped = set_limit(d, l.told[h[1] + 1], now) or dropped
  end
  if dropped then l.hits, l.cool = 0, now + 5 end  -- the 429s that follow are explained
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
  if intent then take_hints(l, op[14], request, intent.slot, now) end
  if op[13] >= 0 then
    throttled(l, now)
    freeze(l, op[13], now)
  elseif op[8] == 'good' then
    l.passed = l.passed + 1
    grow(l)
  end
  return 1
end
