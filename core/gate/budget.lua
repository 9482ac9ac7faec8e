-- Money a sweep, in whole nano-dollars (doubles hold them exactly up to 9 million dollars). `reserved` is the sum of the
-- worst cases of the sweep's intents. A budget of an older era is not known until the ledger's sum has been set;
-- what is settled before that is kept in `limbo`, because the sum may or may not hold it: rather too much than too little.
local budgets = {}

local function budget(sweep)
  local m = budgets[sweep]
  if m then return m end
  local raw = redis.call('HMGET', PREFIX .. 'budget:' .. sweep, 'spent', 'reserved', 'limbo', 'born')
  m = { spent = tonumber(raw[1] or 0), reserved = tonumber(raw[2] or 0), limbo = tonumber(raw[3] or 0), born = tonumber(raw[4] or 0) }
  budgets[sweep] = m
  return m
end

local function spend(sweep, cost, reserved, era)
  local m = budget(sweep)
  m.reserved = math.max(0, m.reserved - reserved)
  if m.born == era.born then m.spent = m.spent + cost else m.limbo = m.limbo + cost end
  m.dirty = true
end

local function reserve(sweep, worst)
  local m = budget(sweep)
  m.reserved = m.reserved + worst
  m.dirty = true
end

local function set_spent(sweep, spent, era)
  local m = budget(sweep)
  m.spent = math.max(m.spent, spent)
  if m.born ~= era.born then
    m.spent = m.spent + m.limbo
    m.limbo = 0
  end
  m.born = era.born
  m.dirty = true
end

local function save_budgets()
  for sweep, m in pairs(budgets) do
    if m.dirty then
      local key = PREFIX .. 'budget:' .. sweep
      redis.call('HSET', key, 'spent', string.format('%.0f', m.spent), 'reserved', string.format('%.0f', m.reserved),
        'limbo', string.format('%.0f', m.limbo), 'born', string.format('%.0f', m.born))
      redis.call('EXPIRE', key, DAY)
    end
  end
end
