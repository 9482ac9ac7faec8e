-- ARGV: prefix, lease in ms, fingerprints. For each: its value (hit), a fence as an integer (lead), or
-- {milliseconds that the leader has been at it} (follow). All at one instant, so that exactly one leads.
local prefix, lease = ARGV[1], ARGV[2]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function next_fence()
  -- A counter that was evicted or flushed begins at the time: no fence is ever given out again.
  redis.call('SET', prefix .. 'fence', string.format('%.0f', now * 1000), 'NX')
  return redis.call('INCR', prefix .. 'fence')
end

local out = {}
for i = 3, #ARGV do
  local value = redis.call('GET', prefix .. 'answer:' .. ARGV[i])
  if value then
    out[#out + 1] = value
  else
    local key = prefix .. 'lease:' .. ARGV[i]
    local held = redis.call('GET', key)
    if held then
      out[#out + 1] = { math.max(0, now - tonumber(string.match(held, ' (%d+)$'))) }
    else
      local fence = next_fence()
      redis.call('SET', key, string.format('%.0f %.0f', fence, now), 'PX', lease)
      out[#out + 1] = fence
    end
  end
end
return out
