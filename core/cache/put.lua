-- ARGV: prefix, ttl in ms, number of answers, then (fingerprint, value) for each, then (key, value) for the calls they
-- came with. Who holds the lead for an answer has nothing left to lead: one round trip stores and releases.
-- What is stored together does not lapse together: each ttl is up to a tenth shorter or longer.
local prefix, ttl, answers = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
for i = 4, #ARGV, 2 do
  local name = ARGV[i]
  if i < 4 + 2 * answers then
    redis.call('DEL', prefix .. 'lease:' .. name)
    name = 'answer:' .. name
  end
  redis.call('SET', prefix .. name, ARGV[i + 1], 'PX', math.max(1, math.floor(ttl * (0.9 + 0.2 * math.random()))))
end
return 1
