-- Sliding windows over two fixed ones: the last one counts by the part of it that is still inside.
-- KEYS: per limit the current and the previous window. ARGV: now (ms), window (ms), then a ceiling per limit.
-- Nothing is counted when one of the limits is reached. Returns: index of the limit reached (0: none), the rest of
-- the tightest limit, and milliseconds until it is worth asking again.
local now, window = tonumber(ARGV[1]), tonumber(ARGV[2])
local inside = 1 - (now % window) / window
local tightest = nil
for i = 1, #KEYS / 2 do
    local ceiling = tonumber(ARGV[2 + i])
    local current = tonumber(redis.call('GET', KEYS[2 * i - 1]) or 0)
    local previous = tonumber(redis.call('GET', KEYS[2 * i]) or 0)
    local used = current + previous * inside
    if used + 1 > ceiling then
        local wait = window - now % window
        if current + 1 <= ceiling and previous > 0 then
            wait = math.min(wait, (used + 1 - ceiling) / previous * window)
        end
        return {i, 0, math.ceil(wait)}
    end
    local rest = math.floor(ceiling - used - 1)
    if tightest == nil or rest < tightest then tightest = rest end
end
for i = 1, #KEYS / 2 do
    if redis.call('INCR', KEYS[2 * i - 1]) == 1 then redis.call('PEXPIRE', KEYS[2 * i - 1], 2 * window) end
end
return {0, tightest, window - now % window}
