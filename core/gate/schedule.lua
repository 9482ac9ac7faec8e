-- When may the next call go? One virtual queue a dimension (requests, tokens, ...), in seconds of quota.
--
-- A dimension is a GCRA (ITU-T I.371, annex A): `tat` is the instant at which all that was booked is paid off, a
-- booking of `cost` moves it by cost / rate, and a call goes at `tat - burst`. What is new is how a booking by estimate
-- becomes the real figure. Putting the difference into `tat` as it is (a refund) overshoots: quota that nobody used
-- while the queue was empty is gone, the provider's bucket was full by then. So each second keeps `h`, how far `tat`
-- was ahead of the calls booked in it (below 0: quota that was wasted in it), and a correction of second s runs through
-- all later seconds as in Lindley's recursion (Proc. Camb. Phil. Soc. 48, 1952), which gives exactly the `tat`
-- that the real figure would have led to, had it been known when it was booked. docs/gate.md has the proof and figures.
--
-- A second's count `n` serves the sliding minute, which is checked as well.
local SLOTS = 72       -- seconds kept: a minute, what is booked ahead, and some
local HORIZON = 1.2    -- seconds that are booked ahead; who would wait longer, books nothing
local JITTER = 0.35    -- seconds by which a call may be late or early on its way
local FREE = 1e6       -- h of a second without bookings
local BURST = { 0.2, 0.4 }    -- seconds of quota that may be caught up, by dimension
local FULL = { 1, 0.993 }     -- of the limit, in any minute: tokens in flight may turn out to be more

local function new_dimension()
  local d = { tat = 0, head = -1e9, since = 0, limit = 0, hint = 0, hint_at = 0, cap = 0, cap_until = 0, n = {}, h = {} }
  for i = 1, SLOTS do
    d.n[i] = 0
    d.h[i] = FREE
  end
  return d
end

local function roll(d, second)
  if second <= d.head then return end
  for s = math.max(d.head + 1, second - SLOTS + 1), second do
    d.n[s % SLOTS + 1] = 0
    d.h[s % SLOTS + 1] = FREE
  end
  d.head = second
end

-- What was booked in the minute before t, the oldest second in part.
local function used(d, t, since)
  local second = math.floor(t)
  local sum = 0
  for s = math.max(second - 59, since, d.head - SLOTS + 1), math.min(second, d.head) do
    sum = sum + d.n[s % SLOTS + 1]
  end
  local oldest = second - 60
  if oldest >= since and oldest > d.head - SLOTS and oldest <= d.head then
    sum = sum + d.n[oldest % SLOTS + 1] * (1 - (t - second))
  end
  return sum
end

-- Seconds of quota that `cost` takes. A little less than all is used: 1 %, or 1.5 % where a second holds
-- so few calls that one of them being late is felt.
local function seconds(d, cost)
  local rate = d.limit / 60 * d.ease
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
  local slack = 1 - JITTER - cost / (d.limit / 60 * d.ease)
  local t = math.max(now, d.tat - math.max(0, math.min(d.burst, slack)))
  local over = used(d, t, d.since) + cost - d.limit * d.full
  if over > 0 then t = t + seconds(d, over) end
  return t
end

local function book(d, cost, t)
  local second = math.floor(t)
  roll(d, second)
  local i = second % SLOTS + 1
  d.n[i] = d.n[i] + cost
  if d.limit == 0 then return end
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
  if second <= d.head - SLOTS or second > d.head then return end
  d.n[second % SLOTS + 1] = d.n[second % SLOTS + 1] + delta
  if d.limit == 0 then return end
  local x = delta >= 0 and seconds(d, delta) or -seconds(d, -delta)
  for s = second + 1, d.head do
    local i = s % SLOTS + 1
    local h = d.h[i]
    if h < FREE then
      d.h[i] = h + x
      if x > 0 then x = math.max(0, math.min(x, h + x)) else x = -math.min(-x, math.max(0, h)) end
    end
  end
  d.tat = d.tat + x
end

-- The limit in force: what the settings tell, or the headers where those tell none or less.
local function set_limit(d, told, now)
  local limit = told
  if d.hint > 0 and (limit == 0 or d.hint < limit) then limit = d.hint end
  if limit == d.limit then return false end
  local dropped = limit > 0 and limit < d.limit
  if dropped then
    -- What was booked ahead takes longer now, and the minute so far was none of the new limit's.
    d.tat = now + math.max(0, d.tat - now) * d.limit / limit
    d.since = math.floor(now)
  elseif d.limit == 0 then
    d.tat = math.max(d.tat, now + d.burst)  -- empty-handed: no burst for a minute that nobody knows
    d.since = math.floor(now)
  end
  d.limit = limit
  return dropped
end

-- What a response header told. An answer to an older call says nothing new. A remainder that must last for seconds
-- lowers the rate for a while: somebody else uses the same key.
local function hint(d, limit, remaining, reset_s, second, now)
  if second < d.hint_at then return end
  d.hint_at = second
  d.hint = limit
  if remaining >= 0 and reset_s > 1.5 and limit > 0 then
    d.cap = math.max(remaining / reset_s, limit / 60 * 0.05)
    d.cap_until = now + math.min(reset_s, 5)
  else
    d.cap_until = 0
  end
end
