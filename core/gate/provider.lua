-- What all calls to a provider share: its breaker, and the names of its models that have limits of their own.
-- States are packed values, read and written once a script. One of another layout is a state that was lost.
local PREFIX = 'llmsweep:gate:'
local LAYOUT = 3
local DAY = 86400
local pack = cmsgpack and cmsgpack.pack or cjson.encode  -- fakeredis has no cmsgpack
local unpack_state = cmsgpack and cmsgpack.unpack or cjson.decode

local providers = {}
local stored = {}  -- as they were read: who has not changed is not written

-- The state, whether there was one that cannot be read, and how it was stored.
local function read_state(key)
  local raw = redis.call('GET', PREFIX .. key)
  if not raw then return nil, false end
  local whole, state = pcall(unpack_state, raw)
  if whole and type(state) == 'table' and state.v == LAYOUT then return state, false, raw end
  return nil, true
end

local function provider(name, now)
  local p = providers[name]
  if p then return p end
  local _
  p, _, stored[name] = read_state('breaker:' .. name)
  p = p or { v = LAYOUT, b = new_breaker(now), lanes = { name } }
  providers[name] = p
  return p
end

local function enlist(p, lane)
  for _, known in ipairs(p.lanes) do
    if known == lane then return end
  end
  table.insert(p.lanes, lane)
end

local function save_providers()
  for name, p in pairs(providers) do
    local raw = pack(p)
    if raw ~= stored[name] then redis.call('SET', PREFIX .. 'breaker:' .. name, raw) end
  end
end
