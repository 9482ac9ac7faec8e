-- What was booked in the last minute or day, counted in slots of time. `n` holds a count a slot, in a ring; `sum` is that of
-- the window that ends with the newest slot, so that nobody adds sixty numbers for every call.
-- A row that the client sends says what a dimension is: {name, what it counts, window in s, burst in s (0: not paced), share of
-- the limit that is given out, 1 if it is counted without a limit as well}. The dimension keeps it: other rows, other LAYOUT.
local MINUTE = 60
local PARTS = 48   -- slots of a window longer than a minute: a day goes by in half hours
local SPARE = 12   -- slots beyond the window: what is booked ahead, and some
local FREE = 1e6   -- h of a slot without bookings (schedule.lua)

local function bind(d, row)
  d.name, d.counts, d.window, d.burst, d.full = row[1], row[2], row[3], row[4], row[5]
  d.width = d.window > MINUTE and d.window / PARTS or 1
  d.parts = d.window / d.width
  d.slots = d.parts + SPARE
end

local function roll(d, k)
  if k <= d.head then return end
  if k - d.head >= d.slots then
    for i = 1, d.slots do
      d.n[i] = 0
      if d.h then d.h[i] = FREE end
    end
    d.sum = 0
  else
    for s = d.head + 1, k do
      local i = s % d.slots + 1
      d.sum = d.sum - d.n[(s - d.parts) % d.slots + 1]
      d.n[i] = 0
      if d.h then d.h[i] = FREE end
    end
  end
  d.head = k
end

local function add(d, k, count)
  local i = k % d.slots + 1
  d.n[i] = d.n[i] + count
  if k > d.head - d.parts then d.sum = d.sum + count end
end

-- The count of slots first .. last, as far as they are kept.
local function span(d, first, last)
  local sum = 0
  for k = math.max(first, d.head - d.slots + 1), math.min(last, d.head) do
    sum = sum + d.n[k % d.slots + 1]
  end
  return sum
end

-- What was booked in the window before t: of a minute the oldest slot in part, of a day as a whole.
local function used(d, t, since)
  local k = math.floor(t / d.width)
  local first, sum = k - d.parts + 1, nil
  if since > first then sum = span(d, since, k)
  elseif k >= d.head then sum = d.sum - span(d, d.head - d.parts + 1, first - 1)
  else sum = d.sum - span(d, k + 1, d.head) + span(d, first, d.head - d.parts) end
  local oldest = first - 1
  if oldest >= since and oldest > d.head - d.slots and oldest <= d.head then
    local left = d.width > 1 and 1 or 1 - (t - k)
    sum = sum + d.n[oldest % d.slots + 1] * left
  end
  return sum
end

-- What was booked between two instants, of the seconds at both ends in part.
local function between(d, from, to)
  local first, last = math.floor(from / d.width), math.floor(to / d.width)
  return span(d, first, last) - span(d, first, first) * (from / d.width - first) - span(d, last, last) * (last + 1 - to / d.width)
end

-- When enough has left the window for `over` more.
local function frees(d, over, now)
  local oldest = math.floor(now / d.width) - d.parts
  for k = math.max(oldest, d.head - d.slots + 1), d.head do
    over = over - d.n[k % d.slots + 1]
    if over <= 0 then return (k + d.parts + 1) * d.width end
  end
  return now + d.window
end
