-- When may the next call go? A dimension of the quota is a window (window.lua) and, where it is paced, a virtual queue in
-- seconds of quota.
--
-- The queue is a GCRA (ITU-T I.371, annex A): `tat` is the instant at which all that was booked is paid off, a
-- booking of `cost` moves it by cost / rate, and a call goes at `tat - burst`. What is new is how a booking by estimate
-- becomes the real figure. Putting the difference into `tat` as it is (a refund) overshoots: quota that nobody used
-- while the queue was empty is gone, the provider's bucket was full by then. So each second keeps `h`, how far `tat`
-- was ahead of the calls booked in it (below 0: quota that was wasted in it), and a correction of second s runs through
-- all later seconds as in Lindley's recursion (Proc. Camb. Phil. Soc. 48, 1952), which gives exactly the `tat`
-- that the real figure would have led to, had it been known when it was booked. docs/gate.md has the proof and figures.
--
-- A day's quota is not paced: it may be used as fast as the minute's allow, and then its window must move on.
local HORIZON = 1.2    -- seconds that are booked ahead; who would wait longer, books nothing
local NEAR = 0.3       -- the same for large calls: a few of them in flight, and what they really take, change all
local LARGE = { 0.1, 1 }  -- seconds of quota that make a call large, if what it takes is an estimate
local JITTER = 0.35    -- seconds by which a call may be late or early on its way

local function new_dimension(row)
  local d = { tat = 0, head = -1e9, since = 0, limit = 0, hint = 0, hint_at = 0, cap = 0, cap_until = 0, sum = 0, n = {} }
  bind(d, row)
  if d.burst > 0 then d.h = {} end
  for i = 1, d.slots do
    d.n[i] = 0
    if d.h then d.h[i] = FREE end
  end
  return d
end

-- Seconds of quota that `cost` takes. A little less than all is used: 1 %, or 1.5 % where a second holds
-- so few calls that one of them being late is felt.
local function seconds(d, cost)
  local rate = d.limit / d.window * d.ease
  return cost / (rate * (rate < 2 * cost and 0.985 or 0.99))
end

-- The same from the instant `from`, slower as long as the cap holds that a header has put on the rate.
local function lasts(d, cost, from)
  local capped = d.cap_until - from
  if capped <= 0 then return seconds(d, cost) end
  local slow = cost / d.cap
  if slow <= capped then return math.max(slow, seconds(d, cost)) end
  return math.max(seconds(d, cost), capped + seconds(d, cost - capped * d.cap))
end

local function earliest(d, cost, now)
  if d.limit == 0 then return now end
  local t = now
  if d.h then
    -- The provider's second must hold the call, and as much again where its size is an estimate.
    local slack = 1 - JITTER - cost / (d.limit / d.window * d.ease) * (d.counts == 'requests' and 1 or 2)
    t = math.max(now, d.tat - math.max(0, math.min(d.burst, slack)))
  end
  local over = used(d, t, d.since) + cost - d.limit * d.full
  if over <= 0 then return t end
  return d.h and t + seconds(d, over) or frees(d, over, now)
end

local function book(d, cost, t)
  local k = math.floor(t / d.width)
  roll(d, k)
  add(d, k, cost)
  if d.limit == 0 or not d.h then return end
  local i = k % d.slots + 1
  local ahead = d.tat - t
  if ahead < 0 and d.h[i] < 0 then
    d.h[i] = d.h[i] + ahead
  else
    d.h[i] = math.min(d.h[i], ahead)
  end
  local from = math.max(d.tat, t)
  d.tat = from + lasts(d, cost, from)
end

-- `delta` more (or less) than booked in that second.
local function correct(d, second, delta)
  local k = math.floor(second / d.width)
  if delta == 0 or k <= d.head - d.slots or k > d.head then return end
  add(d, k, delta)
  if d.limit == 0 or not d.h then return end
  local x = delta >= 0 and seconds(d, delta) or -seconds(d, -delta)
  for s = k + 1, d.head do
    local i = s % d.slots + 1
    local h = d.h[i]
    if h < FREE then
      d.h[i] = h + x
      if x > 0 then x = math.max(0, math.min(x, h + x)) else x = -math.min(-x, math.max(0, h)) end
    end
  end
  d.tat = d.tat + x
end

-- The limit in force: what the settings tell, or the headers where those tell none or less. `now`: or the end of a freeze.
local function set_limit(d, told, now)
  local limit = told
  if d.hint > 0 and (limit == 0 or d.hint < limit) then limit = d.hint end
  if limit == d.limit then return false end
  local dropped = limit > 0 and limit < d.limit
  if d.h and dropped then
    -- What was booked ahead takes longer now, and the minute so far was none of the new limit's.
    d.tat = now + math.max(0, d.tat - now) * d.limit / limit
    d.since = math.floor(now)
  elseif d.h and d.limit == 0 then
    d.tat = math.max(d.tat, now + d.burst)  -- empty-handed: no burst for a minute that nobody knows
    d.since = math.floor(now)
  end
  d.limit = limit
  return dropped
end

-- What a response header told. An answer to an older call says nothing new. A remainder that must last for seconds
-- lowers the rate for a while: somebody else uses the same key. Of a day's quota it tells what others, or a state
-- that was lost, have used.
local function hint(d, limit, remaining, reset_s, second, now)
  if second < d.hint_at then return end
  d.hint_at = second
  d.hint = limit
  if remaining < 0 then
    d.cap_until = 0
  elseif not d.h then
    local k = math.floor(now / d.width)
    roll(d, k)
    add(d, k, math.max(0, limit - remaining - used(d, now, d.since)))
  elseif reset_s > 1.5 then
    d.cap = math.max(remaining / reset_s, limit / d.window * 0.05)
    d.cap_until = now + math.min(reset_s, 5)
  else
    d.cap_until = 0
  end
end
