-- ARGV: prefix, number of answers, then (fingerprint, value, ttl in ms) for each, then (key, value, ttl in ms) for the
-- calls they came with. Who holds the lead for an answer has nothing left to lead: one round trip stores and releases.
local prefix, answers = ARGV[1], tonumber(ARGV[2])
for i = 3, #ARGV, 3 do
  local name = ARGV[i]
  if i < 3 + 3 * answers then
    redis.call('DEL', prefix .. 'lease:' .. name)
    name = 'answer:' .. name
  end
  redis.call('SET', prefix .. name, ARGV[i + 1], 'PX', ARGV[i + 2])
end
return 1
