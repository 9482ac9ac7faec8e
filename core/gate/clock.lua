-- Server time, the only time that the gate knows: workers' clocks may differ. Tests put another file here.
-- Seconds since EPOCH, not since 1970: the 14 digits that a JSON number gets then hold microseconds.
local EPOCH = 1750000000

local function server_time()
  local t = redis.call('TIME')
  return tonumber(t[1]) - EPOCH + tonumber(t[2]) / 1e6
end
