-- include: index
-- ARGV: id, then pairs of label name and value; an empty value removes the label
local base, id = KEYS[1], ARGV[1]
if redis.call('EXISTS', base .. id) == 0 then
  return -1
end
for i = 2, #ARGV, 2 do
  set_label(base, id, ARGV[i], ARGV[i + 1])
end
return 0
