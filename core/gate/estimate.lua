-- How many tokens will a call really take? A line through what calls of the same template and model took, over about the
-- last 200: real = a + slope * estimate. The slope is the tokenizer's (prompts are counted, not guessed), the rest what a
-- model tends to answer; so long prompts after short ones are right at once, where a mere ratio would be far off.
-- Until the estimates differ enough to tell a slope, it is 1 (ridge regression towards 1).
local UNKNOWN = 4  -- the first calls are probes, booked as if they were a good deal larger than estimated
local KEEP = 1 - 1 / 200
local RIDGE = 0.1  -- spread of the estimates, of their mean, from which on the slope is believed

local function learn(models, model, est, real)
  local m = models[model] or { n = 0, w = 0, x = 0, y = 0, xx = 0, xy = 0 }
  local x = math.max(1, est)
  m.n = math.min(m.n + 1, 1000)
  m.w = m.w * KEEP + 1
  m.x = m.x * KEEP + x
  m.y = m.y * KEEP + real
  m.xx = m.xx * KEEP + x * x
  m.xy = m.xy * KEEP + x * real
  models[model] = m
end

-- While few have told, a bit more: too slow for a second is better than too fast.
local function expected(models, model, est)
  local m = models[model]
  if not m then return math.ceil(est * UNKNOWN) end
  local x, y = m.x / m.w, m.y / m.w
  local ridge = (RIDGE * x) ^ 2 * (1 + 10 / m.n)
  local slope = (m.xy / m.w - x * y + ridge) / (math.max(0, m.xx / m.w - x * x) + ridge)
  local real = y + math.min(4, math.max(0, slope)) * (est - x)
  -- Rounding must not tell twin and script apart.
  return math.ceil(math.max(1, real) * (1 + 2 / m.n) - 1e-6)
end
