-- ARGV: prefix, lease in ms (0: release), then pairs of fingerprint and fence. 1 for each that was still held.
local prefix, lease = ARGV[1], tonumber(ARGV[2])
local out = {}
for i = 3, #ARGV, 2 do
  local key = prefix .. 'lease:' .. ARGV[i]
  local held = redis.call('GET', key)
  local ours = held and string.match(held, '^(%d+) ') == ARGV[i + 1]
  if ours then
    if lease > 0 then redis.call('PEXPIRE', key, lease) else redis.call('DEL', key) end
  end
  out[#out + 1] = ours and 1 or 0
end
return out
