package http2

// maxWindow is the largest flow-control window (RFC 9113 section 6.9.1).
const maxWindow = 1<<31 - 1

// initialWindow is the window of both sides before anything else is agreed (RFC 9113 section 6.9.2).
const initialWindow = 1<<16 - 1

// streamInflow is the window that we grant to a stream. What the peer sends is received, then taken by whoever reads it, and
// credited to the peer again.
type streamInflow struct {
	window int32 // what the peer may still send
	owed   int32 // taken and not credited
}

// receive notes n bytes that came in, and reports whether the peer was allowed to send them.
func (f *streamInflow) receive(n int) bool {
	if n > int(f.window) {
		return false
	}
	f.window -= int32(n)
	return true
}

// take notes n bytes that were received and are gone now. It returns by how much the window, which was granted with size, is
// to be opened now, 0 for not yet: small updates are gathered until half of the window is due.
func (f *streamInflow) take(n int, size uint32) (credit uint32) {
	f.owed += int32(n)
	if uint32(f.owed) < size/2 || f.owed == 0 {
		return 0
	}
	credit = uint32(f.owed)
	f.window += f.owed
	f.owed = 0
	return credit
}

// inflow is the window that we grant to a connection. Its streams may belong to different readers, and some who do not read
// must not hold up all others: up to slack bytes may lie untaken and are credited nevertheless.
type inflow struct {
	size   int64 // of the window as it was granted
	window int64 // what the peer may still send
	owed   int64 // received and not credited
	unread int64 // received and not taken
	slack  int64 // of unread, what is credited all the same
}

// receive notes n bytes that came in, and reports whether the peer was allowed to send them.
func (f *inflow) receive(n int) bool {
	if int64(n) > f.window {
		return false
	}
	f.window -= int64(n)
	f.owed += int64(n)
	f.unread += int64(n)
	return true
}

// take notes n bytes that were received and are gone now.
func (f *inflow) take(n int) { f.unread -= int64(n) }

// credit returns by how much the window is to be opened now, 0 for not yet: small updates are gathered until half of the
// window is due.
func (f *inflow) credit() uint32 {
	due := f.owed - max(0, f.unread-f.slack)
	if due == 0 || due < f.size/2 {
		return 0
	}
	f.owed -= due
	f.window += due
	return uint32(due)
}

// outflow is a window that the peer grants us. It may become negative when the peer lowers the initial one (RFC 9113 section
// 6.9.2).
type outflow int64

// open adds n, and reports whether the window is one that may be.
func (f *outflow) open(n int64) bool {
	*f += outflow(n)
	return *f <= maxWindow
}
