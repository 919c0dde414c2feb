-- The generic cell rate algorithm, for one caller in one class.
-- KEYS[1]: the caller in the class. ARGV: what one request costs and the whole quota, both in microseconds.
-- Returns whether the request is taken, how long until the whole quota is there again, and how long to wait.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local cost, quota = tonumber(ARGV[1]), tonumber(ARGV[2])
local paid = tonumber(redis.call('GET', KEYS[1]) or now)
if paid < now then paid = now end
local then_paid = paid + cost
if then_paid - now > quota then
  return { 0, paid - now, then_paid - now - quota }
end
redis.call('SET', KEYS[1], string.format('%.0f', then_paid), 'PX', math.ceil((then_paid - now) / 1000))
return { 1, then_paid - now, 0 }
