package http2

import (
	"math"
	"math/bits"
	"time"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/stats"
)

// The statistics of the codec, in short.
const (
	statDroppedUnderscores  = stats.HTTP2DroppedHeadersWithUnderscores
	statGoAwaySent          = stats.HTTP2GoawaySent
	statHeaderOverflow      = stats.HTTP2HeaderOverflow
	statEmptyFlood          = stats.HTTP2InboundEmptyFramesFlood
	statPriorityFlood       = stats.HTTP2InboundPriorityFramesFlood
	statWindowUpdateFlood   = stats.HTTP2InboundWindowUpdateFramesFlood
	statKeepaliveTimeout    = stats.HTTP2KeepaliveTimeout
	statEmptyMetadata       = stats.HTTP2MetadataEmptyFrames
	statControlFlood        = stats.HTTP2OutboundControlFlood
	statOutboundFlood       = stats.HTTP2OutboundFlood
	statRejectedUnderscores = stats.HTTP2RequestsRejectedWithUnderscoresInHeaders
	statMessagingError      = stats.HTTP2RxMessagingError
	statRxReset             = stats.HTTP2RxReset
	statRefused             = stats.HTTP2StreamRefusedErrors
	statTrailers            = stats.HTTP2Trailers
	statFlushTimeout        = stats.HTTP2TxFlushTimeout
	statTxReset             = stats.HTTP2TxReset
	statPendingBytes        = stats.HTTP2PendingSendBytes
	statStreamsActive       = stats.HTTP2StreamsActive
)

// flood counts what a peer does that costs more than it is worth. Each count has its limit in Options.
type flood struct {
	empty         int    // consecutive frames without content
	opened        uint64 // streams, by whoever opens them
	priorities    uint64 // PRIORITY frames, less those that are forgiven with the streams that have ended
	windowUpdates uint64
	dataSent      uint64 // DATA frames
	ended         uint64 // streams of the peer that have ended
	premature     uint64 // those of them that had not been answered and were young
	settings      allowance

	frames, control waiting

	verdict    fault // why the connection ends when the turn does
	verdictErr Error
}

func (fl *flood) init(now int64) {
	fl.settings = allowance{left: settingsBurst, filled: now}
}

// allowance is a token bucket in the time of the loop.
type allowance struct {
	left   int64
	filled int64 // when left was brought up to date
}

// take takes one of at most burst tokens, of which perSecond come again in a second.
func (a *allowance) take(now, burst, perSecond int64) bool {
	if fresh := (now - a.filled) * perSecond / int64(time.Second); fresh > 0 {
		a.left = min(burst, a.left+fresh)
		a.filled = now
	}
	a.left--
	return a.left >= 0
}

// waiting counts frames that were gathered and not sent, without looking at each: those before a mark in the output, and
// those since. When the mark has gone out, those before it have. The count is never too low, and exact as long as all that
// is gathered is sent, or nothing.
type waiting struct {
	before, since int
	mark          uint64 // of the bytes of the connection
}

// add counts a frame that is about to be gathered, in an output of which so many bytes were sent and so many are waiting.
func (w *waiting) add(sent uint64, gathered int) (count int) {
	switch {
	case gathered == 0:
		*w = waiting{mark: sent}
	case sent >= w.mark:
		w.before, w.since = w.since, 0
		w.mark = sent + uint64(gathered)
	}
	w.since++
	return w.before + w.since
}

// countFrame counts a frame that is about to be gathered.
func (c *conn) countFrame() {
	if c.flood.frames.add(c.raw.BytesWritten(), c.raw.Buffered()) > c.opts.MaxOutboundFrames {
		c.overflow(statOutboundFlood, "too many frames are waiting to be read")
	}
}

// countControl counts a frame that is about to answer one of the peer.
func (c *conn) countControl() {
	c.countFrame()
	if c.flood.control.add(c.raw.BytesWritten(), c.raw.Buffered()) > c.opts.MaxOutboundControlFrames {
		c.overflow(statControlFlood, "too many answers are waiting to be read")
	}
}

func (c *conn) countData() {
	c.flood.dataSent++
	c.countFrame()
}

