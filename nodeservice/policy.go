package nodeservice

// operation names what a caller does: in the policy table, the audit and the
// counters.
type operation uint8

// The operations.
const (
	opChallenge operation = iota
	opLogin
	opAuthenticate
	opRenew
	opRevoke
	opCreateChannel
	opListChannels
	opGetChannel
	opEnqueue
	opFetch
	opAck
	opFollow
	opStreamAck
	opUpload
	opClaim
	opStatus
	operations
)

// policy is one row of the table: who may, what it costs, what is recorded.
type policy struct {
	name   string
	member bool    // the caller must be a member of the channel it names
	cost   float64 // requests, to each bucket it passes
	audit  recording
}

// recording says when an operation's audit record must be written.
type recording uint8

const (
	unrecorded  recording = iota
	recorded              // some time, in order
	writtenDown           // before the answer: membership and key packages
)

// policies is the whole policy. Challenge, login and authenticate have no
// session yet and charge the address alone (auth.go).
var policies = [operations]policy{
	opChallenge:     {name: "challenge", cost: 1},
	opLogin:         {name: "login", cost: 1, audit: recorded},
	opAuthenticate:  {name: "authenticate", cost: 1},
	opRenew:         {name: "renew", cost: 1},
	opRevoke:        {name: "revoke", cost: 1, audit: writtenDown},
	opCreateChannel: {name: "create_channel", cost: 1, audit: writtenDown},
	opListChannels:  {name: "list_channels", cost: 1},
	opGetChannel:    {name: "get_channel", cost: 1, member: true},
	opEnqueue:       {name: "send", cost: 1, member: true, audit: recorded},
	opFetch:         {name: "receive", cost: 1, member: true, audit: recorded},
	opAck:           {name: "ack", cost: 1, member: true, audit: recorded},
	opFollow:        {name: "follow", cost: 1, member: true},
	opStreamAck:     {name: "stream_ack", member: true, audit: recorded},
	opUpload:        {name: "upload_key_packages", cost: 1, audit: writtenDown},
	opClaim:         {name: "claim_key_package", cost: 1, audit: writtenDown},
	opStatus:        {name: "key_package_status", cost: 1},
}

func (op operation) String() string { return policies[op].name }
