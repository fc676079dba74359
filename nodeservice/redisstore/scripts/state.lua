-- state.lua reads a channel as a member sees it: nodeservice.ChannelState.
-- Answers {} if there is none for the viewer, else {members, createdAt, head,
-- acked, floor, unread, ordinal}.
local who, now = ARGV[3], tonumber(ARGV[4])
local l = load()
local s = side(l, who)
if not s or not l.c then return {} end
view(l, s, now)
return { l.m0, l.m1, tonumber(l.c), number(l.h), number(l['a' .. s]), shownFloor(l, s), held(l, s), number(l['o' .. s]) }