// condemn ends the connection when the turn does: it may come out of any call, in the middle of something.
func (c *conn) condemn(f fault, err Error) {
	if f.is() && !c.flood.verdict.is() && !c.dead {
		c.flood.verdict, c.flood.verdictErr = f, err
		c.touch()
	}
}

// overflow ends a connection whose peer does not read.
func (c *conn) overflow(stat int, reason string) {
	if !c.flood.verdict.is() {
		c.stats.Inc(stat)
	}
	c.condemn(fault{http2.ErrCodeEnhanceYourCalm, reason}, ErrFlood)
}

// countEmpty counts a frame that carries nothing and ends nothing.
func (c *conn) countEmpty() fault {
	if c.flood.empty++; c.flood.empty > c.opts.MaxEmptyFrames {
		c.stats.Inc(statEmptyFlood)
		return fault{http2.ErrCodeEnhanceYourCalm, "too many frames without content in a row"}
	}
	return fault{}
}

// recvPriority takes a PRIORITY frame, which is counted and has no other effect. Each stream that is open allows for some, and
// so does the connection. One that ends forgives as many; what it did not use is not kept for later.
func (c *conn) recvPriority(frame *http2.PriorityFrame) fault {
	if c.flood.priorities++; c.flood.priorities > uint64(c.opts.MaxPriorityFrames)*uint64(1+c.streams.count) {
		c.stats.Inc(statPriorityFlood)
		return fault{http2.ErrCodeEnhanceYourCalm, "too many PRIORITY frames"}
	}
	if frame.StreamDep != frame.StreamID {
		return fault{}
	}
	if s := c.streams.find(frame.StreamID); s != nil {
		c.resetStream(s, http2.ErrCodeProtocol, ErrProtocol)
		return fault{}
	}
	return fault{http2.ErrCodeProtocol, "stream depends on itself"}
}

// countWindowUpdate counts a WINDOW_UPDATE frame.
func (c *conn) countWindowUpdate() fault {
	if c.flood.windowUpdates++; c.flood.windowUpdates > c.flood.allowedUpdates(c.opts.MaxWindowUpdates) {
		c.stats.Inc(statWindowUpdateFlood)
		return fault{http2.ErrCodeEnhanceYourCalm, "too many WINDOW_UPDATE frames"}
	}
	return fault{}
}

// allowedUpdates returns how many WINDOW_UPDATE frames may have come by now. The formula is Envoy's.
func (fl *flood) allowedUpdates(perData int) uint64 {
	over, forData := bits.Mul64(uint64(perData), fl.dataSent)
	if over > 0 || forData > math.MaxUint64/4 {
		return math.MaxUint64 // perData is there to say that there is no limit
	}
	return 5 + 2*(fl.opened+forData)
}

func (c *conn) countSettings() fault {
	if !c.flood.settings.take(c.loop.Now(), settingsBurst, settingsPerSecond) {
		return fault{http2.ErrCodeEnhanceYourCalm, "too many SETTINGS frames"}
	}
	return fault{}
}

// streamEnded counts a stream that has ended.
func (fl *flood) streamEnded(o *Options) {
	fl.ended++
	fl.priorities -= min(fl.priorities, uint64(o.MaxPriorityFrames))
}

// countPremature counts the end of a client's stream by a reset, whoever sent it, when it had not been answered: each has
// cost its sender nothing. Envoy's rule: the connection ends when they are half of the streams, and as soon as they will be
// half of the first MaxPrematureResets whatever comes.
func (c *conn) countPremature(s *Stream) {
	if !s.headSent && c.loop.Now()-s.opened < int64(c.opts.PrematureResetAge) {
		c.addPremature(c.flood.ended + 1)
	}
}

// addPremature also counts a reset that the peer has provoked on a stream that is not there. ended streams have ended, the
// one that was reset among them.
func (c *conn) addPremature(ended uint64) {
	fl := &c.flood
	fl.premature++
	if c.server && 2*fl.premature >= max(uint64(c.opts.MaxPrematureResets), ended) {
		c.condemn(fault{http2.ErrCodeEnhanceYourCalm, "too many streams were reset before they were answered"}, ErrPrematureResets)
	}
}
