package http2

// state is the state of a stream (RFC 9113 section 5.1). There is no server push, so nothing is ever reserved.
//
//	                    ┌──────┐
//	                    │ idle │
//	                    └──┬───┘
//	                       │ send or recv HEADERS
//	                       ▼
//	                    ┌──────┐
//	   recv END_STREAM  │      │  send END_STREAM
//	      ┌─────────────┤ open ├─────────────┐
//	      ▼             │      │             ▼
//	┌───────────┐       └──┬───┘       ┌───────────┐
//	│   half    │          │           │   half    │
//	│  closed   │          │ send or   │  closed   │
//	│ (remote)  │          │ recv RST  │  (local)  │
//	└─────┬─────┘          ▼           └─────┬─────┘
//	      │             ┌──────┐             │
//	      └────────────▶│closed│◀────────────┘
//	send END_STREAM,    └──────┘    recv END_STREAM,
//	  or any RST                      or any RST
//
// Only the methods below change a state, one for each event. What they do not allow is the peer's mistake, or a bug of ours
// where we send. testdata/state_transitions.txt has every event in every state.
type state uint8

const (
	stateIdle state = iota
	stateOpen
	stateHalfClosedRemote
	stateHalfClosedLocal
	stateClosed
)

// String returns the name that RFC 9113 gives the state.
func (s state) String() string {
	switch s {
	case stateIdle:
		return "idle"
	case stateOpen:
		return "open"
	case stateHalfClosedRemote:
		return "half-closed (remote)"
	case stateHalfClosedLocal:
		return "half-closed (local)"
	default:
		return "closed"
	}
}

// scope says how much of a connection an event that was not allowed costs.
type scope uint8

const (
	allowed scope = iota
	streamError
	connectionError
)

// recvHeaders takes a field block, which opens a stream or is one of its later ones.
func (s state) recvHeaders() (state, scope) {
	switch s {
	case stateIdle:
		return stateOpen, allowed
	case stateOpen, stateHalfClosedLocal:
		return s, allowed
	case stateHalfClosedRemote:
		return s, streamError // STREAM_CLOSED
	default:
		return s, connectionError // STREAM_CLOSED
	}
}

// recvData takes a DATA frame.
func (s state) recvData() (state, scope) {
	switch s {
	case stateOpen, stateHalfClosedLocal:
		return s, allowed
	case stateIdle:
		return s, connectionError // PROTOCOL_ERROR
	default:
		return s, streamError // STREAM_CLOSED
	}
}

// recvEnd takes the END_STREAM flag of a frame that was allowed.
func (s state) recvEnd() (state, scope) {
	switch s {
	case stateOpen:
		return stateHalfClosedRemote, allowed
	case stateHalfClosedLocal:
		return stateClosed, allowed
	default:
		return s, connectionError
	}
}

// recvReset takes a RST_STREAM frame. On a closed stream it has crossed what closed it.
func (s state) recvReset() (state, scope) {
	if s == stateIdle {
		return s, connectionError // PROTOCOL_ERROR
	}
	return stateClosed, allowed
}

// sendHeaders puts out a field block.
func (s state) sendHeaders() (state, scope) {
	switch s {
	case stateIdle:
		return stateOpen, allowed
	case stateOpen, stateHalfClosedRemote:
		return s, allowed
	default:
		return s, streamError
	}
}

// sendData puts out a DATA frame.
func (s state) sendData() (state, scope) {
	switch s {
	case stateOpen, stateHalfClosedRemote:
		return s, allowed
	default:
		return s, streamError
	}
}

// sendEnd puts out the END_STREAM flag.
func (s state) sendEnd() (state, scope) {
	switch s {
	case stateOpen:
		return stateHalfClosedLocal, allowed
	case stateHalfClosedRemote:
		return stateClosed, allowed
	default:
		return s, streamError
	}
}

// sendReset puts out a RST_STREAM frame.
func (s state) sendReset() (state, scope) {
	switch s {
	case stateIdle, stateClosed:
		return s, streamError
	default:
		return stateClosed, allowed
	}
}

// lose takes the end of the connection, or of the stream by way of it.
func (s state) lose() state { return stateClosed }

// canSend reports whether DATA may still go out.
func (s state) canSend() bool { return s == stateOpen || s == stateHalfClosedRemote }

// canRecv reports whether DATA may still come in.
func (s state) canRecv() bool { return s == stateOpen || s == stateHalfClosedLocal }
